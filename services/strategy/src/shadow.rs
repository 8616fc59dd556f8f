//! What a strategy is told that it holds: what it really holds, and in shadow mode what follows from its own signals there.
//!
//! In shadow mode nothing is ordered, so that what is really held says nothing of what the strategy asked for. From its first
//! signal of a symbol in shadow mode on it is told one share of the side that it asked for last, or none; of a symbol
//! that it has not signalled there, what it really holds: no built-in strategy looks at more of its position than the side.
//!
//! A signal counts from the instant after its own on, as its fill would. It says which instant of MARKET it is of, so that an
//! instant that is taken again meets what it met at first, whatever of its own signals is on the tape already. It is one of
//! shadow mode where it stands on the tape behind the change to it, as it is for risk.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Event, Signal, StrategyMode};
use contracts::{basis_of, stream};
use domain::book::Book;
use domain::money::{E9, Quantity};
use domain::performance::Wanted;
use event_log::Recorded;

/// Most signals of a symbol that are remembered: what is taken again is of late.
const REMEMBERED: usize = 64;

/// The strategies in shadow mode, by name.
#[derive(Clone, Debug, Default)]
pub struct Shadows {
    of: BTreeMap<String, Shadow>,
}

#[derive(Clone, Debug)]
struct Shadow {
    /// TRADING sequence at which it went to shadow mode.
    since: u64,
    /// MARKET sequence of the last instant that it decided there.
    decided: u64,
    /// What it asked for, by symbol and MARKET sequence of the instant.
    asked: BTreeMap<String, BTreeMap<u64, Asked>>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    quantity: Quantity,
    /// Whether it was read on the tape.
    read: bool,
}

impl Shadow {
    fn note(&mut self, event: &Event, signal: &Signal, read: bool) {
        let market = basis_of(event, stream::MARKET).unwrap_or_default();
        for leg in &signal.legs {
            let asked = self.asked.entry(leg.symbol.clone()).or_default();
            // What it decided here is remembered already, and the last of it counts.
            if read && market <= self.decided {
                asked.entry(market).and_modify(|asked| asked.read = true);
                continue;
            }
            // An instant that is taken again does not make unread what stands on the tape.
            let read = read || asked.get(&market).is_some_and(|asked| asked.read);
            asked.insert(market, Asked { quantity: one_share(Wanted::of(leg)), read });
            if asked.len() > REMEMBERED {
                asked.pop_first();
            }
        }
    }
}

impl Shadows {
    /// Whether a strategy is in shadow mode, as far as was read.
    pub fn holds(&self, strategy: &str) -> bool {
        self.of.contains_key(strategy)
    }

    /// Takes an event of TRADING.
    pub fn take(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        match &event.body {
            Some(Body::StrategyEnabled(enabled)) if enabled.mode() == StrategyMode::Shadow => {
                let shadow = Shadow { since: recorded.sequence, decided: 0, asked: BTreeMap::new() };
                self.of.insert(enabled.strategy.clone(), shadow);
            }
            Some(Body::StrategyEnabled(enabled)) => drop(self.of.remove(&enabled.strategy)),
            Some(Body::StrategyDisabled(disabled)) => drop(self.of.remove(&disabled.strategy)),
            Some(Body::StrategyRemoved(removed)) => drop(self.of.remove(&removed.strategy)),
            Some(Body::Signal(signal)) => {
                if let Some(shadow) = self.of.get_mut(&signal.strategy)
                    && recorded.sequence > shadow.since
                {
                    shadow.note(event, signal, true);
                }
            }
            _ => {}
        }
    }

    /// Takes the signals that the `running` strategies made of the instant of the MARKET sequence `market`, in the order of
    /// the tape, and where on TRADING each stands: one of an instant that is taken again may stand there since before.
    pub fn decided<'name, 'made>(
        &mut self,
        running: impl Iterator<Item = &'name String>,
        made: impl Iterator<Item = (&'made Event, u64)>,
        market: u64,
    ) {
        if self.of.is_empty() {
            return;
        }
        for (event, sequence) in made {
            if let Some(Body::Signal(signal)) = &event.body
                && let Some(shadow) = self.of.get_mut(&signal.strategy)
                && sequence > shadow.since
            {
                shadow.note(event, signal, false);
            }
        }
        for name in running {
            if let Some(shadow) = self.of.get_mut(name) {
                shadow.decided = shadow.decided.max(market);
            }
        }
    }

    /// Forgets what a strategy was taken to ask for in the instant of `market` unless it was read: what stands on the tape
    /// says it.
    pub fn undecided(&mut self, strategy: &str, market: u64) {
        let Some(shadow) = self.of.get_mut(strategy) else { return };
        for asked in shadow.asked.values_mut() {
            if asked.get(&market).is_some_and(|asked| !asked.read) {
                asked.remove(&market);
            }
        }
        shadow.decided = shadow.decided.min(market.saturating_sub(1));
    }

    /// What a strategy asked for before the instant of `market`; nothing where it goes by what it really holds.
    fn asked(&self, strategy: &str, symbol: &str, market: u64) -> Option<Quantity> {
        let asked = self.of.get(strategy)?.asked.get(symbol)?;
        asked.range(..market).next_back().map(|(_, asked)| asked.quantity)
    }
}

/// What is known of positions in one instant.
pub struct Holdings<'machine> {
    /// What is really held.
    pub book: &'machine Book,
    /// What is asked for in shadow mode.
    pub shadows: &'machine Shadows,
    /// MARKET sequence of the instant.
    pub market: u64,
}

impl Holdings<'_> {
    /// What a strategy is told that it holds.
    pub fn told(&self, account: &str, strategy: &str, symbol: &str) -> Quantity {
        if let Some(asked) = self.shadows.asked(strategy, symbol, self.market) {
            return asked;
        }
        let position = self.book.position(account, strategy, symbol);
        position.map_or(Quantity::ZERO, |position| position.quantity)
    }
}

fn one_share(wanted: Wanted) -> Quantity {
    match wanted {
        Wanted::Long => Quantity(E9),
        Wanted::Short => Quantity(-E9),
        Wanted::Flat => Quantity::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use contracts::v1::{Intent, SignalLeg, StrategyEnabled};

    use super::*;
    use crate::signal::basis;

    const INSTANT: u64 = 5;

    fn enters_long() -> Event {
        let leg =
            SignalLeg { symbol: "A".to_owned(), intent: Intent::EnterLong.into(), ..SignalLeg::default() };
        let signal = Signal { strategy: "cross".to_owned(), legs: vec![leg], ..Signal::default() };
        Event { basis: basis([INSTANT, 1]), body: Some(Body::Signal(signal)), ..Event::default() }
    }

    /// In shadow mode since the first event of TRADING.
    fn in_shadow_mode() -> Recorded {
        let enabled = StrategyEnabled {
            strategy: "cross".to_owned(),
            mode: StrategyMode::Shadow.into(),
            ..StrategyEnabled::default()
        };
        let event = Event { body: Some(Body::StrategyEnabled(enabled)), ..Event::default() };
        Recorded { sequence: 1, subject: String::new(), event }
    }

    /// The instant is decided, and its signal stands at `sequence`.
    fn decided(shadows: &mut Shadows, sequence: u64) {
        let again = enters_long();
        shadows.decided([&"cross".to_owned()].into_iter(), [(&again, sequence)].into_iter(), INSTANT);
    }

    #[test]
    fn a_signal_that_stood_before_the_change_of_mode_is_none_of_it() {
        let mut shadows = Shadows::default();
        shadows.take(&in_shadow_mode());
        decided(&mut shadows, 1);
        assert_eq!(shadows.asked("cross", "A", INSTANT + 1), None);
        decided(&mut shadows, 2);
        assert_eq!(shadows.asked("cross", "A", INSTANT + 1), Some(Quantity(E9)));
    }

    #[test]
    fn what_was_read_stays_when_its_instant_is_taken_again_and_left_to_the_tape() {
        let mut shadows = Shadows::default();
        shadows.take(&in_shadow_mode());
        shadows.take(&Recorded { sequence: 2, subject: String::new(), event: enters_long() });
        decided(&mut shadows, 2);
        shadows.undecided("cross", INSTANT);
        assert_eq!(shadows.asked("cross", "A", INSTANT + 1), Some(Quantity(E9)));
    }
}
