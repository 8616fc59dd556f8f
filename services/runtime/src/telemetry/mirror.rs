//! The catalogue of metrics as OpenTelemetry instruments, under the same names.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::metrics::{AnyFamily, Description, LATENCY_BOUNDS, metrics, readings};

/// Makes an instrument per metric. Counters and gauges are read when the exporter asks.
pub(super) fn mirror(provider: &SdkMeterProvider) {
    let meter = provider.meter("tapedeck");
    for family in metrics().families() {
        mirror_family(&meter, family);
    }
    for reading in readings() {
        let name = reading.name;
        let now = move || readings().into_iter().find(|found| found.name == name).map(|found| found.value);
        if reading.counter {
            let counter = meter.f64_observable_counter(name).with_description(reading.help);
            counter
                .with_callback(move |instrument| {
                    if let Some(value) = now() {
                        instrument.observe(value, &[]);
                    }
                })
                .build();
        } else {
            let gauge = meter.f64_observable_gauge(name).with_description(reading.help);
            gauge
                .with_callback(move |instrument| {
                    if let Some(value) = now() {
                        instrument.observe(value, &[]);
                    }
                })
                .build();
        }
    }
}

fn mirror_family(meter: &Meter, family: AnyFamily) {
    match family {
        AnyFamily::Counter(family) => {
            let Description { name, help, labels } = family.description;
            let counter = meter.u64_observable_counter(name).with_description(help);
            counter
                .with_callback(move |instrument| {
                    for (values, counter) in family.all() {
                        instrument.observe(counter.get(), &attributes(labels, &values));
                    }
                })
                .build();
        }
        AnyFamily::Gauge(family) => {
            let Description { name, help, labels } = family.description;
            let gauge = meter.f64_observable_gauge(name).with_description(help);
            gauge
                .with_callback(move |instrument| {
                    for (values, gauge) in family.all() {
                        instrument.observe(gauge.get(), &attributes(labels, &values));
                    }
                })
                .build();
        }
        AnyFamily::Histogram(family) => {
            let Description { name, help, .. } = family.description;
            let histogram = meter
                .f64_histogram(name)
                .with_description(help)
                .with_unit("s")
                .with_boundaries(LATENCY_BOUNDS.to_vec())
                .build();
            // A second exporter in one process would be a defect; the first one stays.
            let _ = family.shared().set(histogram);
        }
    }
}

fn attributes(labels: &[&'static str], values: &[String]) -> Vec<KeyValue> {
    labels.iter().zip(values).map(|(&label, value)| KeyValue::new(label, value.clone())).collect()
}
