//! The levels of the simulated market from day to day.

use chrono::Datelike as _;
use contracts::event_id;
use contracts::v1::ActionKind;
use domain::calendar::Session;
use domain::money::E9;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::file::Action;

/// Sessions between two dividends, about a quarter.
const DIVIDEND_SESSIONS: u32 = 63;
/// A price above this, in dollars, is split at the next opening.
const SPLIT_ABOVE: f64 = 240.0;
/// Chance of a jump between two sessions.
const JUMP_CHANCE: f64 = 0.02;
/// Chance that the market's regime changes before a session.
const REGIME_CHANCE: f64 = 0.03;
/// Pull of the logarithm of a price towards that of its first one, per session.
const REVERSION: f64 = 0.004;
/// Share of a session's volatility that falls between sessions.
const OVERNIGHT_SHARE: f64 = 0.35;
/// Weight of the market in each company's return.
const MARKET_WEIGHT: f64 = 0.55;

/// An invented company. Its symbol is listed nowhere, to the best of our knowledge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulatedSymbol {
    /// Symbol.
    pub symbol: &'static str,
    /// Name.
    pub name: &'static str,
    /// First price in dollars.
    pub price: f64,
    /// Volatility of a session's return (0.02 is 2 %).
    pub volatility: f64,
    /// Shares traded in an ordinary session.
    pub volume: f64,
    /// Whether it pays a dividend each quarter.
    pub pays: bool,
}

/// The companies of the simulated market, in the order of their symbols.
pub const SYMBOLS: [SimulatedSymbol; 10] = [
    company("ACMEX", "Acme Works (simulated)", 84.0, 0.014, 3_200_000.0, true),
    company("BOREL", "Borealis Energy (simulated)", 47.5, 0.018, 5_100_000.0, true),
    company("CINDR", "Cinder Foundries (simulated)", 23.2, 0.024, 2_400_000.0, false),
    company("DELVE", "Delve Analytics (simulated)", 231.0, 0.022, 4_800_000.0, false),
    company("EMBRX", "Ember Retail (simulated)", 61.4, 0.016, 1_900_000.0, true),
    company("FJORD", "Fjord Shipping (simulated)", 18.7, 0.021, 3_700_000.0, true),
    company("GLOBX", "Globex Systems (simulated)", 142.0, 0.017, 6_300_000.0, false),
    company("HARBR", "Harbour Bank (simulated)", 38.9, 0.015, 8_200_000.0, true),
    company("ISLET", "Islet Devices (simulated)", 97.3, 0.026, 2_900_000.0, false),
    company("JOVIA", "Jovia Foods (simulated)", 54.6, 0.011, 1_500_000.0, true),
];

const fn company(
    symbol: &'static str,
    name: &'static str,
    price: f64,
    volatility: f64,
    volume: f64,
    pays: bool,
) -> SimulatedSymbol {
    SimulatedSymbol { symbol, name, price, volatility, volume, pays }
}

/// Drift and volatility of the whole market for a while.
#[derive(Clone, Copy, Debug)]
struct Regime {
    drift: f64,
    volatility: f64,
}

const REGIMES: [Regime; 4] = [
    Regime { drift: 0.0009, volatility: 0.85 },
    Regime { drift: 0.0001, volatility: 0.7 },
    Regime { drift: -0.0008, volatility: 1.3 },
    Regime { drift: 0.0004, volatility: 1.7 },
];

/// What a session does to one company.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) symbol: SimulatedSymbol,
    /// Price at the opening, in dollars.
    pub(super) open: f64,
    /// Logarithmic return from opening to close.
    pub(super) log_return: f64,
    /// Volatility within the session.
    pub(super) volatility: f64,
    /// Shares traded in the session.
    pub(super) volume: f64,
    /// Split or dividend of the date.
    pub(super) action: Option<Action>,
}

/// Levels after the sessions stepped through so far.
#[derive(Debug)]
pub(super) struct Market {
    seed: u64,
    symbols: Vec<SimulatedSymbol>,
    closes: Vec<f64>,
    /// New shares per share at the first session, by which volume and the reversion scale.
    shares: Vec<f64>,
    regime: Regime,
    sessions: u32,
}

impl Market {
    pub(super) fn new(seed: u64, symbols: &[SimulatedSymbol]) -> Self {
        let mut symbols = symbols.to_vec();
        symbols.sort_by_key(|symbol| symbol.symbol);
        let closes = symbols.iter().map(|symbol| symbol.price).collect();
        let shares = vec![1.0; symbols.len()];
        Self { seed, symbols, closes, shares, regime: REGIMES[0], sessions: 0 }
    }

    /// Back to before the first session.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.seed, &self.symbols);
    }

    /// Moves over one session and says what it does to each company, in the order of their symbols.
    pub(super) fn step(&mut self, session: &Session) -> Vec<Move> {
        let mut rng = generator(self.seed, session, "market");
        if rng.random::<f64>() < REGIME_CHANCE {
            self.regime = REGIMES[rng.random_range(0..REGIMES.len())];
        }
        let (market_overnight, market_session) = (normal(&mut rng), normal(&mut rng));
        let moves = (0..self.symbols.len())
            .map(|index| self.step_one(index, session, market_overnight, market_session))
            .collect();
        self.sessions += 1;
        moves
    }

    fn step_one(&mut self, index: usize, session: &Session, overnight: f64, within: f64) -> Move {
        let symbol = self.symbols[index];
        let mut rng = generator(self.seed, session, symbol.symbol);
        let action = self.action(index, session);
        let volatility = symbol.volatility * self.regime.volatility;
        let own = (1.0 - MARKET_WEIGHT * MARKET_WEIGHT).sqrt();
        let mut mixed = |market: f64| MARKET_WEIGHT * market + own * normal(&mut rng);
        let gap_volatility = volatility * OVERNIGHT_SHARE.sqrt();
        let volatility = volatility * (1.0 - OVERNIGHT_SHARE).sqrt();
        let pull = REVERSION * (symbol.price / (self.closes[index] * self.shares[index])).ln();
        let mut gap = gap_volatility * mixed(overnight);
        let log_return = self.regime.drift + pull + volatility * mixed(within);
        let jump = (rng.random::<f64>(), 0.03 + 0.05 * rng.random::<f64>());
        if jump.0 < JUMP_CHANCE {
            gap += if jump.0 < JUMP_CHANCE / 2.0 { -jump.1 } else { jump.1 };
        }
        let activity = (0.25 * normal(&mut rng) + 12.0 * (gap.abs() + log_return.abs())).exp();
        let open = self.closes[index] * gap.exp();
        self.closes[index] = open * log_return.exp();
        let volume = symbol.volume * self.shares[index] * activity;
        Move { symbol, open, log_return, volatility, volume, action }
    }

    /// The action that takes effect at the opening, applied to the last close.
    fn action(&mut self, index: usize, session: &Session) -> Option<Action> {
        let symbol = self.symbols[index];
        let close = self.closes[index];
        let make = |kind, value_e9| Action {
            symbol: symbol.symbol.to_owned(),
            ex_date: session.date,
            kind,
            value_e9,
            line: 0,
        };
        if close > SPLIT_ABOVE {
            let (ratio, factor) = if close > 2.0 * SPLIT_ABOVE { (4, 4.0) } else { (2, 2.0) };
            self.closes[index] = close / factor;
            self.shares[index] *= factor;
            return Some(make(ActionKind::Split, ratio * E9));
        }
        // Companies pay in different weeks.
        let turn = (self.sessions + u32::try_from(index).unwrap_or_default() * 7 + 50) % DIVIDEND_SESSIONS;
        if symbol.pays && turn == 0 {
            let cents = cents(close * 0.004).max(1);
            self.closes[index] = close - dollars(cents);
            return Some(make(ActionKind::Dividend, cents * (E9 / 100)));
        }
        None
    }
}

/// The generator of everything that happens to `what` on the session's date.
pub(super) fn generator(seed: u64, session: &Session, what: &str) -> ChaCha8Rng {
    let day = u32::try_from(session.date.num_days_from_ce()).unwrap_or_default();
    let digest = event_id(&format!("{seed}/{what}"), "simulated", day);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&digest.as_bytes()[..32]);
    ChaCha8Rng::from_seed(bytes)
}

/// A standard normal number, by Box and Muller.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // 1 - u is in (0, 1], so that the logarithm is finite.
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Dollars as whole cents.
pub(super) fn cents(dollars: f64) -> i64 {
    whole(dollars * 100.0)
}

/// Whole cents as dollars.
fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

/// The nearest whole number. Simulated prices and volumes stay far below the range of `i64`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float to an integer saturates, and the values are small"
)]
pub(super) fn whole(number: f64) -> i64 {
    number.round() as i64
}
