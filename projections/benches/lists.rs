//! Pages of the long lists: every kind of question to lists of a million rows each.
//!
//! `cargo bench -p projections --bench lists -- [ROWS]`. Prints the 95th percentile and the slowest page, newest
//! ones and deep ones, filtered and not; exits with an error when the 95th percentile is 100 ms or more.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[expect(dead_code, reason = "reading needs no tape")]
mod bench;
#[path = "../tests/projections/rows.rs"]
mod rows;

use std::time::{Duration, Instant};

use projections::queries::{self, DecisionFilter, FillFilter, OrderFilter, SignalFilter, Turn};

use bench::{Bench, Outcome};
use rows::START_NS;

const P95_MAX: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = bench::size(1_000_000);
    let bench = Bench::start().await?;
    rows::fill(&bench.writer, i64::try_from(count)?).await?;
    let text = |value: &str| Some(value.to_owned());
    let deep = Turn::Before(queries::Cursor { time_ns: START_NS + 30_000_000, sequence: 150_000 });
    let orders = [
        OrderFilter::default(),
        OrderFilter { open: Some(true), ..OrderFilter::default() },
        OrderFilter { status: text("rejected"), ..OrderFilter::default() },
        OrderFilter { account: text("other"), ..OrderFilter::default() },
        OrderFilter { symbol: text("SYM7"), ..OrderFilter::default() },
        OrderFilter { symbol: text("NONE"), ..OrderFilter::default() },
        OrderFilter { strategy: text("strategy2"), status: text("rejected"), ..OrderFilter::default() },
        OrderFilter {
            from_ns: Some(START_NS + 1_000),
            to_ns: Some(START_NS + 2_000_000),
            ..OrderFilter::default()
        },
        OrderFilter { side: text("sell"), symbol: text("SYM9"), ..OrderFilter::default() },
    ];
    let mut spans = Vec::new();
    for _ in 0..10 {
        for turn in [Turn::Newest, deep] {
            for filter in &orders {
                let began = Instant::now();
                queries::list_orders(&bench.reader, filter, turn, 50).await?;
                spans.push(began.elapsed());
            }
            for symbol in [None, text("SYM5"), text("NONE")] {
                let began = Instant::now();
                let filter = FillFilter { symbol: symbol.clone(), ..FillFilter::default() };
                queries::list_fills(&bench.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
                let began = Instant::now();
                let filter = DecisionFilter {
                    verdict: text("denied"),
                    symbol: symbol.clone(),
                    ..DecisionFilter::default()
                };
                queries::list_decisions(&bench.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
                let began = Instant::now();
                let filter = SignalFilter { symbol, ..SignalFilter::default() };
                queries::list_signals(&bench.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
            }
        }
    }
    spans.sort();
    let (p95, most) = (spans[spans.len() * 95 / 100], spans[spans.len() - 1]);
    println!("{} pages of lists of {count} rows: p95 {p95:?}, slowest {most:?}", spans.len());
    if p95 >= P95_MAX {
        return Err(format!("the 95th percentile is {p95:?}, expected less than {P95_MAX:?}").into());
    }
    Ok(())
}
