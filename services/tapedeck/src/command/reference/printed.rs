//! Facts for a person, and as JSON.

use contracts::v1::event::Body;
use contracts::v1::{Figure, FinancialStatement, StatementPeriod};
use ingest::reference::Stated;
use serde_json::Value;

use crate::output::Output;
use crate::render::time;

/// A fact as the proto3-JSON of its body.
pub fn json(body: &Body) -> Result<Value, serde_json::Error> {
    match body {
        Body::CompanyProfile(fact) => serde_json::to_value(fact),
        Body::KeyStatistics(fact) => serde_json::to_value(fact),
        Body::FinancialStatement(fact) => serde_json::to_value(fact),
        Body::InstitutionalHolders(fact) => serde_json::to_value(fact),
        Body::AnalystOpinions(fact) => serde_json::to_value(fact),
        Body::Listing(fact) => serde_json::to_value(fact),
        _ => Ok(Value::Null),
    }
}

/// Everything, kind by kind.
pub fn facts(found: &[Stated], output: Output) {
    for stated in found.iter().filter(|stated| stated.kind != "statement") {
        heading(stated, output);
        output.table(&["FACT", "VALUE"], &rows(&stated.body));
        output.line("");
    }
    for period in [StatementPeriod::Annual, StatementPeriod::Quarterly, StatementPeriod::Trailing] {
        let of_period =
            |stated: &&Stated| matches!(&stated.body, Body::FinancialStatement(s) if s.period() == period);
        let statements: Vec<&Stated> = found.iter().filter(of_period).collect();
        if let Some(newest) = statements.iter().max_by_key(|stated| stated.event_time_ns) {
            heading(newest, output);
            table(&statements, output);
            output.line("");
        }
    }
}

fn heading(stated: &Stated, output: Output) {
    // Nanoseconds tell nobody anything here.
    let at = time(stated.event_time_ns / 1_000_000_000 * 1_000_000_000);
    let period = match &stated.body {
        Body::FinancialStatement(statement) => format!("{} ", word(statement.period().as_str_name())),
        _ => String::new(),
    };
    output.line(&output.paint("1", &format!("{period}{}, {} at {at}", stated.kind, stated.source)));
}

/// Statements side by side, the newest first, of the source of the newest alone.
fn table(statements: &[&Stated], output: Output) {
    let source = statements.last().map(|stated| stated.source.clone()).unwrap_or_default();
    let mut columns: Vec<&FinancialStatement> = Vec::new();
    for stated in statements.iter().filter(|stated| stated.source == source) {
        if let Body::FinancialStatement(statement) = &stated.body {
            columns.push(statement);
        }
    }
    columns.reverse();
    let mut header = vec!["ITEM"];
    header.extend(columns.iter().map(|statement| statement.period_end.as_str()));
    let mut names: Vec<&str> =
        columns.iter().flat_map(|statement| &statement.items).map(|item| item.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let value = |statement: &FinancialStatement, name: &str| {
        statement
            .items
            .iter()
            .find(|item| item.name == name)
            .map_or("–", |item| item.value.as_str())
            .to_owned()
    };
    let rows = names.into_iter().map(|name| {
        let mut row = vec![name.to_owned()];
        row.extend(columns.iter().map(|statement| value(statement, name)));
        row
    });
    output.table(&header, &rows.collect::<Vec<_>>());
}

/// The last word of a wire name.
fn word(name: &str) -> String {
    name.rsplit('_').next().unwrap_or(name).to_ascii_lowercase()
}

/// What is stated, without what is not.
fn rows(body: &Body) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    let figures = |figures: &[Figure]| -> Vec<(String, String)> {
        figures.iter().map(|figure| (figure.name.clone(), figure.value.clone())).collect()
    };
    match body {
        Body::CompanyProfile(profile) => {
            add("name", profile.name.clone());
            add("sector", profile.sector.clone());
            add("industry", profile.industry.clone());
            add("city", profile.city.clone());
            add("country", profile.country.clone());
            add("website", profile.website.clone());
            add("employees", number(profile.employees));
            for officer in &profile.officers {
                add("officer", format!("{}, {}", officer.name, officer.title));
            }
            add("description", profile.description.clone());
        }
        Body::KeyStatistics(statistics) => {
            add("currency", statistics.currency.clone());
            add("most_recent_quarter", statistics.most_recent_quarter.clone());
            for (name, value) in figures(&statistics.figures) {
                add(&name, value);
            }
        }
        Body::InstitutionalHolders(holders) => {
            add("insiders_held", holders.insiders_held.clone());
            add("institutions_held", holders.institutions_held.clone());
            add("institutions", number(holders.institutions));
            for holder in &holders.holders {
                add(
                    "holder",
                    format!("{}: {} shares on {}", holder.organization, holder.shares, holder.report_date),
                );
            }
        }
        Body::AnalystOpinions(opinions) => {
            let count = |value: Option<i32>| number(value.map(i64::from));
            add("strong_buy", count(opinions.strong_buy));
            add("buy", count(opinions.buy));
            add("hold", count(opinions.hold));
            add("sell", count(opinions.sell));
            add("strong_sell", count(opinions.strong_sell));
            add("analysts", count(opinions.analysts));
            add("mean_advice", opinions.mean_advice.clone());
            add("target_low", opinions.target_low.clone());
            add("target_mean", opinions.target_mean.clone());
            add("target_high", opinions.target_high.clone());
        }
        Body::Listing(listing) => {
            add("state", word(listing.state().as_str_name()));
            add("name", listing.name.clone());
            add("exchange", listing.exchange.clone());
            add("kind", listing.kind.clone());
            add("listed_on", listing.listed_on.clone());
            add("delisted_on", listing.delisted_on.clone());
            for (name, flag) in [
                ("tradable", listing.tradable),
                ("shortable", listing.shortable),
                ("fractionable", listing.fractionable),
            ] {
                add(name, flag.map(|flag| flag.to_string()).unwrap_or_default());
            }
            add("cik", listing.cik.clone());
            add("figi", listing.figi.clone());
        }
        _ => {}
    }
    rows
}
