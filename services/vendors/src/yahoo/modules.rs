//! The modules of Yahoo's summary of a company, as far as they are read.
//!
//! Anything may be missing, also a row of a list; a number may be plain, wrapped, or an empty object.

use serde::Deserialize;

use crate::reference::Number;

/// Figures by name, and where in the answer each is, the first place that has it.
pub(super) const FIGURES: &[(&str, &[&str])] = &[
    ("average_volume", &["/summaryDetail/averageVolume"]),
    ("beta", &["/defaultKeyStatistics/beta", "/summaryDetail/beta"]),
    ("book_value_per_share", &["/defaultKeyStatistics/bookValue"]),
    ("current_ratio", &["/financialData/currentRatio"]),
    ("dividend_rate", &["/summaryDetail/dividendRate"]),
    ("dividend_yield", &["/summaryDetail/dividendYield"]),
    ("enterprise_value", &["/defaultKeyStatistics/enterpriseValue"]),
    ("fifty_two_week_high", &["/summaryDetail/fiftyTwoWeekHigh"]),
    ("fifty_two_week_low", &["/summaryDetail/fiftyTwoWeekLow"]),
    ("float_shares", &["/defaultKeyStatistics/floatShares"]),
    ("forward_eps", &["/defaultKeyStatistics/forwardEps"]),
    ("forward_pe", &["/summaryDetail/forwardPE", "/defaultKeyStatistics/forwardPE"]),
    ("gross_margin", &["/financialData/grossMargins"]),
    ("market_cap", &["/price/marketCap", "/summaryDetail/marketCap"]),
    ("operating_margin", &["/financialData/operatingMargins"]),
    ("part_held_by_insiders", &["/defaultKeyStatistics/heldPercentInsiders"]),
    ("part_held_by_institutions", &["/defaultKeyStatistics/heldPercentInstitutions"]),
    ("payout_ratio", &["/summaryDetail/payoutRatio"]),
    ("peg_ratio", &["/defaultKeyStatistics/pegRatio"]),
    ("price_to_book", &["/defaultKeyStatistics/priceToBook"]),
    ("price_to_sales", &["/summaryDetail/priceToSalesTrailing12Months"]),
    ("profit_margin", &["/financialData/profitMargins", "/defaultKeyStatistics/profitMargins"]),
    ("quick_ratio", &["/financialData/quickRatio"]),
    ("return_on_assets", &["/financialData/returnOnAssets"]),
    ("return_on_equity", &["/financialData/returnOnEquity"]),
    ("shares_outstanding", &["/defaultKeyStatistics/sharesOutstanding"]),
    ("shares_short", &["/defaultKeyStatistics/sharesShort"]),
    ("short_ratio", &["/defaultKeyStatistics/shortRatio"]),
    ("total_cash", &["/financialData/totalCash"]),
    ("total_debt", &["/financialData/totalDebt"]),
    ("total_revenue", &["/financialData/totalRevenue"]),
    ("trailing_eps", &["/defaultKeyStatistics/trailingEps"]),
    ("trailing_pe", &["/summaryDetail/trailingPE"]),
];

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Modules {
    pub(super) asset_profile: Option<Profile>,
    pub(super) price: Option<Price>,
    #[serde(rename = "defaultKeyStatistics")]
    pub(super) key_statistics: Option<Dates>,
    pub(super) financial_data: Option<Said>,
    #[serde(rename = "recommendationTrend")]
    pub(super) trend: Option<Trend>,
    #[serde(rename = "institutionOwnership")]
    pub(super) institutions: Option<Owners>,
    #[serde(rename = "majorHoldersBreakdown")]
    pub(super) breakdown: Option<Breakdown>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Profile {
    pub(super) sector: Option<String>,
    pub(super) industry: Option<String>,
    #[serde(rename = "longBusinessSummary")]
    pub(super) description: Option<String>,
    pub(super) website: Option<String>,
    pub(super) city: Option<String>,
    pub(super) country: Option<String>,
    #[serde(rename = "fullTimeEmployees")]
    pub(super) employees: Number,
    #[serde(rename = "companyOfficers")]
    pub(super) officers: Option<Vec<Option<Officer>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Officer {
    pub(super) name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) year_born: Number,
    pub(super) total_pay: Number,
    pub(super) fiscal_year: Number,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Price {
    pub(super) long_name: Option<String>,
    pub(super) short_name: Option<String>,
    pub(super) currency: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Dates {
    pub(super) most_recent_quarter: Number,
    pub(super) last_fiscal_year_end: Number,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Said {
    #[serde(rename = "numberOfAnalystOpinions")]
    pub(super) analysts: Number,
    #[serde(rename = "recommendationMean")]
    pub(super) mean_advice: Number,
    #[serde(rename = "targetLowPrice")]
    pub(super) target_low: Number,
    #[serde(rename = "targetMeanPrice")]
    pub(super) target_mean: Number,
    #[serde(rename = "targetMedianPrice")]
    pub(super) target_median: Number,
    #[serde(rename = "targetHighPrice")]
    pub(super) target_high: Number,
    #[serde(rename = "financialCurrency")]
    pub(super) currency: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trend {
    pub(super) trend: Option<Vec<Option<Advice>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Advice {
    pub(super) period: Option<String>,
    pub(super) strong_buy: Number,
    pub(super) buy: Number,
    pub(super) hold: Number,
    pub(super) sell: Number,
    pub(super) strong_sell: Number,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owners {
    #[serde(rename = "ownershipList")]
    pub(super) list: Option<Vec<Option<Owner>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Owner {
    pub(super) organization: Option<String>,
    pub(super) report_date: Number,
    pub(super) position: Number,
    pub(super) value: Number,
    #[serde(rename = "pctHeld")]
    pub(super) part_held: Number,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Breakdown {
    #[serde(rename = "insidersPercentHeld")]
    pub(super) insiders: Number,
    #[serde(rename = "institutionsPercentHeld")]
    pub(super) institutions: Number,
    #[serde(rename = "institutionsCount")]
    pub(super) count: Number,
}
