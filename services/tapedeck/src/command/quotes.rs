//! `tapedeck quotes`: the last best bid and offer and the last trade of symbols, as the stream QUOTES has them.

use domain::money::{Price, Volume};
use runtime::{LastTick, SizedPrice};
use serde::Serialize;

use super::symbols::listed;
use crate::cli::Quotes;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// The last of a symbol. Prices and sizes are decimals; none of a symbol leaves them empty.
#[derive(Debug, Default, Serialize)]
struct Last {
    symbol: String,
    bid: String,
    bid_size: String,
    ask: String,
    ask_size: String,
    quoted_ns: Option<i64>,
    trade: String,
    trade_size: String,
    traded_ns: Option<i64>,
}

/// Prints them.
pub async fn run(session: &Session, options: &Quotes, output: Output) -> Result<(), Failure> {
    let asked = if options.symbols.is_empty() { &session.config.live.symbols } else { &options.symbols };
    let symbols = listed(asked, "tapedeck quotes --help")?;
    let mut rows = Vec::with_capacity(symbols.len());
    for symbol in symbols {
        rows.push(last(session, symbol).await?);
    }
    if output.json {
        return output.document(&rows);
    }
    let told = |ns: Option<i64>| ns.map_or_else(|| "–".to_owned(), time);
    let dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    let cells = |row: &Last| {
        let mut cells = vec![row.symbol.clone()];
        cells.extend([&row.bid, &row.bid_size, &row.ask, &row.ask_size].map(|text| dash(text)));
        cells.extend([told(row.quoted_ns), dash(&row.trade), dash(&row.trade_size), told(row.traded_ns)]);
        cells
    };
    let header = ["SYMBOL", "BID", "SHARES", "ASK", "SHARES", "AT", "TRADE", "SHARES", "AT"];
    output.table(&header, &rows.iter().map(cells).collect::<Vec<_>>());
    if rows.iter().all(|row| row.quoted_ns.is_none() && row.traded_ns.is_none()) {
        output.note("nothing is on the tape: live.quotes and live.trades say whether they are streamed");
    }
    Ok(())
}

async fn last(session: &Session, symbol: String) -> Result<Last, Failure> {
    let LastTick { quote, trade } = LastTick::of(session.tape.as_ref(), &symbol).await?;
    let mut row = Last { symbol, ..Last::default() };
    if let Some(quote) = quote {
        (row.bid, row.bid_size) = decimals(quote.bid);
        (row.ask, row.ask_size) = decimals(quote.ask);
        row.quoted_ns = Some(quote.at_ns);
    }
    if let Some(trade) = trade {
        (row.trade, row.trade_size) = decimals(Some(trade.traded));
        row.traded_ns = Some(trade.at_ns);
    }
    Ok(row)
}

/// A price with its shares; nothing where there is none.
fn decimals(told: Option<SizedPrice>) -> (String, String) {
    told.map(|told| (Price(told.price_e9).to_string(), Volume(told.size_e3).to_string())).unwrap_or_default()
}
