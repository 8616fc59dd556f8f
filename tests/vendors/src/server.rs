//! The servers: one address for each vendor and one for control, and what every request passes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::{fmt, io};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fault::{HttpFault, When, apply};
use crate::ledger::{self, VENDORS, Vendor};
use crate::line::{Cut, Lines};
use crate::market::Script;
use crate::stand::{KEY, SECRET, Stand};
use crate::{alpaca_data, alpaca_trading, control, massive, news, yahoo};

/// The largest request.
const REQUEST_MAX: usize = 16 << 20;

/// Where the stand-in answers.
#[derive(Clone, Debug, Serialize)]
pub struct Addresses {
    /// `http://127.0.0.1:port` of each vendor; streams are under the same port.
    #[serde(flatten)]
    pub vendors: BTreeMap<Vendor, String>,
    /// The control interface.
    pub control: String,
    /// The key that every vendor takes.
    pub key: &'static str,
    /// The secret that goes with it.
    pub secret: &'static str,
}

impl Addresses {
    /// `http://127.0.0.1:port` of a vendor.
    #[must_use]
    pub fn http(&self, vendor: Vendor) -> &str {
        self.vendors.get(&vendor).map_or("", String::as_str)
    }

    /// `ws://127.0.0.1:port` of a vendor.
    #[must_use]
    pub fn ws(&self, vendor: Vendor) -> String {
        self.http(vendor).replacen("http", "ws", 1)
    }
}

/// The running stand-in; it ends when this is dropped.
pub struct Vendors {
    /// Its state.
    pub stand: Arc<Stand>,
    addresses: Addresses,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Vendors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vendors").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Vendors {
    /// Starts the stand-in on ports of its own.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_at(script, None).await
    }

    /// Starts the stand-in, the control interface at `port` and the vendors at those after it.
    ///
    /// # Errors
    /// When one of the ports is taken.
    pub async fn start_at(script: Script, port: Option<u16>) -> io::Result<Self> {
        let stand = Stand::new(script);
        let mut tasks = JoinSet::new();
        let mut vendors = BTreeMap::new();
        let place = |index: u16| {
            SocketAddr::from((Ipv4Addr::LOCALHOST, port.map_or(0, |port| port.saturating_add(index))))
        };
        for (index, vendor) in (1..).zip(VENDORS) {
            let lines = Lines::bind(place(index)).await?;
            let address = format!("http://{}", lines.address()?);
            let routes = match vendor {
                Vendor::AlpacaTrading => alpaca_trading::routes(),
                Vendor::AlpacaData => alpaca_data::routes(),
                Vendor::Massive => massive::routes(&address),
                Vendor::Yahoo => yahoo::routes(),
                Vendor::News => news::routes(),
            };
            vendors.insert(vendor, address);
            let front = Front { stand: stand.clone(), vendor };
            let routes = routes.with_state(stand.clone());
            let routes = routes.layer(middleware::from_fn_with_state(front, pass));
            // Who asks is checked where there is no other state.
            serve(&mut tasks, lines, routes.layer(Extension(stand.clone())));
        }
        let lines = Lines::bind(place(0)).await?;
        let control = format!("http://{}", lines.address()?);
        let addresses = Addresses { vendors, control, key: KEY, secret: SECRET };
        serve(&mut tasks, lines, control::routes(addresses.clone()).with_state(stand.clone()));
        tasks.spawn(stand.clone().drive());
        Ok(Self { stand, addresses, tasks })
    }

    /// Where it answers.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits until the stand-in ends, which it does only when it is dropped.
    pub async fn wait(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn serve(tasks: &mut JoinSet<()>, lines: Lines, routes: Router) {
    tasks.spawn(async move {
        let service = routes.into_make_service_with_connect_info::<Cut>();
        // It ends with the task; a listener that fails shows in every request.
        let _ = axum::serve(lines, service).await;
    });
}

/// Whose requests pass here.
#[derive(Clone)]
struct Front {
    stand: Arc<Stand>,
    vendor: Vendor,
}

/// What every request passes: it is noted, counted against the limit, and meets the fault that waits for it.
async fn pass(
    State(front): State<Front>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    let Front { stand, vendor } = front;
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, REQUEST_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let number = stand.ledger.request(ledger::Request {
        number: 0,
        at_ms: 0,
        vendor,
        method: method.clone(),
        path: path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: noted(&parts.headers),
        body: serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).into_owned())),
        status: 0,
    });
    let allowance = stand.meter(vendor);
    let request = Request::from_parts(parts, Body::from(body));
    let exceeded = allowance.filter(|allowance| allowance.exceeded).is_some();
    let fault = if exceeded { None } else { stand.faults.take(vendor, &method, &path) };
    // Nothing reaches the client, whatever the handlers say.
    let unanswered = fault.as_ref().is_some_and(|rule| rule.fault == HttpFault::Cut);
    let mut response = match fault {
        _ if exceeded => too_many(vendor),
        None => next.run(request).await,
        Some(rule) if rule.when == When::After => apply(&rule.fault, next.run(request), &cut).await,
        Some(rule) => match rule.fault {
            // These need an answer to work on; before it took effect there is none.
            HttpFault::Delay { .. }
            | HttpFault::Truncate { .. }
            | HttpFault::Trickle { .. }
            | HttpFault::Patch { .. } => apply(&rule.fault, next.run(request), &cut).await,
            HttpFault::Answer { .. } | HttpFault::Hang | HttpFault::Cut => {
                apply(&rule.fault, async { StatusCode::OK.into_response() }, &cut).await
            }
        },
    };
    if let Some(allowance) = allowance
        && !response.headers().contains_key("x-ratelimit-remaining")
    {
        allowance.tell(response.headers_mut());
    }
    if !unanswered {
        stand.ledger.answered(number, response.status().as_u16());
    }
    response
}

fn noted(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// The answer to a request too many, in the vendor's words.
fn too_many(vendor: Vendor) -> Response {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let json = |body: Value| (status, axum::Json(body)).into_response();
    match vendor {
        Vendor::AlpacaTrading => json(json!({"code": 42_910_000, "message": "rate limit exceeded"})),
        Vendor::AlpacaData => json(json!({"message": "too many requests."})),
        Vendor::Massive => json(json!({
            "status": "ERROR",
            "request_id": crate::id::uuid("too many"),
            "error": "You've exceeded the maximum requests per minute, please wait or upgrade your subscription \
                      to continue. https://massive.com/pricing",
        })),
        Vendor::Yahoo => (status, "Too Many Requests\r\n").into_response(),
        Vendor::News => json(json!({
            "status": "error",
            "code": "rateLimited",
            "message": "You have made too many requests recently. Developer accounts are limited to 100 requests \
                        over a 24 hour period (50 requests available every 12 hours). Please upgrade to a paid \
                        plan if you need more requests.",
        })),
    }
}
