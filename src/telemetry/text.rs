//! Prometheus' text format, version 0.0.4. By hand, since the client libraries keep counters of their own, where ours are asked only when somebody
//! scrapes, and `prometheus-client` writes OpenMetrics, which older scrapers and `promtool check metrics` do not read.

use std::fmt::{Display, Write};

/// Media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub struct Text(String);

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
    /// How often something was within each of some bounds.
    Histogram,
}

impl Text {
    /// Begins a metric; it stands on the page also while it has no samples.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // writing to a String does not fail
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { text: &mut self.0, name }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A metric of a page.
pub struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Metric<'_> {
    /// Writes a sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// Writes the samples of a histogram: for each upper bound how many were within it and not within the one before, and last
    /// how many were over all of them.
    pub fn buckets(&mut self, bounds: &[f64], counts: impl IntoIterator<Item = u64>, sum: impl Display) {
        let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut within = 0;
        for (bound, count) in bounds.zip(counts) {
            within += count;
            self.part("_bucket", &[("le", &bound)], within);
        }
        self.part("_sum", &[], sum);
        self.part("_count", &[], within);
    }

    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}
