//! What the README says takes two commands, or three, takes those: they are read from it and run against the stand-in for
//! the vendors, to a chart, a backtest and an account that is traded on paper.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Listing, Script};

use crate::harness::{Home, Outcome, Running, eventually};
use crate::tapes::url;

const README: &str = include_str!("../../../README.md");

/// The commands of the first block behind a heading, word by word.
fn commands(heading: &str) -> anyhow::Result<Vec<Vec<&'static str>>> {
    let (_, section) = README.split_once(&format!("\n## {heading}\n")).context("the heading")?;
    let block =
        section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).context("a block")?;
    let words = |line: &'static str| -> Vec<&'static str> {
        line.split('#').next().unwrap_or_default().split_whitespace().collect()
    };
    Ok(block.lines().map(words).filter(|words| !words.is_empty()).collect())
}

/// The word behind an option.
fn given<'a>(commands: &[Vec<&'a str>], option: &str) -> anyhow::Result<&'a str> {
    let mut words = commands.iter().flatten().skip_while(|word| **word != option);
    words.nth(1).copied().with_context(|| format!("{option} in {commands:?}"))
}

/// A new user's home, and vendors that know the README's symbols.
struct Stage {
    home: Home,
    vendors: Vendors,
    commands: Vec<Vec<&'static str>>,
    executor: tokio::runtime::Runtime,
}

impl Stage {
    fn new(heading: &str) -> anyhow::Result<Self> {
        let commands = commands(heading)?;
        let executor = tokio::runtime::Runtime::new()?;
        let symbols = given(&commands, "--symbols")?.split(',');
        let listings = symbols.map(|symbol| Listing::share(symbol, "A company", 100.0)).collect();
        let (splits, dividends) = (Vec::new(), Vec::new());
        let script = Script { start_ns: runtime::now_ns(), listings, splits, dividends, ..Script::default() };
        let vendors = executor.block_on(Vendors::start(script))?;
        let home = Home::new()?;
        let at = |vendor| vendors.addresses().http(vendor).to_owned();
        // Where vendors are is all that a home beside the stand-in says for itself.
        home.configure(&format!(
            "[source.yahoo]\nbase_url = \"{}\"\nrequests_per_minute = 1000\n\
             [source.alpaca]\nbase_url = \"{}\"\n\
             [account.paper.alpaca]\nbase_url = \"{}\"\n",
            at(Vendor::Yahoo),
            at(Vendor::AlpacaData),
            at(Vendor::AlpacaTrading)
        ))?;
        Ok(Self { home, vendors, commands, executor })
    }

    /// Runs the commands as they stand; the last one stays.
    fn run(&self) -> anyhow::Result<Running> {
        let (last, before) = self.commands.split_last().context("commands")?;
        for words in before {
            anyhow::ensure!(words[0] == "tapedeck", "{words:?}: expected a command of the program");
            self.home.text(&words[1..])?;
        }
        anyhow::ensure!(last.starts_with(&["tapedeck", "up"]), "{last:?}: expected the dashboard at the end");
        let mut up = self.home.spawn("up", &last[1..])?;
        eventually("the dashboard is up", Duration::from_secs(60), || {
            anyhow::ensure!(up.alive()?, "{}", self.home.said("up"));
            Ok(url(&self.home, "up")?.is_some())
        })?;
        Ok(up)
    }

    /// What the interface of the dashboard answers to each path.
    fn asked(&self, paths: &[String]) -> anyhow::Result<Vec<Value>> {
        let address = url(&self.home, "up")?.context("an address")?;
        let token = self.home.json(&["token", "create", "reader", "--role", "operator"])?;
        let token = token["secret"].as_str().context("a token")?.to_owned();
        // It wants to know who would do TLS, which is never spoken here.
        let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build()?;
        self.executor.block_on(async {
            let mut answers = Vec::new();
            for path in paths {
                let answer = client.get(format!("{address}{path}")).bearer_auth(&token).send().await?;
                let (status, text) = (answer.status(), answer.text().await?);
                anyhow::ensure!(status == 200, "{path}: {status} {text}");
                answers.push(serde_json::from_str(&text).with_context(|| path.clone())?);
            }
            Ok(answers)
        })
    }

    /// Two years of hours of every symbol are on the tape, each has a chart, and a backtest over them is on record.
    fn shows_charts_and_a_backtest(&self) -> Outcome {
        let symbols: Vec<&str> = given(&self.commands, "--symbols")?.split(',').collect();
        anyhow::ensure!(symbols.len() == 10, "{symbols:?}");
        let status = self.home.json(&["ingest", "status"])?;
        let series = status["series"].as_array().context("series")?;
        anyhow::ensure!(series.len() == 10, "{status}");
        for series in series {
            // Seven hours in each of about 500 sessions.
            let bars = series["bars"].as_u64().unwrap_or_default();
            anyhow::ensure!(series["timeframe"] == "1h" && bars > 480 * 7, "{series}");
        }
        let bars = symbols.iter().map(|symbol| format!("api/v1/bars?symbol={symbol}&timeframe=1h&limit=300"));
        let paths: Vec<String> = bars.chain(["api/v1/backtests".to_owned()]).collect();
        let answers = self.asked(&paths)?;
        for (answer, symbol) in answers.iter().zip(&symbols) {
            let bars = answer["items"].as_array().context("bars")?;
            anyhow::ensure!(
                answer["symbol"] == *symbol && bars.len() == 300,
                "{symbol}: {} bars",
                bars.len()
            );
        }
        let listed = answers.last().context("an answer")?;
        let run = listed["rows"].get(0).with_context(|| format!("a run in {listed}"))?;
        anyhow::ensure!(run["status"] == "succeeded" && run["statistics"].is_object(), "{run}");
        let fills = run["counts"]["fills"].to_string();
        let fills: u64 = fills.trim_matches('"').parse().with_context(|| format!("fills in {run}"))?;
        anyhow::ensure!(fills > 0, "{run}");
        Ok(())
    }
}

#[test]
fn yahoo_alone_takes_two_commands_to_charts_and_a_backtest() -> Outcome {
    let stage = Stage::new("Yahoo's bars in two commands")?;
    assert_eq!(stage.commands.len(), 2, "{:?}", stage.commands);
    let mut up = stage.run()?;
    stage.shows_charts_and_a_backtest()?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn a_paper_account_takes_three_commands() -> Outcome {
    let mut stage = Stage::new("Alpaca on paper in three commands")?;
    assert_eq!(stage.commands.len(), 3, "{:?}", stage.commands);
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    stage.home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
    let mut up = stage.run()?;
    stage.shows_charts_and_a_backtest()?;
    let listens = || stage.vendors.stand.ledger.open_connections(Vendor::AlpacaTrading, "/stream") > 0;
    eventually("the account's orders are followed", Duration::from_secs(30), || Ok(listens()))?;
    eventually("the account is traded on paper", Duration::from_secs(30), || {
        let account = stage.home.json(&["live", "status"])?[0].clone();
        Ok(account["broker"] == "alpaca" && account["traded"] == "paper")
    })?;
    // Said again it stands there once, and all else as it was.
    let file = stage.home.path().join("tapedeck.toml");
    let written = std::fs::read_to_string(&file)?;
    stage.home.text(&["config", "set", "account.paper.broker", "alpaca"])?;
    assert_eq!(std::fs::read_to_string(&file)?, written);
    assert_eq!(written.matches("[account.paper]").count(), 1, "{written}");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn a_backtest_that_cannot_be_is_refused_before_anything_is_asked_for() -> Outcome {
    let stage = Stage::new("Yahoo's bars in two commands")?;
    let backfill = ["backfill", "--source", "yahoo", "--symbols", "AAPL", "--backtest"];
    for (more, code, words) in
        [(&["nosuch"][..], None, "nosuch"), (&["sma_cross", "--json"][..], Some(2), "expected no --json")]
    {
        let output = stage.home.run(&[&backfill[..], more].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{more:?}: {said}");
        assert!(code.is_none_or(|code| output.status.code() == Some(code)), "{more:?}: {}", output.status);
    }
    assert_eq!(stage.vendors.stand.ledger.requests(Some(Vendor::Yahoo), "").len(), 0);
    let output = stage.home.run(&["config", "set", "account.paper.broker", "nobody"])?;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let written = std::fs::read_to_string(stage.home.path().join("tapedeck.toml"))?;
    assert!(!written.contains("nobody"), "{written}");
    Ok(())
}
