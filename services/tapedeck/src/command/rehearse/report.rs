//! What a rehearsal has come to.

use serde::Serialize;

use super::decided::Decided;
use crate::command::import::print_findings;
use crate::exit::Failure;
use crate::output::Output;

/// What a rehearsal prints at its end.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) tape: String,
    /// True when the tape held all of it before.
    pub(super) complete_before: bool,
    pub(super) bars: u64,
    pub(super) instants: u64,
    pub(super) instants_with_signals: u64,
    /// Instants in which risk decided something.
    pub(super) instants_with_decisions: u64,
    pub(super) instants_with_orders: u64,
    pub(super) instants_with_fills: u64,
    pub(super) seconds: f64,
    pub(super) bars_per_second: f64,
    /// What the messages alone would have allowed; absent when nothing was played.
    pub(super) floor_bars_per_second: Option<f64>,
    /// `bars_per_second` as a percentage of it.
    pub(super) percent_of_floor: Option<f64>,
    pub(super) signals: u64,
    pub(super) decisions: u64,
    /// What each strategy signalled on the tape, and what risk answered, by name.
    pub(super) strategies: Vec<Decided>,
    pub(super) orders: u64,
    pub(super) fills: u64,
    /// Rows of the files that are no bars.
    pub(super) rejected: u64,
    /// Findings about the files that are new on the tape.
    pub(super) findings: u64,
    pub(super) chain_hash: String,
}

impl Report {
    /// Prints it.
    pub(super) fn print(&self, output: Output) -> Result<(), Failure> {
        if output.json {
            return output.document(self);
        }
        if self.complete_before {
            output.line(&format!("tape {} is complete: nothing left to play", self.tape));
        } else {
            output.line(&format!(
                "{} bars in {} instants in {:.1} s: {:.0} bars/s",
                self.bars, self.instants, self.seconds, self.bars_per_second
            ));
            if let (Some(floor), Some(percent)) = (self.floor_bars_per_second, self.percent_of_floor) {
                output.line(&format!(
                    "floor {floor:.0} bars/s (its messages alone); this is {percent:.0} % of it"
                ));
            }
            output.line(&format!(
                "instants with signals {}, with decisions {}, with orders {}, with fills {}",
                self.instants_with_signals,
                self.instants_with_decisions,
                self.instants_with_orders,
                self.instants_with_fills
            ));
        }
        output.line(&format!("{} orders, {} fills on the tape", self.orders, self.fills));
        for strategy in &self.strategies {
            output.line(&strategy.words());
        }
        if self.rejected > 0 {
            output.line(&format!("{} rows of the files are no bars and were left out", self.rejected));
        }
        print_findings(self.findings, output);
        output.line(&format!("chain hash {}", self.chain_hash));
        Ok(())
    }
}
