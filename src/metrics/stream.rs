//! Open streams: answers that go on, counted from their first byte to their last.

use prometheus_client::metrics::gauge::Gauge;

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// What a container prints.
    Logs,
    /// What a container consumes.
    Stats,
    /// Changes of state.
    Events,
}

impl StreamKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Stats, Self::Events];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Stats => "stats",
            Self::Events => "events",
        }
    }
}

/// An open stream. It counts until it is dropped, so it belongs into the stream itself.
#[derive(Debug)]
#[must_use]
pub struct OpenStream(Gauge);

impl OpenStream {
    pub(super) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
