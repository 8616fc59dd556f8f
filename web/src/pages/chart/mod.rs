//! Chart of a symbol: candles, volume, averages, fills, entry and order lines; its fills, key statistics,
//! corporate actions, findings, the company and news beside it.
//!
//! The script draws; every number comes from here: bars and averages from `/api/v1/bars` and, as they
//! come, from the panel `chart-latest`.
//!
//! Deliberately absent: anything that the tape does not state; a panel without a fact names the command that
//! fetches it.

mod about;
mod company;
mod export;
mod figure;
pub mod indicators;
mod latest;
pub(super) mod news;
mod query;
mod ticks;
mod trades;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use domain::bar::Timeframe;
use domain::corporate_action::Adjustment;
use projections::queries::{self, FillFilter, Series, Turn};

use super::table::Tab;
use super::{Layout, Of, Page, Panel, Params, Rendering, Scope, Visit, quality};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use export::download;
pub use query::{EXPECTED_LENGTHS, EXPECTED_SYMBOL, Fields, SYMBOL_BYTES_MAX, lengths, suiting, symbol};
pub use trades::markers;

/// The Chart page.
pub static PAGE: Page = Page {
    title: "Chart",
    url: Url::Chart,
    key: 'c',
    panels: &[
        &LATEST,
        &TICKS,
        &LINES,
        &FILLS,
        &STATISTICS,
        &ACTIONS,
        &FINDINGS,
        &COMPANY,
        &FUNDAMENTALS,
        &NEWS,
    ],
};

/// Newest bars, which the chart appends, and the table of them.
static LATEST: Panel =
    Panel::fetched("chart-latest", &["bars", "calendar"], |scope| Box::pin(latest::latest(scope)))
        .of(Of::Symbol)
        .every_ms(250);
/// The last quote and trade. No projection holds them: reports of the source say that time has passed.
static TICKS: Panel =
    Panel::fetched("chart-ticks", &["bars", "services"], |scope| Box::pin(ticks::ticks(scope)))
        .of(Of::Symbol)
        .every_ms(1_000);
/// Positions and open orders, which the chart draws as lines.
static LINES: Panel = Panel::fetched("chart-lines", &["trading"], |scope| Box::pin(trades::lines(scope)))
    .of(Of::Symbol)
    .every_ms(250);
/// Fills of the symbol.
static FILLS: Panel = Panel::fetched("chart-fills", &["trading"], |scope| Box::pin(trades::fills(scope)))
    .of(Of::Symbol)
    .every_ms(250);
/// Key statistics; a year of bars is read for them.
static STATISTICS: Panel =
    Panel::fetched("chart-statistics", &["bars", "calendar"], |scope| Box::pin(about::statistics(scope)))
        .of(Of::Symbol)
        .every_ms(5_000);
/// Splits and dividends.
static ACTIONS: Panel =
    Panel::fetched("chart-actions", &["calendar"], |scope| Box::pin(about::actions(scope)))
        .of(Of::Symbol)
        .every_ms(1_000);
/// What was found about the symbol's data.
static FINDINGS: Panel = Panel::fetched("chart-findings", &["calendar"], |scope| {
    Box::pin(quality::findings(scope, &FINDINGS, Some(scope.symbol)))
})
.of(Of::Symbol)
.every_ms(1_000);
/// Who the company is, and whether it is listed.
static COMPANY: Panel =
    Panel::fetched("chart-company", &["reference"], |scope| Box::pin(company::company(scope)))
        .of(Of::Symbol)
        .every_ms(1_000);
/// Figures, statements and analysts.
static FUNDAMENTALS: Panel =
    Panel::fetched("chart-fundamentals", &["reference"], |scope| Box::pin(company::fundamentals(scope)))
        .of(Of::Symbol)
        .every_ms(1_000);
/// Articles with their sentiment.
static NEWS: Panel = Panel::fetched("chart-news", &["reference"], |scope| Box::pin(news::news(scope)))
    .of(Of::Symbol)
    .every_ms(1_000);

/// Symbols that the field offers.
const SYMBOLS_MAX: usize = 500;
/// Bars that the script asks for at once.
const PART: &str = "1000";
/// How each adjustment is called.
const ADJUSTMENTS: [(&str, &str); 3] = [
    (Adjustment::Raw.name(), "as traded"),
    (Adjustment::Split.name(), "split-adjusted"),
    (Adjustment::TotalReturn.name(), "total return"),
];
/// Fields of the chart itself; the others belong to the list of fills.
const FIELDS: [&str; 6] = ["timeframe", "adjustment", "sma", "indicators", "as_of", "account"];

#[derive(Template)]
#[template(path = "chart.html")]
struct ChartPage<'a> {
    layout: Layout<'a>,
    symbol: &'a str,
    timeframe: Timeframe,
    adjustment: Adjustment,
    adjustments: &'static [(&'static str, &'static str)],
    sma: String,
    indicators: String,
    /// What the field of indicators offers: name and title.
    catalogue: Vec<(&'static str, &'static str)>,
    /// The moment whose knowledge is shown, as the address says it; empty for the present.
    as_of: String,
    /// Address of the same chart in the present.
    present: String,
    account: &'a str,
    accounts: &'a [String],
    symbols: Vec<String>,
    timeframes: Vec<Tab>,
    /// Whether the symbol has bars of this timeframe.
    known: bool,
    orders_url: String,
    source: String,
    markers: String,
    csv: String,
    latest: String,
    ticks: String,
    lines: String,
    fills: String,
    statistics: String,
    actions: String,
    findings: String,
    company: String,
    fundamentals: String,
    news: String,
}

/// `GET /chart`: leads to the chart of the symbol asked for, of the one that was traded last, or of the
/// first there is; to a page that says what to do when there is none.
pub async fn choose(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    params.check()?;
    let asked = match params.get("symbol") {
        Some(text) => Some(symbol(text)?),
        None => likely(&app).await?,
    };
    match asked {
        Some(symbol) => {
            let kept = params.without(&["symbol"]);
            Ok(Redirect::to(&kept.link(&Url::Symbol(&symbol).to_string())).into_response())
        }
        None => show(&app, "", &params, &headers).await,
    }
}

/// The symbol of the last fill, else the first that has bars.
async fn likely(app: &App) -> Result<Option<String>, PageError> {
    let pool = &app.config.pool;
    let fills = queries::list_fills(pool, &FillFilter::default(), Turn::Newest, 1).await?.rows;
    if let Some(fill) = fills.into_iter().next() {
        return Ok(Some(fill.symbol));
    }
    Ok(queries::series(pool).await?.into_iter().next().map(|series| series.symbol))
}

/// `GET /chart/{symbol}`
pub async fn page(
    State(app): State<Arc<App>>,
    Path(text): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let symbol = symbol(&text)?;
    if symbol != text {
        return Ok(Redirect::to(&params.link(&Url::Symbol(&symbol).to_string())).into_response());
    }
    show(&app, &symbol, &params, &headers).await
}

async fn show(app: &App, symbol: &str, params: &Params, headers: &HeaderMap) -> Result<Response, PageError> {
    let fields = Fields::of(params)?;
    super::table::turn(params)?;
    // What cannot be read now counts as absent here; the panels say so and ask again.
    let series = queries::series_of(&app.config.pool, symbol).await.unwrap_or_default();
    let timeframe = fields.timeframe.or_else(|| suiting(&series)).unwrap_or(Timeframe::H1);
    let averages = match fields.averages {
        Some(averages) => averages,
        None => {
            let strategies = queries::strategies(&app.config.pool).await.unwrap_or_default();
            query::watched(&strategies, symbol)
        }
    };
    // Said in full, so that the panels show the same when a strategy or a series joins.
    let full = params
        .with("symbol", symbol)
        .with("timeframe", timeframe.name())
        .with("adjustment", fields.adjustment.name())
        .with("sma", &query::lengths_text(&averages));
    let visit = Visit::begin(app, &PAGE, &full, headers).await?;
    let chart = Chart { symbol, timeframe, adjustment: fields.adjustment, series, given: params };
    let html = Box::pin(chart.assemble(&visit)).await;
    visit.respond(html)
}

/// What the page is of.
struct Chart<'a> {
    symbol: &'a str,
    timeframe: Timeframe,
    adjustment: Adjustment,
    series: Vec<Series>,
    /// The query as it was given.
    given: &'a Params,
}

impl Chart<'_> {
    async fn assemble(&self, visit: &Visit<'_>) -> Rendering {
        let scope = &Scope { symbol: self.symbol, ..visit.scope() };
        let live: &[&Panel] = if self.symbol.is_empty() { &[] } else { PAGE.panels };
        let layout = visit.layout(scope, live).await?;
        let (latest, ticks, lines, fills, statistics, actions, findings, company, fundamentals, news) = tokio::try_join!(
            LATEST.render(scope),
            TICKS.render(scope),
            LINES.render(scope),
            FILLS.render(scope),
            STATISTICS.render(scope),
            ACTIONS.render(scope),
            FINDINGS.render(scope),
            COMPANY.render(scope),
            FUNDAMENTALS.render(scope),
            NEWS.render(scope),
        )?;
        let names = queries::series(&visit.app.config.pool).await.unwrap_or_default();
        let mut symbols: Vec<String> = names.into_iter().map(|series| series.symbol).collect();
        symbols.dedup();
        symbols.truncate(SYMBOLS_MAX);
        let path = Url::Symbol(self.symbol).to_string();
        let bars = visit.params.without(&["account", "before", "after", "limit", "from", "to"]).filled();
        let account = self.given.get("account").unwrap_or_default();
        let marked = Params::from([("account", account)]);
        ChartPage {
            layout,
            symbol: self.symbol,
            timeframe: self.timeframe,
            adjustment: self.adjustment,
            adjustments: &ADJUSTMENTS,
            sma: visit.params.owned("sma").unwrap_or_default(),
            indicators: visit.params.owned("indicators").unwrap_or_default(),
            catalogue: indicators::offered(),
            as_of: visit.params.owned("as_of").unwrap_or_default(),
            present: self.given.without(&["as_of"]).link(&path),
            account,
            accounts: &visit.accounts,
            symbols,
            timeframes: self.timeframes(&path),
            known: self.series.iter().any(|series| series.timeframe == self.timeframe.name()),
            orders_url: Params::from([("tab", "all"), ("symbol", self.symbol)]).link("/orders"),
            source: bars.with("limit", PART).link("/api/v1/bars"),
            markers: marked.link(&format!("{path}/fills.json")),
            csv: bars.link("/bars.csv"),
            latest,
            ticks,
            lines,
            fills,
            statistics,
            actions,
            findings,
            company,
            fundamentals,
            news,
        }
        .render()
    }

    /// A tab per timeframe that the symbol has.
    fn timeframes(&self, path: &str) -> Vec<Tab> {
        let kept = self.given.without(&["timeframe", "before", "after"]);
        let known = self.series.iter().filter_map(|series| series.timeframe.parse::<Timeframe>().ok());
        known
            .map(|timeframe| Tab {
                title: timeframe.name(),
                url: kept.with("timeframe", timeframe.name()).link(path),
                current: timeframe == self.timeframe,
            })
            .collect()
    }
}
