//! What goes wrong with facts and news, vendor by vendor.

use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use vendors::{ReferenceData as _, Refusal, VendorError};

use crate::office::{FACTS, NEWS, Office, all, answer};

/// The path of a vendor's facts or news.
fn path_of(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Yahoo => "/v10/finance/quoteSummary",
        Vendor::Massive => "/v3/reference/tickers",
        Vendor::AlpacaTrading => "/v2/assets",
        Vendor::AlpacaData => "/v1beta1/news",
        Vendor::News => "/v2/everything",
    }
}

/// What a vendor gives, in words that can be compared.
async fn given(office: &Office, vendor: Vendor) -> Result<String, VendorError> {
    if NEWS.contains(&vendor) {
        return all(&*office.news(vendor), &office.ask("AAPL", 10)).await.map(|all| format!("{all:?}"));
    }
    office.facts(vendor).facts("AAPL").await.map(|facts| format!("{facts:?}"))
}

fn everybody() -> impl Iterator<Item = Vendor> {
    FACTS.into_iter().chain(NEWS)
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    for vendor in everybody() {
        for fault in [
            answer(503, &[], json!("busy")),
            answer(429, &[], json!("Too Many Requests")),
            HttpFault::Cut,
            HttpFault::Truncate { bytes: 40 },
        ] {
            let office = Office::new().await;
            let whole = given(&office, vendor).await.unwrap();
            office.arm(vendor, path_of(vendor), 2, fault.clone());
            assert_eq!(given(&office, vendor).await.unwrap(), whole, "{vendor:?} {fault:?}");
            assert_eq!(office.clock.slept(), Duration::from_millis(250 + 500), "{vendor:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_vendor_says_how_long_to_wait() {
    for vendor in everybody() {
        let office = Office::new().await;
        office.arm(vendor, path_of(vendor), 1, answer(429, &[("Retry-After", "7")], json!({})));
        given(&office, vendor).await.unwrap();
        assert_eq!(office.clock.slept(), Duration::from_millis(7_000 + 250), "{vendor:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_is_left_alone_for_a_while() {
    for vendor in everybody() {
        let office = Office::new().await;
        office.arm(vendor, path_of(vendor), 5, answer(502, &[], json!("Bad Gateway")));
        let error = given(&office, vendor).await.unwrap_err();
        let VendorError::Transient { attempts: 5, what, .. } = &error else { panic!("{vendor:?}: {error}") };
        assert!(what.contains("502"), "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_names_its_field_and_is_not_asked_for_again() {
    let wrong: [(Vendor, Value, &str); 5] = [
        (Vendor::Yahoo, json!({"quoteSummary": {"result": [{"assetProfile": 5}]}}), "assetProfile"),
        (Vendor::Massive, json!({"results": [{"ticker": 5}]}), "results[0].ticker"),
        (Vendor::AlpacaTrading, json!({"symbol": 5, "status": "active"}), "symbol"),
        (Vendor::AlpacaData, json!({"news": [{"created_at": "soon"}]}), "news[0].created_at"),
        (Vendor::News, json!({"articles": [{"publishedAt": "soon"}]}), "articles[0].publishedAt"),
    ];
    for (vendor, body, field) in wrong {
        for (body, field) in [(body, field), (json!("<html>Will be right back</html>"), "")] {
            let office = Office::new().await;
            office.arm(vendor, path_of(vendor), 1, answer(200, &[], body));
            let error = given(&office, vendor).await.unwrap_err();
            let VendorError::Broken { what, .. } = &error else { panic!("{vendor:?}: {error}") };
            assert!(what.contains(field), "{vendor:?}: {what}");
            assert_eq!(office.statuses(vendor, path_of(vendor)), [200], "{vendor:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_news_that_names_itself_as_the_next_one_is_refused() {
    let office = Office::new().await;
    let body = json!({"news": [], "next_page_token": "again"});
    office.arm(Vendor::AlpacaData, path_of(Vendor::AlpacaData), 2, answer(200, &[], body));
    let error = given(&office, Vendor::AlpacaData).await.unwrap_err();
    let VendorError::Broken { what, .. } = &error else { panic!("{error}") };
    assert_eq!(what, "next_page_token: \"again\" leads nowhere");
}

#[tokio::test]
async fn a_broken_statement_names_its_item() {
    let office = Office::new().await;
    let body = json!({"timeseries": {"result": [{"annualNetIncome": [{"asOfDate": 5}]}], "error": null}});
    office.arm(Vendor::Yahoo, "/ws/fundamentals-timeseries", 1, answer(200, &[], body));
    let error = given(&office, Vendor::Yahoo).await.unwrap_err().to_string();
    assert!(error.contains("annualNetIncome") && error.contains("as"), "{error}");
}

#[tokio::test]
async fn a_cookie_counts_whatever_the_status_of_its_page() {
    let cookie = [("Set-Cookie", "A3=d=Planted&S=1; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure")];
    for status in [200, 403, 502] {
        let office = Office::new().await;
        // The first request of all is for the cookie.
        office.arm(Vendor::Yahoo, "/", 1, answer(status, &cookie, json!("<html></html>")));
        given(&office, Vendor::Yahoo).await.unwrap();
        assert_eq!(office.clock.slept(), Duration::ZERO, "{status}");
    }
    let office = Office::new().await;
    office.arm(Vendor::Yahoo, "/", 1, answer(200, &[], json!("<html></html>")));
    let error = given(&office, Vendor::Yahoo).await.unwrap_err();
    let VendorError::Broken { what, .. } = &error else { panic!("{error}") };
    assert_eq!(what, "no cookie is handed out");
}

#[tokio::test]
async fn a_crumb_that_is_none_is_not_believed() {
    for told in ["", "<html>Sign in</html>", "Too Many Requests", "edge: not found \u{1}"] {
        let office = Office::new().await;
        office.arm(Vendor::Yahoo, "/v1/test/getcrumb", 1, answer(200, &[], json!(told)));
        let error = given(&office, Vendor::Yahoo).await.unwrap_err();
        let VendorError::Transient { what, .. } = &error else { panic!("{told:?}: {error}") };
        assert!(what.starts_with("no crumb is handed out"), "{what}");
        assert!(office.statuses(Vendor::Yahoo, "/v10").is_empty());
        given(&office, Vendor::Yahoo).await.unwrap();
    }
}

#[tokio::test]
async fn a_crumb_that_never_counts_ends_after_a_second_one() {
    let office = Office::new().await;
    let source = office.facts(Vendor::Yahoo);
    source.facts("AAPL").await.unwrap();
    let refusal = json!({"finance": {"error": {"code": "Unauthorized", "description": "Invalid Crumb"}}});
    office.arm(Vendor::Yahoo, "/v10", 9, answer(401, &[], refusal));
    let error = source.facts("AAPL").await.unwrap_err();
    let VendorError::Refused { kind: Refusal::Credentials, message, .. } = &error else { panic!("{error}") };
    assert_eq!(message, "Invalid Crumb");
    assert_eq!(office.statuses(Vendor::Yahoo, "/v10"), [200, 401, 401]);
}

#[tokio::test]
async fn consent_is_given_once_where_the_user_says_so() {
    let office = Office::new().await;
    let facts = office.facts(Vendor::Yahoo).facts("AAPL").await.unwrap();
    office.set(&json!({"yahoo": {"consent": true}}));
    let agreed = office.facts_with_consent();
    assert_eq!(agreed.facts("AAPL").await.unwrap(), facts);
    agreed.facts("MSFT").await.unwrap();
    let statuses = |path| office.statuses(Vendor::Yahoo, path);
    // The page sends to its form, the form is shown and sent, and what was agreed to is written down.
    assert_eq!(statuses("/consent"), [302]);
    assert_eq!(statuses("/v2/collectConsent"), [200, 302]);
    assert_eq!(statuses("/copyConsent"), [200]);
    // Where nobody is asked nobody agrees.
    office.set(&json!({"yahoo": {"consent": false}}));
    office.facts_with_consent().facts("AAPL").await.unwrap();
    assert_eq!(statuses("/consent").len(), 1);
}

#[tokio::test]
async fn a_form_of_consent_without_its_fields_is_told() {
    let office = Office::new().await;
    office.set(&json!({"yahoo": {"consent": true}}));
    office.arm(Vendor::Yahoo, "/v2/collectConsent", 1, answer(200, &[], json!("<form></form>")));
    let error = office.facts_with_consent().facts("AAPL").await.unwrap_err();
    let VendorError::Broken { what, .. } = &error else { panic!("{error}") };
    assert!(what.contains("`csrfToken`"), "{what}");
}

#[tokio::test]
async fn a_page_that_asks_for_consent_is_said_and_not_followed() {
    let office = Office::new().await;
    office.set(&json!({"yahoo": {"consent": true}}));
    let error = given(&office, Vendor::Yahoo).await.unwrap_err();
    let VendorError::Refused { status: 302, message, .. } = &error else { panic!("{error}") };
    for field in ["consent", "source.yahoo.cookie_url", "source.yahoo.accept_consent = true"] {
        assert!(message.contains(field), "{message}");
    }
    assert!(office.statuses(Vendor::Yahoo, "/consent").is_empty());
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_stands_in_no_message() {
    const PLANTED: &str = "planted-key-3d7a";
    for vendor in [Vendor::AlpacaTrading, Vendor::Massive, Vendor::AlpacaData, Vendor::News] {
        let office = Office::new().await.with_key(PLANTED);
        let error = given(&office, vendor).await.unwrap_err();
        let VendorError::Refused { kind: Refusal::Credentials, .. } = &error else {
            panic!("{vendor:?}: {error}")
        };
        let mut said = format!("{error} {error:?}");
        office.arm(
            vendor,
            path_of(vendor),
            1,
            answer(400, &[], json!({"message": format!("bad {PLANTED}")})),
        );
        let error = given(&office, vendor).await.unwrap_err();
        said.push_str(&format!("{error} {error:?}"));
        assert!(said.contains("bad ***") && !said.contains(PLANTED), "{said}");
    }
}
