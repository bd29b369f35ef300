//! `/metrics` as Prometheus reads it.

use rtms_service::metrics::{Metric, Metrics};

const TABLE: &[Metric] = &[
    Metric::counter("svc_test_total", "Things counted."),
    Metric::gauge("svc_test_level", "A level."),
    Metric::histogram("svc_test_seconds", "Durations."),
];

#[test]
fn help_texts_and_buckets_are_rendered_and_a_second_installation_shares() {
    let first = Metrics::install(TABLE);
    let second = Metrics::install(&[Metric::counter("svc_other_total", "Others.")]);
    metrics::counter!("svc_test_total", "outcome" => "ok").increment(2);
    metrics::gauge!("svc_test_level").set(7.0);
    metrics::histogram!("svc_test_seconds").record(0.02);
    metrics::counter!("svc_other_total").increment(1);
    for text in [first.render(), second.render()] {
        for line in [
            "# HELP svc_test_total Things counted.",
            "# TYPE svc_test_total counter",
            "svc_test_total{outcome=\"ok\"} 2",
            "svc_test_level 7",
            "svc_test_seconds_bucket{le=\"0.025\"} 1",
            "svc_test_seconds_bucket{le=\"0.01\"} 0",
            "svc_other_total 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
