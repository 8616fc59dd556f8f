//! `tapedeck strategy score` and `compare`: signals held against later prices.

use domain::performance::SignalScore;
use projections::queries::{self, StrategyRow, StrategyScore};

use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

const NONE: &str = "–";

/// What one strategy's signals come to.
pub async fn score(session: &Session, name: &str, output: Output) -> Result<(), Failure> {
    let rows = rows(session).await?;
    let pool = session.reader().await?;
    let found = queries::signal_score(&pool, of(&rows, name)?).await.map_err(unread)?;
    if output.json {
        return output.document(&found);
    }
    table(&[found], output);
    Ok(())
}

/// Two strategies beside each other.
pub async fn compare(session: &Session, name: &str, other: &str, output: Output) -> Result<(), Failure> {
    if name == other {
        let message = format!("strategy {other:?}: expected another one than the first");
        return Err(Failure::usage(message, "tapedeck strategy compare OLD NEW"));
    }
    let rows = rows(session).await?;
    let pool = session.reader().await?;
    let found = queries::compare_signals(&pool, of(&rows, name)?, of(&rows, other)?).await.map_err(unread)?;
    if output.json {
        return output.document(&found);
    }
    table(&found.strategies, output);
    let since = found.from_ns.map_or_else(|| NONE.to_owned(), crate::render::time);
    output.line(&format!(
        "since {since}: {} signals of both, {} of {name} alone, {} of {other} alone",
        found.both, found.first_only, found.second_only
    ));
    Ok(())
}

async fn rows(session: &Session) -> Result<Vec<StrategyRow>, Failure> {
    let pool = session.reader().await?;
    queries::strategies(&pool).await.map_err(unread)
}

fn of<'rows>(rows: &'rows [StrategyRow], name: &str) -> Result<&'rows StrategyRow, Failure> {
    rows.iter().find(|row| row.strategy == name).ok_or_else(|| {
        Failure::not_found(format!("no strategy {name:?} on this tape"), "tapedeck strategy list")
    })
}

fn unread(error: projections::QueryError) -> Failure {
    Failure::unreachable(error.to_string())
}

/// One column per strategy.
fn table(scores: &[StrategyScore], output: Output) {
    let mut header = vec!["SIGNALS AGAINST LATER PRICES"];
    header.extend(scores.iter().map(|score| score.strategy.as_str()));
    let facts: Vec<Vec<(String, String)>> =
        scores.iter().map(|score| facts(&score.state, &score.score)).collect();
    let rows: Vec<Vec<String>> = facts
        .first()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(place, (name, _))| {
            let values =
                facts.iter().map(|of| of.get(place).map_or_else(String::new, |(_, value)| value.clone()));
            std::iter::once(name.clone()).chain(values).collect()
        })
        .collect();
    output.table(&header, &rows);
}

fn facts(state: &str, score: &SignalScore) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = [
        ("state", state.to_owned()),
        ("signals", score.signals.to_string()),
        ("entries", score.entries.to_string()),
        ("no bar since", score.waiting.to_string()),
        ("trips ended", score.trips.to_string()),
        ("hit rate", percent(score.hit_rate)),
        ("mean return", percent(score.mean_return)),
        ("sum of returns", percent(score.total_return)),
        ("worst, best", format!("{}, {}", percent(score.worst), percent(score.best))),
        ("trips open", score.open.to_string()),
        ("return of those", percent(score.open_return)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for horizon in &score.horizons {
        let name = format!("after {} bars", horizon.bars);
        let value = format!(
            "{} of {} entries, {} right",
            percent(horizon.mean_return),
            horizon.entries,
            percent(horizon.hit_rate)
        );
        facts.push((name, value));
    }
    facts
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.2} %", share * 100.0))
}
