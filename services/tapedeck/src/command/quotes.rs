//! `tapedeck quotes`: the last best bid and offer and the last trade of symbols, as the stream QUOTES has them.

use contracts::stream::QUOTES;
use contracts::v1::event::Body;
use contracts::{Subject, from_timestamp};
use domain::money::{Price, Volume};
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
    let mut row = Last { symbol, ..Last::default() };
    for kind in ["quote", "trade"] {
        let subject = Subject::of(&[kind, &row.symbol]);
        let Some(recorded) = session.tape.last(QUOTES, subject.as_str()).await? else { continue };
        let at_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
        match recorded.event.body {
            Some(Body::Quote(quote)) => {
                (row.bid, row.bid_size) = side(quote.bid_e9, quote.bid_size_e3);
                (row.ask, row.ask_size) = side(quote.ask_e9, quote.ask_size_e3);
                row.quoted_ns = at_ns;
            }
            Some(Body::Trade(trade)) => {
                (row.trade, row.trade_size) = side(trade.price_e9, trade.size_e3);
                row.traded_ns = at_ns;
            }
            _ => {}
        }
    }
    Ok(row)
}

/// A price with its shares; nothing where there is none.
fn side(price_e9: i64, size_e3: i64) -> (String, String) {
    match price_e9 {
        0 => (String::new(), String::new()),
        price => (Price(price).to_string(), Volume(size_e3).to_string()),
    }
}
