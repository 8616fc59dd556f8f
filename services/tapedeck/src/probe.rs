//! Answers to the dashboard's questions about servers, disk, configuration and connections.

mod connections;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backtest::replay::{ChangeError, Stretch, StretchError};
use contracts::v1::BacktestRequest;
use event_log::definitions::{self, STREAMS};
use event_log::{ConnectOptions, JetStreamLog, Tape};
use projections::as_of::Timeline;
use runtime::metrics::metrics;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use web::probe::{
    Connection, Finding, NATS, NatsHealth, NoStretch, POSTGRES, Probe, Secret, Setting, Settings, Severity,
    StreamHealth,
};

use crate::cli::{Global, TelemetryOptions};
use crate::command::doctor;
use crate::configuration;
use crate::exit::Failure;
use crate::home::TapeDir;
use crate::session::Session;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a vendor or a broker.
const OUTSIDE_MAX: Duration = Duration::from_secs(20);

/// What the answers need.
pub struct Answers {
    global: Global,
    bind: Option<String>,
    telemetry: TelemetryOptions,
    dir: TapeDir,
    tape: Tape,
    jetstream: JetStreamLog,
    pool: PgPool,
    nats: ConnectOptions,
    nats_url: String,
    postgres: PgConnectOptions,
    external: bool,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answers").field("tape", &self.dir.name).finish_non_exhaustive()
    }
}

impl Answers {
    /// Answers for the session's tape, as the options have it.
    pub fn new(
        session: &Session,
        pool: PgPool,
        bind: Option<&str>,
        telemetry: &TelemetryOptions,
    ) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self {
            global: session.global.clone(),
            bind: bind.map(str::to_owned),
            telemetry: telemetry.clone(),
            dir: session.dir.clone(),
            tape: Arc::clone(&session.tape),
            jetstream: session.jetstream.clone(),
            pool,
            nats: session.connect_options(),
            nats_url: session.addresses.nats_url.redacted(),
            postgres: session.reader_options()?,
            external: crate::servers::uses_external(&session.global.servers),
        }))
    }

    async fn look(&self) -> Result<NatsHealth, Failure> {
        let asked = Instant::now();
        self.jetstream.flush().await?;
        let round_trip_ms = asked.elapsed().as_secs_f64() * 1e3;
        let drifts = definitions::diff(&self.jetstream).await?;
        let mut streams = Vec::new();
        for file in STREAMS {
            let state = self.tape.state(file.name).await?;
            let of_stream = drifts.iter().filter(|drift| drift.stream == file.name);
            streams.push(StreamHealth {
                name: file.name.to_owned(),
                messages: state.messages,
                first_sequence: state.first_sequence,
                last_sequence: state.last_sequence,
                bytes: state.bytes,
                append_p95_ms: append_p95_ms(file.name),
                drifts: of_stream.map(ToString::to_string).collect(),
            });
        }
        let (version, url) = (self.jetstream.server_version(), self.nats_url.clone());
        Ok(NatsHealth { version, url, round_trip_ms, streams })
    }

    async fn connect(&self, connection: &str) -> Result<String, String> {
        let asked = Instant::now();
        let took = || asked.elapsed().as_secs_f64() * 1e3;
        match connection {
            NATS => {
                let log = event_log::connect(self.nats.clone()).await.map_err(|error| error.to_string())?;
                log.flush().await.map_err(|error| error.to_string())?;
                Ok(format!("nats-server {} answered in {:.1} ms", log.server_version(), took()))
            }
            POSTGRES => {
                let pool = projections::reader_pool(self.postgres.clone(), 1).await;
                let pool = pool.map_err(|error| error.to_string())?;
                let health = projections::queries::database_health(&pool).await;
                pool.close().await;
                let health = health.map_err(|error| error.to_string())?;
                Ok(format!("PostgreSQL {} answered in {:.1} ms", health.version, took()))
            }
            outside => {
                let configuration = self.global.configuration().map_err(|failure| failure.message)?;
                connections::test(&configuration.config, outside).await
            }
        }
    }
}

/// Upper bound of the bucket that holds the 95th percentile.
fn append_p95_ms(stream: &str) -> Option<f64> {
    let all = metrics().append_latency.all();
    let (_, histogram) = all.iter().find(|(labels, _)| labels.iter().eq([stream]))?;
    let seen = histogram.snapshot();
    let wanted = seen.count.saturating_sub(seen.count / 20);
    let bound = seen.below.iter().find(|(_, counted)| seen.count > 0 && *counted >= wanted)?;
    Some(bound.0 * 1e3)
}

#[async_trait]
impl Probe for Answers {
    async fn nats(&self) -> Result<NatsHealth, String> {
        match tokio::time::timeout(ANSWER_MAX, self.look()).await {
            Ok(looked) => looked.map_err(|failure| failure.message),
            Err(_) => Err(format!("no answer within {ANSWER_MAX:?}")),
        }
    }

    async fn findings(&self) -> Vec<Finding> {
        let mut findings = doctor::around(&self.global);
        match tokio::time::timeout(ANSWER_MAX, doctor::on_tape(&self.dir, &self.jetstream, &self.pool)).await
        {
            Ok(Ok(found)) => findings.extend(found),
            Ok(Err(failure)) => findings.push(doctor::bad("tape", failure.message)),
            Err(_) => findings.push(doctor::bad("tape", format!("no answer within {ANSWER_MAX:?}"))),
        }
        let severity = |state: doctor::State| match state {
            doctor::State::Good => Severity::Good,
            doctor::State::Warning => Severity::Warning,
            doctor::State::Bad => Severity::Bad,
        };
        let shown = findings.into_iter().map(|found| Finding {
            check: found.check.to_owned(),
            severity: severity(found.state),
            detail: found.detail,
            mend: found.mend,
        });
        shown.collect()
    }

    fn settings(&self) -> Result<Settings, String> {
        let failed = |failure: Failure| failure.message;
        let values =
            configuration::settings(&self.global, self.bind.as_deref(), &self.telemetry).map_err(failed)?;
        let home = crate::home::Home::locate(self.global.home.as_deref()).map_err(failed)?;
        let file = self.global.configuration().map_err(failed)?.file.clone();
        let servers = &self.global.servers;
        let variable = |name: &str, set: bool| Secret {
            name: name.to_owned(),
            set,
            source: if set { "environment or option" } else { "not needed: the tape has its own servers" }
                .to_owned(),
        };
        let mut secrets = vec![
            variable("NATS_URL", servers.nats_url.is_some()),
            variable("DATABASE_URL", servers.database_url.is_some()),
        ];
        let own = |name: &str, file: &str| Secret {
            name: name.to_owned(),
            set: self.dir.path.join(file).is_file(),
            source: format!("{file} in the tape's directory, made at the first start"),
        };
        if !self.external {
            secrets.push(own("Logins of the database", "logins.json"));
        }
        secrets.push(own("Key of the dashboard's sessions", "web-secret"));
        let server = |name: &str, title: &str| Connection {
            name: name.to_owned(),
            title: title.to_owned(),
            url: if name == NATS { self.nats_url.clone() } else { String::new() },
            unset: Vec::new(),
        };
        let mut connections = vec![server(NATS, "NATS"), server(POSTGRES, "PostgreSQL")];
        if let Ok(configuration) = self.global.configuration() {
            connections.extend(connections::all(&configuration.config));
            secrets.extend(configuration.config.credentials().iter().map(|credential| Secret {
                name: credential.field.to_string(),
                set: credential.is_set(),
                source: "variable or file that the configuration names".to_owned(),
            }));
        }
        Ok(Settings {
            file: file.map(|file| file.display().to_string()),
            home: home.root().display().to_string(),
            values: values
                .into_iter()
                .map(|setting| Setting {
                    field: setting.field,
                    value: setting.value,
                    default: setting.default,
                    source: setting.source,
                })
                .collect(),
            secrets,
            connections,
        })
    }

    async fn test(&self, connection: &str) -> Result<String, String> {
        // A vendor may be asked again before it answers.
        let most = if matches!(connection, NATS | POSTGRES) { ANSWER_MAX } else { OUTSIDE_MAX };
        match tokio::time::timeout(most, self.connect(connection)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {most:?}")),
        }
    }

    async fn stretch(&self, past: &Timeline, request: &BacktestRequest) -> Result<(), NoStretch> {
        let found = Box::pin(Stretch::find_along(&self.tape, past, request)).await;
        found.map(drop).map_err(no_stretch)
    }
}

/// Why there is no stretch, by the fields of a request: the command line names its options.
fn no_stretch(error: StretchError) -> NoStretch {
    match error {
        StretchError::Asked { field, value, expected } => NoStretch::Asked { field, value, expected },
        StretchError::Missing(value) => {
            let expected = "a session of which this tape holds bars".to_owned();
            NoStretch::Asked { field: "session", value, expected }
        }
        StretchError::Change(ChangeError { field, value, expected }) => {
            let field = if field == "--limit" { "limits" } else { "parameters" };
            NoStretch::Asked { field, value, expected }
        }
        StretchError::Replay(error) => NoStretch::Unread(error.to_string()),
    }
}
