//! External strategies: processes of any language that read the tape through consumers of their own and
//! publish signals, each under a user of its own.
//!
//! [`ExternalStrategy`] says which consumers and which rights follow from a registration; whoever runs the
//! server makes them ([`StrategyAccess`]). Deliberately absent: the server.

use async_trait::async_trait;
use contracts::stream::{MARKET, REFERENCE, TRADING};
use event_log::DurableSpec;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// What an external strategy reads when nothing else is said.
pub const DEFAULT_SUBJECTS: [&str; 2] = ["market.bar.>", "market.action.>"];

/// A registered external strategy, as far as its access to the server goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalStrategy {
    /// Registered name.
    pub name: String,
    /// Account it trades on.
    pub account: String,
    /// Subjects of MARKET that it reads, and of REFERENCE the articles.
    pub subjects: Vec<String>,
}

/// What a user of the server may do; everything else is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
}

/// What the subjects of articles begin with, which stand on REFERENCE.
pub(crate) const NEWS: &str = "news.";

/// The durable consumers and the user of the strategy `name`. No service and no strategy has a `-` in its
/// name, so that they cannot clash.
#[must_use]
pub fn consumer_name(name: &str) -> String {
    format!("strategy-{name}")
}

impl ExternalStrategy {
    /// Name of its durable consumers and of its user.
    #[must_use]
    pub fn consumer(&self) -> String {
        consumer_name(&self.name)
    }

    /// What its client must begin its inboxes with: nobody else can listen there.
    #[must_use]
    pub fn inbox_prefix(&self) -> String {
        format!("_INBOX_{}", self.name)
    }

    /// Whether a subject that it reads is one of articles.
    fn is_news(subject: &str) -> bool {
        subject.starts_with(NEWS)
    }

    /// Whether it reads what stands under `subject`.
    #[must_use]
    pub fn reads(&self, subject: &str) -> bool {
        self.subjects.iter().any(|filter| event_log::covers(filter, subject))
    }

    /// Whether it reads articles.
    #[must_use]
    pub fn reads_articles(&self) -> bool {
        self.subjects.iter().any(|subject| Self::is_news(subject))
    }

    /// The streams on which it has a consumer.
    fn streams(&self) -> Vec<&'static str> {
        [MARKET, TRADING].into_iter().chain(self.reads_articles().then_some(REFERENCE)).collect()
    }

    /// Its consumers: what it acknowledges on MARKET, and what it reads on TRADING, in one order: its own
    /// orders, fills, splits and controls, and the marks after which an instant has no further fill. Who reads
    /// articles has a third one, whose acknowledgements nobody waits for: an article holds no clock up.
    #[must_use]
    pub fn consumers(&self) -> Vec<DurableSpec> {
        let Self { name, account, subjects } = self;
        let (news, market): (Vec<String>, Vec<String>) =
            subjects.iter().cloned().partition(|subject| Self::is_news(subject));
        let market = DurableSpec {
            stream: MARKET,
            name: self.consumer(),
            description: format!("External strategy {name}: acknowledged when its signals are stored"),
            filters: market,
            acknowledged: true,
        };
        let news = DurableSpec {
            stream: REFERENCE,
            name: self.consumer(),
            description: format!("External strategy {name}: articles"),
            filters: news,
            acknowledged: true,
        };
        let own = ["order.*", "fill.*", "control.strategy"].map(|whose| format!("{whose}.{name}.>"));
        let account = contracts::escape(account);
        // A split changes what it holds without a fill.
        let of_account = [format!("account.{account}.split"), format!("account.{account}.marked")];
        let trading = DurableSpec {
            stream: TRADING,
            name: self.consumer(),
            description: format!(
                "External strategy {name}: its orders, fills and controls, its account's marks"
            ),
            filters: own.into_iter().chain(of_account).collect(),
            acknowledged: false,
        };
        let mut consumers = vec![market, trading];
        consumers.extend((!news.filters.is_empty()).then_some(news));
        consumers
    }

    /// What its user may do: signal in its own name, use its consumers, look up its own last signal.
    #[must_use]
    pub fn rights(&self) -> Rights {
        let (name, consumer) = (&self.name, self.consumer());
        let mut publish = vec![
            format!("signal.{name}.>"),
            format!("$JS.ACK.{MARKET}.{consumer}.>"),
            format!("$JS.API.DIRECT.GET.{TRADING}.signal.{name}.>"),
        ];
        let streams = self.streams();
        if streams.contains(&REFERENCE) {
            publish.push(format!("$JS.ACK.{REFERENCE}.{consumer}.>"));
        }
        for stream in streams {
            for call in ["MSG.NEXT", "RESET"] {
                publish.push(format!("$JS.API.CONSUMER.{call}.{stream}.{consumer}"));
            }
        }
        // What concerns it comes through its consumers; a plain subject could be spoken under by others.
        Rights { publish, subscribe: vec![format!("{}.>", self.inbox_prefix())] }
    }
}

/// How a strategy's process gets in; told once.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Address of the server, without user and password.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// What somebody must still add to the configuration of a server that is not the system's own.
    pub to_add: Option<String>,
}

/// Everything that a strategy's process needs to connect: the file that the examples read. It holds the
/// password, so that whoever shows it does so once.
#[derive(Serialize)]
pub struct CredentialsFile<'a> {
    /// Registered name.
    pub strategy: &'a str,
    /// Account it trades on.
    pub account: &'a str,
    /// Address of the server, without user and password.
    pub url: &'a str,
    /// User.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
    /// Name of its durable consumers.
    pub consumer: String,
    /// What its client must begin its inboxes with.
    pub inbox_prefix: String,
}

impl Credentials {
    /// What is told once.
    #[must_use]
    pub fn file<'a>(&'a self, strategy: &'a ExternalStrategy) -> CredentialsFile<'a> {
        CredentialsFile {
            strategy: &strategy.name,
            account: &strategy.account,
            url: &self.url,
            user: &self.user,
            password: self.password.expose_secret(),
            consumer: strategy.consumer(),
            inbox_prefix: strategy.inbox_prefix(),
        }
    }
}

/// Why a server did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct AccessError {
    /// What was being done.
    pub doing: String,
    /// Cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl AccessError {
    /// Wraps a cause.
    pub fn new(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing: doing.into(), source: source.into() }
    }
}

/// Makes and removes what an external strategy needs on the server.
#[async_trait]
pub trait StrategyAccess: Send + Sync {
    /// Makes the durable consumers, or gives those that exist the filters of `strategy`.
    async fn ensure_consumers(&self, strategy: &ExternalStrategy) -> Result<(), AccessError>;

    /// Makes the user with a new password.
    async fn grant(&self, strategy: &ExternalStrategy) -> Result<Credentials, AccessError>;

    /// Removes user and consumers of the strategy `name`; what is gone already is no error.
    async fn revoke(&self, name: &str) -> Result<(), AccessError>;
}
