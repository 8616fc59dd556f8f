//! The command line of the simulator.
#![expect(clippy::print_stdout, reason = "what a program prints is its answer")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::batch::{Failure, Tally, attempt, run_seeds, words};
use crate::check::Terms;
use crate::fate::Fault;
use crate::run::{Mode, Outcome, Settings, run};
use crate::shrink::shrink;

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
    /// Commit that a failure names.
    #[arg(long, default_value = "unknown", hide_default_value = true)]
    commit: String,
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
    let settings = Settings { calm: arguments.calm, trace: arguments.trace, ..Settings::of(seed) };
    let began = Instant::now();
    let outcome = match run(&settings) {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("seed {seed}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for line in &outcome.trace {
        println!("{line}");
    }
    for recorded in &outcome.tape {
        println!("TRADING {} {}", recorded.sequence, contracts::to_json(&recorded.event).unwrap_or_default());
    }
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
    if outcome.violation.is_none() {
        return ExitCode::SUCCESS;
    }
    fail(arguments, &settings, &outcome);
    ExitCode::FAILURE
}

fn fail(arguments: &Arguments, settings: &Settings, outcome: &Outcome) {
    let (settings, outcome) =
        if arguments.whole { (settings.clone(), outcome.clone()) } else { shrink(settings, outcome) };
    let Some(violation) = &outcome.violation else { return };
    let from = outcome.trace.len().saturating_sub(TRACE_TAIL);
    for line in &outcome.trace[from..] {
        println!("  {line}");
    }
    println!("FAILED seed {} commit {}: {violation}", settings.seed, arguments.commit);
    println!(
        "smallest: {:?}, {} faults, {} events",
        settings.mask,
        outcome.faults.values().sum::<u64>(),
        outcome.events
    );
    println!("again: tapedeck-sim --seed {} --trace", settings.seed);
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
    if let Some(Failure { seed, violation, panic }) = failure {
        println!(
            "seed {seed} failed: {}",
            violation.map(|found| found.to_string()).or(panic).unwrap_or_default()
        );
        let settings = Settings::of(seed);
        if attempt(&settings).is_err_and(|failure| failure.violation.is_some())
            && let Ok(outcome) = run(&settings)
        {
            fail(arguments, &settings, &outcome);
        }
        return ExitCode::FAILURE;
    }
    let missing = if count >= 300 { tally.missing() } else { Vec::new() };
    for what in &missing {
        println!("never happened: {what}");
    }
    for seed in &tally.small {
        println!("seed {seed} came to too little");
    }
    if missing.is_empty() && tally.small.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(tally: &Tally, seconds: f64) {
    println!("faults:");
    for (fault, _) in Fault::ALL {
        println!("  {:28} {}", fault.name(), tally.faults.get(&fault).copied().unwrap_or_default());
    }
    println!("order states:");
    for (transition, count) in &tally.transitions {
        println!("  {:28} {count}", words(*transition));
    }
    println!("new terms:");
    for terms in Terms::ALL {
        println!("  {:28} {}", terms.name(), tally.terms.get(&terms).copied().unwrap_or_default());
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
