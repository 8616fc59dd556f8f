//! Starting: the read model at its checkpoint, the tape after it, the broker from both.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use contracts::{Subject, basis_of, stream};
use domain::book::Book;
use domain::corporate_action::Effect;
use event_log::{LogError, Recorded, Tape, events_under, last_of};
use runtime::{Consumed, Context, Instants};

use super::reconcile::Unsettled;
use super::{Config, Error, Shell};
use crate::event::{SERVICE, account_filter};
use crate::instant::{Part, live_bar, part};
use crate::machine::Machine;
use crate::read_model::ReadModel;

/// How long the read model may take to answer before the whole tape is folded instead.
const READ_MODEL_MAX: Duration = Duration::from_secs(5);

/// Bars of a symbol looked at for its last price: one per timeframe, and some that were imported.
const LAST_BARS: usize = 8;

/// Corporate actions looked at for splits since the last marks.
const LAST_ACTIONS: usize = 256;

/// Events under each of [`OWN`] looked at for the instant that was handled last.
const LAST_OWN: usize = 64;

/// Where this service states what instants do.
const OWN: [&str; 3] = ["fill.>", "order.>", "account.>"];

/// Where the entries and order adjustments stand that corporate actions make, and the entries of what brokers outside book.
const APPLIED: [&str; 7] = [
    "account.*.split",
    "account.*.dividend",
    "account.*.cash_in_lieu",
    "account.*.deposit",
    "account.*.fee",
    "account.*.interest",
    "order.*.*.*.*.adjusted",
];

impl Shell {
    pub(super) async fn load(context: Context, config: Config) -> Result<Self, Error> {
        let tape = &context.tape;
        let consumed = Consumed::open(tape, stream::MARKET, SERVICE).await?;
        let book = load_book(config.read_model.as_ref()).await;
        // MARKET first: what an instant up to its end names of TRADING stands by the time that the other end is asked for.
        let market_end = tape.state(stream::MARKET).await?.last_sequence;
        let head = tape.state(stream::TRADING).await?.last_sequence;
        let trading = tape.follow(stream::TRADING, book.sequence() + 1).await?;
        let begun = begun(tape, head).await?;
        let mut machine = Machine::new(book, &config.accounts, config.calendar);
        machine.learn(head);
        // What is stated before the next instant stands behind those that were handled: a replay takes them first.
        machine.market_sequence = consumed.through();
        let mut shell = Self {
            instants: Instants::new(context.clock),
            context,
            read_model: config.read_model,
            machine,
            broker: config.brokers.resume(&Book::default())?,
            ask_again_at: runtime::clock::now(),
            trading,
            ends: (market_end, head),
            consumed,
            together: Vec::new(),
            matched: None,
            begun,
            confirmed: HashSet::new(),
            trouble: None,
            unanswered: false,
            deaf: None,
            patience: HashMap::new(),
            closings: HashMap::new(),
            killed: 0,
            unclosed: None,
            unvalued: None,
            blocked: BTreeMap::new(),
            told: String::new(),
            passed: HashMap::new(),
            heard: false,
            whole_at: runtime::clock::now(),
            session_end_ns: 0,
            standing: Unsettled::default(),
            activities: HashMap::new(),
        };
        for account in &config.accounts {
            let last = shell.context.tape.last_sequence(stream::TRADING, &account_filter(account)).await?;
            shell.machine.learn_account(account, last);
        }
        shell.catch_up().await?;
        shell.seed_prices().await?;
        shell.admit_entries().await;
        shell.broker = config.brokers.resume(shell.machine.book())?;
        shell.machine.take_outdone();
        shell.mark_opened().await?;
        Ok(shell)
    }

    /// Takes back entries that ended and have left memory while an exit of theirs has no answer yet: the broker
    /// has to know how they ended.
    async fn admit_entries(&mut self) {
        let open = self.machine.book().open_orders();
        let unanswered = open.filter(|order| order.submitted_ns.is_some() && order.accepted_ns.is_none());
        let entries: BTreeSet<_> = unanswered.map(|order| order.spec.parent_id.clone()).collect();
        for order_id in entries {
            if order_id.is_empty() || self.machine.book().order(&order_id).is_some() {
                continue;
            }
            match self.read_model.order(&order_id).await {
                Ok(Some(order)) => self.machine.admit(order),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "entry {order_id}: {error}"),
            }
        }
    }

    /// Takes the prices of the last marks, and of what is held the last bars among those handled: bars that come one
    /// by one may be newer than the mark of their time. A symbol that was bought since then has no price at all; it
    /// takes that of its last bar.
    async fn seed_prices(&mut self) -> Result<(), Error> {
        let marked = self.price_from_marks().await?;
        let floor = self.consumed.through();
        self.price_from_bars(self.machine.valued(), floor).await?;
        self.split_since(&marked, floor).await?;
        for symbol in self.machine.unpriced() {
            let filter = Subject::bar_filter(&symbol);
            if let Some(last) = self.context.tape.last(stream::MARKET, &filter).await?
                && let Some(live) = live_bar(&last)
            {
                self.machine.observe(&live);
            }
        }
        Ok(())
    }

    /// Takes the prices of the accounts' last marks, the oldest first; answers how far MARKET was read, by symbol.
    async fn price_from_marks(&mut self) -> Result<HashMap<String, u64>, Error> {
        let mut marks = Vec::new();
        for account in self.machine.accounts() {
            let subject = Subject::of(&["account", account, "marked"]);
            let last = last_of(&self.context.tape, stream::TRADING, subject.as_str()).await?.event;
            let read = last.and_then(|mark| basis_of(&mark.event, stream::MARKET));
            marks.push((read.unwrap_or_default(), account.clone()));
        }
        marks.sort();
        let mut through = HashMap::new();
        for (read, account) in marks {
            let symbols = self.machine.seed_prices(&account);
            through.extend(symbols.into_iter().map(|symbol| (symbol, read)));
        }
        Ok(through)
    }

    /// Takes the splits that are not in the prices of the marks yet. Where bars and actions come one by one, an action
    /// may have the time of a mark and stand behind it. Those above `floor` come again.
    async fn split_since(&mut self, marked: &HashMap<String, u64>, floor: u64) -> Result<(), Error> {
        let tape = &self.context.tape;
        let head = tape.state(stream::MARKET).await?.last_sequence;
        let last = tape.stored_before(stream::MARKET, "market.action.>", head + 1, LAST_ACTIONS).await?;
        for stored in last.into_iter().rev() {
            let Ok(event) = contracts::decode(&stored.payload) else { continue };
            let (sequence, subject) = (stored.sequence, stored.subject);
            let Some(Part::Action { symbol, effect: effect @ Effect::Split(_), event_ns, .. }) =
                part(&Recorded { sequence, subject, event })
            else {
                continue;
            };
            if marked.get(&symbol).is_some_and(|through| sequence > *through) {
                self.machine.is_before_split(&symbol, event_ns);
                if sequence <= floor {
                    self.machine.restate_price(&symbol, effect, event_ns);
                }
            } else if !marked.contains_key(&symbol) && sequence <= floor {
                // No mark has its price, but a bar or a broker outside; it holds the splits up to its time.
                self.machine.restate_price(&symbol, effect, event_ns);
            }
        }
        Ok(())
    }

    /// Takes the last prices of `symbols` among the bars through the MARKET sequence `through`.
    pub(super) async fn price_from_bars(
        &mut self,
        symbols: BTreeSet<String>,
        through: u64,
    ) -> Result<(), Error> {
        for symbol in symbols {
            let filter = Subject::bar_filter(&symbol);
            let tape = &self.context.tape;
            for stored in tape.stored_before(stream::MARKET, &filter, through + 1, LAST_BARS).await? {
                let Ok(event) = contracts::decode(&stored.payload) else { continue };
                let (sequence, subject) = (stored.sequence, stored.subject);
                if let Some(live) = live_bar(&Recorded { sequence, subject, event }) {
                    self.machine.observe_newer(&live);
                }
            }
        }
        Ok(())
    }

    /// Loads the ids of entries and adjustments on the tape, once per process and only when a corporate action comes or a
    /// broker outside has booked something: what is taken again after a crash must not pay or split twice.
    pub(super) async fn load_applied(&mut self) -> Result<(), Error> {
        if self.machine.knows_applied() {
            return Ok(());
        }
        let filters = APPLIED.map(str::to_owned);
        let all = events_under(&self.context.tape, stream::TRADING, &filters, 1..=u64::MAX).await?;
        self.machine.learn_applied(all.into_iter().map(|recorded| recorded.event.id).collect());
        Ok(())
    }
}

/// How far MARKET had been read for what this service stored last. An instant may have been stored in part: a cancel that
/// was asked for since then must not come between its parts.
async fn begun(tape: &Tape, head: u64) -> Result<u64, LogError> {
    let mut begun = 0;
    for filter in OWN {
        for stored in tape.stored_before(stream::TRADING, filter, head + 1, LAST_OWN).await? {
            let Some(event) = stored.decode().ok().filter(|event| event.source == SERVICE) else { continue };
            begun = begun.max(basis_of(&event, stream::MARKET).unwrap_or_default());
        }
    }
    Ok(begun)
}

/// The book of the read model, or an empty one from which the whole tape is folded.
async fn load_book(read_model: &dyn ReadModel) -> Book {
    match runtime::clock::timeout(READ_MODEL_MAX, read_model.book()).await {
        Ok(Ok(book)) => book,
        Ok(Err(error)) => {
            tracing::warn!(%error, "folding the whole tape: {error}");
            Book::default()
        }
        Err(_) => {
            tracing::warn!("folding the whole tape: the read model did not answer in time");
            Book::default()
        }
    }
}
