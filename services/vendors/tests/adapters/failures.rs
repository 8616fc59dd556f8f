//! What goes wrong, vendor by vendor.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::bar::Timeframe;
use serde_json::{Value, json};
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use tracing_subscriber::util::SubscriberInitExt as _;
use vendors::http::{Credentials, Http, HttpConfig, Method};
use vendors::{Ask, Refusal, VendorError};

use crate::support::{ALL, Desk, ask};

fn week() -> Ask {
    ask("AAPL", Timeframe::H1, "2025-12-08", "2025-12-12")
}

fn answer(status: u16, headers: &[(&str, &str)], body: Value) -> HttpFault {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    HttpFault::Answer { status, headers, body }
}

/// The path of the vendor's bars.
fn bars_of(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Yahoo => "/v8/finance/chart",
        Vendor::Massive => "/v2/aggs",
        _ => "/v2/stocks/bars",
    }
}

/// After `times` faults the answer is what it is without them; gives how long was slept.
async fn passes(vendor: Vendor, times: u32, fault: HttpFault) -> Duration {
    let desk = Desk::of(vendor).await;
    let whole = desk.all(&week()).await.unwrap();
    let asked = desk.statuses().len();
    desk.arm(bars_of(vendor), times, fault.clone());
    assert_eq!(desk.all(&week()).await.unwrap(), whole, "{vendor:?} {fault:?}");
    assert_eq!(desk.statuses().len(), 2 * asked + times as usize, "{vendor:?} {fault:?}");
    desk.clock.slept()
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    for vendor in ALL {
        for fault in [
            answer(503, &[], json!({"message": "busy"})),
            answer(500, &[], json!("<html>oops</html>")),
            answer(429, &[], json!("Too Many Requests")),
            HttpFault::Cut,
            HttpFault::Truncate { bytes: 40 },
        ] {
            let slept = passes(vendor, 2, fault).await;
            assert_eq!(slept, Duration::from_millis(250 + 500), "{vendor:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_asked_for_again() {
    for vendor in ALL {
        passes(vendor, 1, HttpFault::Hang).await;
        passes(vendor, 1, HttpFault::Trickle { bytes: 50, ms: 1_000 }).await;
    }
}

#[tokio::test]
async fn slow_is_not_wrong() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        let whole = desk.all(&week()).await.unwrap();
        desk.arm(bars_of(vendor), 1, HttpFault::Delay { ms: 300 });
        assert_eq!(desk.all(&week()).await.unwrap(), whole, "{vendor:?}");
        assert_eq!(desk.clock.slept(), Duration::ZERO);
    }
}

#[tokio::test]
async fn a_vendor_says_how_long_to_wait() {
    for vendor in ALL {
        let slept = passes(vendor, 1, answer(429, &[("Retry-After", "7")], json!({}))).await;
        assert_eq!(slept, Duration::from_millis(7_000 + 250), "{vendor:?}");
        let slept = passes(vendor, 1, answer(503, &[("Retry-After", "3")], json!({}))).await;
        assert_eq!(slept, Duration::from_millis(3_000 + 250), "{vendor:?}");
    }
    // Without it, the end of the minute's allowance.
    let desk = Desk::of(Vendor::AlpacaData).await;
    let reset_s = (desk.now_ns / 1_000_000_000 + 20).to_string();
    let spent = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset_s.as_str())];
    desk.arm("/v2/stocks/bars", 1, answer(429, &spent, json!({"code": 42_910_000, "message": "rate limit"})));
    desk.all(&week()).await.unwrap();
    assert!(desk.clock.slept() >= Duration::from_secs(20), "{:?}", desk.clock.slept());
}

#[tokio::test]
async fn what_is_sent_once_holds_back_the_next_question_as_long_as_the_vendor_wants() {
    let desk = Desk::of(Vendor::AlpacaTrading).await;
    let credentials = Credentials::Alpaca {
        key: tapedeck_vendors::KEY.to_owned().into(),
        secret: tapedeck_vendors::SECRET.to_owned().into(),
    };
    let config = HttpConfig::new(desk.vendors.addresses().http(desk.vendor), credentials, 10_000);
    let deadline = config.deadline;
    let clock = Arc::clone(&desk.clock);
    let http = Http::new("alpaca", config, clock).unwrap();
    for (status, after, held) in [
        (429, "4", Duration::from_secs(4)),
        (503, "3", Duration::from_secs(3)),
        (422, "5", Duration::ZERO),
        (429, "3600", deadline),
    ] {
        desk.arm("/v2/orders", 1, answer(status, &[("Retry-After", after)], json!({"message": "later"})));
        let told = http.once(Method::Post, "/v2/orders", None).await.unwrap();
        assert_eq!(told.status, status);
        let before = desk.clock.slept();
        http.get("/v2/account", &[]).await.unwrap();
        assert_eq!(desk.clock.slept() - before, held, "{status} {after}");
    }
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        desk.arm(bars_of(vendor), 9, answer(429, &[("Retry-After", "3600")], json!("slow down")));
        let error = desk.all(&week()).await.unwrap_err();
        let VendorError::Limited { after, .. } = &error else { panic!("{vendor:?}: {error}") };
        assert_eq!(*after, Duration::from_secs(3_600));
        assert_eq!(desk.clock.slept(), Duration::ZERO);
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_is_left_alone_for_a_while() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        desk.arm("", 5, answer(502, &[], json!("Bad Gateway")));
        let error = desk.all(&week()).await.unwrap_err();
        let VendorError::Transient { attempts: 5, what, .. } = &error else { panic!("{vendor:?}: {error}") };
        assert!(what.contains("502"), "{what}");
        let error = desk.all(&week()).await.unwrap_err();
        assert!(matches!(error, VendorError::Limited { .. }), "{vendor:?}: {error}");
        assert!(error.to_string().contains("502"), "the cause is said: {error}");
        assert_eq!(desk.statuses().len(), 5, "nobody was asked");
        vendors::Clock::sleep(&*desk.clock, Duration::from_secs(10)).await;
        desk.all(&week()).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_not_asked_for_again() {
    for vendor in ALL {
        for (body, field) in [
            (json!("<html>Will be right back</html>"), ""),
            (json!({"chart": 1, "bars": 1, "results": 1}), ": "),
            (
                json!({
                    "chart": {"result": [{"timestamp": ["soon"]}]},
                    "bars": {"AAPL": [{"t": 5}]},
                    "results": [{"t": "soon"}],
                }),
                "[0]",
            ),
        ] {
            let desk = Desk::of(vendor).await;
            desk.arm(bars_of(vendor), 1, answer(200, &[], body));
            let error = desk.all(&week()).await.unwrap_err();
            let VendorError::Broken { what, .. } = &error else { panic!("{vendor:?}: {error}") };
            assert!(what.contains(field), "{vendor:?}: {what}");
            assert_eq!(desk.statuses().iter().filter(|status| **status != 200).count(), 0);
        }
    }
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_one_is_refused() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    for path in ["/v1/corporate-actions", "/v2/stocks/bars"] {
        desk.arm(path, 2, answer(200, &[], json!({"next_page_token": "again"})));
        let error = desk.all(&week()).await.unwrap_err();
        let VendorError::Broken { what, .. } = &error else { panic!("{path}: {error}") };
        assert_eq!(what, "next_page_token: \"again\" leads nowhere", "{path}");
    }
}

#[tokio::test]
async fn a_later_page_that_is_not_found_is_not_a_symbol_that_is_not_known() {
    let desk = Desk::of(Vendor::Massive).await;
    let first = json!({"results": [], "next_url": "https://elsewhere.example/v2/aggs/next?cursor=1"});
    desk.arm("/v2/aggs", 1, answer(200, &[], first));
    desk.arm("/v2/aggs/next", 1, answer(404, &[], json!({"status": "NOT_FOUND", "message": "no page"})));
    let error = desk.all(&week()).await.unwrap_err();
    let VendorError::Refused { status: 404, kind: Refusal::Request, message, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(message, "a later page: no page");
}

#[tokio::test]
async fn a_page_that_is_not_found_elsewhere_is_not_a_symbol_that_is_not_known() {
    for vendor in ALL {
        for body in [json!(""), json!("<html>404 page not found</html>")] {
            let desk = Desk::of(vendor).await;
            desk.arm(bars_of(vendor), 1, answer(404, &[], body));
            let error = desk.all(&week()).await.unwrap_err();
            let VendorError::Refused { status: 404, kind: Refusal::Request, message, .. } = &error else {
                panic!("{vendor:?}: {error}")
            };
            assert!(message.contains("is base_url right?"), "{vendor:?}: {message}");
        }
    }
}

#[tokio::test]
async fn an_error_of_yahoos_in_an_answer_that_says_success_is_of_its_kind() {
    for (code, kind) in [("Not Found", Refusal::Unknown), ("Bad Request", Refusal::Request)] {
        let desk = Desk::of(Vendor::Yahoo).await;
        let chart = json!({"result": null, "error": {"code": code, "description": "no such chart"}});
        desk.arm("/v8", 1, answer(200, &[], json!({"chart": chart})));
        let error = desk.all(&week()).await.unwrap_err();
        let VendorError::Refused { kind: told, message, .. } = &error else { panic!("{code}: {error}") };
        assert_eq!((*told, message.as_str()), (kind, "no such chart"), "{code}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        let elsewhere = format!("{}/consent", desk.vendors.addresses().http(Vendor::News));
        desk.arm(bars_of(vendor), 1, answer(302, &[("Location", &elsewhere)], json!("")));
        let error = desk.all(&week()).await.unwrap_err();
        assert!(matches!(error, VendorError::Refused { status: 302, .. }), "{vendor:?}: {error}");
        assert_eq!(desk.vendors.stand.ledger.requests(Some(Vendor::News), "").len(), 0);
    }
}

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_key_stands_in_no_message() {
    const PLANTED: &str = "planted-key-8c1f";
    let lines = Lines::default();
    let written = lines.clone();
    let _guard = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .finish()
        .set_default();
    for vendor in [Vendor::AlpacaData, Vendor::Massive] {
        let desk = Desk::with(vendor, PLANTED).await;
        let error = desk.all(&week()).await.unwrap_err();
        let VendorError::Refused { kind: Refusal::Credentials, .. } = error else { panic!("{error}") };
        let mut said = format!("{error} {error:?} {:?}", desk.adapter);
        // A vendor that repeats what it was sent.
        if vendor == Vendor::Massive {
            // A refusal with a status that says success.
            let body = json!({"status": "ERROR", "error": format!("Unknown key {PLANTED}")});
            desk.arm("/v3", 1, answer(200, &[], body));
            let error = desk.all(&week()).await.unwrap_err();
            assert!(error.to_string().contains("Unknown key ***"), "{error}");
            said.push_str(&format!("{error} {error:?}"));
        }
        for status in [400, 401, 503] {
            let path = if vendor == Vendor::Massive { "/v3" } else { "/v1" };
            let body =
                json!({"message": format!("unknown key {PLANTED}, secret {}", tapedeck_vendors::SECRET)});
            desk.arm(path, 5, answer(status, &[], body));
            let error = desk.all(&week()).await.unwrap_err();
            said.push_str(&format!("{error} {error:?}"));
            desk.vendors.stand.faults.clear();
        }
        assert!(said.contains("unknown key ***"), "{said}");
        assert!(!said.contains(PLANTED), "{said}");
        if vendor == Vendor::AlpacaData {
            assert!(!said.contains(tapedeck_vendors::SECRET), "{said}");
        }
    }
    let log = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(log.contains("unknown key ***"), "what failed is in the log");
    assert!(!log.contains(PLANTED), "{log}");
}
