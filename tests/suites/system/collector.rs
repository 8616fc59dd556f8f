//! An OTLP collector for tests: takes protobuf over HTTP and keeps what it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of the process that sent it.
    pub process: String,
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
}

/// What arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    pub spans: Vec<Span>,
    /// Metric names with the processes that sent each.
    pub metrics: BTreeMap<String, BTreeSet<String>>,
    /// Highest sum of a counter or count of a histogram seen, by name.
    pub totals: BTreeMap<String, f64>,
    /// Log lines: process and text.
    pub logs: Vec<(String, String)>,
}

/// A collector that listens on a port of its own.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

impl Collector {
    /// Starts one; it lives as long as the test's runtime.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let collector = Self { address: listener.local_addr()?, arrived: Arc::default() };
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(collector)
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived so far.
    pub fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| text(pair.value.as_ref().and_then(|value| value.value.as_ref()));
    pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn process(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    attributes.get("service.name").cloned().unwrap_or_default()
}

async fn traces(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut arrived = collector.arrived();
    for of_resource in request.resource_spans {
        let process = process(of_resource.resource.as_ref());
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            arrived.spans.push(Span {
                process: process.clone(),
                name: span.name,
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
                start_ns: span.start_time_unix_nano,
                end_ns: span.end_time_unix_nano,
                attributes: attributes(&span.attributes),
            });
        }
    }
    StatusCode::OK
}

async fn metrics(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut arrived = collector.arrived();
    for of_resource in request.resource_metrics {
        let process = process(of_resource.resource.as_ref());
        for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            arrived.metrics.entry(metric.name.clone()).or_default().insert(process.clone());
            let total = match metric.data {
                Some(Data::Sum(sum)) => sum.data_points.iter().map(number).sum(),
                Some(Data::Histogram(histogram)) => {
                    histogram.data_points.iter().map(|point| point.count as f64).sum()
                }
                _ => 0.0,
            };
            let highest = arrived.totals.entry(metric.name).or_default();
            *highest = highest.max(total);
        }
    }
    StatusCode::OK
}

fn number(point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> f64 {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    match point.value {
        Some(Value::AsInt(value)) => value as f64,
        Some(Value::AsDouble(value)) => value,
        None => 0.0,
    }
}

async fn logs(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportLogsServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut arrived = collector.arrived();
    for of_resource in request.resource_logs {
        let process = process(of_resource.resource.as_ref());
        for record in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            let line = text(record.body.as_ref().and_then(|body| body.value.as_ref()));
            arrived.logs.push((process.clone(), line));
        }
    }
    StatusCode::OK
}
