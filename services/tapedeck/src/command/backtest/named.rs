//! Which strategies a run names: built-in kinds, those of the configuration, those that are registered on the tape,
//! and programs of the user's own.

use std::collections::BTreeMap;

use contracts::v1::{AccountConfigured, BacktestStrategy, LimitsSet, StrategyRegistered};
use domain::strategy::kinds;
use event_log::Tape;
use runtime::command::{account_terms, limits_in_force, registration};

use super::HELP;
use crate::cli::Global;
use crate::exit::Failure;
use crate::session::Session;

/// A strategy whose program is outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of the strategy.
    pub name: String,
    /// What is run; without, the user starts it.
    pub command: Option<String>,
    /// Subjects of MARKET that it reads.
    pub subjects: Vec<String>,
}

/// A strategy that is registered on the tape, with the account that it trades on.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its registration.
    pub strategy: StrategyRegistered,
    /// Its account's terms.
    pub account: Option<AccountConfigured>,
}

/// What is known of the strategies that a run names, besides kinds and configuration.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Registered on the tape, by name.
    pub registered: BTreeMap<String, Registered>,
    /// The account of the tape that an option names, with its terms.
    pub stated: Option<(String, AccountConfigured)>,
    /// Limits by scope in force on the tape of these and their account.
    pub limits: Vec<LimitsSet>,
    /// Programs.
    pub programs: Vec<Program>,
}

/// The name of `--strategy NAME[:K=V,…]`.
pub fn name_of(text: &str) -> &str {
    text.split_once(':').map_or(text, |(name, _)| name)
}

impl Registered {
    fn is_external(&self) -> bool {
        !self.strategy.consumer.is_empty()
    }
}

impl Named {
    /// Finds what the options name. Over the bars of a tape, whose `session` is given, what is registered there goes
    /// before configuration and kinds; elsewhere a tape is opened only for a name that means nothing without one, and for
    /// an `account`.
    pub async fn find(
        global: &Global,
        strategies: &[String],
        external: &[String],
        account: Option<&str>,
        session: Option<&Session>,
    ) -> Result<Self, Failure> {
        let (named, unnamed) = commands(external)?;
        let config = &global.configuration()?.config;
        let is_known =
            |name: &str| kinds().iter().any(|kind| kind.name == name) || config.strategy.contains_key(name);
        let asked: Vec<String> = strategies.iter().map(|text| name_of(text).to_owned()).collect();
        let mut missing = asked.clone();
        missing.retain(|name| !is_known(name) || named.contains_key(name));
        let mut this = match session {
            Some(session) => {
                let found = Self::on(&session.tape, &asked, account).await?;
                let is_outside =
                    |name: &String| found.registered.get(name).is_some_and(Registered::is_external);
                let is_missing = |name: &String| missing.contains(name) || is_outside(name);
                missing = asked.into_iter().filter(is_missing).collect();
                found
            }
            None if missing.is_empty() && account.is_none() => Self::default(),
            None => match Session::open(global).await {
                Ok(session) => {
                    let found = Self::on(&session.tape, &missing, account).await;
                    session.close().await;
                    found?
                }
                Err(failure) if account.is_some() => return Err(failure),
                // Without a tape nothing is registered.
                Err(_) if unnamed.is_some() || missing.iter().all(|name| named.contains_key(name)) => {
                    Self::default()
                }
                Err(failure) if failure.code == 3 => Self::default(),
                Err(failure) => return Err(failure),
            },
        };
        this.add_programs(&missing, named, unnamed)?;
        Ok(this)
    }

    /// What of `names` is registered on a tape, with the terms and limits that hold there.
    async fn on(tape: &Tape, names: &[String], account: Option<&str>) -> Result<Self, Failure> {
        let mut this = Self::default();
        for name in names {
            let Some(known) = registration(tape, name).await? else { continue };
            let account = account_terms(tape, &known.registered.account).await?;
            this.registered.insert(name.clone(), Registered { strategy: known.registered, account });
        }
        if let Some(name) = account {
            let Some(terms) = account_terms(tape, name).await? else {
                let message = format!("--account {name}: no such account on the tape");
                return Err(Failure::not_found(message, "tapedeck account"));
            };
            this.stated = Some((name.to_owned(), terms));
        }
        if !this.registered.is_empty() || this.stated.is_some() {
            let account = this.account().unwrap_or_default();
            let names: Vec<&str> = this.registered.keys().map(String::as_str).collect();
            this.limits = limits_in_force(tape, account, &names).await?;
        }
        Ok(this)
    }

    fn add_programs(
        &mut self,
        missing: &[String],
        named: BTreeMap<String, String>,
        unnamed: Option<String>,
    ) -> Result<(), Failure> {
        for (name, command) in named {
            self.add(name, Some(command));
        }
        let mut open: Vec<String> = missing
            .iter()
            .filter(|name| !self.programs.iter().any(|program| program.name == **name))
            .filter(|name| self.registered.get(*name).is_none_or(Registered::is_external))
            .cloned()
            .collect();
        if let Some(command) = unnamed {
            match open.len() {
                0 => self.add("external".to_owned(), Some(command)),
                1 => self.add(open.remove(0), Some(command)),
                _ => {
                    return Err(Failure::usage(
                        format!(
                            "--external {command:?}: expected NAME={command}, one of {}",
                            open.join(", ")
                        ),
                        HELP,
                    ));
                }
            }
        }
        // Registered as external, its program is started by whoever has it.
        open.retain(|name| self.registered.contains_key(name));
        for name in open {
            self.add(name, None);
        }
        Ok(())
    }

    fn add(&mut self, name: String, command: Option<String>) {
        let stated = self.registered.get(&name).map(|registered| registered.strategy.subjects.clone());
        let subjects = stated.filter(|subjects| !subjects.is_empty());
        let subjects = subjects.unwrap_or_else(|| runtime::DEFAULT_SUBJECTS.map(str::to_owned).to_vec());
        self.programs.push(Program { name, command, subjects });
    }

    /// The strategy `name`, where it is a program or registered on the tape.
    pub fn strategy(&self, name: &str) -> Option<BacktestStrategy> {
        let registered = self.registered.get(name);
        let is_program = self.programs.iter().any(|program| program.name == name);
        if !is_program && registered.is_none() {
            return None;
        }
        let stated = registered.map(|registered| registered.strategy.clone()).unwrap_or_default();
        Some(BacktestStrategy {
            name: name.to_owned(),
            kind: if is_program { domain::research::EXTERNAL.to_owned() } else { stated.kind },
            parameters: if is_program { Vec::new() } else { stated.parameters },
            symbols: stated.symbols,
            sizing: stated.sizing,
            group_policy: stated.group_policy,
        })
    }

    /// The account that an option names, else the one that the registered strategies trade on; `None` where there is none,
    /// and where there are several.
    pub fn account(&self) -> Option<&str> {
        if let Some((name, _)) = &self.stated {
            return Some(name);
        }
        let mut all = self.registered.values().map(|known| known.strategy.account.as_str());
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// What holds on that account.
    pub fn terms(&self) -> Option<&AccountConfigured> {
        if let Some((_, terms)) = &self.stated {
            return Some(terms);
        }
        let account = self.account()?;
        let on = self.registered.values().find(|known| known.strategy.account == account)?;
        on.account.as_ref()
    }

    /// What was taken from the tape, for the user.
    pub fn notes(&self, request: &contracts::v1::BacktestRequest) -> Option<String> {
        let names: Vec<&str> = self.registered.keys().map(String::as_str).collect();
        let terms = match self.account() {
            Some(_) => format!("with the terms of account {}", request.account),
            None => "on several accounts, so that the terms of none apply".to_owned(),
        };
        match (names.as_slice(), &self.stated) {
            ([], None) => None,
            ([], Some(_)) => Some(terms),
            (names, _) => Some(format!("{}: as registered on the tape, {terms}", names.join(", "))),
        }
    }

    /// Timeframe that a registered strategy reads, where one states it.
    pub fn timeframe(&self) -> Option<String> {
        let mut stated = self.registered.values().map(|registered| &registered.strategy.timeframe);
        stated.find(|timeframe| !timeframe.is_empty()).cloned()
    }
}

/// Commands by name, and the one without a name.
fn commands(external: &[String]) -> Result<(BTreeMap<String, String>, Option<String>), Failure> {
    let (mut named, mut unnamed) = (BTreeMap::new(), None);
    for text in external {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let split = text.split_once('=');
        let split = split.filter(|(name, _)| (1..=40).contains(&name.len()) && name.bytes().all(plain));
        let (name, command) = match split {
            Some((name, command)) => (Some(name), command),
            None => (None, text.as_str()),
        };
        if command.trim().is_empty() {
            return Err(Failure::usage(format!("--external {text:?}: expected [NAME=]COMMAND"), HELP));
        }
        let before = match name {
            Some(name) => named.insert(name.to_owned(), command.to_owned()),
            None => unnamed.replace(command.to_owned()),
        };
        if before.is_some() {
            return Err(Failure::usage(
                format!("--external {text:?}: expected one command per strategy"),
                HELP,
            ));
        }
    }
    Ok((named, unnamed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(missing: &[&str], external: &[&str]) -> Result<Vec<(String, Option<String>)>, String> {
        let external: Vec<String> = external.iter().map(|text| (*text).to_owned()).collect();
        let missing: Vec<String> = missing.iter().map(|text| (*text).to_owned()).collect();
        let (named, unnamed) = commands(&external).map_err(|failure| failure.message)?;
        let mut this = Named::default();
        this.add_programs(&missing, named, unnamed).map_err(|failure| failure.message)?;
        Ok(this.programs.into_iter().map(|program| (program.name, program.command)).collect())
    }

    #[test]
    fn the_terms_are_those_of_one_account_and_of_several_none() {
        let on = |accounts: &[&str]| {
            let registered = accounts.iter().enumerate().map(|(number, account)| {
                let account = (*account).to_owned();
                let strategy = StrategyRegistered { account, ..StrategyRegistered::default() };
                (number.to_string(), Registered { strategy, account: None })
            });
            let named = Named { registered: registered.collect(), ..Named::default() };
            let account = named.account().map(str::to_owned);
            let request = contracts::v1::BacktestRequest {
                account: account.clone().unwrap_or_default(),
                ..Default::default()
            };
            (account, named.notes(&request).unwrap_or_default())
        };
        assert_eq!(on(&[]), (None, String::new()));
        let one = "0, 1: as registered on the tape, with the terms of account a";
        assert_eq!(on(&["a", "a"]), (Some("a".to_owned()), one.to_owned()));
        let two = "0, 1: as registered on the tape, on several accounts, so that the terms of none apply";
        assert_eq!(on(&["a", "b"]), (None, two.to_owned()));
    }

    #[test]
    fn an_account_that_an_option_names_goes_before_that_of_registrations() {
        let on = |account: &str| StrategyRegistered { account: account.to_owned(), ..Default::default() };
        let kind = contracts::v1::AccountKind::Margin;
        let own = AccountConfigured { kind: kind.into(), ..AccountConfigured::default() };
        let mut named = Named { stated: Some(("own".to_owned(), own)), ..Named::default() };
        let request = contracts::v1::BacktestRequest { account: "own".to_owned(), ..Default::default() };
        assert_eq!(named.notes(&request).as_deref(), Some("with the terms of account own"));
        let registered = Registered { strategy: on("other"), account: None };
        named.registered.insert("swing".to_owned(), registered);
        assert_eq!((named.account(), named.terms().map(AccountConfigured::kind)), (Some("own"), Some(kind)));
        named.stated = None;
        assert_eq!((named.account(), named.terms()), (Some("other"), None));
    }

    #[test]
    fn a_command_belongs_to_the_strategy_that_it_names_or_to_the_one_that_has_none() {
        let one = |name: &str, command: &str| vec![(name.to_owned(), Some(command.to_owned()))];
        assert_eq!(find(&[], &["python3 s.py"]), Ok(one("external", "python3 s.py")));
        assert_eq!(find(&["swing"], &["python3 s.py"]), Ok(one("swing", "python3 s.py")));
        assert_eq!(find(&["swing"], &["swing=A=1 python3 s.py"]), Ok(one("swing", "A=1 python3 s.py")));
        assert_eq!(find(&["swing"], &["FAST=5 python3 s.py"]), Ok(one("swing", "FAST=5 python3 s.py")));
        assert_eq!(
            find(&["a", "b"], &["run"]),
            Err("--external \"run\": expected NAME=run, one of a, b".to_owned())
        );
        assert_eq!(find(&[], &["a= "]), Err("--external \"a= \": expected [NAME=]COMMAND".to_owned()));
        assert_eq!(
            find(&[], &["run", "walk"]),
            Err("--external \"walk\": expected one command per strategy".to_owned())
        );
    }
}
