//! What a chart shows, read from the address. The API and the download read the same fields.

use domain::bar::Timeframe;
use domain::corporate_action::Adjustment;
use domain::indicator::MAX_LENGTH;
use domain::indicator::catalogue::Request;
use domain::strategy;
use projections::queries::{BarsWanted, Series, StrategyRow};

pub use contracts::{EXPECTED_SYMBOL, SYMBOL_BYTES_MAX};

use super::indicators;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::orders::time;
use crate::view::{from_time, to_time};

/// Most averages of one chart.
const AVERAGES_MAX: usize = 4;
/// Longest average of a chart, in bars: the most that a built-in strategy can have.
const LENGTH_MAX: usize = 10_000;
/// Says that no average is wanted; without the field those of the strategies are shown.
const NO_AVERAGES: &str = "off";

/// What lengths of averages look like.
pub const EXPECTED_LENGTHS: &str = "up to 4 lengths of 1 to 10000 bars, such as 20,50, or off";

const _: () = assert!(LENGTH_MAX <= MAX_LENGTH, "an indicator can be as long");

/// The fields of a chart, checked.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Timeframe; `None` for the one that suits the symbol.
    pub timeframe: Option<Timeframe>,
    /// How the past is restated.
    pub adjustment: Adjustment,
    /// Lengths of the averages; `None` for those of the strategies.
    pub averages: Option<Vec<usize>>,
    /// Indicators of the catalogue.
    pub indicators: Vec<Request>,
    /// First close wanted, UTC nanoseconds.
    pub from_ns: i64,
    /// The close behind the last one wanted, UTC nanoseconds.
    pub to_ns: i64,
    /// What was known before this instant, UTC nanoseconds; `None` for everything.
    pub known_before_ns: Option<i64>,
}

impl Fields {
    /// Reads the fields; one that cannot be meant is an error that names it.
    pub fn of(params: &Params) -> Result<Self, PageError> {
        params.ordered()?;
        let from_ns = time(params, "from", from_time)?.unwrap_or(i64::MIN);
        let known_before_ns = time(params, "as_of", to_time)?;
        if known_before_ns.is_some_and(|before_ns| before_ns <= from_ns && from_ns > i64::MIN) {
            let [as_of, from] = ["as_of", "from"].map(|name| params.get(name).unwrap_or_default());
            return Err(PageError::field(
                "as_of",
                as_of,
                format!("a time that is not before `from`, {from}"),
            ));
        }
        Ok(Self {
            timeframe: named(params, "timeframe")?,
            adjustment: named(params, "adjustment")?.unwrap_or_default(),
            averages: params.get("sma").map(lengths).transpose()?,
            indicators: params.get("indicators").map_or(Ok(Vec::new()), indicators::read)?,
            from_ns,
            to_ns: time(params, "to", to_time)?.unwrap_or(i64::MAX),
            known_before_ns,
        })
    }

    /// The bars that they ask for.
    #[must_use]
    pub fn wanted(&self, symbol: &str, timeframe: Timeframe) -> BarsWanted {
        BarsWanted {
            symbol: symbol.to_owned(),
            timeframe,
            adjustment: self.adjustment,
            averages: self.averages.clone().unwrap_or_default(),
            indicators: self.indicators.clone(),
            from_ns: self.from_ns,
            to_ns: self.to_ns,
            known_before_ns: self.known_before_ns,
        }
    }
}

fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
    params: &Params,
    name: &'static str,
) -> Result<Option<T>, PageError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    // The errors of the domain end with what is expected.
    let read = text.parse::<T>().map(Some);
    read.map_err(|error| {
        let error = error.to_string();
        let expected = error.split_once("expected ").map_or("one of the known ones", |(_, rest)| rest);
        PageError::field(name, text, expected)
    })
}

/// `20,50`, or `off`.
pub fn lengths(text: &str) -> Result<Vec<usize>, PageError> {
    if text == NO_AVERAGES {
        return Ok(Vec::new());
    }
    let read: Option<Vec<usize>> = text
        .split(',')
        .map(|length| length.trim().parse().ok().filter(|length| (1..=LENGTH_MAX).contains(length)))
        .collect();
    read.filter(|lengths| lengths.len() <= AVERAGES_MAX)
        .ok_or_else(|| PageError::field("sma", text, EXPECTED_LENGTHS))
}

/// The lengths as the address writes them.
#[must_use]
pub fn lengths_text(lengths: &[usize]) -> String {
    if lengths.is_empty() {
        return NO_AVERAGES.to_owned();
    }
    lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A symbol of an address or a form, in the form of the tape.
pub fn symbol(text: &str) -> Result<String, PageError> {
    contracts::read_symbol(text.trim()).map_err(|_| PageError::field("symbol", text, EXPECTED_SYMBOL))
}

/// The timeframe that suits a symbol: that of the newest bar, the shortest of equal ones.
#[must_use]
pub fn suiting(series: &[Series]) -> Option<Timeframe> {
    let read =
        series.iter().filter_map(|series| Some((series.last_close_ns, series.timeframe.parse().ok()?)));
    read.min_by_key(|(last, timeframe): &(i64, Timeframe)| (std::cmp::Reverse(*last), *timeframe))
        .map(|(_, timeframe)| timeframe)
}

/// The averages that the registered strategies watch on a symbol, shortest first; those of an unconfigured
/// one when none does.
#[must_use]
pub fn watched(strategies: &[StrategyRow], symbol: &str) -> Vec<usize> {
    const KIND: &str = "sma_cross";
    let of_symbol =
        |row: &&StrategyRow| row.symbols.is_empty() || row.symbols.iter().any(|known| known == symbol);
    let own = strategies.iter().filter(|row| row.registered && row.kind == KIND).filter(of_symbol);
    let stated = own.filter_map(|row| strategy::resolve(KIND, &row.parameters).ok());
    let mut lengths: Vec<usize> = stated.flat_map(|parameters| values(&parameters)).collect();
    if lengths.is_empty() {
        lengths = strategy::resolve(KIND, &[]).map(|parameters| values(&parameters)).unwrap_or_default();
    }
    lengths.sort_unstable();
    lengths.dedup();
    lengths.truncate(AVERAGES_MAX);
    lengths
}

/// The lengths of the simple averages that these parameters mean; exponential ones are no simple ones.
fn values(parameters: &[contracts::v1::Parameter]) -> Vec<usize> {
    if parameters.iter().any(|parameter| parameter.name == "average" && parameter.value != "simple") {
        return Vec::new();
    }
    parameters.iter().filter_map(|parameter| parameter.value.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_cannot_be_meant_is_named() {
        for (name, value, expected) in [
            ("timeframe", "2h", "timeframe = \"2h\": expected one of 1m, 5m, 15m, 30m, 1h, 1d"),
            ("adjustment", "none", "adjustment = \"none\": expected one of raw, split, total-return"),
            (
                "sma",
                "20,,50",
                "sma = \"20,,50\": expected up to 4 lengths of 1 to 10000 bars, such as 20,50, or off",
            ),
            ("from", "soon", "from = \"soon\": expected a date"),
            ("as_of", "then", "as_of = \"then\": expected a date"),
        ] {
            let error = Fields::of(&Params::from([(name, value)])).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(symbol("").is_err() && symbol("A B").is_err() && symbol(&"A".repeat(33)).is_err());
        // In capitals it would be ASCII; as it is written it is not.
        assert!(symbol("\u{17f}py").is_err());
        assert_eq!(symbol(" brk.b ").unwrap(), "BRK.B");
    }

    #[test]
    fn nothing_is_asked_for_from_after_the_moment_whose_knowledge_counts() {
        let known = |as_of: &str, from: &str| {
            let fields = Fields::of(&Params::from([("as_of", as_of), ("from", from)]));
            fields.map(|fields| fields.known_before_ns).map_err(|error| error.to_string())
        };
        assert_eq!(known("", "2026-01-06"), Ok(None));
        // A date counts to its end, an instant is counted in.
        assert_eq!(known("2026-01-06", "2026-01-06"), Ok(to_time("2026-01-06")));
        let instant = "2026-01-06T19:30:00Z";
        assert_eq!(known(instant, instant), Ok(Some(1_767_727_800_000_000_001)));
        let refused = "as_of = \"2026-01-06\": expected a time that is not before `from`, 2026-01-07";
        assert_eq!(known("2026-01-06", "2026-01-07"), Err(refused.to_owned()));
    }

    #[test]
    fn averages_read_back() {
        for (text, lengths) in [("20,50", vec![20, 50]), ("off", Vec::new())] {
            let fields = Fields::of(&Params::from([("sma", text)])).unwrap();
            assert_eq!(fields.averages, Some(lengths.clone()));
            assert_eq!(lengths_text(&lengths), text);
        }
        assert_eq!(Fields::of(&Params::default()).unwrap().averages, None);
        // What the catalogue gives a strategy that states nothing.
        assert_eq!(watched(&[], "AAPL"), [20, 50]);
    }

    #[test]
    fn the_newest_series_suits_and_of_equal_ones_the_shortest() {
        let series = |timeframe: &str, last_close_ns| Series {
            symbol: "A".to_owned(),
            timeframe: timeframe.to_owned(),
            bars: 1,
            first_close_ns: 0,
            last_close_ns,
            sequence: 1,
        };
        let known = [series("1d", 9), series("1h", 9), series("1m", 3)];
        assert_eq!(suiting(&known), Some(Timeframe::H1));
        assert_eq!(suiting(&[]), None);
    }
}
