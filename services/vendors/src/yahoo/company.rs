//! Yahoo's facts about companies: one answer for profile, statistics, holders and analysts, and three with statements.
//!
//! Deliberately absent: prices of the moment and of the day, which bars tell; insiders; funds' holdings.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{
    AnalystOpinions, CompanyOfficer, CompanyProfile, InstitutionalHolder, InstitutionalHolders, KeyStatistics,
};
use serde::Deserialize;
use serde_json::Value;

use super::consent::ConsentPages;
use super::crumb::Crumbs;
use super::{NAME, Problem, modules};
use crate::clock::Clock;
use crate::error::VendorError;
use crate::http::HttpConfig;
use crate::reference::{Number, ReferenceData};
use crate::wire;
use modules::{FIGURES, Modules};

/// Modules that are asked for.
const MODULES: &str = "assetProfile,price,summaryDetail,defaultKeyStatistics,financialData,recommendationTrend,\
                       institutionOwnership,majorHoldersBreakdown";

/// Yahoo's facts about companies.
#[derive(Debug)]
pub struct YahooCompany {
    pub(super) crumbs: Crumbs,
    pub(super) clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "quoteSummary")]
    summary: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    result: Option<Vec<Value>>,
    error: Option<Problem>,
}

impl YahooCompany {
    /// A client; `front` is where the cookie is handed out, `consent` where to agree if the user has agreed to that.
    pub fn new(
        config: HttpConfig,
        front: HttpConfig,
        consent: Option<ConsentPages>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VendorError> {
        Ok(Self { crumbs: Crumbs::new(config, front, consent, Arc::clone(&clock))?, clock })
    }

    async fn summary(&self, symbol: &str) -> Result<Vec<Body>, VendorError> {
        let path = format!("/v10/finance/quoteSummary/{}", symbol.replace('.', "-"));
        let query = [("modules", MODULES), ("formatted", "false")];
        let body = self.crumbs.get(&path, &query).await?;
        let http = &self.crumbs.http;
        let answer: Answer = wire::decode(http, &body)?;
        let summary = answer.summary.ok_or_else(|| http.broken("quoteSummary: missing".into()))?;
        if let Some(problem) = summary.error {
            return Err(problem.refusal());
        }
        let told = summary.result.unwrap_or_default().into_iter().next();
        let told = told.ok_or_else(|| http.broken("quoteSummary.result: empty".into()))?;
        let modules: Modules = serde_path_to_error::deserialize(&told).map_err(|error| {
            http.broken(format!("quoteSummary.result.{}: {}", error.path(), error.inner()))
        })?;
        let facts = [
            profile(symbol, &modules),
            statistics(symbol, &told, &modules),
            holders(symbol, &modules),
            analysts(symbol, &modules),
        ];
        Ok(facts.into_iter().flatten().collect())
    }
}

fn profile(symbol: &str, modules: &Modules) -> Option<Body> {
    let profile = modules.asset_profile.as_ref()?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let officers = profile.officers.iter().flatten().flatten().filter(|officer| officer.name.is_some());
    let officers = officers.map(|officer| CompanyOfficer {
        name: text(&officer.name),
        title: text(&officer.title),
        year_born: officer.year_born.small(),
        total_pay: officer.total_pay.text(),
        fiscal_year: officer.fiscal_year.small(),
    });
    let named =
        modules.price.as_ref().map(|price| price.long_name.clone().or_else(|| price.short_name.clone()));
    Some(Body::CompanyProfile(CompanyProfile {
        symbol: symbol.to_owned(),
        name: named.flatten().unwrap_or_default(),
        sector: text(&profile.sector),
        industry: text(&profile.industry),
        description: text(&profile.description),
        website: text(&profile.website),
        city: text(&profile.city),
        country: text(&profile.country),
        employees: profile.employees.whole(),
        officers: officers.collect(),
    }))
}

fn statistics(symbol: &str, told: &Value, modules: &Modules) -> Option<Body> {
    let read = |(name, places): &(&str, &[&str])| {
        let found = places.iter().find_map(|place| Number::from(told.pointer(place)?).0);
        Number(found).figure(name)
    };
    let mut figures: Vec<_> = FIGURES.iter().filter_map(read).collect();
    if figures.is_empty() {
        return None;
    }
    figures.sort_by(|one, other| one.name.cmp(&other.name));
    let dates = modules.key_statistics.clone().unwrap_or_default();
    Some(Body::KeyStatistics(KeyStatistics {
        symbol: symbol.to_owned(),
        currency: modules.price.as_ref().and_then(|price| price.currency.clone()).unwrap_or_default(),
        figures,
        most_recent_quarter: dates.most_recent_quarter.date(),
        last_fiscal_year_end: dates.last_fiscal_year_end.date(),
    }))
}

fn holders(symbol: &str, modules: &Modules) -> Option<Body> {
    let breakdown = modules.breakdown.clone().unwrap_or_default();
    let owners = modules.institutions.as_ref().and_then(|owners| owners.list.as_ref());
    let holders: Vec<InstitutionalHolder> = owners
        .into_iter()
        .flatten()
        .flatten()
        .map(|owner| InstitutionalHolder {
            organization: owner.organization.clone().unwrap_or_default(),
            report_date: owner.report_date.date(),
            shares: owner.position.text(),
            value: owner.value.text(),
            part_held: owner.part_held.text(),
        })
        .collect();
    let stated = [&breakdown.insiders, &breakdown.institutions, &breakdown.count];
    if holders.is_empty() && stated.iter().all(|number| number.0.is_none()) {
        return None;
    }
    Some(Body::InstitutionalHolders(InstitutionalHolders {
        symbol: symbol.to_owned(),
        holders,
        insiders_held: breakdown.insiders.text(),
        institutions_held: breakdown.institutions.text(),
        institutions: breakdown.count.whole(),
    }))
}

fn analysts(symbol: &str, modules: &Modules) -> Option<Body> {
    let rows = modules.trend.as_ref().and_then(|trend| trend.trend.as_ref());
    let now = rows.into_iter().flatten().flatten().find(|row| row.period.as_deref() == Some("0m"));
    let now = now.cloned().unwrap_or_default();
    let said = modules.financial_data.clone().unwrap_or_default();
    if now.buy.0.is_none() && said.analysts.0.is_none() {
        return None;
    }
    Some(Body::AnalystOpinions(AnalystOpinions {
        symbol: symbol.to_owned(),
        strong_buy: now.strong_buy.small(),
        buy: now.buy.small(),
        hold: now.hold.small(),
        sell: now.sell.small(),
        strong_sell: now.strong_sell.small(),
        analysts: said.analysts.small(),
        mean_advice: said.mean_advice.text(),
        target_low: said.target_low.text(),
        target_mean: said.target_mean.text(),
        target_median: said.target_median.text(),
        target_high: said.target_high.text(),
        currency: said.currency.unwrap_or_default(),
    }))
}

#[async_trait]
impl ReferenceData for YahooCompany {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn facts(&self, symbol: &str) -> Result<Vec<Body>, VendorError> {
        let mut facts = self.summary(symbol).await?;
        facts.extend(self.statements(symbol).await?);
        Ok(facts)
    }
}
