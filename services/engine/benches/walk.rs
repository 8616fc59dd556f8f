//! How fast the engine walks: 1,000,000 generated bars of 10 symbols, SMA(10/20) cross with orders, fills,
//! portfolio and equity, on one core; and how a sweep of 100 pairs scales over cores.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/engine/setup.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod setup;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use contracts::ChainHash;
use contracts::v1::Costs;
use domain::money::E9;
use domain::series::MarketData;
use engine::space::{Dimension, Sampler, values};
use engine::{Config, Events, Hash, Nothing, Outcome, Search, Uncontrolled, run, sweep};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SYMBOLS: usize = 10;
const BARS: usize = 100_000;
const ROUNDS: usize = 9;

fn main() {
    // The calendar's hours do not reach so far: minutes do.
    let data = setup::generated(SYMBOLS, BARS, 42, domain::bar::Timeframe::M1);
    let mut config =
        setup::config(vec![setup::strategy("sma_cross", "sma_cross", &[("fast", "10"), ("slow", "20")])]);
    config.strategies[0].sizing = domain::sizing::parse("fixed:10").expect("a sizing");
    config.account.cash = setup::money(10_000_000);
    config.account.limits = domain::risk::buying_power_only(false);
    config.account.costs = Costs { commission_rate_e9: E9 / 1_000, ..Costs::default() };

    let total = (SYMBOLS * BARS) as f64;
    let (took, outcome) =
        best(|| run(&config, &data, &mut Hash::default(), &mut Uncontrolled).expect("it runs"));
    println!("{} fills, {} trades, {:?}", outcome.counts.fills, outcome.trades.len(), outcome.chain_hash);
    report("events formed and hashed", total, took, 10e6);
    prove(&config, &data, &outcome);
    let (took, _) = best(|| run(&config, &data, &mut Nothing, &mut Uncontrolled).expect("it runs"));
    report("statistics only", total, took, 30e6);

    let dimension = |parameter: &str, range: &str| Dimension {
        strategy: "sma_cross".to_owned(),
        parameter: parameter.to_owned(),
        values: values(range).expect("a range"),
    };
    let space = [dimension("fast", "5..14"), dimension("slow", "20..110:10")];
    let measure = |_: &Config, outcome: &Outcome| (Some(outcome.final_equity().to_f64()), ());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let timed = |threads| {
        let watch = |_, _| ControlFlow::Continue(());
        let search = Search {
            space: &space,
            sampler: Sampler::Grid,
            seed: 1,
            threads,
            measure: &measure,
            watch: &watch,
        };
        let began = Instant::now();
        let trials = sweep(&config, &data, &search).expect("it runs");
        assert_eq!(trials.len(), 100);
        began.elapsed()
    };
    let (one, all) = (timed(1), timed(cores));
    let scaling = one.as_secs_f64() / all.as_secs_f64() / cores as f64;
    println!(
        "sweep of 100 pairs: {:.2} s on one core, {:.2} s on {cores}: {:.0} % of perfect scaling (bar 80 %)",
        one.as_secs_f64(),
        all.as_secs_f64(),
        scaling * 100.0
    );
}

/// Holds the hash against that of every event that a rehearsal would store, as `tapedeck chain-hash` makes it.
fn prove(config: &Config, data: &MarketData, outcome: &Outcome) {
    let mut chain = ChainHash::default();
    let mut recorder = Events::new(|event: &contracts::v1::Event| {
        chain.add(event);
    });
    let recorded = run(config, data, &mut recorder, &mut Uncontrolled).expect("it runs");
    let (orders, fills) = chain.orders_and_fills();
    let chain = chain.finish().ok();
    assert!(chain.is_some() && chain == outcome.chain_hash, "{chain:?}, expected {:?}", outcome.chain_hash);
    assert_eq!(&recorded, outcome);
    println!("chain hash of {orders} orders and {fills} fills, event by event: the same");
}

fn best(mut of: impl FnMut() -> Outcome) -> (Duration, Outcome) {
    let mut best: Option<(Duration, Outcome)> = None;
    for _ in 0..ROUNDS {
        let began = spent();
        let outcome = of();
        let took = spent() - began;
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, outcome));
        }
    }
    best.expect("at least one round")
}

/// Time that this thread had a core, where the system tells, so that others on the machine do not count; else
/// the time since the first call.
fn spent() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.as_deref().and_then(|text| text.split(' ').next()).and_then(|text| text.parse().ok());
    nanos.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn report(what: &str, total: f64, took: Duration, bar: f64) {
    let rate = total / took.as_secs_f64();
    let verdict = if rate >= bar { "met" } else { "MISSED" };
    println!(
        "{what}: {:.3} s, {:.1}M bars/s (bar {:.0}M, {verdict})",
        took.as_secs_f64(),
        rate / 1e6,
        bar / 1e6
    );
}
