//! The log: what is written, in which form, to standard error.

use std::str::FromStr;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The `[log]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is written: a level, or levels by target, such as `info` or `warn,relayer_controller::engine=debug`.
    pub filter: Targets,
    /// How a line looks.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filter: Targets::new().with_default(tracing::Level::INFO),
            format: Format::Text,
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is `text` or `json`"),
        }
    }
}

/// Starts the log of this process. Only the first call has an effect.
pub fn start(settings: &Settings) {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = match settings.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start is a test's; its lines go where the first one said.
    let _already_started = tracing_subscriber::registry()
        .with(layer.with_filter(settings.filter.clone()))
        .try_init();
}
