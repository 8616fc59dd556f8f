//! What needs attention: halts, alerts, first steps.

use std::collections::BTreeMap;

use askama::Template;
use domain::risk::Rule;
use projections::queries::{
    self, BacktestFilter, DenialCount, FillFilter, HaltRow, HeartbeatRow, QueryError,
};
use runtime::HealthState;

use crate::api::risk::strictest;
use crate::app::App;
use crate::health;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, count, duration_words};

/// A service of another process counts as silent after this long without a heartbeat.
const SILENT_NS: i64 = 60_000_000_000;

/// The halt of all accounts.
#[derive(Clone, Debug)]
struct Kill {
    halted: bool,
    /// `NORMAL`, `REDUCE-ONLY` or `HALTED`, as the halt of all accounts makes it.
    state: &'static str,
    stops_url: String,
    halts: Vec<HaltLine>,
    halt_url: String,
    resume_url: String,
    keys: FormKeys,
}

#[derive(Clone, Debug)]
struct HaltLine {
    scope: String,
    /// `Reduce-only` or `Halted`.
    state: &'static str,
    reason: String,
    actor: String,
    time: Instant,
}

#[derive(Template)]
#[template(path = "overview/kill.html")]
struct KillPanel {
    v: u64,
    body: Body<Kill>,
}

/// One thing that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alert {
    /// `loss` or `warn`.
    tone: &'static str,
    label: String,
    text: String,
    /// Where there is more about it.
    url: Option<String>,
}

#[derive(Template)]
#[template(path = "overview/alerts.html")]
struct AlertsPanel {
    v: u64,
    body: Body<Vec<Alert>>,
}

/// One of the first steps.
#[derive(Clone, Debug)]
struct Step {
    title: &'static str,
    text: &'static str,
    command: &'static str,
    /// The page that does it too.
    link: Option<String>,
    done: bool,
}

#[derive(Template)]
#[template(path = "overview/checklist.html")]
struct ChecklistPanel {
    v: u64,
    body: Body<Vec<Step>>,
}

/// The halt of all accounts.
pub async fn kill(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::KILL, read_kill(scope)).await;
    KillPanel { v: scope.version, body }.render()
}

async fn read_kill(scope: &Scope<'_>) -> Result<Option<Kill>, QueryError> {
    let halts = queries::halts(&scope.app.config.pool).await?;
    Ok(Some(Kill {
        // The switch works on all accounts; the halt of one account shows among the alerts.
        halted: halts.iter().any(|halt| halt.account.is_empty()),
        state: strictest(halts.iter().filter(|halt| halt.account.is_empty()).map(|halt| halt.state)),
        stops_url: Url::Stops.to_string(),
        halts: halts.into_iter().map(HaltLine::of).collect(),
        halt_url: Url::Halt.to_string(),
        resume_url: Url::Resume.to_string(),
        keys: scope.keys.clone(),
    }))
}

impl HaltLine {
    fn of(halt: HaltRow) -> Self {
        Self {
            scope: if halt.account.is_empty() { "All accounts".to_owned() } else { halt.account },
            state: if halt.state == "halted" { "Halted" } else { "Reduce-only" },
            reason: halt.reason,
            actor: halt.actor,
            time: Instant(halt.since_ns),
        }
    }
}

/// What needs attention.
pub async fn alerts(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::ALERTS, read_alerts(scope)).await;
    AlertsPanel { v: scope.version, body }.render()
}

async fn read_alerts(scope: &Scope<'_>) -> Result<Option<Vec<Alert>>, String> {
    let pool = &scope.app.config.pool;
    let text = |error: QueryError| error.to_string();
    let mut alerts = Vec::new();
    for halt in queries::halts(pool).await.map_err(text)?.into_iter().map(HaltLine::of) {
        let text = format!("{} by {}: {}", halt.scope, halt.actor, halt.reason);
        alerts.push(Alert::loss(halt.state, text).at(&Url::Positions));
    }
    let account = Some(scope.account).filter(|account| !account.is_empty());
    for raised in queries::alerts(pool, account, true, 20).await.map_err(text)? {
        let text = format!("{}: {}", raised.kind.replace('_', " "), raised.detail);
        let is = |prefix: &str| raised.kind.starts_with(prefix);
        alerts.push(match raised.account.as_str() {
            // Sources and brokers that are not asked stand on System.
            "" if is(queries::BREAKER) => Alert::loss("Source", text).at(&Url::System),
            "" if is(queries::CONNECTIONS) => Alert::loss("Server", text).at(&Url::System),
            // What must hold for all accounts: the checker says of itself how it is on System.
            "" => Alert::loss("Checker", text).at(&Url::System),
            _ if is(queries::DIFFERENCE) => Alert::loss("Broker", text).at(&Url::Chain(&raised.event_id)),
            // What it tells of was measured: exposure and limits, not a decision with a chain.
            account => Alert::loss("Risk", text).at(&Url::Monitor(account)),
        });
    }
    alerts.extend(service_alerts(scope.app, queries::heartbeats(pool).await.map_err(text)?));
    for denied in queries::denials_today(pool, scope.account).await.map_err(text)? {
        alerts.push(Alert::denied(&denied));
    }
    for lag in health::lags(scope.app).await?.iter().filter(|lag| lag.is_stalled()) {
        alerts.push(Alert::loss("Projection", lag.text()).at(&Url::System));
    }
    let parked = queries::parked_open(pool).await.map_err(text)?;
    if parked > 0 {
        let newest = queries::parked(pool, false, None, 1).await.map_err(text)?.rows;
        let reason = newest.first().map(|row| format!("; the newest: {}", row.reason)).unwrap_or_default();
        let number = if parked == 1 { "1 message".to_owned() } else { format!("{} messages", count(parked)) };
        let alert = Alert::warn("Parked", format!("{number} not handled{reason}"));
        alerts.push(alert.at(&Url::Parked));
    }
    for found in queries::quality_counts(pool).await.map_err(text)? {
        let text = format!("{} findings of severity {}", count(found.findings), found.severity);
        match found.severity.as_str() {
            "error" => alerts.push(Alert::loss("Data quality", text)),
            "warning" => alerts.push(Alert::warn("Data quality", text)),
            _ => {}
        }
    }
    Ok((!alerts.is_empty()).then_some(alerts))
}

/// What this process knows of itself, and what the tape knows of services that run elsewhere.
fn service_alerts(app: &App, beats: Vec<HeartbeatRow>) -> Vec<Alert> {
    let own = app.context.health.all();
    let unwell = own.iter().filter(|(_, health)| health.state != HealthState::Ready);
    let mut alerts: Vec<Alert> = unwell
        .map(|(name, health)| Alert::warn(name, because(health.state.name(), &health.detail)))
        .collect();
    // Of each service the newest instance comes first.
    let mut newest: BTreeMap<String, HeartbeatRow> = BTreeMap::new();
    for beat in beats.into_iter().filter(|beat| !own.contains_key(&beat.service)) {
        newest.entry(beat.service.clone()).or_insert(beat);
    }
    let now_ns = runtime::now_ns();
    for beat in newest.into_values().filter(|beat| beat.state != "stopping") {
        let silent_ns = now_ns - beat.beat_at_ns;
        if silent_ns > SILENT_NS {
            alerts.push(Alert::loss(&beat.service, format!("silent for {}", duration_words(silent_ns))));
        } else if beat.state != "ready" {
            alerts.push(Alert::warn(&beat.service, because(&beat.state, &beat.detail)));
        }
    }
    alerts
}

fn because(state: &str, detail: &str) -> String {
    if detail.is_empty() { state.to_owned() } else { format!("{state}: {detail}") }
}

impl Alert {
    fn loss(label: &str, text: String) -> Self {
        Self { tone: "loss", label: label.to_owned(), text, url: None }
    }

    /// What one rule denied since the session began. A rule about the account as a whole, which everything is
    /// denied by, is a breach.
    fn denied(denied: &DenialCount) -> Self {
        let times =
            if denied.denials == 1 { "once".to_owned() } else { format!("{} times", count(denied.denials)) };
        let text = format!("{} {times} today; the newest: {}", denied.rule.replace('_', " "), denied.reason);
        let alert = if denied.rule == Rule::DailyLoss.name() {
            Self::loss("Breach", text)
        } else {
            Self::warn("Denied", text)
        };
        alert.at(&Url::ChainAt(&denied.event_id, contracts::stream::TRADING, denied.sequence))
    }

    fn at(self, url: &Url<'_>) -> Self {
        Self { url: Some(url.to_string()), ..self }
    }

    fn warn(label: &str, text: String) -> Self {
        Self { tone: "warn", label: label.to_owned(), text, url: None }
    }
}

/// First steps; gone once something trades.
pub async fn checklist(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::CHECKLIST, read_checklist(scope)).await;
    ChecklistPanel { v: scope.version, body }.render()
}

async fn read_checklist(scope: &Scope<'_>) -> Result<Option<Vec<Step>>, QueryError> {
    let pool = &scope.app.config.pool;
    let any = FillFilter::default();
    let all = BacktestFilter::default();
    let (series, fills, strategies, backtests) = tokio::try_join!(
        queries::series(pool),
        queries::fills(pool, &any, None, 1),
        queries::strategies(pool),
        queries::backtests(pool, &all, None, 1),
    )?;
    let backtests = !backtests.rows.is_empty();
    let bars = !series.is_empty();
    let fills = !fills.rows.is_empty();
    let running = strategies.iter().any(|strategy| strategy.enabled);
    let steps = vec![
        Step {
            title: "Load data",
            text: "Import history: CSV, gzip or Parquet. It warms strategies up and never trades.",
            command: "tapedeck import FILE…",
            link: None,
            done: bars,
        },
        Step {
            title: "Backtest",
            text: "Try a strategy on that history, with the same risk, orders and costs as live.",
            command: "tapedeck backtest --strategy sma_cross",
            link: Some(Url::Backtests.to_string()),
            done: backtests,
        },
        Step {
            title: "Rehearse",
            text: "Drive real bars through the whole system, at any speed.",
            command: "tapedeck rehearse --bars FILE… --speed 600",
            link: None,
            done: fills,
        },
        Step {
            title: "Trade on paper",
            text: "Let a strategy's signals become orders with simulated money.",
            command: "tapedeck strategy enable sma_cross --mode paper",
            link: None,
            done: running,
        },
    ];
    // Who trades already is past first steps, whether or not a backtest came before.
    let under_way = steps.iter().filter(|step| step.title != "Backtest").all(|step| step.done);
    Ok((!under_way).then_some(steps))
}
