//! Yahoo's statements: a series for each item, put together to one statement for each period.
//!
//! A statement holds the items of one period in one currency; an item in another is left out. Deliberately absent:
//! the date on which a statement was published, which Yahoo does not tell.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Figure, FinancialStatement, StatementPeriod};
use serde::Deserialize;
use serde_json::Value;

use super::Problem;
use super::company::YahooCompany;
use crate::error::{Refusal, VendorError};
use crate::reference::{Number, date_of};
use crate::wire;

/// Items by Yahoo's name and ours: income, balance sheet, cash flow.
const ITEMS: [(&str, &str); 29] = [
    ("TotalRevenue", "total_revenue"),
    ("CostOfRevenue", "cost_of_revenue"),
    ("GrossProfit", "gross_profit"),
    ("ResearchAndDevelopment", "research_and_development"),
    ("OperatingExpense", "operating_expense"),
    ("OperatingIncome", "operating_income"),
    ("EBITDA", "ebitda"),
    ("PretaxIncome", "pretax_income"),
    ("TaxProvision", "tax_provision"),
    ("NetIncome", "net_income"),
    ("BasicEPS", "basic_eps"),
    ("DilutedEPS", "diluted_eps"),
    ("BasicAverageShares", "basic_average_shares"),
    ("DilutedAverageShares", "diluted_average_shares"),
    ("TotalAssets", "total_assets"),
    ("CurrentAssets", "current_assets"),
    ("CashAndCashEquivalents", "cash_and_equivalents"),
    ("Inventory", "inventory"),
    ("TotalLiabilitiesNetMinorityInterest", "total_liabilities"),
    ("CurrentLiabilities", "current_liabilities"),
    ("LongTermDebt", "long_term_debt"),
    ("TotalDebt", "total_debt"),
    ("StockholdersEquity", "stockholders_equity"),
    ("RetainedEarnings", "retained_earnings"),
    ("OperatingCashFlow", "operating_cash_flow"),
    ("CapitalExpenditure", "capital_expenditure"),
    ("FreeCashFlow", "free_cash_flow"),
    ("CashDividendsPaid", "dividends_paid"),
    ("RepurchaseOfCapitalStock", "share_repurchases"),
];

const PERIODS: [(&str, StatementPeriod); 3] = [
    ("annual", StatementPeriod::Annual),
    ("quarterly", StatementPeriod::Quarterly),
    ("trailing", StatementPeriod::Trailing),
];

/// Before any statement that there is.
const FROM_S: &str = "493590046";

#[derive(Deserialize)]
struct Answer {
    timeseries: Option<Series>,
}

#[derive(Deserialize)]
struct Series {
    result: Option<Vec<BTreeMap<String, Value>>>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    as_of_date: Option<String>,
    currency_code: Option<String>,
    reported_value: Option<Number>,
}

impl YahooCompany {
    /// Annual, quarterly and trailing statements, each period once, the oldest first. A symbol without any, such as a
    /// fund, has none.
    pub(super) async fn statements(&self, symbol: &str) -> Result<Vec<Body>, VendorError> {
        let mut statements = Vec::new();
        for (prefix, period) in PERIODS {
            match self.of_period(symbol, prefix, period).await {
                Ok(found) => statements.extend(found.into_iter().map(Body::FinancialStatement)),
                Err(VendorError::Refused { kind: Refusal::Unknown, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(statements)
    }

    async fn of_period(
        &self,
        symbol: &str,
        prefix: &str,
        period: StatementPeriod,
    ) -> Result<Vec<FinancialStatement>, VendorError> {
        let theirs = symbol.replace('.', "-");
        let path = format!("/ws/fundamentals-timeseries/v1/finance/timeseries/{theirs}");
        let types = ITEMS.map(|(name, _)| format!("{prefix}{name}")).join(",");
        let until = (self.clock.now_ns() / 1_000_000_000 + 1).to_string();
        let query = [("symbol", theirs.as_str()), ("type", &types), ("period1", FROM_S), ("period2", &until)];
        let body = self.crumbs.get(&path, &query).await?;
        let http = &self.crumbs.http;
        let answer: Answer = wire::decode(http, &body)?;
        let series = answer.timeseries.ok_or_else(|| http.broken("timeseries: missing".into()))?;
        if let Some(problem) = series.error {
            return Err(problem.refusal());
        }
        let mut by_end: BTreeMap<String, FinancialStatement> = BTreeMap::new();
        for item in series.result.unwrap_or_default() {
            for (theirs, ours) in ITEMS {
                let Some(points) = item.get(&format!("{prefix}{theirs}")) else { continue };
                let points: Vec<Option<Point>> =
                    serde_path_to_error::deserialize(points).map_err(|error| {
                        http.broken(format!(
                            "timeseries.result.{prefix}{theirs}{}: {}",
                            error.path(),
                            error.inner()
                        ))
                    })?;
                for point in points.into_iter().flatten() {
                    let end = date_of(point.as_of_date.as_deref());
                    let figure = point.reported_value.unwrap_or_default().figure(ours);
                    let Some(figure) = figure.filter(|_| !end.is_empty()) else { continue };
                    add(
                        &mut by_end,
                        (symbol, period, &end),
                        &point.currency_code.unwrap_or_default(),
                        figure,
                    );
                }
            }
        }
        let sorted = by_end.into_values().map(|mut statement| {
            statement.items.sort_by(|one, other| one.name.cmp(&other.name));
            statement
        });
        Ok(sorted.collect())
    }
}

fn add(
    by_end: &mut BTreeMap<String, FinancialStatement>,
    (symbol, period, end): (&str, StatementPeriod, &str),
    currency: &str,
    figure: Figure,
) {
    let statement = by_end.entry(end.to_owned()).or_insert_with(|| FinancialStatement {
        symbol: symbol.to_owned(),
        period: period.into(),
        period_end: end.to_owned(),
        currency: currency.to_owned(),
        items: Vec::new(),
    });
    let known = statement.items.iter().any(|item| item.name == figure.name);
    if statement.currency == currency && !known {
        statement.items.push(figure);
    }
}
