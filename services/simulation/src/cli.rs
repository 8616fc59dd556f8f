//! The command line of the simulator.
#![expect(clippy::print_stdout, reason = "what a program prints is its answer")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use domain::order::OrderStage;

use crate::batch::{Failure, Tally, attempt, run_seeds};
use crate::fate::{Extra, Fault, Mask};
use crate::run::{Mode, Outcome, Settings};
use crate::seen::Seen;
use crate::shrink::{shrink, traced};
use crate::stages::{EXCUSED, all, demanded, excuse, words};

/// The commit that was checked out when the program was built.
const COMMIT: &str = env!("TAPEDECK_SIM_COMMIT");
/// Lines of a trace that are printed at the end of a failure.
const TRACE_TAIL: usize = 40;

/// Simulates the services over a faulty tape, one seed after the other.
#[derive(Debug, Parser)]
#[command(name = "tapedeck-sim", version)]
struct Arguments {
    /// Run this seed alone and print its figures.
    #[arg(long)]
    seed: Option<u64>,
    /// Print everything that happened in the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Nothing goes wrong in the seed, and nobody interferes.
    #[arg(long, requires = "seed")]
    calm: bool,
    /// Kinds of faults that do not happen in the seed, separated by commas.
    #[arg(long, requires = "seed", value_name = "KIND", value_delimiter = ',', value_parser = fault)]
    without: Vec<Fault>,
    /// Only the faults of the seed from one number on and before another, as the trace numbers them.
    #[arg(long, requires = "seed", value_name = "FROM..TO", value_parser = range)]
    only: Option<(u64, u64)>,
    /// Most instants of the seed's market.
    #[arg(long, requires = "seed")]
    instants: Option<usize>,
    /// No operator and no wild strategy in the seed.
    #[arg(long, requires = "seed")]
    quiet: bool,
    /// What the seed does not hold, separated by commas: terms, groups, fates, limits, replaces, restates, shadow, by_hand,
    /// scopes, parts, measures, midway.
    #[arg(long, requires = "seed", value_name = "EXTRA", value_delimiter = ',', value_parser = extra)]
    leave_out: Vec<Extra>,
    /// Do not make a failure smaller.
    #[arg(long)]
    whole: bool,
    /// Number of seeds.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Commit that a failure names; that of the build when absent.
    #[arg(long, default_value = COMMIT, hide_default_value = true)]
    commit: String,
}

fn fault(name: &str) -> Result<Fault, String> {
    let known = || Fault::ALL.map(|(fault, _)| fault.name()).join(", ");
    Fault::from_name(name).ok_or_else(|| format!("expected one of {}", known()))
}

fn extra(name: &str) -> Result<Extra, String> {
    let known = || Extra::ALL.map(Extra::name).join(", ");
    Extra::from_name(name).ok_or_else(|| format!("expected one of {}", known()))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    ends.ok_or_else(|| "expected two numbers, for example 3..12".to_owned())
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(&arguments, seed),
        None => many(&arguments),
    }
}

fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let mask = Mask {
        without: arguments.without.clone(),
        only: arguments.only,
        instants: arguments.instants,
        quiet: arguments.quiet,
        leave_out: arguments.leave_out.clone(),
    };
    let settings = Settings { seed, calm: arguments.calm, mask, trace: arguments.trace };
    let began = Instant::now();
    match attempt(&settings) {
        Ok(outcome) => {
            figures(&settings, &outcome, began);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            figures(&settings, &failure.outcome, began);
            fail(arguments, &settings, &failure);
            ExitCode::FAILURE
        }
    }
}

fn figures(settings: &Settings, outcome: &Outcome, began: Instant) {
    for line in &outcome.trace {
        println!("{line}");
    }
    for recorded in &outcome.tape {
        println!("TRADING {} {}", recorded.sequence, contracts::to_json(&recorded.event).unwrap_or_default());
    }
    let seed = settings.seed;
    println!(
        "seed {seed} {:?}: {} events, {} orders, {} faults, {} polls, {} s of virtual time, {} ms, trace {}",
        Mode::of(seed),
        outcome.events,
        outcome.orders,
        outcome.faults.values().sum::<u64>(),
        outcome.polls,
        outcome.elapsed.as_secs(),
        began.elapsed().as_millis(),
        outcome.hash,
    );
}

/// Says how a seed failed: the end of the trace of the smallest run that fails alike, and how to see it again.
fn fail(arguments: &Arguments, settings: &Settings, failure: &Failure) {
    let (settings, failure) =
        if arguments.whole { traced(settings, failure.clone()) } else { shrink(settings, failure) };
    let outcome = &failure.outcome;
    let from = outcome.trace.len().saturating_sub(TRACE_TAIL);
    for line in &outcome.trace[from..] {
        println!("  {line}");
    }
    println!("FAILED seed {} commit {}: {}", settings.seed, arguments.commit, failure.words());
    println!(
        "smallest: {:?}, {} faults, {} events",
        settings.mask,
        outcome.faults.values().sum::<u64>(),
        outcome.events
    );
    let calm = if settings.calm { " --calm" } else { "" };
    println!("again: tapedeck-sim --seed {}{}{calm} --trace", settings.seed, settings.mask.options());
}

fn many(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let (from, count, jobs) = (arguments.from, arguments.seeds, usize::from(arguments.jobs));
    let progress = |done: u64| {
        if done > 0 && done.is_multiple_of(1_000) {
            println!("{done} seeds, {} s", began.elapsed().as_secs());
        }
    };
    let (tally, failure) = run_seeds(from, count, jobs, || {}, progress);
    print(&tally, began.elapsed().as_secs_f64());
    if let Some(failure) = failure {
        println!("seed {} failed: {}", failure.seed, failure.words());
        fail(arguments, &Settings::of(failure.seed), &failure);
        return ExitCode::FAILURE;
    }
    let forbidden = tally.forbidden();
    for what in &forbidden {
        println!("happened, and cannot: {what}");
    }
    let missing = if count >= 300 { tally.missing() } else { Vec::new() };
    for what in &missing {
        println!("never happened: {what}");
    }
    for seed in &tally.small {
        println!("seed {seed} came to too little");
    }
    let well = missing.is_empty() && forbidden.is_empty() && tally.small.is_empty();
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(tally: &Tally, seconds: f64) {
    println!("faults:");
    for (fault, _) in Fault::ALL {
        println!("  {:28} {}", fault.name(), tally.faults.get(&fault).copied().unwrap_or_default());
    }
    println!("orders, from one stage to another:");
    let of = |step| tally.transitions.get(&step).copied().unwrap_or_default();
    for step in demanded() {
        println!("  {:40} {}", words(step), of(step));
    }
    println!("orders, not demanded:");
    for step in all().filter(|step| excuse(*step).is_some() && of(*step) > 0) {
        println!("  {:40} {}", words(step), of(step));
    }
    for &(from, to, why) in &EXCUSED {
        let names =
            |stages: &[OrderStage]| stages.iter().map(|stage| stage.name()).collect::<Vec<_>>().join(", ");
        println!("  ({} -> {}: {why})", names(from), names(to));
    }
    println!("besides:");
    for seen in Seen::ALL {
        println!("  {:40} {}", seen.name(), tally.seen.get(&seen).copied().unwrap_or_default());
    }
    println!(
        "{} seeds in {seconds:.1} s: {} events (at least {} each), {} orders (at least {} each)",
        tally.seeds, tally.events, tally.events_min, tally.orders, tally.orders_min
    );
}

/// Looks for every planted bug in turn.
#[cfg(feature = "planted-bugs")]
pub fn planted() -> ExitCode {
    crate::hunt::main()
}
