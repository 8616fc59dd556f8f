//! The Orders page: lists, filters, parts, file, one order, its cancel.

use axum::http::StatusCode;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{Event, OrderSpec, OrderType, RiskDecision, RiskInput, Side, TimeInForce, Verdict};
use contracts::{Subject, event_id, order_id, stream, to_timestamp};

use super::action::Visitor;
use super::script::{ACCOUNT, NOW_NS};
use super::{Deck, read};

/// The id of the script's order that works.
async fn working(deck: &Deck) -> String {
    let page = deck.get("/orders").await.text;
    let row = page.split("<tr id=\"o-").nth(1).expect("an open order");
    row.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn tabs_show_open_orders_all_orders_and_fills() {
    let deck = Deck::traded().await;
    let open = deck.get("/orders").await.text;
    assert_eq!(open.matches("<tr id=\"o-").count(), 1);
    assert!(open.contains("BRK.B") && open.contains("limit 359.50") && open.contains(">accepted<"));
    let all = deck.get("/orders?tab=all").await.text;
    assert_eq!(all.matches("<tr id=\"o-").count(), 2);
    assert!(all.contains("<a href=\"/orders?tab=fills\">Fills</a>"));
    let fills = deck.get("/orders?tab=fills").await.text;
    assert_eq!(fills.matches("<tr id=\"f-").count(), 1);
    assert!(fills.contains(">190.00<"));
    // What a live page asks again is what it shows.
    assert!(all.contains("data-refetch=\"/panels/orders-table?tab=all\""));
    assert!(all.contains("data-topics=\"clock.paper,orders-table.\""));
}

#[tokio::test]
async fn a_cursor_that_no_list_named_is_said_to_be_wrong_where_the_list_would_be() {
    let deck = Deck::traded().await;
    for (path, said) in [
        ("/orders?tab=all&before=zzz", "before = &#34;zzz&#34;: expected a cursor"),
        ("/backtests?before=zzz", "before = &#34;zzz&#34;: expected a sequence"),
        ("/parity?before=zzz", "before = &#34;zzz&#34;: expected a sequence"),
        ("/events?before=zzz", "before = &#34;zzz&#34;: expected a sequence"),
    ] {
        let page = deck.get(path).await.text;
        assert!(page.contains(said) && !page.contains("read model cannot be read"), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_filter_names_every_strategy_as_it_is_called_and_the_one_in_force() {
    let deck = Deck::traded().await;
    for (path, chosen) in [
        ("/orders?tab=all&strategy=manual", "manual"),
        ("/orders?tab=all&strategy=sma_cross", "sma_cross"),
        ("/orders?tab=all&strategy=gone_since", "gone_since"),
    ] {
        let page = deck.get(path).await.text;
        let named = format!("<option value=\"{chosen}\" selected>{chosen}</option>");
        assert!(page.contains(&named), "{path}: {page}");
        assert!(page.contains("<option value=\"manual\""), "{path}");
    }
}

#[tokio::test]
async fn filters_stay_in_the_address_and_a_wrong_one_names_its_field() {
    let deck = Deck::traded().await;
    let page = deck.get("/orders?tab=all&symbol=aapl&side=buy&status=").await.text;
    assert_eq!(page.matches("<tr id=\"o-").count(), 1);
    assert!(page.contains("href=\"/orders.csv?tab=all&#38;symbol=aapl&#38;side=buy&#38;status=\""), "{page}");
    let none = deck.get("/orders?tab=all&symbol=NVDA").await.text;
    assert!(none.contains("No match"));
    for (query, named) in [
        ("side=up", "side = \"up\": expected one of buy, sell"),
        ("from=soon", "from = \"soon\": expected a date"),
        ("tab=closed", "tab = \"closed\""),
    ] {
        let answer = deck.get(&format!("/orders?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    let day = deck.get("/orders?tab=all&from=2026-01-06&to=2026-01-06").await.text;
    assert_eq!(day.matches("<tr id=\"o-").count(), 2);
    let before = deck.get("/orders?tab=all&to=2026-01-05").await.text;
    assert_eq!(before.matches("<tr id=\"o-").count(), 0);
}

#[tokio::test]
async fn parts_lead_to_older_rows_and_back() {
    let deck = Deck::traded().await;
    let first = deck.get("/orders?tab=all&limit=1").await.text;
    let older = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = deck.get(&older.replace("&#38;", "&")).await.text;
    assert_eq!((first.matches("<tr id=\"o-").count(), second.matches("<tr id=\"o-").count()), (1, 1));
    assert!(first.contains(">BRK.B<") && second.contains(">AAPL<"));
    assert!(second.contains(">Newest</a>") && second.contains("rel=\"prev\""));
    assert!(!second.contains("rel=\"next\""));
}

#[tokio::test]
async fn the_file_holds_the_rows_that_pass_the_filters() {
    let deck = Deck::traded().await;
    let answer = deck.get("/orders.csv?tab=all&symbol=AAPL").await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(lines.len(), 2, "{}", answer.text);
    assert!(lines[0].starts_with("order_id,time,account,"));
    assert!(lines[1].contains(",AAPL,buy,market,,,120,120,190,filled,,1,0,"), "{}", lines[1]);
    let fills = deck.get("/orders.csv?tab=fills").await.text;
    assert_eq!(fills.lines().count(), 2);
    // As a browser asks for it, which the answer's compression reads to its very end.
    let mut request = super::get("/orders.csv?tab=all");
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let answer = deck.send(request).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert!(!bytes.is_empty());
    assert_eq!(deck.get("/orders.csv?side=up").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_order_shows_its_terms_history_decision_and_chain() {
    let deck = Deck::traded().await;
    let id = working(&deck).await;
    let page = deck.get(&format!("/orders/{id}")).await.text;
    for text in [
        "BUY 10 BRK.B limit 359.50",
        "Risk decision",
        "order accepted",
        "href=\"/events/chain/",
        "Yes, cancel",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    assert_eq!(deck.get("/orders/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_times_among_its_facts_follow_the_readers_zone() {
    let deck = Deck::traded().await;
    let order = OrderSpec {
        order_id: order_id("signal-9", 0),
        account: ACCOUNT.to_owned(),
        strategy: "momentum".to_owned(),
        symbol: "AAPL".to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 1_000_000_000,
        ..OrderSpec::default()
    };
    let input = RiskInput {
        symbol: "AAPL".to_owned(),
        price_e9: 190_000_000_000,
        price_time: Some(to_timestamp(NOW_NS)),
        ..RiskInput::default()
    };
    let decision = RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: "momentum".to_owned(),
        signal_id: "signal-9".to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![order.clone()],
        inputs: vec![input],
        ..RiskDecision::default()
    };
    let event = Event {
        id: event_id("signal-9", "decision", 0),
        event_time: Some(to_timestamp(NOW_NS)),
        source: "risk".to_owned(),
        body: Some(EventBody::RiskDecision(decision)),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
    let page = deck.get(&format!("/orders/{}", order.order_id)).await.text;
    let made = page.split("<dt>Price made at</dt>").nth(1).unwrap();
    let time =
        "<time datetime=\"2026-01-06T19:30:00.000Z\" data-form=\"full\">2026-01-06 19:30:00</time></dd>";
    assert!(made.starts_with(&format!("<dd class=\"num\">{time}")), "{page}");
}

#[tokio::test]
async fn a_cancel_is_one_event_however_often_it_is_asked_for() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let id = working(&deck).await;
    let path = format!("/orders/{id}/cancel");
    let before = deck.stored().await;
    let form = |key: &str| format!("csrf={}&key={key}", visitor.token);
    // The same key twice, and then another one before the broker has answered.
    for key in ["key-number-1", "key-number-1", "key-number-2"] {
        let answer = read(deck.send(visitor.post(&path, &form(key))).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_eq!(deck.stored().await.0, before.0 + 1);
    deck.settle().await;
    let page = deck.get("/orders").await.text;
    assert!(page.contains(">cancel requested<") && !page.contains("Yes, cancel"));
    let answer = read(deck.send(visitor.post(&path, &form("key-number-3"))).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(deck.stored().await.0, before.0 + 1);
    let last = deck.tape.last(stream::TRADING, "order.>").await.unwrap().unwrap();
    assert!(matches!(last.event.body, Some(EventBody::OrderCancelRequested(_))));
}

#[tokio::test]
async fn an_order_that_is_over_or_unknown_cannot_be_cancelled() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let csv = deck.get("/orders.csv?tab=all&status=filled").await.text;
    let filled = csv.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let form = format!("csrf={}&key=key-number-1", visitor.token);
    for (id, status) in [(filled.as_str(), StatusCode::CONFLICT), ("nothing", StatusCode::NOT_FOUND)] {
        let answer = deck.send(visitor.post(&format!("/orders/{id}/cancel"), &form)).await;
        assert_eq!(answer.status(), status);
    }
    let answer =
        deck.send(visitor.post(&format!("/orders/{filled}/cancel"), "csrf=0&key=key-number-1")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(deck.stored().await, before);
}
