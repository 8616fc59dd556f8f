//! Which broker each account is traded through, and with whose money.
//!
//! Trading with money takes three things at once: the configuration, the command line, and somebody's confirmation on
//! the tape. Whoever states some of them and not all is told which one is missing, and nothing starts. An account at a
//! broker outside is traded there on the wall clock alone: a demo or a rehearsal never sends an order anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alpaca::Alpaca;
use broker::{Broker, BrokerAccount, BrokerError, Brokers, Routed, SimulatedBroker};
use contracts::v1::TradingMode;
use contracts::{Subject, stream};
use domain::book::Book;
use runtime::ClockMode;
use vendors::http::{Client, Credentials};
use vendors::{Clock, Refusal, SystemClock, VendorError};

use crate::checker::Clients;
use crate::cli::Service;
use crate::command::control::unknown_account;
use crate::config::{AccountConfig, Config};
use crate::exit::Failure;
use crate::home::Manifest;
use crate::services::clock_mode;
use crate::session::Session;
use crate::source;
use crate::terms::{Asked, Terms};

/// Longest wait for one answer of a broker.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Longest wait at the start for what Alpaca says of a key.
const KEY_ANSWER_MAX: Duration = Duration::from_secs(3);
const CONFIRM: &str = "tapedeck live confirm ACCOUNT --reason TEXT";

/// Brokers by account.
#[derive(Clone)]
pub struct Trading {
    modes: BTreeMap<String, TradingMode>,
    outside: BTreeMap<String, alpaca::Config>,
    clock: Arc<dyn Clock>,
}

/// What Alpaca's adapter needs for an account.
pub fn alpaca_config(
    name: &str,
    account: &AccountConfig,
    mode: TradingMode,
) -> Result<alpaca::Config, Failure> {
    let [key, secret] = account.broker_credentials(name);
    Ok(alpaca::Config {
        base_url: account.broker_url().to_owned(),
        credentials: Credentials::Alpaca { key: key.read()?, secret: secret.read()? },
        requests_per_minute: account.alpaca.requests_per_minute,
        answer_timeout: ANSWER_MAX,
        mode,
        shared: Some(source::shared(Some(Client {
            service: Service::Execution.name(),
            purpose: "broker",
            account: name.to_owned(),
        }))),
    })
}

/// Time and chance for clients of brokers.
pub fn clock() -> Arc<dyn Clock> {
    // Two processes do not wait alike.
    let seed = u64::from(std::process::id()) ^ runtime::now_ns().unsigned_abs();
    Arc::new(SystemClock::new(runtime::now_ns, seed))
}

impl Trading {
    /// No account anywhere but here.
    pub fn nowhere() -> Self {
        Self { modes: BTreeMap::new(), outside: BTreeMap::new(), clock: clock() }
    }

    /// As the terms and the tape have it; an error names what is missing.
    pub async fn of(session: &Session, terms: &Terms) -> Result<Self, Failure> {
        let mut trading = Self::nowhere();
        if clock_mode(&session.manifest) != ClockMode::Wall {
            return Ok(trading);
        }
        for (name, account) in &session.config.account {
            let named = terms.live.contains(name);
            trading.modes.insert(name.clone(), mode(session, name, account, named).await?);
            if let Some(config) = terms.outside.get(name) {
                refuse_simulated_past(session, name).await?;
                refuse_wrong_key(name, config).await?;
                trading.outside.insert(name.clone(), config.clone());
            }
        }
        Ok(trading)
    }

    /// Whether any account moves money.
    pub fn is_live(&self) -> bool {
        self.modes.values().any(|mode| *mode == TradingMode::Live)
    }
}

/// The accounts at brokers outside, with their keys: none on a tape clock, where nobody can be named as trading with money
/// either.
pub fn outside(config: &Config, asked: &Asked<'_>) -> Result<BTreeMap<String, alpaca::Config>, Failure> {
    // The configuration alone says where an account is traded, whatever the tape remembers.
    let accounts = &config.account;
    if let Some(named) = asked.live.iter().find(|named| !accounts.contains_key(*named)) {
        let refused = unknown_account(named, accounts.keys().cloned());
        return Err(Failure { hint: "tapedeck config check".to_owned(), ..refused });
    }
    if clock_mode(asked.manifest) != ClockMode::Wall {
        return match asked.live.first() {
            None => Ok(BTreeMap::new()),
            Some(named) => Err(Failure::usage(
                format!("--live {named}: tape {} has no market of today", asked.tape),
                "tapedeck up --tape main --live ACCOUNT",
            )),
        };
    }
    let mut outside = BTreeMap::new();
    for (name, account) in accounts {
        if account.is_at_alpaca() {
            outside.insert(name.clone(), alpaca_config(name, account, account.wanted_mode())?);
        } else if asked.live.contains(name) {
            let message = format!("--live {name}: account.{name}.broker is simulated, expected alpaca");
            return Err(Failure::config(message));
        }
    }
    Ok(outside)
}

/// An account that the simulated broker has traded on this tape cannot go on at a broker outside, which knows neither its
/// orders nor its positions: they would be adopted as differences, and strategies would close what they never held.
async fn refuse_simulated_past(session: &Session, name: &str) -> Result<(), Failure> {
    let attached = runtime::command::attachment(&session.tape, name).await?;
    if attached.is_some_and(|attached| attached.broker == broker::ALPACA) {
        return Ok(());
    }
    let orders = format!("{}.>", Subject::of(&["order", name]).as_str());
    if session.tape.last_sequence(stream::TRADING, &orders).await? == 0 {
        return Ok(());
    }
    let message = format!(
        "account.{name}.broker \"alpaca\": tape {} has orders of {name} at the simulated broker, expected a tape on which it \
         has not traded",
        session.dir.name
    );
    Err(Failure {
        hint: "tapedeck up --market real --tape NAME, with a new name".to_owned(),
        ..Failure::config(message)
    })
}

/// Clients of the brokers outside for questions alone, by account, whatever the services of this process; where one cannot
/// be had, why. None on a tape clock.
pub fn clients(config: &Config, manifest: &Manifest) -> Clients {
    let wall = clock_mode(manifest) == ClockMode::Wall;
    let outside = config.account.iter().filter(|(_, account)| wall && account.is_at_alpaca());
    let client = |(name, account): (&String, &AccountConfig)| {
        let made = alpaca_config(name, account, account.wanted_mode())
            .map_err(|failure| failure.message)
            .and_then(|config| adapter(&config).map_err(|error| error.to_string()));
        (name.clone(), made.map(|made| Box::new(made) as Box<dyn Broker>))
    };
    outside.map(client).collect()
}

/// A client of Alpaca for a question.
pub fn adapter(config: &alpaca::Config) -> Result<Alpaca, VendorError> {
    Alpaca::new(config.clone(), clock(), &Book::default())
}

/// The account `name` as Alpaca has it.
pub async fn account_at(name: &str, config: &alpaca::Config) -> Result<BrokerAccount, BrokerError> {
    let mut adapter = adapter(config).map_err(|error| refused("account", error.to_string()))?;
    account_of(name, &mut adapter).await
}

/// The same, of a client that is there already.
pub async fn account_of(name: &str, adapter: &mut Alpaca) -> Result<BrokerAccount, BrokerError> {
    let found = adapter.account(name).await?;
    found.ok_or_else(|| refused("account", "it keeps no account".to_owned()))
}

fn refused(doing: &str, problem: String) -> BrokerError {
    BrokerError::Refused { broker: broker::ALPACA.to_owned(), doing: doing.to_owned(), problem }
}

/// A key that Alpaca does not take will not do later either. Whatever else is in the way is no reason not to start:
/// what is on the tape is there to be looked at, and the broker is asked again.
async fn refuse_wrong_key(name: &str, config: &alpaca::Config) -> Result<(), Failure> {
    let asked = tokio::time::timeout(KEY_ANSWER_MAX, account_at(name, config)).await;
    let Ok(Err(BrokerError::Unknown { source, .. })) = asked else { return Ok(()) };
    let error = source.downcast_ref::<VendorError>();
    if !matches!(error, Some(VendorError::Refused { kind: Refusal::Credentials, .. })) {
        return Ok(());
    }
    let message = format!(
        "account.{name}.alpaca: {source}, expected the key and the secret of the {} account at {}",
        config.mode.name(),
        config.base_url
    );
    Err(Failure { hint: "tapedeck doctor".to_owned(), ..Failure::config(message) })
}

/// The mode that is configured; with money only where the command line, which has `named` the account, and the tape agree.
async fn mode(
    session: &Session,
    name: &str,
    account: &AccountConfig,
    named: bool,
) -> Result<TradingMode, Failure> {
    let wanted = account.wanted_mode();
    if wanted != TradingMode::Live && !named {
        return Ok(wanted);
    }
    let confirmed = runtime::command::live_confirmation(&session.tape, name).await?;
    let mut missing = Vec::new();
    if wanted != TradingMode::Live {
        missing.push(format!("`mode = \"live\"` under [account.{name}] in the configuration"));
    }
    if !named {
        missing.push(format!("`--live {name}` on the command line"));
    }
    if confirmed.is_none() {
        missing.push(format!("a confirmation on the tape (`tapedeck live confirm {name} --reason TEXT`)"));
    }
    if missing.is_empty() {
        return Ok(TradingMode::Live);
    }
    let message = format!("account {name} does not trade with money: missing {}", missing.join(" and "));
    let hint = if confirmed.is_none() {
        CONFIRM.to_owned()
    } else if named {
        "tapedeck config check".to_owned()
    } else {
        format!("tapedeck up --live {name}")
    };
    Err(Failure { hint, ..Failure::config(message) })
}

impl Brokers for Trading {
    fn resume(&self, book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        let simulated = SimulatedBroker::resume(book)?;
        let mut outside: BTreeMap<String, Box<dyn Broker>> = BTreeMap::new();
        for (name, config) in &self.outside {
            let made = Alpaca::new(config.clone(), Arc::clone(&self.clock), book);
            let made = made.map_err(|error| refused("start", error.to_string()))?;
            outside.insert(name.clone(), Box::new(made));
        }
        Ok(Box::new(Routed::new(simulated, outside)))
    }
}
