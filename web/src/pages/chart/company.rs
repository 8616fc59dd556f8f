//! Who a company is and how it stands, as sources stated it: profile, listing, figures, statements, analysts.

use askama::Template;
use contracts::v1::event::Body as Fact;
use contracts::v1::{
    AnalystOpinions, CompanyProfile, Figure, FinancialStatement, KeyStatistics, Listing, ListingState,
    StatementPeriod,
};
use projections::queries::{self, FactRow, QueryError};

use super::figure::{Amount, amount, title};
use super::{COMPANY, FUNDAMENTALS};
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, count};

/// Officers that are listed.
const OFFICERS: usize = 5;
/// Statements side by side.
const STATEMENTS: usize = 3;
/// Items of statements that are shown.
const ITEMS: [&str; 8] = [
    "total_revenue",
    "gross_profit",
    "operating_income",
    "net_income",
    "diluted_eps",
    "total_assets",
    "total_debt",
    "free_cash_flow",
];
/// Figures that are shown.
const FIGURES: [&str; 16] = [
    "market_cap",
    "enterprise_value",
    "trailing_pe",
    "forward_pe",
    "price_to_book",
    "trailing_eps",
    "dividend_yield",
    "payout_ratio",
    "beta",
    "profit_margin",
    "operating_margin",
    "return_on_equity",
    "current_ratio",
    "shares_outstanding",
    "part_held_by_institutions",
    "short_ratio",
];

#[derive(Clone, Debug)]
struct Listed {
    state: &'static str,
    badge: &'static str,
    what: String,
}

#[derive(Clone, Debug, Default)]
struct Company {
    name: String,
    rows: Vec<(&'static str, String)>,
    officers: Vec<(String, String)>,
    description: String,
    website: Option<String>,
    listings: Vec<Listed>,
    /// Who stated the profile, and when.
    stated: Option<(String, Instant)>,
}

#[derive(Template)]
#[template(path = "chart/company.html")]
struct CompanyPanel<'a> {
    v: u64,
    symbol: &'a str,
    body: Body<Company>,
}

#[derive(Clone, Debug)]
struct Row {
    title: &'static str,
    values: Vec<Option<Amount>>,
}

#[derive(Clone, Debug, Default)]
struct Fundamentals {
    figures: Vec<(&'static str, Amount)>,
    currency: String,
    /// Last days of the statements, and how long each covers.
    ends: Vec<(String, &'static str)>,
    rows: Vec<Row>,
    advice: String,
    target: String,
    stated: Option<(String, Instant)>,
}

#[derive(Template)]
#[template(path = "chart/fundamentals.html")]
struct FundamentalsPanel<'a> {
    v: u64,
    symbol: &'a str,
    body: Body<Fundamentals>,
}

async fn facts(scope: &Scope<'_>) -> Result<Vec<(FactRow, Fact)>, QueryError> {
    let rows = queries::facts(&scope.app.config.pool, scope.symbol, None).await?;
    Ok(rows.into_iter().filter_map(|row| row.body().map(|body| (row, body))).collect())
}

fn stated(row: &FactRow) -> Option<(String, Instant)> {
    Some((row.source.clone(), Instant(row.event_time_ns)))
}

/// Renders who the company is.
pub async fn company(scope: &Scope<'_>) -> Rendering {
    let read = async { Ok::<_, QueryError>(Company::of(&facts(scope).await?)) };
    let body = Body::read(scope, &COMPANY, read).await;
    CompanyPanel { v: scope.version, symbol: scope.symbol, body }.render()
}

impl Company {
    fn of(facts: &[(FactRow, Fact)]) -> Option<Self> {
        let mut company = Self::default();
        for (row, fact) in facts {
            match fact {
                Fact::CompanyProfile(profile) => {
                    company.profile(profile);
                    company.stated = stated(row);
                }
                Fact::Listing(listing) => company.listings.push(listed(&row.source, listing)),
                _ => {}
            }
        }
        (company.stated.is_some() || !company.listings.is_empty()).then_some(company)
    }

    fn profile(&mut self, profile: &CompanyProfile) {
        let employees = profile.employees.and_then(|count| u64::try_from(count).ok()).map(count);
        let place = [profile.city.as_str(), profile.country.as_str()];
        let place: Vec<&str> = place.into_iter().filter(|text| !text.is_empty()).collect();
        let rows = [
            ("Sector", profile.sector.clone()),
            ("Industry", profile.industry.clone()),
            ("Place", place.join(", ")),
            ("Employees", employees.unwrap_or_default()),
        ];
        self.rows = rows.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        self.name.clone_from(&profile.name);
        self.description.clone_from(&profile.description);
        self.website = web_address(&profile.website);
        let officers = profile.officers.iter().take(OFFICERS);
        self.officers = officers.map(|officer| (officer.name.clone(), officer.title.clone())).collect();
    }
}

/// An address that may become a link; a source may state anything.
pub(super) fn web_address(text: &str) -> Option<String> {
    let good = text.starts_with("https://") || text.starts_with("http://");
    (good && !text.contains(char::is_whitespace)).then(|| text.to_owned())
}

fn listed(source: &str, listing: &Listing) -> Listed {
    let (state, badge) = match listing.state() {
        ListingState::Listed => ("listed", "badge-gain"),
        ListingState::Delisted => ("delisted", "badge-loss"),
        ListingState::Unspecified => ("unknown", "badge-flat"),
    };
    let since = match (listing.listed_on.as_str(), listing.delisted_on.as_str()) {
        (_, gone) if !gone.is_empty() => format!(", gone since {gone}"),
        (here, _) if !here.is_empty() => format!(", since {here}"),
        _ => String::new(),
    };
    Listed { state, badge, what: format!("{}{since}, says {source}", listing.exchange) }
}

/// Renders how the company stands.
pub async fn fundamentals(scope: &Scope<'_>) -> Rendering {
    let read = async { Ok::<_, QueryError>(Fundamentals::of(&facts(scope).await?)) };
    let body = Body::read(scope, &FUNDAMENTALS, read).await;
    FundamentalsPanel { v: scope.version, symbol: scope.symbol, body }.render()
}

impl Fundamentals {
    fn of(facts: &[(FactRow, Fact)]) -> Option<Self> {
        let mut found = Self::default();
        let mut statements: Vec<&FinancialStatement> = Vec::new();
        for (row, fact) in facts {
            match fact {
                Fact::KeyStatistics(statistics) => {
                    found.statistics(statistics);
                    found.stated = stated(row);
                }
                Fact::FinancialStatement(statement) if statement.period() != StatementPeriod::Quarterly => {
                    statements.push(statement);
                    found.stated = found.stated.take().or_else(|| stated(row));
                }
                Fact::AnalystOpinions(opinions) => {
                    (found.advice, found.target) = advice(opinions);
                    found.stated = found.stated.take().or_else(|| stated(row));
                }
                _ => {}
            }
        }
        found.statements(statements);
        found.stated.is_some().then_some(found)
    }

    fn statistics(&mut self, statistics: &KeyStatistics) {
        let of = |name: &'static str| Some((title(name), amount(name, value(&statistics.figures, name)?)));
        self.figures = FIGURES.into_iter().filter_map(of).collect();
        self.currency.clone_from(&statistics.currency);
    }

    /// The newest first; the last twelve months before the year that ended with them.
    fn statements(&mut self, mut statements: Vec<&FinancialStatement>) {
        statements.sort_by_key(|statement| {
            std::cmp::Reverse((statement.period_end.clone(), statement.period() == StatementPeriod::Trailing))
        });
        statements.truncate(STATEMENTS);
        let end = |statement: &&FinancialStatement| match statement.period() {
            StatementPeriod::Trailing => (statement.period_end.clone(), "12 months"),
            _ => (statement.period_end.clone(), "year"),
        };
        self.ends = statements.iter().map(end).collect();
        let row = |name: &'static str| {
            let values: Vec<Option<Amount>> = statements
                .iter()
                .map(|statement| value(&statement.items, name).map(|value| amount(name, value)))
                .collect();
            values.iter().any(Option::is_some).then(|| Row { title: title(name), values })
        };
        self.rows = ITEMS.into_iter().filter_map(row).collect();
    }
}

fn value<'a>(figures: &'a [Figure], name: &str) -> Option<&'a str> {
    figures.iter().find(|figure| figure.name == name).map(|figure| figure.value.as_str())
}

/// How many analysts advise what, and the prices that they expect, in words.
fn advice(opinions: &AnalystOpinions) -> (String, String) {
    let counts = [
        (opinions.strong_buy, "strong buy"),
        (opinions.buy, "buy"),
        (opinions.hold, "hold"),
        (opinions.sell, "sell"),
        (opinions.strong_sell, "strong sell"),
    ];
    let said: Vec<String> =
        counts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?))).collect();
    let price = |text: &str| amount("target", text).text;
    let target = if opinions.target_mean.is_empty() {
        String::new()
    } else {
        let (low, high) = (price(&opinions.target_low), price(&opinions.target_high));
        format!("{} on the mean, from {low} to {high}", price(&opinions.target_mean))
    };
    (said.join(", "), target)
}
