//! Live minutes as a process: `tapedeck up` against the stand-in for the vendors, whose clock goes in step with the
//! deck's, through a connection that is cut where a minute is told, to the fills of two strategies.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::fault::{StreamFault, StreamRule};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Bar, Event, Script, What};

use crate::harness::{Home, Outcome, eventually};

const MINUTE_NS: i64 = 60_000_000_000;
/// Tuesday, 2026-01-06, 14:30 UTC: the open.
const OPEN_NS: i64 = 1_767_709_800_000_000_000;

/// The stand-in in the middle of a session, and a home whose clock shows the same time.
struct Stage {
    home: Home,
    vendors: Vendors,
    // Last: what runs on it ends before.
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    /// `at_ns` is where the market's clock begins; it runs as the real one does.
    fn new(source: &str, at_ns: i64, more: &str) -> anyhow::Result<Self> {
        Self::with(source, at_ns, more, |_, _| {})
    }

    /// `state` adds to what is said of the source and of the stream.
    fn with(
        source: &str,
        at_ns: i64,
        more: &str,
        state: impl FnOnce(&mut String, &mut String),
    ) -> anyhow::Result<Self> {
        let executor = tokio::runtime::Runtime::new()?;
        // Whole seconds between the two clocks, because that is how the configuration states it.
        let offset_s = (at_ns - runtime::now_ns()) / 1_000_000_000;
        let start_ns = runtime::now_ns() + offset_s * 1_000_000_000;
        let vendors = executor.block_on(Vendors::start(Script { start_ns, ..Script::default() }))?;
        vendors.stand.set_pace(1_000);
        let mut home = Home::new()?;
        let (vendor, feed) = match source {
            "massive" => (Vendor::Massive, ""),
            _ => (Vendor::AlpacaData, "live_feed = \"sip\"\n"),
        };
        let (http, stream) = (vendors.addresses().http(vendor), vendors.addresses().ws(vendor));
        let (mut of_source, mut of_live) = (feed.to_owned(), "fresh_s = 86400\n".to_owned());
        state(&mut of_source, &mut of_live);
        home.configure(&format!(
            "[live]\nsource = \"{source}\"\nsymbols = [\"AAPL\", \"MSFT\"]\n\
             clock_offset_s = {offset_s}\n{of_live}\
             [source.{source}]\nbase_url = \"{http}\"\nstream_url = \"{stream}\"\nrequests_per_minute = 1000\n{of_source}\
             [account.paper]\nmax_price_age_s = 86400\n{more}"
        ))?;
        home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
        home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
        home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
        Ok(Self { home, vendors, _runtime: executor })
    }

    fn now_ns(&self) -> i64 {
        self.vendors.stand.market(|market| market.now_ns())
    }

    /// From a time on a symbol rises in every other minute, by 20 cents, and falls in those between.
    fn zigzag(&self, symbol: &str, from_ns: i64, minutes: i64) -> anyhow::Result<()> {
        const STEP: i64 = 2_000;
        self.vendors.stand.market(|market| {
            let before = market.last_minute(symbol).context("a minute before")?;
            for minute in 0..minutes {
                let low = before.close;
                let (open, close) = if minute % 2 == 0 { (low, low + STEP) } else { (low + STEP, low) };
                let start_ns = from_ns + minute * MINUTE_NS;
                let bar =
                    Bar { start_ns, open, high: low + STEP, low, close, vwap: low + STEP / 2, ..before };
                market.set_minute(symbol, start_ns, Some(bar));
            }
            Ok(())
        })
    }

    /// The exchange's word about a symbol's trading: code and message, and those of the reason.
    fn status(&self, symbol: &str, words: [&str; 4]) {
        let [code, message, reason_code, reason] = words.map(str::to_owned);
        let what = What::Status { code, message, reason_code, reason };
        self.vendors.stand.say(Event { sequence: 0, at_ns: self.now_ns(), symbol: symbol.into(), what });
    }

    /// What becomes of an order for one share.
    fn order(&self, symbol: &str) -> anyhow::Result<Value> {
        let output =
            self.home.run(&["order", "place", "buy", symbol, "--qty", "1", "--tape", "main", "--json"])?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
    }

    /// The report of the source, where there is one.
    fn source(&self) -> anyhow::Result<Option<Value>> {
        let told = self.home.json(&["ingest", "status", "--tape", "main"])?;
        Ok(told["live"].get(0).cloned())
    }

    /// Closes and values of the minutes of a symbol on the tape.
    fn minutes(&self, symbol: &str) -> anyhow::Result<Vec<(i64, String)>> {
        self.bars("1m", symbol)
    }

    fn bars(&self, timeframe: &str, symbol: &str) -> anyhow::Result<Vec<(i64, String)>> {
        let subject = format!("market.bar.{timeframe}.{symbol}");
        let told =
            self.home.text(&["tail", "--tape", "main", "--subject", &subject, "--no-follow", "--json"])?;
        let read = |line: &str| -> anyhow::Result<(i64, String)> {
            let stored: Value = serde_json::from_str(line)?;
            let event = &stored["event"];
            let time = event["eventTime"].as_str().with_context(|| line.to_owned())?;
            let at = chrono::DateTime::parse_from_rfc3339(time)?.timestamp_nanos_opt().context("a time")?;
            Ok((at, event["bar"]["closeE9"].to_string()))
        };
        told.lines().map(read).collect()
    }
}

const STRATEGIES: &str = "
max_order_value = 20000
[strategy.minutes]
kind = \"buy_and_hold\"
symbols = [\"AAPL\"]
timeframe = \"1m\"
sizing = \"fixed:10\"
[strategy.hours]
kind = \"buy_and_hold\"
symbols = [\"MSFT\"]
timeframe = \"1h\"
sizing = \"fixed:5\"
";

#[test]
fn minutes_are_streamed_through_a_cut_and_strategies_trade_on_them() -> Outcome {
    // A little before the end of the hour from 10 to 11 in New York.
    let hour_ns = OPEN_NS + 90 * MINUTE_NS;
    let stage = Stage::new("alpaca", hour_ns - 100_000_000_000, STRATEGIES)?;
    let mut up = stage.home.spawn("up", &["up", "--no-progress"])?;
    eventually("the source is live", Duration::from_secs(60), || {
        anyhow::ensure!(up.alive()?, "{}", stage.home.said("up"));
        Ok(stage.home.printed("up")?.contains("Tapedeck is at")
            && stage.source()?.is_some_and(|source| source["state"] == "live"))
    })?;
    anyhow::ensure!(stage.now_ns() < hour_ns, "the start took longer than the hour lasted");
    // The connection is cut where the last minute of the hour is told.
    stage.vendors.stand.faults.on_stream(StreamRule {
        vendor: Vendor::AlpacaData,
        path: String::new(),
        kind: Some("b".into()),
        after: 0,
        times: 1,
        fault: StreamFault::Cut,
    });
    let cut = || Ok(stage.vendors.stand.ledger.connections().len() > 1);
    eventually("the connection is cut and made again", Duration::from_secs(80), cut)?;
    let missed_ns = stage.now_ns() / MINUTE_NS * MINUTE_NS;
    eventually("the gap is closed within five seconds", Duration::from_secs(5), || {
        Ok(stage.minutes("AAPL")?.iter().any(|(close_ns, _)| *close_ns == missed_ns))
    })?;
    let filled = |symbol: &'static str| {
        let home = &stage.home;
        move || -> anyhow::Result<bool> {
            let fills =
                home.text(&["tail", "--tape", "main", "--subject", "fill.>", "--no-follow", "--json"])?;
            Ok(fills.lines().any(|line| line.contains(&format!("\"{symbol}\""))))
        }
    };
    eventually("the strategy of minutes has a fill", Duration::from_secs(150), filled("AAPL"))?;
    eventually("the strategy of hours has a fill", Duration::from_secs(150), filled("MSFT"))?;
    eventually("the hour has ended", Duration::from_secs(150), || Ok(stage.bars("1h", "MSFT")?.len() > 1))?;
    eventually("the lag of what was streamed is told", Duration::from_secs(80), || {
        Ok(stage.source()?.is_some_and(|source| source["lag_p99_ns"].is_i64() && source["state"] == "live"))
    })?;

    let source = stage.source()?.context("a source")?;
    assert!(source["state"] == "live" && source["breaker"] == "closed", "{source}");
    let number = |field: &str| source[field].as_u64().unwrap_or_default();
    assert!(number("reconnects") >= 1 && number("errors") >= 1 && number("gaps_filled") >= 2, "{source}");
    assert!(source["lag_p99_ns"].as_i64().is_some_and(|lag| lag < 5_000_000_000), "{source}");

    let told = stage.home.json(&["ingest", "status", "--tape", "main"])?;
    let series = told["series"].as_array().context("series")?;
    let told_of = |series: &Value| series["last_success_ns"].is_i64();
    assert!(!series.is_empty() && series.iter().all(told_of), "what is streamed: {told}");
    let breakers = told["breakers"].as_array().context("breakers")?;
    let all =
        |field: &str| breakers.iter().map(|row| row[field].as_str().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!((all("client"), all("state")), (vec!["actions", "live"], vec!["closed", "closed"]), "{told}");

    for symbol in ["AAPL", "MSFT"] {
        let minutes = stage.minutes(symbol)?;
        let closes: Vec<i64> = minutes.iter().map(|(close_ns, _)| *close_ns).collect();
        let count = i64::try_from(closes.len())?;
        let expected: Vec<i64> = (1..=count).map(|minute| OPEN_NS + minute * MINUTE_NS).collect();
        assert_eq!(closes, expected, "{symbol}: every minute since the open, once and in order");
        let hours = stage.bars("1h", symbol)?;
        let first_ns = OPEN_NS + 30 * MINUTE_NS;
        let hours: Vec<i64> = hours.iter().map(|(close_ns, _)| *close_ns).collect();
        assert_eq!(hours, [first_ns, hour_ns], "{symbol}");
    }
    stage.home.text(&["projection", "verify", "--tape", "main"])?;
    stage.home.text(&["check", "--tape", "main"])?;

    // Killed and started again it asks for what it missed and doubles nothing.
    let before = stage.minutes("AAPL")?.len();
    up.kill()?;
    let mut up = stage.home.spawn("again", &["up", "--no-progress"])?;
    eventually("it goes on", Duration::from_secs(120), || {
        anyhow::ensure!(up.alive()?, "{}", stage.home.said("again"));
        Ok(stage.home.printed("again")?.contains("Tapedeck is at") && stage.minutes("AAPL")?.len() > before)
    })?;
    let closes: Vec<i64> = stage.minutes("AAPL")?.into_iter().map(|(close_ns, _)| close_ns).collect();
    assert!(closes.windows(2).all(|pair| pair[1] - pair[0] == MINUTE_NS), "{closes:?}");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("again"));
    Ok(())
}

/// Quotes come sampled beside the minutes, all of it in MessagePack; a symbol that is halted or whose data look wrong opens
/// nothing.
#[test]
fn quotes_are_sampled_and_a_symbol_with_a_halt_or_a_finding_opens_nothing() -> Outcome {
    // It turns with every minute, so that it soon wants in.
    let more = "[strategy.turns]\nkind = \"sma_cross\"\nsymbols = [\"MSFT\"]\ntimeframe = \"1m\"\n\
                sizing = \"fixed:5\"\nparams = { fast = 1, slow = 2 }\n\
                [[limits]]\nstrategy = \"turns\"\nclean_data = 3600\n[quality.severity]\nresumption = \"warning\"\n";
    let start_ns = OPEN_NS + 40 * MINUTE_NS;
    let stage = Stage::with("alpaca", start_ns, more, |source, live| {
        source.push_str("stream_format = \"msgpack\"\n");
        "fresh_s = 30\nquotes = true\ntrades = true\nticks_ms = 500\n".clone_into(live);
    })?;
    stage.zigzag("MSFT", start_ns, 60)?;
    let mut up = stage.home.spawn("up", &["up", "--no-progress"])?;
    eventually("the source is live", Duration::from_secs(60), || {
        anyhow::ensure!(up.alive()?, "{}", stage.home.said("up"));
        Ok(stage.home.printed("up")?.contains("Tapedeck is at")
            && stage.source()?.is_some_and(|source| source["state"] == "live"))
    })?;
    stage.status("MSFT", ["T", "Trading Resume", "T3", "News disseminated"]);
    // A symbol that is halted opens nothing, whoever asks, until trading goes on.
    eventually("a minute of AAPL is there", Duration::from_secs(120), || {
        Ok(stage.minutes("AAPL")?.last().is_some_and(|(close_ns, _)| *close_ns > start_ns))
    })?;
    stage.status("AAPL", ["H", "Trading Halt", "T1", "News pending"]);
    let says = "symbol_halted: trading in AAPL is halted; only reducing orders pass: Trading Halt (H): News pending (T1)";
    eventually("an order in AAPL is denied", Duration::from_secs(60), || {
        let told = stage.order("AAPL")?;
        Ok(told["state"] == "denied"
            && told["reason"].as_str().is_some_and(|reason| reason.starts_with(says)))
    })?;
    stage.status("AAPL", ["T", "Trading Resume", "T3", "News disseminated"]);
    eventually("an order in AAPL passes", Duration::from_secs(60), || {
        Ok(stage.order("AAPL")?["state"] == "approved")
    })?;
    eventually("the entry is denied for it", Duration::from_secs(240), || {
        let denied =
            stage.home.text(&["tail", "--tape", "main", "--subject", "risk.>", "--no-follow", "--json"])?;
        Ok(denied.lines().any(|line| line.contains("unclean_data") && line.contains("News disseminated")))
    })?;
    eventually("quotes and trades are counted and stored", Duration::from_secs(60), || {
        let Some(source) = stage.source()? else { return Ok(false) };
        let number = |field: &str| source[field].as_u64().unwrap_or_default();
        Ok(number("quotes") > 0
            && number("trades") > 0
            && (1..=number("quotes") + number("trades")).contains(&number("ticks")))
    })?;
    let quotes = stage.home.json(&["quotes", "--tape", "main"])?;
    assert!(quotes[0]["symbol"] == "AAPL" && quotes[0]["quoted_ns"].is_i64(), "{quotes}");
    let connections = stage.vendors.stand.ledger.connections();
    assert!(connections.iter().any(|connection| connection.binary), "in MessagePack");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn a_key_that_is_wrong_or_missing_is_said() -> Outcome {
    let mut stage = Stage::new("massive", OPEN_NS + 30 * MINUTE_NS, "")?;
    stage.home.set("MASSIVE_API_KEY", "planted-wrong-key");
    let mut up = stage.home.spawn("up", &["up", "--no-progress"])?;
    eventually("the refusal is told", Duration::from_secs(60), || {
        anyhow::ensure!(up.alive()?, "{}", stage.home.said("up"));
        Ok(stage.home.printed("up")?.contains("Tapedeck is at")
            && stage.source()?.is_some_and(|source| source["state"] == "refused"))
    })?;
    let source = stage.source()?.context("a source")?.to_string();
    assert!(source.contains("massive refuses (401): authentication failed"), "{source}");
    assert!(!source.contains("planted") && !stage.home.said("up").contains("planted"), "{source}");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0));

    stage.home.set("MASSIVE_API_KEY", "");
    let output = stage.home.run(&["up", "--no-progress"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(4) && said.contains("MASSIVE_API_KEY"), "{said}");
    Ok(())
}
