//! `tapedeck limits`: limits by account, strategy and symbol.

use contracts::v1::TradeLimits;
use contracts::{Subject, stream};
use domain::book::{Book, LimitSet, Scope};
use domain::calendar::Calendar;
use domain::risk::{fields, usage};
use projections::queries::{self, NamedLimit, named_limits};
use runtime::command::{self, LimitsChange, LimitsError};
use serde::Serialize;

use super::control;
use super::rows::check_limit;
use crate::cli::{LimitsCommand, ScopeOptions};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

const HELP: &str = "tapedeck limits names";
/// The limit that names symbols.
const RESTRICTED: &str = "restricted";

/// Does what is asked.
pub async fn run(session: &Session, command: &LimitsCommand, output: Output) -> Result<(), Failure> {
    match command {
        LimitsCommand::List { account } => list(session, account.as_deref(), output).await,
        LimitsCommand::Set { scope, limits, reason } => {
            let changes = limits.iter().map(|text| pair(text)).collect::<Result<Vec<_>, _>>()?;
            let scope = checked(session, scope).await?;
            let change =
                change(session, &scope, reason, |limits| fields::state_all(limits, &changes)).await?;
            said(&scope, &change, output)?;
            // They may be listed tomorrow, and may as well be typing errors.
            let restricts = changes.iter().any(|(name, value)| name == RESTRICTED && value.trim() != "none");
            let restricted = change.set.limits.filter(|_| restricts).unwrap_or_default().restricted;
            let named = Some(scope.symbol).filter(|symbol| !symbol.is_empty());
            for symbol in named.into_iter().chain(restricted) {
                if !is_known(session, &symbol).await? {
                    output.note(&format!("the tape knows no symbol {symbol}: the limits hold once it does"));
                }
            }
            Ok(())
        }
        LimitsCommand::Clear { scope, reason } => {
            let scope = checked(session, scope).await?;
            let set = change(session, &scope, reason, |limits| {
                *limits = TradeLimits::default();
                Ok(())
            });
            said(&scope, &set.await?, output)
        }
        LimitsCommand::History { limit } => history(session, *limit, output).await,
        LimitsCommand::Names => names(output),
    }
}

/// Reads `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!("{text:?}: expected NAME=VALUE"), HELP)),
    }
}

async fn checked(session: &Session, scope: &ScopeOptions) -> Result<Scope, Failure> {
    let each = |name: &Option<String>| name.clone().unwrap_or_default();
    let (account, strategy, symbol) = (each(&scope.account), each(&scope.strategy), each(&scope.symbol));
    control::stop(session, &account, &strategy, "").await?;
    Ok(Scope::new(&account, &strategy, &symbol))
}

/// Whether the tape has bars, quotes or trades of a symbol, or the configuration names it.
async fn is_known(session: &Session, symbol: &str) -> Result<bool, Failure> {
    let config = &session.config;
    let groups = config.universe.groups()?.into_values();
    let lists = groups.chain([config.live.symbols.clone(), config.news.symbols.clone()]);
    let of_strategies = config.strategy.values().map(|strategy| strategy.symbols.clone());
    if lists.chain(of_strategies).any(|symbols| symbols.iter().any(|known| known == symbol)) {
        return Ok(true);
    }
    for (stream, filter) in [
        (stream::MARKET, Subject::bar_filter(symbol)),
        (stream::QUOTES, Subject::of(&["quote", symbol]).to_string()),
        (stream::QUOTES, Subject::of(&["trade", symbol]).to_string()),
    ] {
        if session.tape.last_sequence(stream, &filter).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn change(
    session: &Session,
    scope: &Scope,
    reason: &str,
    change: impl Fn(&mut TradeLimits) -> Result<(), fields::LimitError>,
) -> Result<LimitsChange, Failure> {
    let refused = |error: fields::LimitError| LimitsError::Invalid {
        field: error.field,
        value: error.value,
        expected: error.expected,
    };
    let changed = |limits: &mut TradeLimits| {
        change(limits).map_err(refused)?;
        fields::check(scope, limits).map_err(refused)
    };
    let caller = control::caller();
    let stated = command::change_limits(&session.tape, &caller, &scope.to_wire(), reason, changed).await;
    stated.map_err(|error| match error {
        LimitsError::Invalid { .. } => Failure::usage(error.to_string(), HELP),
        LimitsError::Append(error) => error.into(),
        LimitsError::Log(error) => error.into(),
    })
}

/// Limits of a scope, for programs.
#[derive(Serialize)]
struct Stated {
    account: String,
    strategy: String,
    symbol: String,
    version: u64,
    limits: Vec<NamedLimit>,
    actor: String,
    reason: String,
}

impl Stated {
    fn of(set: &LimitSet) -> Self {
        let Scope { account, strategy, symbol } = set.scope.clone();
        let (actor, reason) = (set.actor.clone(), set.reason.clone());
        Self {
            account,
            strategy,
            symbol,
            version: set.version,
            limits: named_limits(&set.limits),
            actor,
            reason,
        }
    }
}

fn said(scope: &Scope, change: &LimitsChange, output: Output) -> Result<(), Failure> {
    let LimitsChange { set, is_new } = change;
    let stated = Stated::of(&LimitSet {
        scope: scope.clone(),
        version: set.version,
        limits: set.limits.clone().unwrap_or_default(),
        actor: set.actor.clone(),
        reason: set.reason.clone(),
        since_ns: 0,
    });
    if output.json {
        return output.document(&stated);
    }
    let limits: Vec<_> =
        stated.limits.iter().map(|limit| format!("{}={}", limit.name, limit.value)).collect();
    let words = if limits.is_empty() { "no limits".to_owned() } else { limits.join(" ") };
    let version = match (is_new, stated.version) {
        (true, version) => format!(", version {version}"),
        (false, 0) => ", never stated, and nothing changed".to_owned(),
        (false, version) => format!(", still version {version}, nothing changed"),
    };
    output.note(&format!("limits of {scope}{version}: {words}"));
    Ok(())
}

async fn list(session: &Session, account: Option<&str>, output: Output) -> Result<(), Failure> {
    control::check_account(session, account.unwrap_or_default()).await?;
    let pool = session.reader().await?;
    let book = queries::load_book(&pool).await;
    pool.close().await;
    let book = book.map_err(|error| Failure::unreachable(error.to_string()))?;
    let of = |set: &&LimitSet| {
        let scope = &set.scope.account;
        set.is_stated() && account.is_none_or(|account| scope.is_empty() || scope == account)
    };
    let sets: Vec<Stated> = book.limit_sets().filter(of).map(Stated::of).collect();
    let accounts: Vec<&str> = book.accounts().map(|row| row.account.as_str()).collect();
    let accounts = accounts.into_iter().filter(|name| account.is_none_or(|account| account == *name));
    let calendar = session.manifest.market()?.calendar();
    let used: Vec<Used> = accounts.flat_map(|name| used(&book, name, calendar)).collect();
    if output.json {
        return output.document(&serde_json::json!({ "limits": sets, "usage": used }));
    }
    let each = |name: &str| if name.is_empty() { "each".to_owned() } else { name.to_owned() };
    let mut rows = Vec::new();
    for set in &sets {
        let scope = [each(&set.account), each(&set.strategy), each(&set.symbol)];
        for limit in &set.limits {
            let value = [limit.name.to_owned(), limit.value.clone(), set.version.to_string()];
            let author = [set.actor.clone(), set.reason.clone()];
            rows.push(scope.iter().cloned().chain(value).chain(author).collect());
        }
    }
    if rows.is_empty() {
        output.note("no limits by scope; those of the accounts hold");
    } else {
        output.table(&["ACCOUNT", "STRATEGY", "SYMBOL", "LIMIT", "VALUE", "VERSION", "BY", "REASON"], &rows);
    }
    let rows: Vec<Vec<String>> = used
        .iter()
        .map(|row| {
            let (used, most) = (row.used.clone(), row.most.clone());
            vec![row.account.clone(), row.scope.clone(), row.rule.to_owned(), used, most, row.of.clone()]
        })
        .collect();
    output.table(&["ACCOUNT", "SCOPE", "RULE", "USED", "MOST", "OF"], &rows);
    Ok(())
}

/// How much of a limit is used.
#[derive(Serialize)]
struct Used {
    account: String,
    scope: String,
    rule: &'static str,
    used: String,
    most: String,
    of: String,
}

fn used(book: &Book, account: &str, calendar: &Calendar) -> Vec<Used> {
    let own = usage(book, account).into_iter().map(|usage| Used {
        account: account.to_owned(),
        scope: String::new(),
        rule: usage.rule.name(),
        used: usage.used.to_string(),
        most: usage.most.to_string(),
        of: usage.of,
    });
    let scoped = domain::risk::scope_usage(book, account, calendar).into_iter().map(|usage| Used {
        account: account.to_owned(),
        scope: usage.scope.to_string(),
        rule: usage.limit,
        used: usage.used_text(),
        most: usage.most_text(),
        of: usage.of.clone(),
    });
    own.chain(scoped).collect()
}

async fn history(session: &Session, limit: u32, output: Output) -> Result<(), Failure> {
    check_limit(limit, "tapedeck limits history --limit 50")?;
    let pool = session.reader().await?;
    let rows = queries::limit_versions(&pool, limit).await;
    pool.close().await;
    let rows = rows.map_err(|error| Failure::unreachable(error.to_string()))?;
    if output.json {
        return output.document(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let limits: Vec<_> =
                row.limits.iter().map(|limit| format!("{}={}", limit.name, limit.value)).collect();
            let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(" ") };
            let scope = Scope::new(&row.account, &row.strategy, &row.symbol).to_string();
            let (actor, reason) = (row.actor.clone(), row.reason.clone());
            vec![time(row.event_time_ns), scope, row.version.to_string(), actor, reason, limits]
        })
        .collect();
    output.table(&["TIME", "OF", "VERSION", "BY", "REASON", "LIMITS"], &cells);
    Ok(())
}

/// Lists every limit there is.
pub fn names(output: Output) -> Result<(), Failure> {
    let rows: Vec<_> =
        fields::fields().map(|field| (field.name, field.unit.expected(), field.what)).collect();
    if output.json {
        let document = rows.iter().map(
            |(name, expected, what)| serde_json::json!({ "name": name, "expected": expected, "what": what }),
        );
        return output.document(&document.collect::<Vec<_>>());
    }
    let cell = |(name, expected, what): &(&str, &str, &str)| {
        vec![(*name).to_owned(), (*what).to_owned(), (*expected).to_owned()]
    };
    output.table(&["LIMIT", "WHAT", "VALUE"], &rows.iter().map(cell).collect::<Vec<_>>());
    Ok(())
}
