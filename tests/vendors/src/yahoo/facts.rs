//! Facts of companies, made up from what is listed; a script may say others.

use serde_json::{Value, json};

use crate::calendar::{self, SECOND};
use crate::id;
use crate::market::{Listing, Market, dollars};

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// One module of a company's summary; `null` when there is no such module.
#[must_use]
pub fn module(market: &Market, listing: &Listing, name: &str) -> Value {
    let usual = usual(market, listing, name);
    match market.fact(&listing.symbol, name) {
        Some(Value::Object(said)) => {
            let mut module = if usual.is_object() { usual } else { json!({}) };
            for (field, value) in said {
                module[field] = value.clone();
            }
            module
        }
        _ => usual,
    }
}

fn usual(market: &Market, listing: &Listing, name: &str) -> Value {
    let price = market.last_trade(&listing.symbol).map_or(listing.price, |trade| dollars(trade.price));
    let before = market.last_days(&listing.symbol).1.map_or(price, |bar| dollars(bar.close));
    let shares = listing.shares as f64;
    let now_s = market.now_ns() / SECOND;
    let quarter_s = now_s / DAY_S / 91 * 91 * DAY_S;
    match name {
        "assetProfile" => json!({
            "address1": "1 Test Road",
            "city": "Springfield",
            "state": "CA",
            "zip": "95014",
            "country": "United States",
            "phone": "555 0100",
            "website": format!("https://www.{}.example", listing.symbol.to_lowercase()),
            "industry": listing.industry,
            "industryKey": listing.industry.to_lowercase().replace(' ', "-"),
            "sector": listing.sector,
            "sectorKey": listing.sector.to_lowercase().replace(' ', "-"),
            "longBusinessSummary": listing.description,
            "fullTimeEmployees": listing.employees,
            "companyOfficers": [
                {"maxAge": 1, "name": "Ms. Ada Example", "age": 55, "title": "CEO & Director", "yearBorn": 1970,
                 "fiscalYear": 2025, "totalPay": 16_520_856, "exercisedValue": 0, "unexercisedValue": 0},
                {"maxAge": 1, "name": "Mr. Ben Example", "title": "Chief Financial Officer", "exercisedValue": 0,
                 "unexercisedValue": 0},
            ],
            "maxAge": 86_400,
        }),
        "defaultKeyStatistics" => json!({
            "maxAge": 1,
            "enterpriseValue": price * shares * 1.02,
            "forwardPE": 27.5,
            "profitMargins": 0.24,
            "floatShares": shares * 0.98,
            "sharesOutstanding": listing.shares,
            "sharesShort": listing.shares / 100,
            "shortRatio": 1.9,
            "heldPercentInsiders": 0.02,
            "heldPercentInstitutions": 0.62,
            "beta": 1.2,
            "bookValue": 4.4,
            "priceToBook": price / 4.4,
            "trailingEps": 6.5,
            "forwardEps": 7.3,
            "pegRatio": {},
            "52WeekChange": 0.21,
            "lastFiscalYearEnd": quarter_s,
            "mostRecentQuarter": quarter_s,
        }),
        "financialData" => json!({
            "maxAge": 86_400,
            "currentPrice": price,
            "targetHighPrice": price * 1.3,
            "targetLowPrice": price * 0.8,
            "targetMeanPrice": price * 1.1,
            "targetMedianPrice": price * 1.1,
            "recommendationMean": 2.1,
            "recommendationKey": "buy",
            "numberOfAnalystOpinions": 38,
            "totalCash": 65_000_000_000_i64,
            "totalDebt": 110_000_000_000_i64,
            "totalRevenue": 391_000_000_000_i64,
            "currentRatio": 0.87,
            "quickRatio": 0.75,
            "returnOnAssets": 0.21,
            "returnOnEquity": 1.57,
            "operatingMargins": 0.31,
            "grossMargins": 0.46,
            "financialCurrency": "USD",
        }),
        "recommendationTrend" => json!({
            "maxAge": 86_400,
            "trend": [
                {"period": "0m", "strongBuy": 5, "buy": 23, "hold": 15, "sell": 1, "strongSell": 2},
                {"period": "-1m", "strongBuy": 6, "buy": 22, "hold": 15, "sell": 1, "strongSell": 2},
            ],
        }),
        "summaryDetail" => json!({
            "maxAge": 1,
            "previousClose": before,
            "open": price,
            "dayLow": price * 0.99,
            "dayHigh": price * 1.01,
            "dividendRate": 1.04,
            "dividendYield": 1.04 / price,
            "payoutRatio": 0.16,
            "beta": 1.2,
            "trailingPE": price / 6.5,
            "forwardPE": price / 7.3,
            "volume": listing.volume * 390,
            "averageVolume": listing.volume * 390,
            "marketCap": price * shares,
            "fiftyTwoWeekLow": price * 0.7,
            "fiftyTwoWeekHigh": price * 1.2,
            "currency": "USD",
        }),
        "price" => json!({
            "maxAge": 1,
            "regularMarketPrice": price,
            "regularMarketPreviousClose": before,
            "regularMarketTime": now_s,
            "marketCap": price * shares,
            "currency": "USD",
            "exchange": "NMS",
            "quoteType": if listing.is_fund() { "ETF" } else { "EQUITY" },
            "symbol": listing.symbol,
            "shortName": listing.name,
            "longName": listing.name,
            "marketState": if calendar::open_at(market.now_ns()).is_some() { "REGULAR" } else { "CLOSED" },
        }),
        "quoteType" => json!({
            "exchange": "NMS",
            "quoteType": if listing.is_fund() { "ETF" } else { "EQUITY" },
            "symbol": listing.symbol,
            "underlyingSymbol": listing.symbol,
            "shortName": listing.name,
            "longName": listing.name,
            "firstTradeDateEpochUtc": calendar::at(listing.listed, 9, 30) / SECOND,
            "timeZoneFullName": "America/New_York",
            "timeZoneShortName": "EST",
            "gmtOffSetMilliseconds": -18_000_000,
            "maxAge": 1,
        }),
        "calendarEvents" => json!({
            "maxAge": 1,
            "earnings": {
                "earningsDate": [quarter_s + 120 * DAY_S],
                "earningsAverage": 2.1, "earningsLow": 1.9, "earningsHigh": 2.4,
                "revenueAverage": 124_000_000_000_i64, "revenueLow": 120_000_000_000_i64,
                "revenueHigh": 130_000_000_000_i64,
            },
            "exDividendDate": quarter_s + 100 * DAY_S,
            "dividendDate": quarter_s + 110 * DAY_S,
        }),
        // Statements moved to a service of their own; what is left here is nearly empty.
        "incomeStatementHistory" | "balanceSheetHistory" | "cashflowStatementHistory" => {
            json!({"maxAge": 86_400})
        }
        _ => ownership(listing, name, quarter_s),
    }
}

fn owners(listing: &Listing, kind: &str, quarter_s: i64) -> Value {
    let owner = |number: i64| {
        let position = listing.shares / (12 + number);
        json!({
            "maxAge": 1,
            "reportDate": quarter_s,
            "organization": format!("{kind} {number}, Inc."),
            "pctHeld": position as f64 / listing.shares as f64,
            "position": position,
            "value": position as f64 * listing.price,
            "pctChange": id::unit(id::of(&format!("{} {number}", listing.symbol))) / 10.0,
        })
    };
    json!({"maxAge": 1, "ownershipList": (1..=10).map(owner).collect::<Vec<_>>()})
}

fn ownership(listing: &Listing, name: &str, quarter_s: i64) -> Value {
    match name {
        "institutionOwnership" => owners(listing, "Institution", quarter_s),
        "fundOwnership" => owners(listing, "Fund", quarter_s),
        "majorDirectHolders" => json!({"holders": [], "maxAge": 1}),
        "majorHoldersBreakdown" => json!({
            "maxAge": 1,
            "insidersPercentHeld": 0.02,
            "institutionsPercentHeld": 0.62,
            "institutionsFloatPercentHeld": 0.63,
            "institutionsCount": 6_900,
        }),
        "insiderTransactions" => json!({"maxAge": 1, "transactions": [{
            "maxAge": 1, "shares": 50_000, "value": 9_375_000, "filerUrl": "",
            "transactionText": "Sale at price 187.50 per share.", "filerName": "EXAMPLE ADA",
            "filerRelation": "Chief Executive Officer", "moneyText": "", "startDate": quarter_s,
            "ownership": "D",
        }]}),
        "insiderHolders" => json!({"maxAge": 1, "holders": [{
            "maxAge": 1, "name": "EXAMPLE ADA", "relation": "Chief Executive Officer", "url": "",
            "transactionDescription": "Sale", "latestTransDate": quarter_s, "positionDirect": 3_280_000,
            "positionDirectDate": quarter_s,
        }]}),
        "netSharePurchaseActivity" => json!({
            "maxAge": 1, "period": "6m", "buyInfoCount": 2, "buyInfoShares": 20_000, "buyPercentInsiderShares": 0.01,
            "sellInfoCount": 5, "sellInfoShares": 250_000, "sellPercentInsiderShares": 0.08, "netInfoCount": 7,
            "netInfoShares": -230_000, "netPercentInsiderShares": -0.07, "totalInsiderShares": 3_280_000,
        }),
        _ => Value::Null,
    }
}
