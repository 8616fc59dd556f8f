//! What nobody may do: a service what is another's, a strategy anything but its own; and that one who floods the tape
//! costs the others nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::Client;
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, Origin, Parked};
use event_log::definitions::PERMISSIONS;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::harness::{Home, Outcome, eventually};

/// Signals of the strategy that floods.
const FLOOD: usize = 3_000;
/// A decision on another's signal must not take longer, on a machine that does other things too.
const DELAY_MAX: Duration = Duration::from_secs(15);

async fn enter(address: &str, user: &str, password: &str) -> anyhow::Result<Client> {
    let inbox = user.strip_prefix("strategy-").unwrap_or(user);
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let options = options.custom_inbox_prefix(format!("_INBOX_{inbox}"));
    Ok(options.request_timeout(Some(Duration::from_secs(1))).connect(address).await?)
}

/// Sends to each subject and expects that nobody ever answers: the server lets none of them through.
async fn refused(client: &Client, inbox: &str, subjects: &[&str]) -> Outcome {
    let mut answers = client.subscribe(format!("{inbox}.*")).await?;
    for (number, subject) in subjects.iter().enumerate() {
        let body = "{\"batch\":1,\"no_wait\":true}";
        client.publish_with_reply((*subject).to_owned(), format!("{inbox}.{number}"), body.into()).await?;
    }
    client.flush().await?;
    if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_secs(1), answers.next()).await {
        let number = answer.subject.rsplit('.').next().and_then(|number| number.parse::<usize>().ok());
        anyhow::bail!("{:?} is answered: {answer:?}", number.and_then(|number| subjects.get(number)));
    }
    Ok(())
}

/// Starts everything on a tape of the wall clock; gives the address of its server.
fn up(home: &Home) -> anyhow::Result<(crate::harness::Running, String)> {
    home.configure("[account.paper]\n")?;
    let running = home.spawn("up", &["up", "--tape", "main", "--no-progress"])?;
    eventually("everything is up", Duration::from_secs(90), || {
        Ok(home.printed("up")?.contains("Tapedeck is at"))
    })?;
    let port = std::fs::read_to_string(home.path().join("tapes/main/nats/port"))?;
    Ok((running, format!("nats://127.0.0.1:{}", port.trim())))
}

/// The services' users with their passwords.
fn users(home: &Home) -> anyhow::Result<Vec<Value>> {
    Ok(serde_json::from_slice(&std::fs::read(home.path().join("tapes/main/nats/services.json"))?)?)
}

/// A client in a service's own name.
async fn as_service(home: &Home, address: &str, user: &str) -> anyhow::Result<Client> {
    let users = users(home)?;
    let stored = users.iter().find(|stored| stored["user"] == user);
    enter(address, user, stored.and_then(|stored| stored["password"].as_str()).unwrap_or_default()).await
}

/// The subjects whose writers are apart, and who writes there.
const WRITERS: [(&str, &[&str]); 29] = [
    ("market.bar.1h.SPY", &["ingest"]),
    ("news.article.SPY", &["ingest"]),
    ("signal.mine.SPY", &["strategy", "web"]),
    ("risk.paper.approved", &["risk"]),
    ("order.paper.mine.SPY.1.submitted", &["execution"]),
    ("fill.paper.mine.SPY.1.1", &["execution"]),
    ("account.paper.marked", &["execution"]),
    ("account.paper.breaker_tripped", &["execution", "risk"]),
    ("account.paper.breaker_reset", &["execution", "web"]),
    ("signal.manual.SPY", &["web"]),
    ("control.trading.all.killed", &["web"]),
    ("control.account.paper.live_confirmed", &["web"]),
    ("control.limits.paper.all.all", &["web"]),
    ("control.strategy.mine.enabled", &["web"]),
    ("control.strategy.mine.warmed", &["strategy"]),
    ("control.backtest.1.requested", &["backtest", "web"]),
    ("control.backtest.1.finished", &["backtest"]),
    ("control.group.1.handled", &["execution"]),
    ("control.invariant.orders_end.broken", &["checker"]),
    ("control.monitor.paper.alert", &["risk"]),
    ("control.source.breaker_news_alpaca_news.alert", &["ingest", "execution", "checker"]),
    ("control.projection.bars.rebuild_finished", &["projector"]),
    ("parked.projection-bars", &["projector"]),
    ("audit.owner.halt", &["web"]),
    ("audit.owner.parity", &["backtest", "web"]),
    ("clock.decide", &["ingest"]),
    ("ingest.replay.1", &["web"]),
    ("ingest.replayed.1", &["ingest"]),
    ("projection.trading.committed", &["projector"]),
];

/// What is nobody's but the owner's.
const NOBODYS: [&str; 8] = [
    "$JS.API.STREAM.DELETE.TRADING",
    "$JS.API.STREAM.PURGE.TRADING",
    "$JS.API.STREAM.UPDATE.TRADING",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.MSG.DELETE.TRADING",
    "$JS.API.CONSUMER.DELETE.MARKET.execution",
    "$JS.API.CONSUMER.DELETE.MARKET.strategy",
    "$SYS.REQ.SERVER.PING",
];

#[test]
fn the_permissions_keep_the_writers_of_the_tape_apart() -> Outcome {
    for (subject, writers) in WRITERS {
        for file in PERMISSIONS {
            let may = writers.contains(&file.service);
            assert_eq!(file.may_publish(subject)?, may, "{} under {subject}", file.service);
        }
    }
    for subject in NOBODYS {
        for file in PERMISSIONS {
            assert!(!file.may_publish(subject)?, "{} under {subject}", file.service);
        }
    }
    // What it sets aside is its own: a projection's, a service's, and of the page what became of it.
    let others = PERMISSIONS.iter().map(|file| (format!("parked.{}", file.service), file.service));
    let own = others.filter(|(_, service)| !["projector", "web"].contains(service));
    let of_projections =
        projections::Name::ALL.iter().map(|name| (format!("parked.projection-{}", name.name()), "projector"));
    for (subject, writer) in own.chain(of_projections).chain([("parked.resolved".to_owned(), "web")]) {
        for file in PERMISSIONS {
            let may = file.service == writer;
            assert_eq!(file.may_publish(&subject)?, may, "{} under {subject}", file.service);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_lets_no_service_do_what_is_anothers() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    assert_eq!(users(&home)?.len(), PERMISSIONS.len());
    let before = home.json(&["stream", "list", "--tape", "main"])?;
    let (tape, at) = (&home, address.as_str());
    // All at once: that nobody answers is waited for.
    let tried = PERMISSIONS.iter().map(|file| async move {
        let client = as_service(tape, at, &file.user()).await?;
        // What is its own it may: it asks after a stream.
        let asked = client.request("$JS.API.STREAM.INFO.TRADING", "".into()).await;
        assert!(asked.is_ok(), "{}: {asked:?}", file.service);
        let foreign = WRITERS.iter().filter(|(_, writers)| !writers.contains(&file.service));
        let subjects: Vec<&str> = foreign.map(|(subject, _)| *subject).chain(NOBODYS).collect();
        let inbox = format!("_INBOX_{}.refused", file.user());
        refused(&client, &inbox, &subjects).await.context(file.service)
    });
    futures::future::try_join_all(tried).await?;
    let after = home.json(&["stream", "list", "--tape", "main"])?;
    let messages = |streams: &Value, name: &str| {
        let stream = streams.as_array().into_iter().flatten().find(|stream| stream["stream"] == name);
        stream.and_then(|stream| stream["messages"].as_u64()).unwrap_or(u64::MAX)
    };
    for stream in ["MARKET", "TRADING", "AUDIT"] {
        assert_eq!(messages(&after, stream), messages(&before, stream), "{stream}");
    }
    Ok(())
}

/// A bar on MARKET that strategy has set aside, each written by whose it is. Gives the parked event's id.
async fn set_aside(home: &Home, address: &str) -> anyhow::Result<String> {
    let close_ns = 1_577_977_200_000_000_000;
    let mut bar = Bar { symbol: "SPY".to_owned(), timeframe: "1h".to_owned(), ..Bar::default() };
    bar.start = Some(contracts::to_timestamp(close_ns - 3_600_000_000_000));
    bar.set_origin(Origin::Live);
    for price in [&mut bar.open_e9, &mut bar.high_e9, &mut bar.low_e9, &mut bar.close_e9] {
        *price = 300_000_000_000;
    }
    let event = Event {
        id: "bar-1".to_owned(),
        event_time: Some(contracts::to_timestamp(close_ns)),
        source: "test".to_owned(),
        body: Some(Body::Bar(bar)),
        ..Event::default()
    };
    let payload = contracts::encode(&event);
    let ingest = as_service(home, address, "service-ingest").await?;
    // Without an id in its headers, so that the server does not take the replay for the same.
    let stored = ingest.request("market.bar.1h.SPY", payload.clone().into()).await?;
    let stored: Value = serde_json::from_slice(&stored.payload)?;
    let sequence = stored["seq"].as_u64().with_context(|| stored.to_string())?;
    let parked = Parked {
        service: "strategy".to_owned(),
        stream: "MARKET".to_owned(),
        sequence,
        subject: "market.bar.1h.SPY".to_owned(),
        reason: "an older version could not read it".to_owned(),
        payload,
    };
    let id = contracts::event_id(&format!("MARKET/{sequence}"), "park/strategy", 0);
    let event = Event { id: id.clone(), body: Some(Body::Parked(parked)), ..event };
    let strategy = as_service(home, address, "service-strategy").await?;
    strategy.request("parked.strategy", contracts::encode(&event).into()).await?;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_market_data_replayed_that_it_may_not_write() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    let id = set_aside(&home, &address).await?;
    eventually("it is parked", Duration::from_secs(30), || {
        Ok(home.text(&["parked", "list", "--tape", "main"])?.contains(&id))
    })?;
    let token = home.json(&["token", "create", "replays", "--role", "operator", "--tape", "main"])?;
    let token = token["secret"].as_str().context("a token")?;
    let page = crate::tapes::url(&home, "up")?.context("an address")?;
    // It wants to know who would do TLS, which is never spoken here.
    let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(format!("{page}api/v1/parked/{id}/replay")).bearer_auth(token);
    let answer = request.header("idempotency-key", "replay-0001").send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text)?;
    assert_eq!(answer["stream"], "MARKET", "{answer}");
    // It is history now, from who writes market data; the page says what became of it.
    let all =
        ["tail", "--tape", "main", "--subject", "market.bar.>", "--from-seq", "1", "--no-follow", "--json"];
    let bars = home.text(&all)?;
    let last: Value = serde_json::from_str(bars.lines().last().context("a bar")?)?;
    assert_eq!(last["sequence"], answer["sequence"], "{bars}");
    assert!(last.to_string().contains("ORIGIN_BACKFILL"), "{last}");
    eventually("it is resolved", Duration::from_secs(30), || {
        Ok(home.text(&["parked", "list", "--all", "--tape", "main"])?.contains("replayed"))
    })?;
    let audit =
        home.text(&["tail", "--tape", "main", "--subject", "audit.>", "--from-seq", "1", "--no-follow"])?;
    assert!(audit.contains("parked_replay"), "{audit}");
    Ok(())
}

fn register(home: &Home, name: &str) -> anyhow::Result<Value> {
    let file = home.path().join(format!("{name}.json"));
    let path = file.display().to_string();
    let arguments =
        ["strategy", "register", name, "--tape", "main", "--mode", "shadow", "--credentials", &path];
    home.text(&arguments)?;
    Ok(serde_json::from_slice(&std::fs::read(&file)?)?)
}

fn signal(strategy: &str, id: &str) -> String {
    let now = chrono::DateTime::from_timestamp_nanos(runtime::now_ns());
    let now = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    json!({
        "id": id, "eventTime": now, "source": strategy,
        "signal": { "strategy": strategy, "legs": [{ "symbol": "SPY", "intent": "INTENT_ENTER_LONG" }] },
    })
    .to_string()
}

async fn publish(client: &Client, subject: &str, id: &str, text: String) -> anyhow::Result<()> {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    headers.insert("Content-Type", "application/json");
    Ok(client.publish_with_headers(subject.to_owned(), headers, text.into()).await?)
}

async fn of_strategy(address: &str, credentials: &Value) -> anyhow::Result<Client> {
    let word = |name: &str| credentials[name].as_str().unwrap_or_default().to_owned();
    enter(address, &word("user"), &word("password")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_or_lies_is_refused_and_counted_and_holds_up_nobody() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    let (flooding, good) = (register(&home, "flooding")?, register(&home, "good")?);
    let flooder = of_strategy(&address, &flooding).await?;
    let quiet = of_strategy(&address, &good).await?;

    // Another's name, no signal at all, more than a signal may hold.
    publish(&flooder, "signal.good.SPY", "lie-1", signal("good", "lie-1")).await?;
    publish(&flooder, "signal.flooding.SPY", "lie-2", signal("good", "lie-2")).await?;
    publish(&flooder, "signal.flooding.SPY", "junk", "{\"nothing\":1}".to_owned()).await?;
    let mut large = signal("flooding", "large");
    large.insert_str(large.len() - 1, &format!(",\"correlationId\":\"{}\"", "x".repeat(100_000)));
    publish(&flooder, "signal.flooding.SPY", "large", large).await?;
    for number in 0..FLOOD {
        let id = format!("flood-{number}");
        publish(&flooder, "signal.flooding.SPY", &id, signal("flooding", &id)).await?;
    }
    flooder.flush().await?;

    let began = Instant::now();
    publish(&quiet, "signal.good.SPY", "good-1", signal("good", "good-1")).await?;
    quiet.flush().await?;
    let decided = |id: &str| -> anyhow::Result<bool> {
        let all =
            ["tail", "--tape", "main", "--subject", "risk.>", "--from-seq", "1", "--no-follow", "--json"];
        // A command may time out while the server syncs the flood; it is asked again.
        let output = home.run(&all)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().any(|line| line.contains(&format!("\"causationId\":\"{id}\""))))
    };
    eventually("the good one is decided", Duration::from_secs(30), || decided("good-1"))?;
    let took = began.elapsed();
    assert!(took < DELAY_MAX, "the good one waited for {took:?}");

    let mut shown = Value::Null;
    let counted = eventually("what was no good is counted", Duration::from_secs(60), || {
        shown = home.json(&["strategy", "show", "flooding", "--tape", "main"])?;
        // The one in another's name never arrived: the server refuses the subject.
        Ok(shown["parked_signals"] == 3 && shown["signals"].as_u64() == Some(FLOOD as u64))
    });
    counted.with_context(|| shown.to_string())?;
    let good = home.json(&["strategy", "show", "good", "--tape", "main"])?;
    assert_eq!((&good["signals"], &good["invalid_signals"]), (&json!(1), &json!(0)), "{good}");
    let parked = home.text(&["parked", "list", "--tape", "main"])?;
    assert!(parked.contains("expected at most 65536 of a signal"), "{parked}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_all_its_connections_shuts_nobody_else_out_and_is_named() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    let (greedy, good) = (register(&home, "greedy")?, register(&home, "good")?);
    let most = usize::try_from(local_servers::USER_CONNECTIONS_MAX)?;
    let mut held = Vec::new();
    while let Ok(client) = of_strategy(&address, &greedy).await {
        held.push(client);
        anyhow::ensure!(held.len() <= most, "it is let in without end");
    }
    assert_eq!(held.len(), most);
    // Everybody else comes in, also who is registered only now, and is heard; so is what it holds.
    let late = register(&home, "late")?;
    let (good, late) = (of_strategy(&address, &good).await?, of_strategy(&address, &late).await?);
    for (client, name) in [(&good, "good"), (&late, "late"), (&held[0], "greedy")] {
        let id = format!("{name}-1");
        publish(client, &format!("signal.{name}.SPY"), &id, signal(name, &id)).await?;
        client.flush().await?;
        eventually("its signal is counted", Duration::from_secs(30), || {
            Ok(home.json(&["strategy", "show", name, "--tape", "main"])?["signals"] == 1)
        })?;
    }
    // It is named, and nobody else is.
    let mut said = String::new();
    let named = eventually("status names it", Duration::from_secs(60), || {
        // No further one may have been refused since a minute.
        drop(tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(of_strategy(&address, &greedy))
        }));
        let output = home.run(&["status", "--tape", "main"])?;
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(said.contains("strategy-greedy is refused connections"))
    });
    named.with_context(|| said.clone())?;
    assert!(!said.contains("strategy-good is refused") && !said.contains("strategy-late is"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_is_worth_nothing_any_more() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    let old = register(&home, "mine")?;
    let client = of_strategy(&address, &old).await?;
    let path = home.path().join("mine.json").display().to_string();
    home.text(&["strategy", "rotate", "mine", "--tape", "main", "--credentials", &path])?;
    assert!(of_strategy(&address, &old).await.is_err(), "the old password still opens");
    let new: Value = serde_json::from_slice(&std::fs::read(Path::new(&path))?)?;
    assert!(of_strategy(&address, &new).await.is_ok());
    let ended = Instant::now() + Duration::from_secs(10);
    while client.connection_state() == async_nats::connection::State::Connected {
        anyhow::ensure!(Instant::now() < ended, "the old connection goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let audit =
        home.text(&["tail", "--tape", "main", "--subject", "audit.>", "--from-seq", "1", "--no-follow"])?;
    assert!(audit.contains("strategy_rotate"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_reads_nothing_but_the_market_and_its_own() -> Outcome {
    let home = Home::new()?;
    let (_running, address) = up(&home)?;
    let (mine, _) = (register(&home, "mine")?, register(&home, "other")?);
    let client = of_strategy(&address, &mine).await?;
    let subjects = [
        "$JS.API.DIRECT.GET.TRADING.fill.paper.other.SPY.1.1",
        "$JS.API.DIRECT.GET.TRADING",
        "$JS.API.STREAM.MSG.GET.TRADING",
        "$JS.API.STREAM.INFO.TRADING",
        "$JS.API.CONSUMER.CREATE.TRADING.mine",
        "$JS.API.CONSUMER.CREATE.TRADING.strategy-mine",
        "$JS.API.CONSUMER.MSG.NEXT.TRADING.strategy-other",
        "$JS.API.CONSUMER.RESET.TRADING.strategy-other",
        "$JS.API.CONSUMER.DELETE.TRADING.strategy-other",
        "signal.other.SPY",
        "order.paper.mine.SPY.1.submitted",
        "fill.paper.mine.SPY.1.1",
        "control.strategy.mine.enabled",
    ];
    refused(&client, "_INBOX_mine.refused", &subjects).await?;
    // What its own consumer on TRADING delivers names it, or is its account's split or mark.
    let external = runtime::ExternalStrategy {
        name: "mine".to_owned(),
        account: "paper".to_owned(),
        subjects: vec!["market.bar.>".to_owned()],
    };
    let consumers = external.consumers();
    assert_eq!(consumers.len(), 2, "no articles were asked for");
    assert_eq!(
        consumers[1].filters,
        [
            "order.*.mine.>",
            "fill.*.mine.>",
            "control.strategy.mine.>",
            "account.paper.split",
            "account.paper.marked"
        ]
    );
    Ok(())
}
