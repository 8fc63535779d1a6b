//! Logs and metrics.

use std::io::IsTerminal;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder, TextEncoder};
use tracing_subscriber::EnvFilter;

/// Form of the log lines on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line: for pods.
    Json,
    /// Readable: for terminals.
    Text,
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The metrics exporter refused.
    #[error("metrics exporter: {0}")]
    Exporter(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// The metrics could not be written as text.
    #[error("metrics text: {0}")]
    Text(#[from] prometheus::Error),
}

/// Starts logging to standard error; `RUST_LOG` filters, default `info`
/// and only warnings of the libraries that report each connection. A second call changes nothing.
pub fn init_logs(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn,opentelemetry_sdk=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a test has set a subscriber before.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

/// Instruments of one process, written with OpenTelemetry and read by Prometheus.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: prometheus::Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// An empty set. Names go out as they are written in the code, without suffixes added.
    ///
    /// # Errors
    /// [`TelemetryError::Exporter`].
    pub fn new() -> Result<Self, TelemetryError> {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        Ok(Self { registry, provider })
    }

    /// Makes instruments.
    #[must_use]
    pub fn meter(&self, process: &'static str) -> Meter {
        self.provider.meter(process)
    }

    /// Everything in the text form that Prometheus scrapes.
    ///
    /// # Errors
    /// [`TelemetryError::Text`].
    pub fn render(&self) -> Result<String, TelemetryError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use opentelemetry::KeyValue;

    /// TA-57: the names and buckets that go out are those written in the code.
    #[test]
    fn names_labels_and_buckets_go_out_as_written() {
        let metrics = Metrics::new().unwrap();
        let meter = metrics.meter("inference");
        meter.u64_counter("tactical_decisions_total").build().add(2, &[KeyValue::new("agent", "fvg")]);
        let latency =
            meter.f64_histogram("tactical_inference_latency_seconds").with_unit("s").with_boundaries(vec![0.001, 0.005]).build();
        latency.record(0.002, &[]);
        let text = metrics.render().unwrap();
        for line in [
            "tactical_decisions_total{agent=\"fvg\"} 2",
            "tactical_inference_latency_seconds_bucket{le=\"0.001\"} 0",
            "tactical_inference_latency_seconds_bucket{le=\"0.005\"} 1",
            "tactical_inference_latency_seconds_count 1",
        ] {
            assert!(text.contains(line), "'{line}' is missing in\n{text}");
        }
    }
}
