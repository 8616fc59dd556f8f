//! How much of the account's limits is used.

use askama::Template;
use contracts::v1::RiskLimits;
use domain::book::Book;
use domain::money::Quantity;
use domain::risk::{Rule, Usage, usage};
use projections::queries;

use super::LIMITS;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::view::{duration_words, money, percent};

#[derive(Clone, Debug)]
struct Bar {
    rule: &'static str,
    title: &'static str,
    /// What uses the most.
    of: String,
    used: String,
    most: String,
    share: String,
    /// Thousandths of the limit, at most 1,000.
    thousandths: u32,
    tone: &'static str,
}

#[derive(Clone, Debug)]
struct Limits {
    version: u64,
    bars: Vec<Bar>,
    collar: String,
    price_age: String,
    short: &'static str,
}

#[derive(Template)]
#[template(path = "positions/limits.html")]
struct LimitsPanel {
    v: u64,
    body: Body<Limits>,
}

/// Bars of used and most.
pub async fn limits(scope: &Scope<'_>) -> Rendering {
    // The whole book is loaded in it: a large future, which belongs on the heap.
    let body = Body::read(scope, &LIMITS, Box::pin(read(scope))).await;
    LimitsPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Limits>, PageError> {
    if let Some(past) = timeline::past(scope).await? {
        return Ok(Limits::of(&past.book, scope.account));
    }
    let book = queries::load_book(&scope.app.config.pool).await;
    let book = book.map_err(|error| PageError::ReadModel(error.to_string()))?;
    Ok(Limits::of(&book, scope.account))
}

impl Limits {
    /// `None` while the account has no limits.
    fn of(book: &Book, account: &str) -> Option<Self> {
        let config = book.account(account)?.config.as_ref()?;
        let limits: RiskLimits = config.limits?;
        Some(Self {
            version: config.version,
            bars: usage(book, account).iter().map(Bar::of).collect(),
            collar: percent(Some(Quantity(limits.price_collar_fraction_e9).to_f64())),
            price_age: duration_words(limits.max_price_age_ms.saturating_mul(1_000_000)),
            short: if limits.allow_short { "allowed" } else { "not allowed" },
        })
    }
}

impl Bar {
    fn of(usage: &Usage) -> Self {
        let (used, most) = (usage.used.to_f64(), usage.most.to_f64());
        let share = if most > 0.0 { used / most } else { f64::from(u8::from(used > 0.0)) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
        let thousandths = (share.clamp(0.0, 1.0) * 1_000.0).round() as u32;
        Self {
            rule: usage.rule.name(),
            title: title(usage.rule),
            of: usage.of.clone(),
            used: money(usage.used),
            most: money(usage.most),
            share: percent(Some(share)),
            thousandths,
            tone: match thousandths {
                0..800 => "gain",
                800..1_000 => "warn",
                _ => "loss",
            },
        }
    }
}

fn title(rule: Rule) -> &'static str {
    match rule {
        Rule::DailyLoss => "Loss of the day",
        Rule::MaxOrderValue => "Largest open order",
        Rule::MaxPosition => "Largest position",
        Rule::MaxExposure => "Gross exposure",
        _ => "Limit",
    }
}
