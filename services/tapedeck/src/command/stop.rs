//! A strategy that stops, for a while or for good: what becomes of what it holds is asked, or stated, and recorded with
//! the stop.

use std::io::IsTerminal as _;

use contracts::v1::{PositionsFate, StrategyMode};
use domain::book::InName;
use projections::left_behind;
use runtime::command::{self as commands, Leaving, StrategyError};

use crate::command::control::caller;
use crate::command::strategy::in_name;
use crate::exit::Failure;
use crate::output::{Output, message};
use crate::session::Session;

/// What the options say becomes of what a strategy holds, and who takes it over.
pub type Stated<'a> = (Option<&'a str>, Option<&'a str>);

/// How a strategy goes.
#[derive(Clone, Copy, Debug)]
pub enum Going<'a> {
    /// It stops, and may be enabled again.
    Disabled,
    /// It signals on, and its signals become no orders.
    Shadow,
    /// Its registration ends.
    Removed,
    /// This strategy takes its place.
    ReplacedBy(&'a str),
}

impl Going<'_> {
    /// What to try where nothing is said of what it holds.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Disabled => {
                "tapedeck strategy disable NAME --positions keep|flatten|hand-over [--to OTHER]"
            }
            Self::Shadow => {
                "tapedeck strategy enable NAME --mode shadow --positions keep|flatten|hand-over [--to OTHER]"
            }
            Self::Removed => "tapedeck strategy remove NAME --positions keep|flatten|hand-over [--to OTHER]",
            Self::ReplacedBy(_) => "the same with --positions keep|flatten|hand-over",
        }
    }

    fn question(self, name: &str) -> String {
        let keep = match self {
            Self::Removed | Self::Shadow => {
                format!("it stays in the name of {name}, and nobody manages it")
            }
            Self::Disabled | Self::ReplacedBy(_) => {
                format!("{name} goes on to manage it: it may close, and open nothing")
            }
        };
        let (last, choices) = match self {
            Self::Disabled | Self::Shadow | Self::Removed => (
                "NAME       hand over to this strategy, which has to be enabled, or to manual".to_owned(),
                "keep, flatten or a name",
            ),
            Self::ReplacedBy(next) => (
                format!("hand-over  open orders are cancelled, {next} takes the positions over"),
                "keep, flatten or hand-over",
            ),
        };
        let flatten = "open orders are cancelled, positions closed at the market";
        format!("  keep       {keep}\n  flatten    {flatten}\n  {last}\n{choices}: ")
    }
}

/// Stops `name`; `stated` says what becomes of its positions and who takes them over. Answers what was recorded.
pub async fn run(
    session: &Session,
    name: &str,
    stated: Stated<'_>,
    reason: &str,
    is_registered: bool,
    output: Output,
) -> Result<(PositionsFate, String), Failure> {
    let going = if is_registered { Going::Disabled } else { Going::Removed };
    let hint = Going::Disabled.hint();
    // Where the read model cannot say, it has to be stated; whoever states it is not held up.
    let found = in_name(session, name).await.ok().flatten();
    let leaving = leaving(name, stated, found.as_ref(), going, output)?;
    let stopped = commands::stop_strategy(&session.tape, &caller(), name, reason, &leaving).await;
    stopped.map_err(|error| refused(error, hint))?;
    Ok((leaving.positions, leaving.hand_over_to))
}

/// Enables `name` in `mode`; in shadow mode `stated` says what becomes of its positions. Answers what was recorded of
/// them.
pub async fn enable(
    session: &Session,
    name: &str,
    mode: StrategyMode,
    stated: Stated<'_>,
    output: Output,
) -> Result<(PositionsFate, String), Failure> {
    let hint = Going::Shadow.hint();
    // In any other mode it goes on with what it holds, and nothing is asked.
    let found = match mode {
        StrategyMode::Shadow => in_name(session, name).await?,
        _ => Some(InName::default()),
    };
    let leaving = leaving(name, stated, found.as_ref(), Going::Shadow, output)?;
    let enabled = commands::enable_strategy(&session.tape, &caller(), name, mode, &leaving).await;
    enabled.map_err(|error| match error {
        StrategyError::Holds { .. } | StrategyError::Invalid { field: "positions" | "hand_over_to", .. } => {
            refused(error, hint)
        }
        error => error.into(),
    })?;
    Ok((leaving.positions, leaving.hand_over_to))
}

/// What a strategy that goes leaves behind and what becomes of it: as stated, or as it is answered on a terminal. Where
/// nobody says anything, the command is left to refuse it.
pub fn leaving(
    name: &str,
    stated: Stated<'_>,
    found: Option<&InName>,
    going: Going<'_>,
    output: Output,
) -> Result<Leaving, Failure> {
    let holds = left_behind(found);
    let (positions, hand_over_to) = match (fate(stated, going.hint())?, going) {
        (Some(stated), _) => stated,
        (None, _) if holds.is_empty() || !asks(output) => (PositionsFate::Unspecified, String::new()),
        (None, Going::Disabled | Going::Shadow | Going::Removed) => {
            named(&ask(name, &holds, &going.question(name), going.hint())?)
        }
        (None, Going::ReplacedBy(_)) => {
            let answer = ask(name, &holds, &going.question(name), going.hint())?;
            (of_name(&answer, going.hint())?, String::new())
        }
    };
    Ok(Leaving { holds, positions, hand_over_to })
}

/// What the options state; nothing where they state nothing. Who is to take over is named by whoever removes.
fn fate((positions, to): Stated<'_>, hint: &'static str) -> Result<Option<(PositionsFate, String)>, Failure> {
    let fate = match (positions, to) {
        (Some(text), _) => of_name(text, hint)?,
        (None, Some(_)) => PositionsFate::HandOver,
        (None, None) => return Ok(None),
    };
    Ok(Some((fate, to.unwrap_or_default().to_owned())))
}

fn of_name(text: &str, hint: &'static str) -> Result<PositionsFate, Failure> {
    commands::positions_fate(text).ok_or_else(|| {
        Failure::usage(format!("--positions {text:?}: expected keep, flatten or hand-over"), hint)
    })
}

/// Why a command was refused, in the words of the command line.
pub fn refused(error: StrategyError, hint: &'static str) -> Failure {
    match error {
        StrategyError::Holds { strategy, holds } => Failure::usage(
            format!(
                "{strategy} holds {holds}: expected --positions keep, flatten or hand-over, which says what becomes of it"
            ),
            hint,
        ),
        StrategyError::Invalid { field: "hand_over_to", value, .. } if value.is_empty() => {
            Failure::usage("--positions hand-over: expected --to NAME", hint)
        }
        StrategyError::Invalid { field: "hand_over_to", value, expected } => {
            Failure::usage(format!("--to {value}: expected {expected}"), hint)
        }
        StrategyError::Invalid { field: "positions", value, expected } => {
            Failure::usage(format!("--positions {}: expected {expected}", value.replace('_', "-")), hint)
        }
        error => error.into(),
    }
}

/// Whether there is somebody to be asked.
fn asks(output: Output) -> bool {
    std::io::stdin().is_terminal() && !output.json
}

fn ask(name: &str, held: &str, question: &str, hint: &'static str) -> Result<String, Failure> {
    message(&format!("{name} holds {held}. What becomes of it?\n{question}"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Failure::other(error.to_string()))?;
    match line.trim() {
        "" => Err(Failure::usage("nothing was answered, and nothing was stopped", hint)),
        answer => Ok(answer.to_owned()),
    }
}

/// What an answer stands for: keep, flatten, or the name of who takes over.
fn named(answer: &str) -> (PositionsFate, String) {
    match answer {
        "keep" => (PositionsFate::Keep, String::new()),
        "flatten" => (PositionsFate::Flatten, String::new()),
        other => (PositionsFate::HandOver, other.to_owned()),
    }
}
