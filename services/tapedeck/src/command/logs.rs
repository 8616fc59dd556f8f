//! `tapedeck logs`: log lines of the services, from the read model.

use std::time::Duration;

use projections::queries::{self, LOG_LINES_MAX, LogFilter, LogRow, LogTurn};

use crate::cli::{Logs, Service};
use crate::command::tail::parse_since;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Time between two looks for more.
const POLL: Duration = Duration::from_millis(250);

/// Prints the last lines, or those since a time; then those that come, where wanted.
pub async fn run(session: &Session, options: &Logs, output: Output) -> Result<(), Failure> {
    let filter = filter(options)?;
    if !(1..=LOG_LINES_MAX).contains(&options.limit) {
        return Err(Failure::usage(
            format!("--limit {}: expected 1 to {LOG_LINES_MAX}", options.limit),
            "tapedeck logs --since 1h",
        ));
    }
    let pool = session.reader().await?;
    let unread = |error: queries::QueryError| Failure::unreachable(error.to_string());
    if let Some(service) = &options.service {
        let unknown = queries::unknown_service(&pool, &Service::logged(), service).await.map_err(unread)?;
        check_service(service, unknown)?;
    }
    let mut shown = Vec::new();
    let mut at = 0;
    if options.since.is_some() {
        loop {
            let rows =
                queries::logs(&pool, &filter, LogTurn::After(at), LOG_LINES_MAX).await.map_err(unread)?;
            at = rows.last().map_or(at, |row| row.sequence);
            let full = rows.len() == usize::try_from(LOG_LINES_MAX).unwrap_or(usize::MAX);
            take(rows, options, output, &mut shown)?;
            if !full {
                break;
            }
        }
    } else {
        let rows = queries::logs(&pool, &filter, LogTurn::Newest, options.limit).await.map_err(unread)?;
        at = rows.last().map_or(at, |row| row.sequence);
        take(rows, options, output, &mut shown)?;
    }
    if !options.follow {
        return if output.json { output.document(&shown) } else { Ok(()) };
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = session.interrupted() => return Ok(()),
        }
        let rows = queries::logs(&pool, &filter, LogTurn::After(at), LOG_LINES_MAX).await.map_err(unread)?;
        at = rows.last().map_or(at, |row| row.sequence);
        take(rows, options, output, &mut shown)?;
    }
}

/// Refuses a service where `known` says which ones there are instead.
fn check_service(service: &str, known: Option<Vec<String>>) -> Result<(), Failure> {
    let Some(known) = known else { return Ok(()) };
    let message = format!("--service {service:?}: expected one of {}", known.join(", "));
    Err(Failure::usage(message, "tapedeck logs --service risk"))
}

fn filter(options: &Logs) -> Result<LogFilter, Failure> {
    let severity = |level: &String| {
        projections::severity(level).ok_or_else(|| {
            Failure::usage(
                format!("--level {level:?}: expected error, warn, info, debug or trace"),
                "tapedeck logs --level warn",
            )
        })
    };
    Ok(LogFilter {
        service: options.service.clone(),
        severity_max: options.level.as_ref().map(severity).transpose()?,
        target: options.target.clone(),
        run: options.run.clone(),
        correlation_id: options.correlation.clone(),
        text: options.text.clone(),
        from_ns: options.since.as_deref().map(since).transpose()?,
        to_ns: None,
    })
}

/// The time that `--since` names; whoever got it wrong is shown this command with one.
fn since(text: &str) -> Result<i64, Failure> {
    parse_since(text)
        .map_err(|failure| failure.hinting("tapedeck tail --since 5m", "tapedeck logs --since 5m"))
}

/// Prints lines; a document is printed whole at its end.
fn take(rows: Vec<LogRow>, options: &Logs, output: Output, shown: &mut Vec<LogRow>) -> Result<(), Failure> {
    if output.json && !options.follow {
        shown.extend(rows);
        return Ok(());
    }
    for row in rows {
        if output.json {
            output.record(&row)?;
        } else {
            output.line(&line(&row, output));
        }
    }
    Ok(())
}

fn line(row: &LogRow, output: Output) -> String {
    let style = match row.level {
        "ERROR" => "31",
        "WARN" => "33",
        "INFO" => "32",
        _ => "2",
    };
    let level = output.paint(style, &format!("{:5}", row.level));
    let fields: Vec<String> = row
        .fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let fields = if fields.is_empty() { String::new() } else { format!("  {}", fields.join(" ")) };
    format!("{}  {level} {:10} {}{fields}", time(row.event_time_ns), row.service, row.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_none_is_refused_with_an_example_of_this_command() {
        let refused = since("soon").unwrap_err();
        assert!(refused.message.starts_with("--since \"soon\": expected a time"), "{}", refused.message);
        assert_eq!(refused.hint, "tapedeck logs --since 5m");
    }

    #[test]
    fn a_service_that_there_is_not_is_refused_with_those_that_there_are() {
        assert!(check_service("news", None).is_ok());
        let mut known: Vec<String> = Service::logged().into_iter().map(str::to_owned).collect();
        known.push("news".to_owned());
        let refused = check_service("nope", Some(known)).unwrap_err();
        assert_eq!(
            refused.message,
            "--service \"nope\": expected one of ingest, strategy, risk, execution, backtest, projector, checker, \
             web, tapedeck, news"
        );
    }
}
