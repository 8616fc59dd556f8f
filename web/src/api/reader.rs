//! The document for people: every endpoint with its parameters, body and answers, without a script.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Html;
use serde_json::Value;

use crate::app::App;
use crate::error::PageError;
use crate::pages::theme;

struct Endpoint {
    method: String,
    path: String,
    summary: String,
    parameters: Vec<String>,
    body: Option<String>,
    answers: Vec<String>,
}

#[derive(Template)]
#[template(path = "api_docs.html")]
struct Reader<'a> {
    app: &'a App,
    theme: &'static str,
    endpoints: Vec<Endpoint>,
    schemas: Vec<(String, String)>,
}

/// `GET /api/docs`
pub async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Html<String>, PageError> {
    let document = serde_json::to_value(super::document()).unwrap_or_default();
    let schemas = members(&document["components"]["schemas"])
        .map(|(name, schema)| (name.clone(), serde_json::to_string_pretty(schema).unwrap_or_default()));
    let page = Reader {
        app: &app,
        theme: theme(&headers),
        endpoints: endpoints(&document),
        schemas: schemas.collect(),
    };
    Ok(Html(page.render()?))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn endpoints(document: &Value) -> Vec<Endpoint> {
    members(&document["paths"])
        .flat_map(|(path, methods)| {
            members(methods).map(|(method, endpoint)| Endpoint {
                method: method.to_uppercase(),
                path: path.clone(),
                summary: text(&endpoint["summary"]),
                parameters: endpoint["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
                body: schema_name(&endpoint["requestBody"]["content"]),
                answers: members(&endpoint["responses"])
                    .map(|(status, answer)| format!("{status} {}", text(&answer["description"])))
                    .collect(),
            })
        })
        .collect()
}

fn parameter(parameter: &Value) -> String {
    let needed = if parameter["required"] == true { "required" } else { "optional" };
    let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
    format!("{name} ({place}, {needed}) {}", text(&parameter["description"]))
}

fn schema_name(content: &Value) -> Option<String> {
    let reference = content["application/json"]["schema"]["$ref"].as_str()?;
    reference.rsplit('/').next().map(str::to_owned)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
