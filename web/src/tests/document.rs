//! The document of the API against the routes that there are.

use std::collections::BTreeSet;
use std::path::Path;

use axum::http::StatusCode;
use serde_json::Value;

use super::Deck;

#[test]
fn no_route_of_the_api_is_outside_the_document() {
    // Routes under /api/ come from the list that the document is made of; nowhere else one may be added.
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("document.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(text.lines().filter(|line| line.contains(".route(\"/api/")).map(str::to_owned));
            }
        }
    }
    let found: BTreeSet<&str> = found.iter().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(found, BTreeSet::from(["/api/docs", "/api/v1/openapi.json"]));
}

#[tokio::test]
async fn every_address_of_the_document_is_answered_and_described() {
    let deck = Deck::empty().await;
    let answer = deck.get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "two operations are called {name}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
            for field in operation["parameters"].as_array().into_iter().flatten() {
                let said = field["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(said, "{name}: {field}");
            }
            if method != "get" {
                let keyed = operation["parameters"].as_array().into_iter().flatten();
                assert!(keyed.clone().any(|field| field["name"] == "Idempotency-Key"), "{method} {path}");
            }
        }
    }
    // References that lead nowhere would leave a program without the shape of an answer.
    let known = document["components"]["schemas"].as_object().unwrap();
    for part in answer.text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(known.contains_key(name), "{name} is not described");
    }
    for name in ["follow_events", "follow_pages", "list_orders", "replay_parked", "rebuild_projection"] {
        assert!(names.contains(name), "{name}");
    }
}
