//! Export of traces, metrics and logs over OTLP (protobuf over HTTP), when a collector is configured.
//!
//! Everything is queued, bounded, and sent by threads of the SDK: a collector that is slow or gone costs
//! what could not be sent and nothing else. That is said once, and again when it works again.
//!
//! Deliberately absent: TLS to the collector and gRPC. A collector on the same machine or network segment
//! takes plain HTTP and speaks to the outside.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor,
};

use super::chain::Chains;
use super::client::Client;
use super::mirror::mirror;
use super::subscriber::{BoxedLayer, MalformedFilter, filtered};

/// Spans that may wait for the exporter; what comes beyond is dropped.
const SPANS_WAITING_MAX: usize = 16_384;
/// Longest wait for one answer of the collector.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for what is left at the end.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Where telemetry goes, and how much of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportSettings {
    /// The collector's base address, for example `http://127.0.0.1:4318`; `/v1/traces` and so on follow.
    pub endpoint: String,
    /// `service.name` of everything that is exported.
    pub service_name: String,
    /// Share of decision chains that is traced, 0 to 1.
    pub trace_ratio: f64,
    /// Filter of the log lines that are exported, for example `info`.
    pub log_filter: String,
    /// Time between two exports of the metrics.
    pub metrics_every: Duration,
}

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log filter cannot be read.
    #[error(transparent)]
    Filter(#[from] MalformedFilter),
    /// An exporter cannot be made.
    #[error("export to {endpoint}: {source}")]
    Exporter {
        /// The collector.
        endpoint: String,
        /// Cause.
        #[source]
        source: ExporterBuildError,
    },
    /// There is no HTTP client.
    #[error("export: no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The exporters of a process.
#[derive(Debug)]
pub(super) struct Export {
    tracer: SdkTracerProvider,
    logger: SdkLoggerProvider,
    meter: SdkMeterProvider,
}

impl Export {
    /// Makes the exporters, the layers that feed them, and the chains. Runs inside a Tokio runtime.
    pub fn start(settings: &ExportSettings) -> Result<(Self, Vec<BoxedLayer>, Arc<Chains>), ExportError> {
        let client = Client::new(TIMEOUT)?;
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())))
            .build();
        let failed = |source| ExportError::Exporter { endpoint: settings.endpoint.clone(), source };
        let at = |path: &str| format!("{}/{path}", settings.endpoint.trim_end_matches('/'));

        // What cannot be sent is dropped: the next batch comes soon, and repeating would hold it up.
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.of("traces"))
            .with_endpoint(at("v1/traces"))
            .with_timeout(TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(failed)?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(SPANS_WAITING_MAX)
            .with_scheduled_delay(Duration::from_secs(1))
            .build();
        let mut processor = BatchSpanProcessor::builder(spans).with_batch_config(config).build();
        processor.set_resource(&resource);
        let processor = Shared(Arc::new(processor));
        let tracer = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_ratio))))
            .with_span_processor(processor.clone())
            .build();

        let logs = LogExporter::builder()
            .with_http()
            .with_http_client(client.of("logs"))
            .with_endpoint(at("v1/logs"))
            .with_timeout(TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(failed)?;
        let logger =
            SdkLoggerProvider::builder().with_resource(resource.clone()).with_batch_exporter(logs).build();

        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(client.of("metrics"))
            .with_endpoint(at("v1/metrics"))
            .with_timeout(TIMEOUT)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(failed)?;
        let reader = PeriodicReader::builder(metrics).with_interval(settings.metrics_every).build();
        let meter = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        mirror(&meter);

        let layers = vec![
            filtered(OpenTelemetryTracingBridge::new(&logger), &log_filter(&settings.log_filter))?,
            // Spans of this program alone; libraries open theirs by the thousand.
            filtered(
                tracing_opentelemetry::layer().with_tracer(tracer.tracer("tapedeck")),
                "off,web=info,tapedeck=info",
            )?,
        ];
        let sink = Box::new(move |span: SpanData| processor.0.on_end(span));
        let chains = Chains::new(settings.trace_ratio, sink);
        Ok((Self { tracer, logger, meter }, layers, chains))
    }

    /// Sends what is left, and ends. Blocks, at most for about [`FLUSH_MAX`] per signal.
    pub fn end(self) {
        for outcome in [
            self.tracer.shutdown_with_timeout(FLUSH_MAX),
            self.meter.shutdown_with_timeout(FLUSH_MAX),
            self.logger.shutdown_with_timeout(FLUSH_MAX),
        ] {
            if let Err(error) = outcome {
                tracing::debug!(%error, "telemetry was not flushed whole");
            }
        }
    }
}

/// The filter without the libraries that the export itself runs through.
fn log_filter(filter: &str) -> String {
    format!("{filter},hyper=off,hyper_util=off,reqwest=off,opentelemetry=off,opentelemetry_sdk=off")
}

/// One span processor for spans of `tracing` and spans of chains.
#[derive(Clone, Debug)]
struct Shared(Arc<BatchSpanProcessor>);

impl SpanProcessor for Shared {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
}
