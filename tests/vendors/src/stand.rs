//! The stand-in's state, shared by the servers of all vendors, and the clock that moves it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::alpaca_trading::{Desk, Update};
use crate::fault::Faults;
use crate::ledger::{Ledger, VENDORS, Vendor};
use crate::limit::Meter;
use crate::locked;
use crate::market::{Event, Market, Script};
use crate::settings::Settings;

/// How many steps of the market a connection may fall behind before it is too slow.
const BEHIND_MAX: usize = 4_096;
/// How often a moving clock moves.
const STEP: Duration = Duration::from_millis(20);
/// The key of every vendor, unless a test says another.
pub const KEY: &str = "stand-in-key";
/// The secret that goes with it, where there is one.
pub const SECRET: &str = "stand-in-secret";

/// The key that every vendor takes, and the secret that goes with it.
#[derive(Clone)]
pub struct Keys {
    /// The key.
    pub key: String,
    /// The secret.
    pub secret: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { key: KEY.to_owned(), secret: SECRET.to_owned() }
    }
}

/// One step of the market, with its events as each wire wants them, written by whoever needs them first.
pub struct Step {
    /// What happened.
    pub events: Vec<Event>,
    /// The events in a vendor's shape, one place for each encoding.
    pub written: [OnceLock<Vec<Written>>; 3],
}

/// An event in a vendor's shape.
pub struct Written {
    /// Its kind, as the vendor calls it.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a control call does to every connection of a vendor.
#[derive(Clone, Debug)]
pub struct HangUp {
    /// Whose.
    pub vendor: Vendor,
    /// The code to close with; without one the connection just ends.
    pub code: Option<u16>,
}

/// The stand-in.
pub struct Stand {
    market: Mutex<Market>,
    desk: Mutex<Desk>,
    settings: Mutex<Settings>,
    keys: Mutex<Keys>,
    /// Armed faults.
    pub faults: Faults,
    /// What arrived and what was sent.
    pub ledger: Ledger,
    meter: Meter,
    /// Thousandths of the real pace; 0 while the clock stands. Held while the clock moves by itself.
    pace: Mutex<u64>,
    steps: broadcast::Sender<Arc<Step>>,
    updates: broadcast::Sender<Arc<Update>>,
    hang_ups: broadcast::Sender<HangUp>,
}

impl Stand {
    /// A stand-in for a script.
    #[must_use]
    pub fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            market: Mutex::new(Market::new(script)),
            desk: Mutex::default(),
            settings: Mutex::default(),
            keys: Mutex::default(),
            faults: Faults::default(),
            ledger: Ledger::default(),
            meter: Meter::default(),
            pace: Mutex::default(),
            steps: broadcast::channel(BEHIND_MAX).0,
            updates: broadcast::channel(BEHIND_MAX).0,
            hang_ups: broadcast::channel(16).0,
        })
    }

    /// Begins anew with a script: no orders, no faults, nothing counted.
    pub fn reset(&self, script: Script) {
        self.set_pace(0);
        *locked(&self.market) = Market::new(script);
        *locked(&self.desk) = Desk::default();
        *locked(&self.settings) = Settings::default();
        *locked(&self.keys) = Keys::default();
        self.faults.clear();
        self.meter.reset();
        self.ledger.forget();
        for vendor in VENDORS {
            self.hang_up(HangUp { vendor, code: Some(1001) });
        }
    }

    /// Works with the market.
    pub fn market<T>(&self, work: impl FnOnce(&mut Market) -> T) -> T {
        work(&mut locked(&self.market))
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        locked(&self.settings).clone()
    }

    /// Changes settings.
    pub fn set(&self, settings: Settings) {
        *locked(&self.settings) = settings;
        self.meter.reset();
    }

    /// Takes another key and secret from now on.
    pub fn set_keys(&self, keys: Keys) {
        *locked(&self.keys) = keys;
    }

    /// Whether a key is the one that is taken.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        locked(&self.keys).key == key
    }

    /// Whether a key and a secret are those that are taken.
    #[must_use]
    pub fn admits(&self, key: &str, secret: &str) -> bool {
        let keys = locked(&self.keys);
        keys.key == key && keys.secret == secret
    }

    /// Counts a request; `None` when there is no limit.
    #[must_use]
    pub fn meter(&self, vendor: Vendor) -> Option<crate::limit::Allowance> {
        let limit = locked(&self.settings).requests_per_minute.of(vendor)?;
        Some(self.meter.count(vendor, limit))
    }

    /// Works with the broker's desk and sends what it has to say.
    pub fn desk<T>(&self, work: impl FnOnce(&mut Desk, &mut Market, &Settings) -> T) -> T {
        let settings = self.settings();
        let mut market = locked(&self.market);
        let mut desk = locked(&self.desk);
        let result = work(&mut desk, &mut market, &settings);
        for update in desk.take_updates() {
            // Nobody may be listening: updates are not kept for later, as at the vendor.
            let _ = self.updates.send(Arc::new(update));
        }
        result
    }

    /// Moves the market's clock; tells the streams what happened and the desk what things cost now.
    pub fn advance(&self, by: Duration) {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let events = self.market(|market| {
            let to_ns = market.now_ns().saturating_add(by_ns);
            market.advance(to_ns)
        });
        self.tell(events);
        self.desk(Desk::on_market);
    }

    /// Sets the clock without anything happening in between.
    pub fn jump(&self, to_ns: i64) {
        self.market(|market| market.jump(to_ns));
        self.desk(Desk::on_market);
    }

    /// Holds a symbol at a price, or lets it go; the desk sees it at once.
    pub fn hold_price(&self, symbol: &str, price: Option<i64>) {
        self.market(|market| market.hold_price(symbol, price));
        self.desk(Desk::on_market);
    }

    /// Says something that a script wants said.
    pub fn say(&self, event: Event) -> Event {
        let event = self.market(|market| market.say(event));
        self.tell(vec![event.clone()]);
        self.desk(Desk::on_market);
        event
    }

    fn tell(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let step = Step { events, written: Default::default() };
            let _ = self.steps.send(Arc::new(step));
        }
    }

    /// Steps of the market from now on.
    #[must_use]
    pub fn steps(&self) -> broadcast::Receiver<Arc<Step>> {
        self.steps.subscribe()
    }

    /// Trade updates from now on.
    #[must_use]
    pub fn updates(&self) -> broadcast::Receiver<Arc<Update>> {
        self.updates.subscribe()
    }

    /// Ends every connection of a vendor.
    pub fn hang_up(&self, hang_up: HangUp) {
        let _ = self.hang_ups.send(hang_up);
    }

    /// When connections are to end.
    #[must_use]
    pub fn hang_ups(&self) -> broadcast::Receiver<HangUp> {
        self.hang_ups.subscribe()
    }

    /// Lets the clock move by itself, `pace` thousandths as quick as the real one; 0 stops it, and when this
    /// returns it stands.
    pub fn set_pace(&self, pace: u64) {
        *locked(&self.pace) = pace;
    }

    /// How quickly the clock moves.
    #[must_use]
    pub fn pace(&self) -> u64 {
        *locked(&self.pace)
    }

    /// So much real time has passed.
    fn run(&self, passed: Duration) {
        let pace = locked(&self.pace);
        if *pace > 0 {
            self.market(Market::skip_closed);
            let nanos = passed.as_nanos() * u128::from(*pace) / 1_000;
            self.advance(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
    }

    /// Moves the clock while it is set to move; for as long as the stand-in lives.
    pub async fn drive(self: Arc<Self>) {
        let mut interval = tokio::time::interval(STEP);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut before = interval.tick().await;
        loop {
            let now = interval.tick().await;
            self.run(now - before);
            before = now;
        }
    }
}
