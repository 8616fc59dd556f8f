//! The hunt: every planted bug in turn, until a seed finds it.
//!
//! Each bug is looked for with the workload of `make sim`, from the first seed on; what counts is the first
//! violation of a seed that holds without the bug, and its invariant is named. A bug that two thousand seeds do not find fails the hunt.
#![expect(clippy::print_stdout, reason = "what a program prints is its answer")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use planted::Bug;

use crate::batch::{Failure, attempt, run_seeds};
use crate::run::Settings;

/// Looks for planted bugs.
#[derive(Debug, Parser)]
#[command(name = "tapedeck-sim-planted", version)]
struct Arguments {
    /// Plant this one alone.
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
    /// Seeds that each bug may take.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

fn bug(name: &str) -> Result<Bug, String> {
    let known = || Bug::ALL.map(Bug::name).join(", ");
    Bug::ALL.into_iter().find(|bug| bug.name() == name).ok_or_else(|| format!("expected one of {}", known()))
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("{}", planted::MARKER);
    let bugs = arguments.bug.map_or(Bug::ALL.to_vec(), |bug| vec![bug]);
    let mut found = 0;
    for bug in &bugs {
        let began = Instant::now();
        let jobs = usize::from(arguments.jobs);
        let (tally, failure) =
            run_seeds(arguments.from, arguments.seeds, jobs, || planted::plant(Some(*bug)), |_| {});
        let took = began.elapsed().as_secs_f64();
        match failure {
            Some(Failure { seed, violation: Some(violation), .. }) => {
                planted::plant(None);
                if let Err(failure) = attempt(&Settings::of(seed)) {
                    println!("{:32} seed {seed} fails without it: {}", bug.name(), failure.words());
                    continue;
                }
                found += 1;
                println!(
                    "{:32} found by invariant {} in seed {seed}, {took:.1} s",
                    bug.name(),
                    violation.invariant
                );
                println!("{:32}   {violation}", "");
            }
            Some(Failure { seed, panic, .. }) => {
                println!("{:32} broke seed {seed}: {}", bug.name(), panic.unwrap_or_default());
            }
            None => println!("{:32} NOT FOUND in {} seeds", bug.name(), tally.seeds),
        }
    }
    println!("{found} of {} planted bugs found", bugs.len());
    if found == bugs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
