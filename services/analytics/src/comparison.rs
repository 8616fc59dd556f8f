//! A stretch of the tape as recorded beside the same stretch run again: what parity and a fork leave on the tape,
//! as gzipped JSON of bounded size.
//!
//! What does not fit is left out, rows that are the same on both sides first, and the comparison says so.
//!
//! Deliberately absent: how it is made (`backtest::replay`), how it is shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::{BYTES_MAX, ReportError, gzipped, plain};

/// How the two sides of a row stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Recorded and derived, and the same.
    Same,
    /// Recorded and derived, and not the same.
    Differs,
    /// Recorded only.
    OnlyRecorded,
    /// Derived only.
    OnlyDerived,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Same, Self::Differs, Self::OnlyRecorded, Self::OnlyDerived];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::OnlyRecorded => "only recorded",
            Self::OnlyDerived => "only derived",
        }
    }

    /// That of two sides of which either may be absent.
    #[must_use]
    pub fn of<T: PartialEq>(recorded: Option<&T>, derived: Option<&T>) -> Self {
        match (recorded, derived) {
            (Some(recorded), Some(derived)) if recorded == derived => Self::Same,
            (Some(_), None) => Self::OnlyRecorded,
            (None, Some(_)) => Self::OnlyDerived,
            _ => Self::Differs,
        }
    }
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Path of the field in the event's JSON form.
    pub field: String,
    /// As recorded; null when it is not there.
    pub recorded: Value,
    /// As derived; null when it is not there.
    pub derived: Value,
}

/// One signal, decision, order event or fill on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Event time, UTC nanoseconds.
    pub time_ns: i64,
    /// Kind of the event.
    pub kind: String,
    /// Its id.
    pub event_id: String,
    /// Event on the tape whose chain leads here: itself where it is recorded, else its nearest recorded cause.
    pub chain_of: String,
    /// As recorded, in words; empty when it is not there.
    pub recorded: String,
    /// As derived, in words; empty when it is not there.
    pub derived: String,
    /// How they stand to each other.
    pub outcome: Outcome,
    /// Fields that differ.
    pub fields: Vec<Difference>,
}

/// An account at the end of a stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEnd {
    /// Account.
    pub account: String,
    /// Equity of its last mark, as a decimal.
    pub equity: String,
    /// Cash.
    pub cash: String,
    /// Gross realised profit and loss.
    pub realized_pnl: String,
    /// Commissions and fees.
    pub fees: String,
}

/// One side of a comparison, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Signals.
    pub signals: u64,
    /// Orders submitted.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Denials.
    pub denials: u64,
    /// Accounts at the end.
    pub accounts: Vec<AccountEnd>,
}

/// What became of one wish on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSide {
    /// Id of the order; empty when risk made none.
    pub order_id: String,
    /// `buy` or `sell`; empty when risk made no order.
    pub side: String,
    /// Shares ordered, a decimal; empty when risk made no order.
    pub quantity: String,
    /// Kind of order and time in force, with its prices: `market day`.
    pub terms: String,
    /// `filled`, `denied: max_position` and so on.
    pub status: String,
    /// Shares filled within the stretch, a decimal.
    pub filled: String,
    /// Average price of what was filled; null when nothing was.
    pub average_price: Option<String>,
    /// Commissions and fees.
    pub fees: String,
}

/// One order, or a signal that became none, on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Time of its first event in the stretch, UTC nanoseconds.
    pub time_ns: i64,
    /// Signal behind it; empty for an order from before the stretch.
    pub signal_id: String,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// Event on the tape whose chain leads here.
    pub chain_of: String,
    /// As recorded.
    pub recorded: Option<OrderSide>,
    /// As derived.
    pub derived: Option<OrderSide>,
    /// How they stand to each other.
    pub outcome: Outcome,
}

/// A fill on the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillMark {
    /// When it became known, UTC nanoseconds.
    pub time_ns: i64,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Shares, a decimal.
    pub quantity: String,
    /// Price, a decimal.
    pub price: String,
    /// On which side it is.
    pub outcome: Outcome,
}

/// A point of a line: unix nanoseconds and equity.
pub type Point = (i64, f64);

/// The equity of an account on both sides, mark by mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EquityLine {
    /// Account.
    pub account: String,
    /// As recorded.
    pub recorded: Vec<Point>,
    /// As derived.
    pub derived: Vec<Point>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `parity` or `fork`.
    pub kind: String,
    /// Parity: date of the session.
    pub session: Option<String>,
    /// Last sequence of TRADING that both sides share.
    pub at: u64,
    /// First sequence of TRADING within the stretch.
    pub from: u64,
    /// Last one.
    pub to: u64,
    /// Changed parameters, `STRATEGY.NAME=VALUE`.
    pub parameters: Vec<String>,
    /// Changed limits, `ACCOUNT.NAME=VALUE`.
    pub limits: Vec<String>,
    /// `same` or `differs`.
    pub verdict: String,
    /// Events compared.
    pub compared: usize,
    /// Those that are not the same.
    pub differing: usize,
    /// Events of the tape's last instant that follow and are not recorded yet; they are not compared.
    pub open: usize,
    /// The first event that is not the same.
    pub first: Option<Row>,
    /// As recorded.
    pub recorded: Side,
    /// As run again.
    pub derived: Side,
    /// Orders, and signals that became none, in the order of time.
    pub orders: Vec<OrderRow>,
    /// How many there are in all.
    pub orders_total: usize,
    /// How many of them are not the same.
    pub orders_differing: usize,
    /// Signals, decisions, order events and fills.
    pub rows: Vec<Row>,
    /// Equity, by account.
    pub equity: Vec<EquityLine>,
    /// Fills of both sides.
    pub fills: Vec<FillMark>,
    /// What was left out, in words.
    pub left_out: Vec<String>,
}

impl Comparison {
    /// The verdict in words, for the audit: `differs: 2 of 40 events differ`.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}: {} of {} events differ", self.verdict, self.differing, self.compared)
    }

    /// At most [`BYTES_MAX`] bytes: what is the same goes first, then every second half, until it fits.
    pub fn pack(mut self) -> Result<Vec<u8>, ReportError> {
        loop {
            let packed = gzipped(&self)?;
            if packed.len() <= BYTES_MAX {
                return Ok(packed);
            }
            if !self.shrink() {
                let problem = format!("{} bytes packed, at most {BYTES_MAX} are allowed", packed.len());
                return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem).into());
            }
        }
    }

    /// Leaves something out; false when there is nothing left that could go.
    fn shrink(&mut self) -> bool {
        let (rows, orders, fills) = (self.rows.len(), self.orders.len(), self.fills.len());
        let same = |outcome: Outcome| outcome == Outcome::Same;
        if self.rows.iter().any(|row| same(row.outcome)) {
            self.rows.retain(|row| !same(row.outcome));
        } else if self.orders.iter().any(|row| same(row.outcome)) {
            self.orders.retain(|row| !same(row.outcome));
        } else if rows > 0 || orders > 0 || fills > 0 {
            self.rows.truncate(rows / 2);
            self.orders.truncate(orders / 2);
            self.fills.truncate(fills / 2);
        } else {
            return false;
        }
        let kept = |what: &str, kept: usize, all: usize| {
            (kept < all).then(|| format!("all but {kept} of {all} {what}, those that are the same first"))
        };
        self.left_out = [
            kept("events", self.rows.len(), self.compared),
            kept("orders", self.orders.len(), self.orders_total),
            (self.fills.len() < fills)
                .then(|| format!("fills of the timeline after the first {}", self.fills.len())),
        ]
        .into_iter()
        .flatten()
        .collect();
        true
    }

    /// Reads what [`Comparison::pack`] wrote.
    pub fn unpack(bytes: &[u8]) -> Result<Self, ReportError> {
        plain(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, outcome: Outcome) -> Row {
        // Ids do not shrink when they are packed.
        let id =
            format!("{:032x}", (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        Row {
            time_ns: number as i64,
            kind: "signal".into(),
            event_id: id.clone(),
            chain_of: id,
            recorded: String::new(),
            derived: String::new(),
            outcome,
            fields: Vec::new(),
        }
    }

    fn comparison(rows: Vec<Row>) -> Comparison {
        Comparison {
            kind: "fork".into(),
            session: None,
            at: 1,
            from: 2,
            to: 9,
            parameters: Vec::new(),
            limits: Vec::new(),
            verdict: "differs".into(),
            compared: rows.len(),
            differing: 0,
            open: 0,
            first: None,
            recorded: Side::default(),
            derived: Side::default(),
            orders: Vec::new(),
            orders_total: 0,
            orders_differing: 0,
            rows,
            equity: Vec::new(),
            fills: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn what_fits_is_kept_whole_and_of_more_what_differs() {
        let small = comparison(vec![row(1, Outcome::Same), row(2, Outcome::Differs)]);
        assert_eq!(Comparison::unpack(&small.clone().pack().unwrap()).unwrap(), small);
        let mut rows: Vec<Row> = (0..60_000).map(|number| row(number, Outcome::Same)).collect();
        rows.push(row(60_000, Outcome::OnlyDerived));
        let packed = comparison(rows).pack().unwrap();
        assert!(packed.len() <= BYTES_MAX);
        let kept = Comparison::unpack(&packed).unwrap();
        assert_eq!((kept.rows.len(), kept.rows[0].outcome), (1, Outcome::OnlyDerived));
        assert_eq!(kept.left_out, ["all but 1 of 60001 events, those that are the same first"]);
    }

    #[test]
    fn two_sides_are_the_same_or_not() {
        assert_eq!(Outcome::of(Some(&1), Some(&1)), Outcome::Same);
        assert_eq!(Outcome::of(Some(&1), Some(&2)), Outcome::Differs);
        assert_eq!(Outcome::of(Some(&1), None), Outcome::OnlyRecorded);
        assert_eq!(Outcome::of(None, Some(&1)), Outcome::OnlyDerived);
    }
}
