//! `tapedeck bars`, `tapedeck actions`, `tapedeck findings`: what the tape knows about the market.

use domain::bar::Timeframe;
use projections::Name;
use projections::queries::{
    self, ActionRow, AdjustedBar, AdjustedError, BarsWanted, CHART_BARS_MAX, QualityRow, QueryError, Series,
};
use sqlx::PgPool;

use crate::cli::{Actions, Bars, Findings};
use crate::command::rows::check_limit;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Most bars of one answer.
const BARS_MAX: usize = 10_000;

pub(super) fn unreachable(error: QueryError) -> Failure {
    Failure::unreachable(error.to_string())
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
    let mut wanted = BarsWanted {
        symbol,
        timeframe,
        adjustment: options.adjustment,
        averages: options.sma.clone(),
        indicators: Vec::new(),
        from_ns: span.start,
        to_ns: span.end,
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
    fn bars_that_are_not_folded_yet_need_no_import() {
        let hint = |lag| timeframe(None, "X", &[], lag).unwrap_err().hint;
        assert_eq!(hint(1), "tapedeck projection fold");
        assert_eq!(hint(0), "tapedeck import FILE --symbol X");
    }
}
