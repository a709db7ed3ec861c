//! The text of the metrics: today's format, and the one before it.

use std::mem;

/// In which form the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, which everything reads that reads metrics.
    Prometheus,
    /// `OpenMetrics`, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// The media type of such a text.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Turns a text in the form of `OpenMetrics` into one of this form.
    ///
    /// They differ in one thing: where the counter `x_total` is described, it is called `x` in `OpenMetrics` and
    /// `x_total` before it. What else is new is a comment to older readers.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::Prometheus => with_whole_names(&open_metrics),
            Self::OpenMetrics => open_metrics,
        }
    }
}

fn with_whole_names(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 128);
    // A help comes right before its type, which says whether it is a counter's.
    let mut help = "";
    for line in open_metrics.split_inclusive('\n') {
        if line.starts_with("# HELP ") {
            help = line;
            continue;
        }
        let counter = line.strip_suffix(" counter\n");
        if let Some(name) = counter.and_then(|line| line.strip_prefix("# TYPE ")) {
            let whole = format!("{name}_total");
            text += &mem::take(&mut help).replacen(name, &whole, 1);
            text += &line.replacen(name, &whole, 1);
        } else {
            text += mem::take(&mut help);
            text += line;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn only_descriptions_of_counters_differ() {
        let text = "# HELP x x of x.\n# TYPE x counter\nx_total{a=\"# TYPE x counter\"} 1\n\
            # HELP y_seconds y.\n# TYPE y_seconds gauge\n# UNIT y_seconds seconds\ny_seconds 2\n# EOF\n";
        let before = "# HELP x_total x of x.\n# TYPE x_total counter\nx_total{a=\"# TYPE x counter\"} 1\n\
            # HELP y_seconds y.\n# TYPE y_seconds gauge\n# UNIT y_seconds seconds\ny_seconds 2\n# EOF\n";
        assert_eq!(Format::OpenMetrics.of(text.to_owned()), text);
        assert_eq!(Format::Prometheus.of(text.to_owned()), before);
    }
}
