//! What may be asked of a backtest: a request is checked here, whoever made it, and comes back complete, every
//! parameter with its value.
//!
//! Deliberately absent: the run itself (the `engine` crate), whether there are data for it (its runner's).

mod costs;
mod limits;
pub mod ranges;
mod stretch;

pub use costs::{StatedCosts, costs};
pub use limits::{RunLimits, tape_limits, tape_limits_named};

use std::collections::BTreeSet;
use std::fmt;

use chrono::NaiveDate;
use contracts::v1::{
    BacktestKind, BacktestRange, BacktestRequest, BacktestRevisions, BacktestSearch, BacktestStrategy,
};

use crate::bar::Timeframe;
use crate::money::{Amount, Quantity};
use crate::strategy::{ParameterError, kinds, known_kinds, resolve};
use ranges::VALUES_MAX;

/// Kind of a strategy whose code is outside of this program.
pub const EXTERNAL: &str = "external";
/// Most strategies of a run.
pub const STRATEGIES_MAX: usize = 16;
/// Most symbols that are named; a run over all of the source's names none.
pub const SYMBOLS_MAX: usize = 1_000;
/// Most runs of a search.
pub const RUNS_MAX: u32 = 10_000;
/// Longest name of a strategy or an account.
const NAME_BYTES_MAX: usize = 40;
/// Calendars by name; the empty one follows from the data.
pub const CALENDARS: [&str; 3] = ["XNYS", "24x5", "24x7"];
/// What a search may try, by name.
pub const SAMPLERS: [&str; 3] = ["grid", "random", "tpe"];

/// Which version of a revised bar a run over a tape sees, by name; the first unless it is stated.
pub const REVISIONS: [(&str, BacktestRevisions); 2] =
    [("latest", BacktestRevisions::Latest), ("as-known", BacktestRevisions::AsKnown)];

/// The name of what a run sees of revised bars; none of a run over files.
#[must_use]
pub fn revisions_name(revisions: BacktestRevisions) -> Option<&'static str> {
    REVISIONS.iter().find(|(_, known)| *known == revisions).map(|(name, _)| *name)
}

/// Reads such a name.
pub fn revisions(name: &str) -> Result<BacktestRevisions, Invalid> {
    match REVISIONS.iter().find(|(known, _)| *known == name) {
        Some((_, revisions)) => Ok(*revisions),
        None => {
            invalid("revisions", name, format!("one of {}", REVISIONS.map(|(known, _)| known).join(", ")))
        }
    }
}

/// What becomes of what is open at the end of a run, in words.
#[must_use]
pub fn at_end(request: &BacktestRequest) -> &'static str {
    match (request.finalize, request.kind()) {
        (true, _) => "closed at the last close",
        (false, BacktestKind::WalkForward) => "closed at the end of each window",
        (false, _) => "stays as it is",
    }
}

/// A value that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Field of the request.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}: expected {}", self.field, self.value, self.expected)
    }
}

impl std::error::Error for Invalid {}

fn invalid<T>(
    field: &'static str,
    value: impl fmt::Display,
    expected: impl Into<String>,
) -> Result<T, Invalid> {
    Err(Invalid { field, value: value.to_string(), expected: expected.into() })
}

/// Checks a request and completes it: every strategy has a name and all of its parameters, in the order of the
/// catalogue, and symbols are in the form of the tape, so that two requests that mean the same are the same.
///
/// A request that anybody may run names built-in kinds only: the program of an external strategy is at hand where the
/// command line is (`complete_beside`).
pub fn complete(request: BacktestRequest) -> Result<BacktestRequest, Invalid> {
    if let Some(strategy) = request.strategies.iter().find(|strategy| strategy.kind == EXTERNAL) {
        let expected =
            "a built-in kind; `tapedeck backtest --external` runs the program of an external strategy";
        return invalid("strategy", &strategy.name, expected);
    }
    complete_beside(request)
}

/// The same where strategies of the kind [`EXTERNAL`] have their programs beside the run.
pub fn complete_beside(mut request: BacktestRequest) -> Result<BacktestRequest, Invalid> {
    if matches!(request.kind(), BacktestKind::Parity | BacktestKind::Fork) {
        return stretch::complete(request);
    }
    check_strategies(&mut request)?;
    if request.symbols.len() > SYMBOLS_MAX {
        return invalid("symbols", request.symbols.len(), format!("at most {SYMBOLS_MAX}"));
    }
    for symbol in &mut request.symbols {
        read_symbol("symbols", symbol)?;
    }
    for (index, symbol) in request.symbols.iter().enumerate() {
        if request.symbols[..index].contains(symbol) {
            return invalid("symbols", symbol, "each symbol once");
        }
    }
    if request.timeframe.parse::<Timeframe>().is_err() {
        let names: Vec<_> = Timeframe::ALL.iter().map(|timeframe| timeframe.name()).collect();
        return invalid("timeframe", &request.timeframe, format!("one of {}", names.join(", ")));
    }
    check_range(&request)?;
    if Amount::from_wire(request.cash.as_ref()).0 <= 0 {
        return invalid("cash", Amount::from_wire(request.cash.as_ref()), "more than 0");
    }
    costs::check(&request.costs.unwrap_or_default())?;
    if !request.calendar.is_empty() && !CALENDARS.contains(&request.calendar.as_str()) {
        return invalid("calendar", &request.calendar, format!("one of {}", CALENDARS.join(", ")));
    }
    let is_account = is_name(&request.account) && request.account != contracts::ALL_ACCOUNTS;
    if !request.account.is_empty() && !is_account {
        let expected = "1 to 40 lowercase letters, digits and _, and not `all`";
        return invalid("account", &request.account, expected);
    }
    check_revisions(&mut request)?;
    if !request.benchmark.is_empty() {
        read_symbol("benchmark", &mut request.benchmark)?;
    }
    check_kind(&request)?;
    Ok(request)
}

fn check_strategies(request: &mut BacktestRequest) -> Result<(), Invalid> {
    let count = request.strategies.len();
    if !(1..=STRATEGIES_MAX).contains(&count) {
        return invalid("strategies", count, format!("1 to {STRATEGIES_MAX}"));
    }
    let mut names: Vec<String> = Vec::with_capacity(count);
    for strategy in &mut request.strategies {
        if strategy.name.is_empty() {
            strategy.name.clone_from(&strategy.kind);
        }
        check_strategy(strategy)?;
        if names.contains(&strategy.name) {
            return invalid("strategies", &strategy.name, "each name once");
        }
        names.push(strategy.name.clone());
    }
    Ok(())
}

fn check_strategy(strategy: &mut BacktestStrategy) -> Result<(), Invalid> {
    let outside = strategy.kind == EXTERNAL;
    if !outside && !kinds().iter().any(|kind| kind.name == strategy.kind) {
        return invalid("strategy", &strategy.kind, format!("one of {}", known_kinds(&strategy.kind)));
    }
    if !is_name(&strategy.name) {
        return invalid("name", &strategy.name, "1 to 40 lowercase letters, digits and _");
    }
    if !outside {
        strategy.parameters = resolve(&strategy.kind, &strategy.parameters).map_err(of_parameter)?;
    } else if let Some(first) = strategy.parameters.first() {
        return invalid("parameters", &first.name, "none of an external strategy, which keeps its own");
    }
    for symbol in &mut strategy.symbols {
        read_symbol("symbols", symbol)?;
    }
    match &strategy.sizing {
        Some(sizing) if crate::sizing::text(sizing).is_some() => Ok(()),
        _ => invalid("sizing", "", crate::sizing::EXPECTED),
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

fn of_parameter(error: ParameterError) -> Invalid {
    match error {
        ParameterError::UnknownKind { kind, known } => {
            Invalid { field: "strategy", value: kind, expected: format!("one of {known}") }
        }
        ParameterError::Unknown { kind, name, known } => {
            Invalid { field: "parameters", value: name, expected: format!("of {kind} one of {known}") }
        }
        ParameterError::Repeated { name } => {
            Invalid { field: "parameters", value: name, expected: "each once".to_owned() }
        }
        ParameterError::Invalid { name, value, expected } => {
            Invalid { field: "parameters", value: format!("{name}={value}"), expected }
        }
    }
}

/// Puts a symbol in the form of the tape.
fn read_symbol(field: &'static str, symbol: &mut String) -> Result<(), Invalid> {
    match contracts::read_symbol(symbol) {
        Ok(read) => *symbol = read,
        Err(_) => return invalid(field, symbol, contracts::EXPECTED_SYMBOL),
    }
    Ok(())
}

fn check_range(request: &BacktestRequest) -> Result<(), Invalid> {
    let date = |field, text: &str| -> Result<Option<NaiveDate>, Invalid> {
        match text {
            "" => Ok(None),
            text => text.parse().map(Some).or_else(|_| invalid(field, text, "a date, YYYY-MM-DD")),
        }
    };
    let (from, to) = (date("from", &request.from)?, date("to", &request.to)?);
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        return invalid("to", to, format!("{from} or later"));
    }
    Ok(())
}

/// Over the bars of a tape the latest versions count unless others are asked for.
fn check_revisions(request: &mut BacktestRequest) -> Result<(), Invalid> {
    let Ok(stated) = BacktestRevisions::try_from(request.revisions) else {
        return invalid("revisions", request.revisions, "0, 1 or 2");
    };
    match (stated, request.files.is_empty()) {
        (BacktestRevisions::Unspecified, true) => request.set_revisions(BacktestRevisions::Latest),
        (BacktestRevisions::Unspecified, false) | (_, true) => {}
        (stated, false) => {
            let name = revisions_name(stated).unwrap_or_default();
            let expected = "none with files, which state each bar once: a tape has revisions";
            return invalid("revisions", name, expected);
        }
    }
    Ok(())
}

fn check_kind(request: &BacktestRequest) -> Result<(), Invalid> {
    let (search, folds) = (request.search.as_ref(), request.folds.as_ref());
    if request.stretch.is_some() {
        return invalid("stretch", "", "none but of parity and a fork");
    }
    if request.finalize && request.kind() != BacktestKind::Single {
        let expected =
            "false: a sweep closes nothing at the end, and a walk-forward test closes every window";
        return invalid("finalize", true, expected);
    }
    match request.kind() {
        BacktestKind::Unspecified | BacktestKind::Parity | BacktestKind::Fork => {
            invalid("kind", "", "single, sweep or walk_forward")
        }
        BacktestKind::Single if search.is_some() => invalid("search", "", "none of a single run"),
        BacktestKind::Single | BacktestKind::Sweep if folds.is_some() => {
            invalid("folds", "", "none but of a walk-forward test")
        }
        BacktestKind::Single => Ok(()),
        BacktestKind::Sweep => check_search(request, search),
        BacktestKind::WalkForward => {
            check_search(request, search)?;
            let windows = "in-sample and out-of-sample windows of at least one session";
            let Some(folds) = folds else { return invalid("folds", "", windows) };
            let window = |field, sessions: u32| match sessions {
                0 => invalid(field, sessions, "at least one session"),
                _ => Ok(()),
            };
            window("in_sample", folds.in_sample_sessions)?;
            window("out_of_sample", folds.out_of_sample_sessions)
        }
    }
}

fn check_search(request: &BacktestRequest, search: Option<&BacktestSearch>) -> Result<(), Invalid> {
    let Some(search) = search else { return invalid("search", "", "what is to be tried") };
    if !SAMPLERS.contains(&search.sampler.as_str()) {
        return invalid("sampler", &search.sampler, format!("one of {}", SAMPLERS.join(", ")));
    }
    let grid = search.sampler == "grid";
    if grid && search.runs != 0 {
        return invalid("runs", search.runs, "none of a grid, which tries every combination");
    }
    if !grid && !(1..=RUNS_MAX).contains(&search.runs) {
        return invalid("runs", search.runs, format!("1 to {RUNS_MAX}"));
    }
    if search.ranges.is_empty() {
        return invalid("ranges", "", "at least one parameter with its values");
    }
    let mut combinations = 1_u64;
    for range in &search.ranges {
        let strategy = request.strategies.iter().find(|strategy| strategy.name == range.strategy);
        let Some(strategy) = strategy else {
            return invalid("ranges", &range.strategy, "the name of a strategy of the run");
        };
        if !strategy.parameters.iter().any(|parameter| parameter.name == range.parameter) {
            let known: Vec<_> = strategy.parameters.iter().map(|one| one.name.as_str()).collect();
            return invalid("ranges", &range.parameter, format!("one of {}", known.join(", ")));
        }
        if !(1..=VALUES_MAX).contains(&range.values.len()) {
            return invalid("ranges", range.values.len(), format!("1 to {VALUES_MAX} values"));
        }
        check_values(&strategy.kind, range)?;
        combinations = combinations.saturating_mul(range.values.len() as u64);
    }
    if grid && combinations > u64::from(RUNS_MAX) {
        return invalid("ranges", combinations, format!("at most {RUNS_MAX} combinations of a grid"));
    }
    Ok(())
}

/// Each value once, and one that the parameter may have: of which combinations a strategy refuses, the run itself says.
fn check_values(kind: &str, range: &BacktestRange) -> Result<(), Invalid> {
    let kind = kinds().iter().find(|known| known.name == kind);
    let spec = kind.and_then(|kind| kind.parameters.iter().find(|spec| spec.name == range.parameter));
    let mut known = BTreeSet::new();
    for value in &range.values {
        let stated = || format!("{}={value}", range.parameter);
        // A number is one value, however it is written: 5 and 05.
        let one = value.parse::<Quantity>().map_or_else(|_| value.clone(), |number| number.to_string());
        if !known.insert(one) {
            return invalid("ranges", stated(), "each value once");
        }
        if let Some(spec) = spec.filter(|spec| !spec.value.allows(value)) {
            return invalid("ranges", stated(), spec.value.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contracts::v1::{BacktestFolds, Costs, Money, Parameter};

    use super::*;
    use crate::money::E9;

    fn request() -> BacktestRequest {
        BacktestRequest {
            kind: BacktestKind::Single.into(),
            strategies: vec![BacktestStrategy {
                kind: "sma_cross".into(),
                parameters: vec![Parameter { name: "slow".into(), value: "30".into() }],
                sizing: crate::sizing::parse("fixed:10"),
                ..BacktestStrategy::default()
            }],
            symbols: vec!["SPY".into()],
            timeframe: "1h".into(),
            cash: Some(Money { units: 100_000, nanos: 0 }),
            ..BacktestRequest::default()
        }
    }

    #[test]
    fn what_is_not_stated_is_completed() {
        let complete = complete(request()).unwrap();
        let strategy = &complete.strategies[0];
        let stated: Vec<_> =
            strategy.parameters.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        assert_eq!(
            (strategy.name.as_str(), stated.join(" ")),
            ("sma_cross", "fast=20 slow=30 average=simple allow_short=false".to_owned())
        );
        let mut small = request();
        (small.symbols, small.benchmark) = (vec!["brk.b".into()], "spy".into());
        small.strategies[0].symbols = vec!["Brk.B".into()];
        let small = super::complete(small).unwrap();
        assert_eq!((small.symbols, small.benchmark), (vec!["BRK.B".to_owned()], "SPY".to_owned()));
        assert_eq!(small.strategies[0].symbols, ["BRK.B"]);
        // Over a tape the latest versions count; files have no others.
        assert_eq!(complete.revisions(), BacktestRevisions::Latest);
        let files = BacktestRequest { files: vec!["bars.csv".into()], ..request() };
        assert_eq!(super::complete(files).unwrap().revisions(), BacktestRevisions::Unspecified);
        // A request that is complete stays as it is.
        assert_eq!(super::complete(complete.clone()).unwrap(), complete);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |change: &dyn Fn(&mut BacktestRequest), expected: &str| {
            let mut wrong = request();
            change(&mut wrong);
            let error = complete(wrong).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(&|one| one.strategies.clear(), "strategies \"0\": expected 1 to 16");
        check(&|one| one.strategies[0].kind = "none".into(), "strategy \"none\": expected one of");
        check(&|one| one.strategies[0].parameters[0].value = "3.5".into(), "parameters \"slow=3.5\"");
        check(&|one| one.strategies[0].sizing = None, "sizing");
        for again in ["SPY", "spy"] {
            check(&|one| one.symbols.push(again.into()), "symbols \"SPY\": expected each symbol once");
        }
        check(&|one| one.symbols.push("A B".into()), "symbols \"A B\": expected 1 to 32 printable");
        check(&|one| one.benchmark = "A,B".into(), "benchmark \"A,B\": expected 1 to 32 printable");
        check(&|one| one.timeframe = "2h".into(), "timeframe \"2h\"");
        check(&|one| (one.from, one.to) = ("2020-01-02".into(), "2019-01-02".into()), "to \"2019-01-02\"");
        check(&|one| one.from = "yesterday".into(), "from \"yesterday\"");
        check(&|one| one.cash = None, "cash \"0\"");
        check(&|one| one.costs = Some(Costs { slippage_rate_e9: -1, ..Costs::default() }), "slippage_bps");
        let more = 11 * E9;
        for (costs, expected) in [
            (Costs { slippage_per_share_e9: -1, ..Costs::default() }, "slippage_per_share \"-0.000000001\""),
            (Costs { slippage_volume_rate_e9: more, ..Costs::default() }, "slippage_volume \"11\""),
            (Costs { volume_share_most_e9: more, ..Costs::default() }, "max_volume_share \"11\""),
            (
                Costs { commission_per_order: Some(Money { units: -1, nanos: 0 }), ..Costs::default() },
                "commission_per_order \"-1\"",
            ),
        ] {
            check(&|one| one.costs = Some(costs), expected);
        }
        check(&|one| one.calendar = "XLON".into(), "calendar \"XLON\": expected one of XNYS");
        check(&|one| one.revisions = 7, "revisions \"7\": expected 0, 1 or 2");
        let over_files = |one: &mut BacktestRequest| {
            one.files = vec!["bars.csv".into()];
            one.set_revisions(BacktestRevisions::AsKnown);
        };
        check(&over_files, "revisions \"as-known\": expected none with files");
        check(&|one| one.kind = BacktestKind::Sweep.into(), "search");
        let closed = |one: &mut BacktestRequest| {
            (one.kind, one.finalize) = (BacktestKind::Sweep.into(), true);
        };
        check(&closed, "finalize \"true\": expected false: a sweep");
        check(&|one| one.folds = Some(BacktestFolds::default()), "folds");
        let walk = |one: &mut BacktestRequest, folds: Option<BacktestFolds>| {
            let range = BacktestRange {
                strategy: "sma_cross".into(),
                parameter: "fast".into(),
                values: vec!["5".into()],
            };
            let search = BacktestSearch { sampler: "grid".into(), ranges: vec![range], ..Default::default() };
            (one.search, one.folds) = (Some(search), folds);
            one.kind = BacktestKind::WalkForward.into();
        };
        let windows = |inside, outside| {
            let (in_sample_sessions, out_of_sample_sessions) = (inside, outside);
            Some(BacktestFolds { in_sample_sessions, out_of_sample_sessions, ..BacktestFolds::default() })
        };
        check(&|one| walk(one, None), "folds");
        check(&|one| walk(one, windows(0, 5)), "in_sample \"0\": expected at least one session");
        check(&|one| walk(one, windows(5, 0)), "out_of_sample \"0\": expected at least one session");
    }

    #[test]
    fn a_search_tries_parameters_that_there_are() {
        let range = |parameter: &str| BacktestRange {
            strategy: "sma_cross".into(),
            parameter: parameter.into(),
            values: vec!["5".into(), "10".into()],
        };
        let sweep = |ranges| {
            let search = BacktestSearch { sampler: "grid".into(), ranges, ..BacktestSearch::default() };
            complete(BacktestRequest { kind: BacktestKind::Sweep.into(), search: Some(search), ..request() })
        };
        assert!(sweep(vec![range("fast")]).is_ok());
        let error = sweep(vec![range("speed")]).unwrap_err().to_string();
        assert_eq!(error, "ranges \"speed\": expected one of fast, slow, average, allow_short");
        assert!(sweep(vec![range("fast"); 14]).unwrap_err().to_string().starts_with("ranges \"16384\""));
        for (parameter, values, expected) in [
            (
                "average",
                ["simple", "simpel"],
                "ranges \"average=simpel\": expected one of simple, exponential",
            ),
            ("fast", ["0", "5"], "ranges \"fast=0\": expected a whole number from 1 to 9999"),
            ("fast", ["5", "5"], "ranges \"fast=5\": expected each value once"),
            ("fast", ["5", "05"], "ranges \"fast=05\": expected each value once"),
        ] {
            let values = values.map(str::to_owned).to_vec();
            let range = BacktestRange { values, ..range(parameter) };
            assert_eq!(sweep(vec![range]).unwrap_err().to_string(), expected);
        }
    }
}
