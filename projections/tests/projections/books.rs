//! Books on disk: what is read back, what is thrown away, and that nobody can tell from the answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::v1::*;
use contracts::{stream, to_timestamp};
use domain::book::{
    AccountConfig, AccountState, Approval, Book, Halt, LimitSet, Lot, Lots, Mark, Parts, PendingSignal,
    PositionKey, PositionState, SETTLED_ORDERS_MAX, Scope, Stopping, StrategyState, Warmth,
};
use domain::money::{Amount, Price, Quantity};
use domain::order::{Executed, GroupStage, OrderState, OrderStatus, Replacement, Revision};
use event_log::{Append, AppendError, Appended, Delivery, Observer, Pending, TraceParent};
use projections::as_of::{Moment, Past, Timeline};

use crate::as_of::long_tape;
use crate::support::{HOUR, Outcome, SECOND, START, World, chain, deposit, fill, money, signal, spec};

/// Counts what TRADING delivers.
#[derive(Default)]
struct Reads(AtomicU64);

struct Unanswered;

impl Observer for Reads {
    fn appending(&self, _entry: &Append) -> Box<dyn Pending> {
        Box::new(Unanswered)
    }

    fn delivered(&self, of: &str, _delivery: &Delivery, _trace: Option<TraceParent>) {
        self.0.fetch_add(u64::from(of == stream::TRADING), Ordering::Relaxed);
    }
}

impl Pending for Unanswered {
    fn trace(&self) -> Option<TraceParent> {
        None
    }

    fn answered(&self, _outcome: &Result<Appended, AppendError>) {}
}

/// A tape, and what is read of it.
struct Stage {
    world: World,
    reads: Arc<Reads>,
    head: u64,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new().await;
        long_tape(&world).await;
        let mut stage = Self { world, reads: Arc::default(), head: 0, dir: tempfile::tempdir().unwrap() };
        stage.observe().await;
        stage
    }

    /// Counts from now on what is read of the tape that the world has.
    async fn observe(&mut self) {
        self.reads = Arc::default();
        self.world.memory.observe(self.reads.clone());
        self.head = self.world.tape.state(stream::TRADING).await.unwrap().last_sequence;
    }

    /// The state of a moment as a new process finds it, and how many events it reads.
    async fn at(&self, dir: Option<&Path>, moment: Moment) -> (Arc<Past>, u64) {
        let timeline = Timeline::kept_in(Arc::clone(&self.world.tape), dir.map(Path::to_owned));
        let before = self.reads.0.load(Ordering::Relaxed);
        let past = timeline.at(moment).await.unwrap();
        (past, self.reads.0.load(Ordering::Relaxed) - before)
    }

    async fn kept(&self, moment: Moment) -> (Arc<Past>, u64) {
        self.at(Some(self.dir.path()), moment).await
    }

    /// Files of books, by name, which begins with the sequence.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_book = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let mut files: Vec<_> = entries.filter(is_book).collect();
        files.sort();
        files
    }
}

#[tokio::test]
async fn the_second_process_reads_what_the_first_has_not_kept() -> Outcome {
    let stage = Stage::new().await;
    let last = Moment::Sequence(stage.head);
    let (first, all) = stage.kept(last).await;
    assert!(all >= stage.head, "{all} of {}", stage.head);
    let files = stage.files();
    assert!(files.len() >= 2, "{files:?}");
    let (second, few) = stage.kept(last).await;
    assert!(few < all / 2 && few <= 1_100, "{few} after {all}");
    assert_eq!(second, first);
    // Once there is a book for it, nothing is written again.
    assert_eq!(stage.files(), files);
    Ok(())
}

#[tokio::test]
async fn a_moment_is_the_same_with_books_on_disk_and_without() -> Outcome {
    let stage = Stage::new().await;
    let head = stage.head;
    let instants = [START - 1, START + 2 * HOUR, START + 6 * HOUR, START + 7 * HOUR, i64::MAX];
    let sequences = [head, 3, head - 1, 1_500, 12, 1_023, 1_024, 1_025, 2_048, 0, head];
    let moments = sequences.map(Moment::Sequence).into_iter().chain(instants.map(Moment::Instant));
    for moment in moments {
        let (expected, _) = stage.at(None, moment).await;
        let (found, _) = stage.kept(moment).await;
        assert_eq!(found, expected, "{moment}");
        let (again, _) = stage.kept(moment).await;
        assert_eq!(again, expected, "{moment}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_kept_goes_on_as_the_tape_does() -> Outcome {
    let mut stage = Stage::new().await;
    stage.kept(Moment::Sequence(stage.head)).await;
    // The orders that the book let go of are the same ones, in the same order.
    for index in 0..SETTLED_ORDERS_MAX / 2 {
        let order = spec(&format!("{index:024x}"), "IBM", Side::Buy, 1);
        stage.world.append(fill(&order, 1, 1, 50 * SECOND, START + 8 * HOUR), None).await;
    }
    stage.head = stage.world.tape.state(stream::TRADING).await?.last_sequence;
    let (expected, _) = stage.at(None, Moment::Sequence(stage.head)).await;
    let (found, _) = stage.kept(Moment::Sequence(stage.head)).await;
    assert_eq!(found, expected);
    Ok(())
}

#[tokio::test]
async fn a_damaged_book_is_thrown_away() -> Outcome {
    let stage = Stage::new().await;
    let last = Moment::Sequence(stage.head);
    let (expected, _) = stage.kept(last).await;
    let files = stage.files();
    let damages: [fn(&str) -> String; 2] = [
        |text| text.replacen("paper", "taper", 1),
        |text| text.chars().take(text.chars().count() / 2).collect(),
    ];
    for damage in damages {
        let whole: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        for (file, text) in files.iter().zip(&whole) {
            std::fs::write(file, damage(text))?;
        }
        let (found, reads) = stage.kept(last).await;
        assert_eq!(found, expected);
        assert!(reads >= stage.head, "{reads} of {}", stage.head);
        // They are as they were, because they are made of the tape.
        assert_eq!(stage.files(), files);
        let mended: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert!(mended == whole, "{files:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_book_of_another_tape_is_thrown_away() -> Outcome {
    let mut stage = Stage::new().await;
    stage.kept(Moment::Sequence(stage.head)).await;
    let files = stage.files();
    // The same script once more: every id stands where it stood, but it was recorded at another time.
    stage.world.on_another_tape();
    long_tape(&stage.world).await;
    stage.observe().await;
    let last = Moment::Sequence(stage.head);
    let (found, reads) = stage.kept(last).await;
    assert!(reads >= stage.head, "{reads} of {}", stage.head);
    assert_eq!(found, stage.at(None, last).await.0);
    let others = stage.files();
    assert!(others.len() == files.len() && others.iter().all(|file| !files.contains(file)), "{others:?}");
    // A tape that ends before them, whose newest instant is asked for.
    stage.world.on_another_tape();
    stage.world.append(deposit("paper", 7), None).await;
    chain(&stage.world).await;
    stage.observe().await;
    let (found, _) = stage.kept(Moment::Instant(i64::MAX)).await;
    assert_eq!(found.sequence(), stage.head);
    assert_eq!(found, stage.at(None, Moment::Instant(i64::MAX)).await.0);
    assert_eq!(stage.files(), Vec::<PathBuf>::new());
    Ok(())
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_costs_time_and_nothing_else() -> Outcome {
    let stage = Stage::new().await;
    let file = stage.dir.path().join("a file");
    std::fs::write(&file, "no directory")?;
    let last = Moment::Sequence(stage.head);
    let (found, reads) = stage.at(Some(&file), last).await;
    assert!(reads >= stage.head, "{reads} of {}", stage.head);
    assert_eq!(found, stage.at(None, last).await.0);
    Ok(())
}

/// An order whose every field says something.
fn order(order_id: &str, status: OrderStatus, group_stage: GroupStage) -> OrderState {
    let terms = OrderSpec {
        limit_price_e9: Some(0),
        stop_price_e9: Some(-7),
        ..spec(order_id, "BRK.B", Side::Sell, 3)
    };
    OrderState {
        signal_id: "signal".to_owned(),
        decision_id: "decision".to_owned(),
        correlation_id: "first \"cause\"\n".to_owned(),
        status,
        cancel_requested: true,
        filled: Quantity(i64::MAX),
        fills: u32::MAX,
        filled_value: Amount(i128::MAX),
        commission: Amount(-1),
        executions: vec![Executed {
            id: "x".to_owned(),
            number: 1,
            quantity: Quantity(1),
            price: Price(1_000_000_001),
            commission: Amount(-10_000_000_001),
            corrections: vec!["y".to_owned()],
        }],
        client_order_id: "td-x".to_owned(),
        broker: "simulated".to_owned(),
        broker_order_id: "b".to_owned(),
        adjusted_by: "split".to_owned(),
        last_sequence: u64::MAX,
        submitted_ns: Some(i64::MIN),
        accepted_ns: Some(0),
        triggered_ns: Some(1),
        worked_ns: Some(-1),
        extreme: Some(Price(i64::MIN)),
        tradable: Some(Quantity(-5)),
        ended_ns: Some(i64::MAX),
        reason: "é – 日".to_owned(),
        resolving: "replace".to_owned(),
        replace: Some(Replacement {
            decision_id: "new".to_owned(),
            revision: 2,
            quantity: Quantity(4),
            limit: None,
            stop: Some(Price(0)),
            client_order_id: "td-x-r2".to_owned(),
            reducing: true,
            requested: true,
        }),
        asked_revision: 3,
        cancel_refused_ns: Some(7),
        chain: vec![Revision {
            revision: 1,
            client_order_id: "td-x-r1".to_owned(),
            broker_order_id: "b1".to_owned(),
            quantity: Quantity(9),
            limit: Some(Price(1)),
            stop: None,
            replaced_ns: 5,
        }],
        group_stage,
        ..OrderState::approved(terms, Price(99), START)
    }
}

/// An account, a position and what belongs to them.
fn holdings() -> Parts {
    let price = |symbol: &str, price_e9| MarkPrice {
        symbol: symbol.to_owned(),
        price_e9,
        time: Some(to_timestamp(START + 1)),
    };
    let halt = Halt {
        actor: "ann".to_owned(),
        reason: "drill".to_owned(),
        since_ns: START,
        state: TradingState::Halted,
    };
    let account = AccountState {
        account: "paper".to_owned(),
        config: Some(AccountConfig {
            version: 7,
            broker: "simulated".to_owned(),
            limits: Some(RiskLimits {
                max_order_value: money(0),
                allow_short: true,
                ..RiskLimits::default()
            }),
            costs: Costs {
                commission_per_share_e9: i64::MIN,
                commission_minimum: money(-1),
                ..Costs::default()
            },
            kind: AccountKind::Margin,
        }),
        halt: Some(halt.clone()),
        margin_call_ns: Some(START),
        cash: Amount(-1_234_567_890_123_456_789_012),
        realized_pnl: Amount(1),
        fees: Amount(2),
        deposits: Amount(i128::MIN),
        dividends: Amount(3),
        mark: Some(Mark {
            event_ns: START,
            equity: Amount(4),
            gross_exposure: Amount(5),
            net_exposure: Amount(-6),
            unrealized_pnl: Amount(-7),
            prices: vec![price("BRK.B", 1), price("A", i64::MAX)],
        }),
        told_prices: vec![price("IBM", 3)],
        equity_baseline: Amount(8),
        day_start_equity: Amount(9),
        opened_since_mark: Amount(10),
        peak_equity: Some(Amount::ZERO),
    };
    let key = PositionKey::new("paper", "sma", "BRK.B");
    let position = PositionState {
        key: key.clone(),
        quantity: Quantity(-5),
        cost: Amount(-6),
        fraction: Quantity(-1),
        fraction_cost: Amount(-2),
        realized_pnl: Amount(3),
        fees: Amount(4),
        dividends: Amount(-5),
        updated_ns: START,
    };
    let lot = Lot { quantity: Quantity(-5), cost: Amount(-6), opened_ns: START };
    let lots = Lots { lots: [lot.clone(), lot].into(), realized: Amount(11) };
    let bare = AccountState { account: "bare".to_owned(), ..AccountState::default() };
    Parts {
        accounts: vec![account, bare],
        positions: vec![position],
        lots: vec![(key, lots)],
        halt: Some(halt),
        ..Parts::default()
    }
}

/// What is known of strategies, limits and the past.
fn memory() -> Parts {
    let strategy = StrategyState {
        strategy: "sma".to_owned(),
        registered: true,
        kind: "sma_cross".to_owned(),
        parameters: vec![Parameter { name: "fast".to_owned(), value: "10".to_owned() }],
        symbols: vec!["BRK.B".to_owned()],
        timeframe: "1h".to_owned(),
        subjects: vec!["market.bar.>".to_owned()],
        consumer: "sma".to_owned(),
        sizing: Some(Sizing { kind: SizingKind::Fraction.into(), value_e9: 1, ..Sizing::default() }),
        account: "paper".to_owned(),
        enabled: true,
        mode: StrategyMode::Shadow,
        last_signal_ns: Some(START),
        warmed: Some(Warmth { market_sequence: 3, bars: 4 }),
        updated_ns: START,
        group_policy: GroupPolicy::Unwind,
        stopping: Some(Stopping {
            event_id: "stop".to_owned(),
            fate: PositionsFate::HandOver.into(),
            hand_over_to: "other".to_owned(),
            at_ns: START,
            done: false,
            open: "one order".to_owned(),
        }),
    };
    let breaker = Breaker { kind: BreakerKind::Drawdown.into(), most_e9: 1, halts: true };
    let limits = LimitSet {
        scope: Scope::new("paper", "", "BRK.B"),
        version: 2,
        limits: TradeLimits {
            max_open_orders: Some(0),
            session_only: Some(false),
            restricted: vec!["IBM".to_owned()],
            breakers: vec![breaker],
            ..TradeLimits::default()
        },
        actor: "ann".to_owned(),
        reason: "caution".to_owned(),
        since_ns: START,
    };
    let tally = RiskTally {
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        breakers: vec![BreakerState {
            kind: BreakerKind::Drawdown.into(),
            state: TradingState::ReduceOnly.into(),
            since: Some(to_timestamp(START)),
            ..BreakerState::default()
        }],
        recent: vec![Money { units: 0, nanos: 0 }, Money { units: -1, nanos: -5 }],
        refusals: vec![false, true],
        open: vec![OpenTrade { symbol: "BRK.B".to_owned(), base: None }],
        halt: Some(TradingHalted::default()),
        kill: Some(TradingKilled { account: "paper".to_owned(), ..TradingKilled::default() }),
        killed_at: Some(to_timestamp(-1)),
        ..RiskTally::default()
    };
    let pending = PendingSignal { sequence: 5, event: signal("sma", "IBM", START + 1) };
    let approval = Approval {
        decided_ns: START,
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        symbols: vec!["IBM".to_owned(), "IBM".to_owned()],
    };
    Parts {
        strategies: vec![strategy],
        pending: vec![pending],
        limits: vec![limits],
        tallies: vec![tally],
        approvals: vec![approval.clone(), approval],
        ..Parts::default()
    }
}

#[test]
fn a_book_of_every_kind_of_state_reads_back_exactly() {
    let all = OrderStatus::ALL.into_iter().zip(GroupStage::ALL.into_iter().cycle());
    // Ended in an order that is not that of their ids.
    let orders =
        all.enumerate().map(|(number, (status, stage))| order(&(9 - number).to_string(), status, stage));
    let plain = OrderState::approved(spec("plain", "IBM", Side::Buy, 1), Price(0), 0);
    let holdings = holdings();
    let book = Book::from_parts(Parts {
        sequence: u64::MAX,
        accounts: holdings.accounts,
        positions: holdings.positions,
        lots: holdings.lots,
        halt: holdings.halt,
        orders: orders.chain([plain]).collect(),
        ..memory()
    });
    let text = serde_json::to_string(&book).unwrap();
    let read: Book = serde_json::from_str(&text).unwrap();
    assert_eq!(read, book);
    assert_eq!(format!("{read:?}"), format!("{book:?}"));
}
