//! The risk path: how soon after a signal the `trading` read model holds it, how fast it is read, and how
//! long a verification of many events takes.
//!
//! `cargo bench -p projections --bench trading -- [EVENTS]`.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod bench;

use std::time::{Duration, Instant};

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, AccountMarked, EntryKind, Event, Fill, MarkPrice, Money, OrderAccepted, OrderSpec,
    OrderSubmitted, OrderType, RiskDecision, RiskInput, Side, Signal, SignalLeg, TimeInForce, Verdict,
};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, Expect};
use projections::{Name, Projector, queries};
use tokio_util::sync::CancellationToken;

use bench::{Bench, Outcome};

const DECISIONS: usize = 2_000;
const POSITIONS: usize = 20;
const START_NS: i64 = 1_262_617_200_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let events = bench::size(300_000);
    let bench = Bench::start().await?;
    let filled = fill_tape(&bench, events).await?;
    let stop = CancellationToken::new();
    let projector =
        Projector { pool: bench.writer.clone(), tape: bench.tape.clone(), port: bench.port.clone() };
    let started = Instant::now();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { projector.follow(Name::Trading, &stop).await })
    };
    while queries::trading_checkpoint(&bench.reader).await? < filled {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("first run: {filled} events in {seconds:.2} s");
    decisions(&bench).await?;
    snapshots(&bench).await?;
    stop.cancel();
    running.await??;
    let started = Instant::now();
    let report = projections::verify(&bench.writer, &bench.tape, Name::Trading).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("verify: {} events in {seconds:.2} s, {} differences", report.messages, report.differences());
    let started = Instant::now();
    let (port, cancel) = (bench.port.as_ref(), CancellationToken::new());
    let report = projections::rebuild(&bench.writer, &bench.tape, Name::Trading, port, &cancel).await?;
    println!("rebuild: {} events in {:.2} s", report.messages, started.elapsed().as_secs_f64());
    Ok(())
}

/// Publishes a mark and a signal, waits for the hint that both are committed, answers the signal, and so
/// on: what risk waits for before it decides.
async fn decisions(bench: &Bench) -> Outcome<()> {
    let mut hints = bench.tape.hints(&Name::Trading.committed_subject()).await?;
    let mut took = Vec::with_capacity(DECISIONS);
    for index in 0..DECISIONS {
        let at_ns = START_NS + (100_000_000 + i64::try_from(index)?) * SECOND_NS;
        bench.tape.append(append(mark(at_ns), None)?).await?;
        let signal = signal(&format!("live/{index}"), at_ns, "SYM0");
        let signal_id = signal.id.clone();
        let started = Instant::now();
        let appended = bench.tape.append(append(signal, None)?).await?;
        loop {
            let committed: u64 = String::from_utf8_lossy(&hints.next().await?.payload).parse()?;
            if committed >= appended.sequence {
                break;
            }
        }
        took.push(started.elapsed());
        let denied = RiskDecision {
            account: "paper".to_owned(),
            signal_id,
            verdict: Verdict::Denied.into(),
            ..RiskDecision::default()
        };
        let denied = event(&format!("denied/{index}"), at_ns, Body::RiskDecision(denied));
        bench.tape.append(append(denied, None)?).await?;
    }
    println!("signal → committed hint: {}", quantiles(took));
    Ok(())
}

async fn snapshots(bench: &Bench) -> Outcome<()> {
    let mut took = Vec::with_capacity(DECISIONS);
    let mut positions = 0;
    for _ in 0..DECISIONS {
        let started = Instant::now();
        let snapshot = queries::trading_snapshot(&bench.reader).await?;
        took.push(started.elapsed());
        positions = snapshot.book.positions().count();
    }
    println!("snapshot with {positions} positions: {}", quantiles(took));
    Ok(())
}

fn quantiles(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |per_cent: usize| took.get(took.len() * per_cent / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p95 {:?}, p99 {:?}", at(50), at(95), at(99))
}

fn event(cause: &str, at_ns: i64, body: Body) -> Event {
    Event {
        id: event_id(cause, "bench", 0),
        event_time: Some(to_timestamp(at_ns)),
        source: "bench".to_owned(),
        body: Some(body),
        ..Event::default()
    }
}

fn append(event: Event, order: Option<&OrderSpec>) -> Outcome<Append> {
    let subject = Subject::for_event(&event, order).ok_or("no subject")?;
    Ok(Append { subject, event, expect: Expect::Nothing })
}

fn signal(name: &str, at_ns: i64, symbol: &str) -> Event {
    let leg = SignalLeg { symbol: symbol.to_owned(), ..SignalLeg::default() };
    let signal = Signal { strategy: "sma".to_owned(), legs: vec![leg], ..Signal::default() };
    event(&format!("signal/{name}"), at_ns, Body::Signal(signal))
}

fn mark(at_ns: i64) -> Event {
    let money = |units| Some(Money { units, nanos: 0 });
    let prices = (0..POSITIONS)
        .map(|index| MarkPrice {
            symbol: format!("SYM{index}"),
            price_e9: 100 * SECOND_NS,
            time: Some(to_timestamp(at_ns)),
        })
        .collect();
    let mark = AccountMarked {
        account: "paper".to_owned(),
        equity: money(100_000),
        cash: money(50_000),
        gross_exposure: money(50_000),
        net_exposure: money(50_000),
        prices,
        ..AccountMarked::default()
    };
    event(&format!("mark/{at_ns}"), at_ns, Body::AccountMarked(mark))
}

/// Chains of signal, decision, submission, acceptance, fill, and five marks each.
async fn fill_tape(bench: &Bench, events: usize) -> Outcome<u64> {
    let deposit = AccountEntry {
        account: "paper".to_owned(),
        kind: EntryKind::Deposit.into(),
        amount: Some(Money { units: 100_000, nanos: 0 }),
        ..AccountEntry::default()
    };
    let mut batch = vec![append(event("deposit", START_NS, Body::AccountEntry(deposit)), None)?];
    let mut last = 0;
    for index in 0..events / 10 {
        chain(&mut batch, index)?;
        if batch.len() >= 990 || index + 1 == events / 10 {
            let appended = bench.tape.append_batch(std::mem::take(&mut batch)).await?;
            last = appended.last().map_or(last, |appended| appended.sequence);
        }
    }
    Ok(last)
}

fn chain(batch: &mut Vec<Append>, index: usize) -> Outcome<()> {
    let at_ns = START_NS + i64::try_from(index)? * 100 * SECOND_NS;
    let symbol = format!("SYM{}", index % POSITIONS);
    let signal = signal(&index.to_string(), at_ns, &symbol);
    let side = if (index / POSITIONS).is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let order = OrderSpec {
        order_id: contracts::order_id(&signal.id, 0),
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        symbol: symbol.clone(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 10 * SECOND_NS,
        ..OrderSpec::default()
    };
    let decision = RiskDecision {
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        signal_id: signal.id.clone(),
        verdict: Verdict::Approved.into(),
        orders: vec![order.clone()],
        inputs: vec![RiskInput { symbol, price_e9: 100 * SECOND_NS, ..RiskInput::default() }],
        ..RiskDecision::default()
    };
    let submitted = OrderSubmitted { order: Some(order.clone()), ..OrderSubmitted::default() };
    let accepted = OrderAccepted {
        order_id: order.order_id.clone(),
        broker_order_id: format!("b{index}"),
        reopened: false,
    };
    let fill = Fill {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        side: order.side,
        number: 1,
        quantity_e9: order.quantity_e9,
        price_e9: 100 * SECOND_NS,
        execution_id: format!("x{index}"),
        ..Fill::default()
    };
    batch.push(append(signal, None)?);
    for (name, body) in [
        ("decision", Body::RiskDecision(decision)),
        ("submitted", Body::OrderSubmitted(submitted)),
        ("accepted", Body::OrderAccepted(accepted)),
        ("fill", Body::Fill(fill)),
    ] {
        batch.push(append(event(&format!("{name}/{index}"), at_ns, body), Some(&order))?);
    }
    for step in 1..=5 {
        batch.push(append(mark(at_ns + step * 10 * SECOND_NS), None)?);
    }
    Ok(())
}
