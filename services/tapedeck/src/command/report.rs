//! `tapedeck report`: the tear sheet of an account, from the tape's own marks and fills.
//!
//! The same sheet as a backtest's: what was traded on paper or live is measured by the same formulas. Deliberately
//! absent: any formula (`analytics`), and trades' first in, first out (`engine::Lots`).

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::monte_carlo::Settings;
use analytics::sheet::{Counts, RunFacts, StrategyFacts};
use analytics::{Benchmark, Input, TearSheet, format, metrics};
use chrono::NaiveDate;
use domain::calendar::Calendar;
use domain::money::{Amount, E9, Price, Quantity, div_half_even};
use domain::performance::{EquityRow, Trade};
use domain::series::BarSeries;
use engine::{Dealt, Lots};
use projections::queries::{self, AccountRow, AccountTrack, Change, Deal, StrategyRow};
use sqlx::PgPool;

use super::market::{span, stored, unreachable};
use crate::cli::ReportOptions;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// How far before and behind the marks a benchmark is looked for.
const MONTH_NS: i64 = 30 * 24 * 3_600 * 1_000_000_000;

/// Prints the tear sheet of an account, or writes it as a page.
pub async fn run(session: &Session, options: &ReportOptions, output: Output) -> Result<(), Failure> {
    let hint = "tapedeck report --from 2020-01-02 --to 2020-01-31";
    let span = span(options.from.as_deref(), options.to.as_deref(), hint)?;
    let pool = session.reader().await?;
    let tape = session.dir.name.as_str();
    let rows = queries::accounts(&pool).await.map_err(unreachable)?;
    let account = account(&rows, options.account.as_deref(), tape)?;
    let (span, calendar) = ((span.start, span.end), session.manifest.market()?.calendar());
    let Some(sheet) = sheet(&pool, &account.account, span, options.benchmark.as_deref(), calendar).await?
    else {
        return Err(unmarked(&account.account, account.marked_ns, tape));
    };
    pool.close().await;
    if let Some(path) = &options.html {
        let page = sheet.to_html().map_err(|error| Failure::other(format!("the page: {error}")))?;
        std::fs::write(path, page)
            .map_err(|error| Failure::other(format!("--html {}: {error}", path.display())))?;
        output.note(&format!("tear sheet written to {}", path.display()));
    }
    if output.json {
        return output.document(&sheet);
    }
    if options.html.is_none() {
        let row = |metric: &metrics::Metric| {
            let value = sheet.metric(metric.name);
            vec![metric.label.to_owned(), format::metric(value, metric.unit)]
        };
        output.table(&["METRIC", "VALUE"], &metrics::METRICS.iter().map(row).collect::<Vec<_>>());
    }
    for text in
        sheet.warnings.iter().map(|warning| &warning.text).chain(&sheet.no_trades).chain(&sheet.run.notes)
    {
        output.note(text);
    }
    Ok(())
}

/// The account asked for, else the only one.
fn account<'a>(rows: &'a [AccountRow], wanted: Option<&str>, tape: &str) -> Result<&'a AccountRow, Failure> {
    let Some(first) = rows.first() else {
        let message =
            "there is no account on this tape: the accounts of the configuration are stated when it is run";
        return Err(Failure::not_found(message, format!("tapedeck up --tape {tape}")));
    };
    let known = rows.iter().map(|row| row.account.as_str()).collect::<Vec<_>>().join(", ");
    let typed = format!("tapedeck report --tape {tape} --account {}", first.account);
    match wanted {
        Some(wanted) => rows
            .iter()
            .find(|row| row.account == wanted)
            .ok_or_else(|| Failure::not_found(format!("account {wanted:?}: expected one of {known}"), typed)),
        None if rows.len() == 1 => Ok(first),
        None => Err(Failure::usage(format!("--account is missing: expected one of {known}"), typed)),
    }
}

/// That an account has no marks to measure in a span, with what to do about it.
fn unmarked(account: &str, last_ns: Option<i64>, tape: &str) -> Failure {
    match last_ns {
        Some(last_ns) => Failure::not_found(
            format!("account {account:?} has no marks in this span; its last one is of {}", time(last_ns)),
            format!("tapedeck report --tape {tape} --account {account}"),
        ),
        None => Failure::not_found(
            format!("account {account:?} has no marks yet: it is valued while the tape is run"),
            format!("tapedeck up --tape {tape}"),
        ),
    }
}

/// The sheet of an account; `None` where it has no marks in the span.
async fn sheet(
    pool: &PgPool,
    account: &str,
    span: (i64, i64),
    benchmark: Option<&str>,
    calendar: &Calendar,
) -> Result<Option<TearSheet>, Failure> {
    let track = queries::account_track(pool, account, span).await.map_err(unreachable)?;
    let Some(last) = track.marks.last() else { return Ok(None) };
    let rows: Vec<EquityRow> = track.base.iter().chain(&track.marks).copied().collect();
    let from_ns = rows.first().map_or(i64::MIN, |first| first.time_ns);
    let (trades, open) = trades(&track.deals);
    let within = |trade: &Trade| (from_ns..=last.time_ns).contains(&trade.exit_ns);
    let trades: Vec<Trade> = trades.into_iter().filter(within).collect();
    let closes = match benchmark {
        Some(symbol) => closes(pool, symbol, calendar, &rows).await?,
        None => Vec::new(),
    };
    let name = benchmark.map(|symbol| format!("{symbol}, bought and held"));
    let strategies = queries::strategies(pool).await.map_err(unreachable)?;
    let mut input = Input::new(&trades, &rows, calendar);
    input.facts = facts(account, &track, &strategies, calendar);
    input.benchmark = name.as_deref().map(|name| Benchmark { name, closes: &closes });
    input.counts = counts(&track, open);
    input.commission = Some(track.commission);
    input.slippage = Some(track.slippage);
    input.monte_carlo = Some(Settings::default());
    TearSheet::of(input).map(Some).map_err(|error| Failure::other(error.to_string()))
}

fn facts(account: &str, track: &AccountTrack, strategies: &[StrategyRow], calendar: &Calendar) -> RunFacts {
    let traded = |of: fn(&Deal) -> &str| {
        let mut names: Vec<String> = track.deals.iter().map(|deal| of(deal).to_owned()).collect();
        names.sort();
        names.dedup();
        names
    };
    let own = strategies.iter().filter(|row| row.account == account);
    let mut timeframes: Vec<&str> = own.clone().map(|row| row.timeframe.as_str()).collect();
    timeframes.sort_unstable();
    timeframes.dedup();
    let mode = own.clone().map(|row| row.mode.as_str()).find(|mode| *mode == "live").unwrap_or("paper");
    let strategy = |row: &StrategyRow| StrategyFacts {
        id: row.strategy.clone(),
        kind: row.kind.clone(),
        parameters: row
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.value.clone()))
            .collect(),
    };
    let mut notes = Vec::new();
    if track.deposits_later != Amount::ZERO {
        notes.push(format!(
            "{} were paid in or out after the beginning and are taken off again: they are no gain.",
            track.deposits_later
        ));
    }
    RunFacts {
        title: format!("Account {account}"),
        kind: mode.to_owned(),
        account: Some(account.to_owned()),
        symbols: traded(|deal| &deal.symbol),
        timeframe: timeframes.join(", "),
        calendar: calendar.exchange().to_owned(),
        strategies: own.map(strategy).collect(),
        code_version: crate::CODE_VERSION.to_owned(),
        notes,
        ..RunFacts::default()
    }
}

fn counts(track: &AccountTrack, open: usize) -> Counts {
    let counts = &track.counts;
    Counts {
        bars: u64::try_from(track.marks.len()).unwrap_or(u64::MAX),
        signals: counts.decided,
        approved: counts.approved,
        denied: counts.denied.clone(),
        orders: counts.orders,
        rejected: counts.rejected,
        expired: counts.expired,
        fills: counts.fills,
        open_trades: u64::try_from(open).unwrap_or(u64::MAX),
        ..Counts::default()
    }
}

/// Closed trades in the order of their exits, and how many openings are still held.
fn trades(deals: &[Deal]) -> (Vec<Trade>, usize) {
    let mut lots: BTreeMap<(&str, &str), Lots> = BTreeMap::new();
    let mut fractions: BTreeMap<(&str, &str), Quantity> = BTreeMap::new();
    let mut trades = Vec::new();
    for deal in deals {
        let key = (deal.strategy.as_str(), deal.symbol.as_str());
        let own = lots.entry(key).or_insert_with(|| Lots::new(&Arc::from(key.0), &Arc::from(key.1)));
        let dealt =
            |quantity, price, commission| Dealt { quantity, price, commission, time_ns: deal.time_ns };
        match deal.change {
            Change::Fill { quantity, price, commission } => {
                own.deal(dealt(quantity, price, commission), &mut trades);
            }
            Change::Split { after, fraction } => {
                own.restate(after.0.saturating_add(fraction.0).saturating_abs());
                fractions.insert(key, fraction);
            }
            Change::CashInLieu { amount } => {
                let fraction = fractions.remove(&key).unwrap_or_default();
                if let Some(price) = price_of(amount, fraction) {
                    own.deal(dealt(Quantity(-fraction.0), price, Amount::ZERO), &mut trades);
                }
            }
        }
    }
    let open = lots.values().map(|lots| lots.open(Price::ZERO).count()).sum();
    (trades, open)
}

/// The price at which a fraction was paid out.
fn price_of(amount: Amount, fraction: Quantity) -> Option<Price> {
    let shares = i128::from(fraction.abs().0);
    let scaled = amount.abs().0.checked_mul(i128::from(E9)).filter(|_| shares > 0)?;
    i64::try_from(div_half_even(scaled, shares)).ok().map(Price)
}

/// What a symbol that is bought and held comes to at each session's close, as in a backtest, from a month before the first
/// row, so that the span begins with the close before it.
async fn closes(
    pool: &PgPool,
    symbol: &str,
    calendar: &Calendar,
    marks: &[EquityRow],
) -> Result<Vec<(NaiveDate, f64)>, Failure> {
    let series = queries::series_of(pool, symbol).await.map_err(unreachable)?;
    let timeframe = series.first().and_then(|series| series.timeframe.parse().ok());
    let Some(timeframe) = timeframe else {
        return Err(Failure::not_found(
            format!("--benchmark {symbol:?}: the tape has no bars of it"),
            "tapedeck bars",
        ));
    };
    let from_ns = marks.first().map_or(i64::MIN, |first| first.time_ns.saturating_sub(MONTH_NS));
    let to_ns = marks.last().map_or(i64::MAX, |last| last.time_ns.saturating_add(MONTH_NS));
    let (bars, actions) = stored(pool, symbol, timeframe, (from_ns, to_ns), None).await?;
    let series = BarSeries::of("", symbol, timeframe, &bars);
    Ok(backtest::closes(&series, actions.iter(), calendar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_is_a_command() {
        let of = |failure: Failure| (failure.code, failure.hint);
        let expected = |code, hint: &str| (code, hint.to_owned());
        assert_eq!(of(account(&[], None, "t").unwrap_err()), expected(3, "tapedeck up --tape t"));
        assert_eq!(of(unmarked("paper", None, "t")), expected(3, "tapedeck up --tape t"));
        let late = unmarked("paper", Some(1_577_984_400_000_000_000), "t");
        assert!(late.message.ends_with("its last one is of 2020-01-02T17:00:00Z"), "{late:?}");
        assert_eq!(of(late), expected(3, "tapedeck report --tape t --account paper"));
    }
}
