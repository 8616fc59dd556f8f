//! `tapedeck bars`, `tapedeck actions`, `tapedeck findings`: what the tape knows about the market.

use contracts::{from_timestamp, stream};
use domain::bar::{Bar, Timeframe};
use domain::corporate_action::CorporateAction;
use event_log::last_of;
use projections::Name;
use projections::queries::{
    self, ActionRow, AdjustedBar, AdjustedError, BarRow, BarsWanted, CHART_BARS_MAX, QualityRow, QueryError,
    Series,
};
use sqlx::PgPool;

use crate::cli::{Actions, Bars, Findings};
use crate::command::rows::check_limit;
use crate::command::up::opening_ns;
use crate::exit::Failure;
use crate::home::{Manifest, TapeKind};
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Most bars of one answer.
const BARS_MAX: usize = 10_000;
/// Bars read from the read model at a time.
const PART: u32 = 50_000;

pub(super) fn unreachable(error: QueryError) -> Failure {
    Failure::unreachable(error.to_string())
}

/// Where the market of a tape stands that plays one on a clock of its own, UTC nanoseconds: what closes later is the future
/// there. Strategies would know it ahead, and would take no bar of their own until it is past. `None` where the market is
/// that of the wall clock.
pub(super) async fn market_ns(session: &Session) -> Result<Option<i64>, Failure> {
    if !is_played(&session.manifest) {
        return Ok(None);
    }
    let mut newest_ns: Option<i64> = None;
    // Where bars alone are played no account is marked.
    for (stream, filter) in [(stream::TRADING, "account.*.marked"), (stream::MARKET, "market.session.>")] {
        let last = last_of(&session.tape, stream, filter).await?;
        let time_ns = last.event.and_then(|last| from_timestamp(last.event.event_time.as_ref()?));
        newest_ns = newest_ns.max(time_ns);
    }
    stands_at(&session.manifest, newest_ns)
}

fn is_played(manifest: &Manifest) -> bool {
    matches!(manifest.kind, TapeKind::Demo | TapeKind::Rehearsal)
}

/// The same, where the newest instant that was played is `newest_ns`. Before the first one it is the beginning that is
/// stated; of a rehearsal that states none nobody knows yet where it begins.
fn stands_at(manifest: &Manifest, newest_ns: Option<i64>) -> Result<Option<i64>, Failure> {
    if newest_ns.is_some() || manifest.from.is_none() {
        return Ok(newest_ns);
    }
    opening_ns(manifest).map(Some)
}

/// How many events a read model is behind, said to the person: what is not folded yet is not listed.
async fn lag(session: &Session, pool: &PgPool, name: Name, output: Output) -> Result<u64, Failure> {
    let heads = projections::heads(&session.tape).await?;
    let rows = queries::projection_status(pool, &heads).await.map_err(unreachable)?;
    // One that never ran has no row.
    let at = rows.iter().find(|row| row.name == name.name()).map_or(0, |row| row.sequence);
    let lag = heads.get(&name).map_or(0, |head| head.saturating_sub(at));
    if lag > 0 && !output.json {
        output.note(&format!(
            "the read model {name} is {lag} events behind: `tapedeck projection fold` folds them"
        ));
    }
    Ok(lag)
}

/// Lists bars, newest first; without a symbol, the series there are.
pub async fn bars(session: &Session, options: &Bars, output: Output) -> Result<(), Failure> {
    let pool = session.reader().await?;
    let lag = lag(session, &pool, Name::Bars, output).await?;
    let Some(symbol) = options.symbol.clone() else {
        let series = queries::series(&pool).await.map_err(unreachable)?;
        return list_series(&series, output);
    };
    if !(1..=BARS_MAX).contains(&options.limit) {
        let message = format!("--limit {}: expected 1 to {BARS_MAX}", options.limit);
        return Err(Failure::usage(message, "tapedeck bars AAPL --limit 50"));
    }
    let series = queries::series_of(&pool, &symbol).await.map_err(unreachable)?;
    let timeframe = timeframe(options.timeframe, &symbol, &series, lag)?;
    let hint = "tapedeck bars AAPL --from 2020-01-02 --to 2020-01-31";
    let span = span(options.from.as_deref(), options.to.as_deref(), hint)?;
    let hint = "tapedeck bars AAPL --as-of 2020-01-31";
    let known_before_ns =
        known_before(options.as_of.as_deref(), (options.from.as_deref(), span.start), hint)?;
    let mut wanted = BarsWanted {
        symbol,
        timeframe,
        adjustment: options.adjustment,
        averages: options.sma.clone(),
        indicators: Vec::new(),
        from_ns: span.start,
        to_ns: span.end,
        known_before_ns,
    };
    let mut found: Vec<AdjustedBar> = Vec::new();
    loop {
        let left = u32::try_from(options.limit - found.len()).unwrap_or(CHART_BARS_MAX);
        let part = queries::adjusted_bars(&pool, &wanted, left.min(CHART_BARS_MAX)).await.map_err(refused)?;
        found.extend(part.bars);
        match part.older {
            Some(older) if found.len() < options.limit => wanted.to_ns = older,
            _ => break,
        }
    }
    if output.json {
        return output.document(&found);
    }
    let mut head: Vec<String> =
        ["CLOSE OF THE BAR", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"].map(str::to_owned).to_vec();
    head.extend(options.sma.iter().map(|length| format!("SMA {length}")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    output.table(&head, &found.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

/// The timeframe asked for, or that of the newest bar; an error names those there are.
pub fn timeframe(
    asked: Option<Timeframe>,
    symbol: &str,
    series: &[Series],
    lag: u64,
) -> Result<Timeframe, Failure> {
    let known: Vec<&str> = series.iter().map(|series| series.timeframe.as_str()).collect();
    let newest = series.iter().map(|series| series.last_close_ns).max();
    let suiting = series.iter().find(|series| Some(series.last_close_ns) == newest);
    let wanted = match asked {
        Some(timeframe) => Some(timeframe).filter(|timeframe| known.contains(&timeframe.name())),
        None => suiting.and_then(|series| series.timeframe.parse().ok()),
    };
    wanted.ok_or_else(|| {
        let asked = asked.map(|timeframe| format!(" in {timeframe}")).unwrap_or_default();
        let there =
            if known.is_empty() { String::new() } else { format!(": there are {}", known.join(", ")) };
        let import = format!("tapedeck import FILE --symbol {symbol}");
        let hint = if lag > 0 { "tapedeck projection fold".to_owned() } else { import };
        Failure::not_found(format!("no bars of {symbol:?}{asked}{there}"), hint)
    })
}

/// The times asked for: from, and before. Open ends take everything; an end before the start is refused.
pub(super) fn span(
    from: Option<&str>,
    to: Option<&str>,
    hint: &str,
) -> Result<std::ops::Range<i64>, Failure> {
    let told = |failure: Failure| failure.hinting("tapedeck bars --help", hint);
    let from_ns = bound("--from", from, web::from_time).map_err(told)?.unwrap_or(i64::MIN);
    let to_ns = bound("--to", to, web::to_time).map_err(told)?.unwrap_or(i64::MAX);
    if from_ns > to_ns {
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        return Err(Failure::usage(format!("--from {from}: expected a time before --to {to}"), hint));
    }
    Ok(from_ns..to_ns)
}

/// The instant before which what counts was known: just behind the moment asked for. One that comes before the first
/// close asked for is refused.
pub(super) fn known_before(
    as_of: Option<&str>,
    (from, from_ns): (Option<&str>, i64),
    hint: &str,
) -> Result<Option<i64>, Failure> {
    let told = |failure: Failure| failure.hinting("tapedeck bars --help", hint);
    let before_ns = bound("--as-of", as_of, web::to_time).map_err(told)?;
    if before_ns.is_some_and(|before_ns| before_ns <= from_ns && from_ns > i64::MIN) {
        let (from, as_of) = (from.unwrap_or_default(), as_of.unwrap_or_default());
        let message = format!("--from {from}: expected a time that is not after --as-of {as_of}");
        return Err(Failure::usage(message, hint));
    }
    Ok(before_ns)
}

pub(super) fn bound(
    name: &str,
    text: Option<&str>,
    read: fn(&str) -> Option<i64>,
) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    read(text).map(Some).ok_or_else(|| {
        Failure::usage(format!("{name} {text:?}: expected {}", web::EXPECTED_TIME), "tapedeck bars --help")
    })
}

pub(super) fn refused(error: AdjustedError) -> Failure {
    match error {
        AdjustedError::Query(error) => unreachable(error),
        AdjustedError::Length(error) => {
            Failure::usage(format!("--sma: {error}"), "tapedeck bars AAPL --sma 20,50")
        }
        AdjustedError::Indicator(error) => Failure::usage(error.to_string(), "tapedeck indicator --list"),
        AdjustedError::Restate(error) => Failure::other(error.to_string()),
    }
}

/// The bars of a series that close in [`from_ns`, `to_ns`), raw and oldest first, and every action of its symbol; as
/// they were known before an instant, or as they are.
pub(super) async fn stored(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    (from_ns, mut to_ns): (i64, i64),
    known_before_ns: Option<i64>,
) -> Result<(Vec<Bar>, Vec<CorporateAction>), Failure> {
    let mut parts = Vec::new();
    loop {
        let closes = from_ns..to_ns;
        let part = queries::known_bars(pool, symbol, timeframe, closes, PART, known_before_ns).await;
        let part = part.map_err(unreachable)?;
        let Some(first) = part.first() else { break };
        to_ns = first.close_ns;
        parts.push(part);
    }
    let bars = parts.iter().rev().flatten().map(BarRow::bar).collect();
    let until = queries::last_ex_date(known_before_ns);
    let rows = queries::actions_between(pool, Some(symbol), "0001-01-01", &until, u64::MAX).await;
    let rows = rows.map_err(unreachable)?;
    let actions = rows.iter().map(|row| CorporateAction::from_wire(&row.wire()));
    let actions = actions.collect::<Result<_, _>>().map_err(|error| Failure::other(error.to_string()))?;
    Ok((bars, actions))
}

fn cells(AdjustedBar { bar, sma, .. }: &AdjustedBar) -> Vec<String> {
    let mut cells = vec![
        time(bar.close_ns),
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
    ];
    cells.extend(sma.iter().map(|value| value.map_or_else(|| "–".to_owned(), |value| value.to_string())));
    cells
}

fn list_series(series: &[Series], output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&series);
    }
    let rows: Vec<Vec<String>> = series
        .iter()
        .map(|row| {
            vec![
                row.symbol.clone(),
                row.timeframe.clone(),
                row.bars.to_string(),
                time(row.first_close_ns),
                time(row.last_close_ns),
            ]
        })
        .collect();
    output.table(&["SYMBOL", "TIMEFRAME", "BARS", "FIRST CLOSE", "LAST CLOSE"], &rows);
    Ok(())
}

/// Lists splits and dividends, the newest ex-date first.
pub async fn actions(session: &Session, options: &Actions, output: Output) -> Result<(), Failure> {
    const FIRST: &str = "0001-01-01";
    const LAST: &str = "9999-12-31";
    if let (Some(from), Some(to)) = (options.from, options.to)
        && to < from
    {
        let message = format!("--from {from}: expected a date that is not after --to {to}");
        return Err(Failure::usage(message, "tapedeck actions --from 2020-01-02 --to 2020-01-31"));
    }
    let symbol = options.symbol.as_deref();
    let after =
        options.from.and_then(|from| from.pred_opt()).map_or(FIRST.to_owned(), |date| date.to_string());
    let until = options.to.map_or(LAST.to_owned(), |date| date.to_string());
    let pool = session.reader().await?;
    lag(session, &pool, Name::Calendar, output).await?;
    let rows = queries::actions_between(&pool, symbol, &after, &until, u64::MAX).await;
    let mut rows = rows.map_err(unreachable)?;
    rows.reverse();
    if output.json {
        return output.document(&rows);
    }
    let cells = |row: &ActionRow| {
        vec![
            row.ex_date.clone(),
            row.symbol.clone(),
            row.kind.clone(),
            row.value.to_string(),
            row.origin.clone(),
        ]
    };
    output.table(
        &["EX-DATE", "SYMBOL", "KIND", "VALUE", "ORIGIN"],
        &rows.iter().map(cells).collect::<Vec<_>>(),
    );
    Ok(())
}

/// Lists findings about the data, newest first.
pub async fn findings(session: &Session, options: &Findings, output: Output) -> Result<(), Failure> {
    check_limit(options.limit, "tapedeck findings --limit 50")?;
    let symbol = options.symbol.as_deref();
    let pool = session.reader().await?;
    lag(session, &pool, Name::Calendar, output).await?;
    let page = queries::quality(&pool, symbol, options.before, options.limit).await;
    let page = page.map_err(unreachable)?;
    if output.json {
        return output.document(&page.rows);
    }
    let cells = |row: &QualityRow| {
        vec![
            time(row.event_time_ns),
            row.severity.clone(),
            row.symbol.clone(),
            row.rule.clone(),
            row.detail.clone(),
        ]
    };
    output.table(
        &["TIME", "SEVERITY", "SYMBOL", "RULE", "FINDING"],
        &page.rows.iter().map(cells).collect::<Vec<_>>(),
    );
    if let Some(next) = page.next {
        output.note(&format!("more: --before {next}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::up;

    #[test]
    fn a_market_that_is_played_stands_at_its_newest_instant_or_where_it_begins() {
        let of = |kind, from: Option<&str>| Manifest {
            from: from.map(|from| from.parse().unwrap()),
            ..up::manifest(kind, 0)
        };
        let demo = of(TapeKind::Demo, Some("2024-01-02"));
        assert_eq!(stands_at(&demo, Some(7)).unwrap(), Some(7));
        assert_eq!(stands_at(&demo, None).unwrap(), Some(1_704_153_600_000_000_000));
        let rehearsal = of(TapeKind::Rehearsal, None);
        assert_eq!(stands_at(&rehearsal, Some(7)).unwrap(), Some(7));
        assert_eq!(stands_at(&rehearsal, None).unwrap(), None, "nobody knows where it begins");
        assert!(is_played(&demo) && is_played(&rehearsal));
        assert!(!is_played(&of(TapeKind::Main, None)) && !is_played(&of(TapeKind::Backtest, None)));
    }

    #[test]
    fn a_span_that_ends_before_it_starts_is_refused() {
        let failure = span(Some("2014-01-05"), Some("2014-01-02"), "as it should be").unwrap_err();
        assert_eq!(failure.message, "--from 2014-01-05: expected a time before --to 2014-01-02");
        assert_eq!((failure.code, failure.hint.as_str()), (2, "as it should be"));
        assert_eq!(span(Some("soon"), None, "as it should be").unwrap_err().hint, "as it should be");
        let day = span(Some("2014-01-02"), Some("2014-01-02"), "").unwrap();
        assert_eq!(day.end - day.start, 86_400_000_000_000);
        assert_eq!(span(None, None, "").unwrap(), i64::MIN..i64::MAX);
    }

    #[test]
    fn a_moment_counts_with_all_that_it_knows_and_comes_not_before_the_start() {
        let known = |as_of, from| {
            let from_ns = bound("--from", from, web::from_time).unwrap().unwrap_or(i64::MIN);
            known_before(as_of, (from, from_ns), "as it should be")
        };
        assert_eq!(known(None, Some("2014-01-02")).unwrap(), None);
        // The end of a date of New York, and just behind an instant.
        let day = known(Some("2014-01-02"), Some("2014-01-02")).unwrap();
        assert_eq!(day, Some(1_388_725_200_000_000_000));
        let instant = Some("2014-01-02T21:00:00Z");
        assert_eq!(known(instant, instant).unwrap(), Some(1_388_696_400_000_000_001));
        let failure = known(Some("2014-01-02"), Some("2014-01-03")).unwrap_err();
        assert_eq!(
            failure.message,
            "--from 2014-01-03: expected a time that is not after --as-of 2014-01-02"
        );
        assert_eq!((failure.code, failure.hint.as_str()), (2, "as it should be"));
        let failure = known(Some("soon"), None).unwrap_err();
        assert!(failure.message.starts_with("--as-of \"soon\": expected a date"), "{}", failure.message);
        assert_eq!(failure.hint, "as it should be");
    }

    #[test]
    fn bars_that_are_not_folded_yet_need_no_import() {
        let hint = |lag| timeframe(None, "X", &[], lag).unwrap_err().hint;
        assert_eq!(hint(1), "tapedeck projection fold");
        assert_eq!(hint(0), "tapedeck import FILE --symbol X");
    }
}
