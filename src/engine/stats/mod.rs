//! What a container consumes: processor, memory, network, disks and processes, with the figures of `docker stats`.

mod compute;
mod kept;
mod sample;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;

use compute::figures;
use kept::Kept;
use sample::Reading;
use watched::Watched;

use super::inspected::Inspected;
use super::lines::Lines;
use super::upstream::{Question, Upstream};
use super::{ContainerId, Engine, Error};
use crate::policy::{ContainerName, Operation, Permitted, Verb};

/// The longest that the engine's account of one container can be. On a host with many disks it is long.
const MAX_SAMPLE_BYTES: usize = 1024 * 1024;

/// Read what a container consumes.
#[derive(Clone, Copy, Debug)]
pub struct ReadStats;

impl Operation for ReadStats {
    fn verb(&self) -> Verb {
        Verb::Stats
    }
}

/// What a container consumes; the answer to `stats`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stats {
    /// The short name.
    #[schemars(regex(pattern = ContainerName::PATTERN))]
    pub container: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a container consumes, as `docker stats` counts it. What the engine does not know is 0.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// When the engine looked: RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Of one processor, over the time since the look before: two that are wholly in use are 200.
    #[schemars(range(min = 0.0))]
    pub cpu_percent: f64,
    /// Memory in use, without what is only a copy of files and can be given back at once.
    pub memory_bytes: u64,
    /// The most that it can have; the host's memory where it has no limit.
    pub memory_limit_bytes: u64,
    /// Received on all its network interfaces since it was started.
    pub network_rx_bytes: u64,
    /// Sent on all its network interfaces since it was started.
    pub network_tx_bytes: u64,
    /// Read from block devices since it was started.
    pub block_read_bytes: u64,
    /// Written to block devices since it was started.
    pub block_write_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// What is kept for the next who asks, and what several who ask at once share.
#[derive(Default)]
pub(super) struct Readings {
    kept: Kept,
    watched: Watched,
}

/// A reading, and when it came.
#[derive(Clone, Debug)]
struct Taken {
    reading: Reading,
    at: Instant,
}

impl Taken {
    /// Reads the engine's account of a container; none where it says that the container does not run.
    fn read(json: &[u8]) -> Result<Option<Self>, Error> {
        let at = Instant::now();
        let reading = Reading::read(json).map_err(|why| Error::Garbled(why.to_string()))?;
        Ok(reading.map(|reading| Self { reading, at }))
    }
}

impl Engine {
    /// What a container consumes; none where it does not run.
    ///
    /// The engine gives counters, and a share of the processor is a difference between two looks at them. The look
    /// before is kept for half a minute; without one this waits for a second look. Within a second the answer is the
    /// same, and those who ask at once share one.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn stats(
        self: &Arc<Self>,
        permitted: Permitted<'_, ReadStats>,
    ) -> Result<Option<Stats>, Error> {
        let mut answer = Err(Error::NotFound);
        // Twice: it may be replaced by a new one of that name between the look and the question.
        for _ in 0..2 {
            let found = self.locate(permitted.full_name()).await?;
            if !found.is_up() {
                return Ok(None);
            }
            answer = self.readings.kept.figures(self, &found).await;
            if answer != Err(Error::NotFound) {
                break;
            }
        }
        let container = permitted.container().to_string();
        Ok(answer?.map(|figures| Stats { container, figures }))
    }

    /// The counters of a container as they are now; none where it does not run.
    async fn sample(&self, id: &ContainerId) -> Result<Option<Taken>, Error> {
        let path = format!("/containers/{id}/stats?stream=false&one-shot=true");
        match self
            .fetch("stats", Question::get(path), MAX_SAMPLE_BYTES)
            .await
        {
            Ok(body) => Taken::read(&body),
            Err(Error::Refused { status: 404, .. }) => Err(Error::NotFound),
            // Podman says so, and Docker gives an account without figures.
            Err(Error::Refused { status: 409, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The counters of a container as the engine writes them, about each second.
    async fn samples(&self, id: &ContainerId) -> Result<Upstream, Error> {
        let path = format!("/containers/{id}/stats?stream=true");
        self.open("stats", Question::get(path)).await
    }
}
