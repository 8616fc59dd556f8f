//! `tapedeck up`: everything, until Ctrl-C.

use std::collections::BTreeSet;

use crate::cli::{Global, Market, Service, Speed, Up};
use crate::config::Config;
use crate::exit::Failure;
use crate::held;
use crate::home::{FormatNote, Home, Manifest, TapeDir, TapeKind};
use crate::output::Output;
use crate::seed::seed;
use crate::services::{self, Services};
use crate::session::{Access, Session};
use crate::terms::{Asked, Terms};

/// A manifest of the given kind with nothing recorded.
pub fn manifest(kind: TapeKind, seed: u64) -> Manifest {
    Manifest {
        kind,
        seed,
        speed: None,
        bars: Vec::new(),
        actions: Vec::new(),
        from: None,
        to: None,
        format: FormatNote::default(),
        symbols: 0,
        calendar: None,
    }
}

/// Opens the tape (named, else `main` if anything is streamed or followed, else the one that servers of the user's own hold, else
/// the one used last, else `main` if it exists, else `demo`), starts everything and waits.
pub async fn run(global: &Global, options: &Up, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let config = &global.configuration()?.config;
    let (dir, manifest) = choose(global, options, &home, config).await?;
    let asked = Asked {
        tape: &dir.name,
        manifest: &manifest,
        services: BTreeSet::from(Service::ALL),
        bind: options.bind.as_deref(),
        live: &options.live,
        telemetry: &options.telemetry,
    };
    let terms = Terms::of(config, &global.servers, asked)?;
    let session = Session::open_tape(global, home, dir, manifest, Access::Sole).await?;
    let outcome = run_tape(&session, &terms, output).await;
    session.close().await;
    outcome
}

async fn choose(
    global: &Global,
    options: &Up,
    home: &Home,
    config: &Config,
) -> Result<(TapeDir, Manifest), Failure> {
    let dir = match &global.tape {
        Some(name) => home.tape(name)?,
        // What vendors tell by themselves goes there, whatever was looked at last.
        None if config.live.is_on() || config.news.is_on() || options.market == Some(Market::Real) => {
            home.tape("main")?
        }
        None if options.market == Some(Market::Demo) => home.tape("demo")?,
        None => match held::tape(global, home).await?.or_else(|| home.last()) {
            Some(dir) => dir,
            None => {
                let main = home.tape("main")?;
                if main.manifest()?.is_some() { main } else { home.tape("demo")? }
            }
        },
    };
    let mut manifest = match held::manifest_of(global, &dir).await? {
        Some(manifest) => manifest,
        None => match options.market {
            Some(Market::Real) => manifest(TapeKind::Main, 0),
            None if dir.name == "main" => manifest(TapeKind::Main, 0),
            Some(Market::Demo) | None => demo(config, options)?,
        },
    };
    let wanted = options.market.map(|market| match market {
        Market::Real => TapeKind::Main,
        Market::Demo => TapeKind::Demo,
    });
    if wanted.is_some_and(|wanted| wanted != manifest.kind) {
        let (name, kind) = (&dir.name, manifest.kind.name());
        return Err(Failure::usage(
            format!("--market: tape {name} exists and is of the kind {kind}, expected a new name"),
            "tapedeck up --market real --tape NAME",
        ));
    }
    if let Some(seed) = options.seed
        && manifest.seed != seed
    {
        return Err(Failure::usage(
            format!("--seed {seed}: tape {} was made with seed {}", dir.name, manifest.seed),
            "tapedeck up --tape NAME --seed N",
        ));
    }
    if let Some(speed) = options.speed
        && !matches!(manifest.kind, TapeKind::Demo | TapeKind::Rehearsal)
    {
        let speed = match speed {
            Speed::Times(times) => times.to_string(),
            Speed::Max => "max".to_owned(),
        };
        let (name, kind) = (&dir.name, manifest.kind.name());
        return Err(Failure::usage(
            format!(
                "--speed {speed}: tape {name} is of the kind {kind}, expected none: nothing is played there"
            ),
            "tapedeck up --help",
        ));
    }
    match options.speed {
        Some(Speed::Max) => manifest.speed = None,
        Some(Speed::Times(times)) => manifest.speed = Some(times),
        None => {}
    }
    Ok((dir, manifest))
}

fn demo(config: &Config, options: &Up) -> Result<Manifest, Failure> {
    let demo = &config.demo;
    let from = demo.from.parse().map_err(|_| Failure::config(format!("demo.from = {}", demo.from)))?;
    Ok(Manifest {
        speed: Some(demo.speed),
        from: Some(from),
        symbols: demo.symbols,
        ..manifest(TapeKind::Demo, options.seed.unwrap_or(demo.seed))
    })
}

async fn run_tape(session: &Session, terms: &Terms, output: Output) -> Result<(), Failure> {
    seed(&session.tape, &session.config, opening_ns(&session.manifest)?).await?;
    let services = services::start(session, terms, None).await?;
    announce(session, &services, output)?;
    if let Some(said) = without_bars(&session.config, &session.manifest) {
        output.note(&said);
    }
    session.interrupted().await;
    output.progress("draining; everything is on the tape");
    services.drain().await;
    Ok(())
}

/// Prints where the dashboard is, and writes it down for other commands.
pub fn announce(session: &Session, services: &Services, output: Output) -> Result<(), Failure> {
    let metrics = services.metrics.map(|address| format!("http://{address}/metrics"));
    if let Some(metrics) = &metrics {
        output.progress(&format!("Metrics are at {metrics}"));
    }
    let Some(url) = services.dashboard.as_deref() else { return Ok(()) };
    if session.owns_servers() {
        session.announce(Some(url.to_owned()))?;
    }
    let mode = match session.manifest.kind {
        TapeKind::Main if services.with_money => "live: orders move money",
        TapeKind::Main => "paper",
        TapeKind::Demo => "simulated market",
        TapeKind::Rehearsal => "recorded bars",
        TapeKind::Backtest => "events of a backtest",
    };
    let password = session.access.ensure_owner()?;
    let link = super::user::link(session, url)?;
    if output.json {
        return output.record(&serde_json::json!({
            "url": url, "tape": session.dir.name, "mode": mode, "metrics": metrics,
            "sign_in": link, "owner_password": password,
        }));
    }
    output.line(&format!("Tapedeck is at {url}  (tape {}, {mode})", session.dir.name));
    let mut others = Home::locate(session.global.home.as_deref())?.tapes();
    others.retain(|name| *name != session.dir.name);
    if !others.is_empty() {
        output.line(&format!("Other tapes: {}; `tapedeck up --tape NAME` opens one", others.join(", ")));
    }
    output.line(&format!("Sign in once, within 10 minutes: {link}"));
    if let Some(password) = password {
        output.line(&format!("User {}, password {password} (shown this once)", web::access::OWNER));
    }
    output.progress("Ctrl-C stops it; the next `up` carries on.");
    Ok(())
}

/// What is said where accounts are traded at a broker outside and no bars come: neither strategies nor orders by hand do
/// anything without them.
fn without_bars(config: &Config, manifest: &Manifest) -> Option<String> {
    if manifest.kind != TapeKind::Main || config.live.is_on() {
        return None;
    }
    let (name, _) = config.account.iter().find(|(_, account)| account.is_at_alpaca())?;
    Some(format!(
        "No bars are streamed, and account {name} trades nothing without them: state `symbols` and `source` of [live] in \
         the configuration."
    ))
}

/// Market time of what a tape is told before its first instant.
pub fn opening_ns(manifest: &Manifest) -> Result<i64, Failure> {
    let from = match manifest.kind {
        TapeKind::Main => return Ok(runtime::now_ns()),
        TapeKind::Demo | TapeKind::Rehearsal | TapeKind::Backtest => manifest.from,
    };
    let Some(date) = from else { return Ok(0) };
    let midnight = date.and_hms_opt(0, 0, 0).and_then(|midnight| midnight.and_utc().timestamp_nanos_opt());
    // A date of the currency market begins on the evening before.
    let start_ns = manifest.market()?.calendar().start_of(date);
    Ok(midnight.unwrap_or_default().min(start_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_outside_that_no_bar_reaches_is_told() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        let outside = "[account.paper]\nbroker = \"alpaca\"\n";
        let streamed = format!("{outside}[live]\nsource = \"alpaca\"\nsymbols = [\"AAPL\"]\n");
        let said = |text: &str, kind| without_bars(&read(text), &manifest(kind, 0));
        assert!(said(outside, TapeKind::Main).is_some_and(|said| said.contains("account paper")));
        assert_eq!(said(outside, TapeKind::Demo), None, "a demo fills orders by itself");
        assert_eq!(said(&streamed, TapeKind::Main), None);
        assert_eq!(said("", TapeKind::Main), None);
    }

    #[test]
    fn what_a_tape_is_told_first_is_not_behind_its_first_session() {
        let date = "2020-01-06".parse().unwrap();
        for (calendar, expected) in [
            (None, "2020-01-06T00:00:00Z"),
            (Some("24x5"), "2020-01-05T22:00:00Z"),
            (Some("24x7"), "2020-01-06T00:00:00Z"),
        ] {
            let calendar = calendar.map(str::to_owned);
            let manifest = Manifest { from: Some(date), calendar, ..manifest(TapeKind::Rehearsal, 1) };
            let opening_ns = opening_ns(&manifest).unwrap();
            let expected: chrono::DateTime<chrono::Utc> = expected.parse().unwrap();
            assert_eq!(Some(opening_ns), expected.timestamp_nanos_opt(), "{:?}", manifest.calendar);
            let session = manifest.market().unwrap().calendar().session(date).unwrap().unwrap();
            assert!(opening_ns <= session.open_ns, "{:?}", manifest.calendar);
        }
        let unknown = Manifest { calendar: Some("XLON".to_owned()), ..manifest(TapeKind::Rehearsal, 1) };
        assert!(unknown.market().unwrap_err().message.contains("expected one of XNYS, 24x5, 24x7"));
    }
}
