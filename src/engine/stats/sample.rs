//! The engine's account of what a container has consumed, read as widely as engines write it.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// One account of a running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The container's full name at that time, where the engine says it.
    pub(super) name: Option<String>,
    pub(super) sample: Sample,
    /// The processor as it was a moment before, where the engine has looked twice.
    pub(super) before: Option<Cpu>,
}

/// What a container has consumed, and when. Counters are of its present run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// RFC 3339 in UTC.
    pub(super) time: String,
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    /// Received and sent.
    pub(super) network: (u64, u64),
    /// Read and written.
    pub(super) block: (u64, u64),
    pub(super) pids: u64,
}

/// Time of processors, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    /// That the container used.
    pub(super) used: u64,
    /// That all processors together had, whoever used it; 0 where the engine does not say.
    pub(super) system: u64,
    /// How many processors there are; 0 where the engine does not say.
    pub(super) processors: u64,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Memory {
    pub(super) usage: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) stats: Option<MemoryStats>,
}

/// How much of it holds files that were not used lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct MemoryStats {
    /// With what is below it: of cgroup v1 only.
    pub(super) total_inactive_file: Option<u64>,
    pub(super) inactive_file: Option<u64>,
}

/// Why an account cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    Json(serde_json::Error),
    Time,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the stats of a container: {error}"),
            Self::Time => f.write_str("the stats of a container: `read` is no time"),
        }
    }
}

impl Reading {
    /// Reads JSON; none where the engine had nothing to read, because the container does not run.
    pub(super) fn read(json: &[u8]) -> Result<Option<Self>, Unreadable> {
        let raw: Raw = serde_json::from_slice(json).map_err(Unreadable::Json)?;
        let Some(time) = raw.read.as_deref().map_or(Ok(None), in_utc)? else {
            return Ok(None);
        };
        let before = raw.precpu_stats.map(Cpu::from);
        let name = raw.name.map(|name| match name.strip_prefix('/') {
            Some(plain) => plain.to_owned(),
            None => name,
        });
        Ok(Some(Self {
            name,
            before: before.filter(|before| before.system > 0),
            sample: Sample {
                time,
                cpu: raw.cpu_stats.map(Cpu::from).unwrap_or_default(),
                memory: raw.memory_stats.unwrap_or_default(),
                network: network(raw.networks.unwrap_or_default()),
                block: block(raw.blkio_stats.unwrap_or_default()),
                pids: raw
                    .pids_stats
                    .and_then(|pids| pids.current)
                    .unwrap_or_default(),
            },
        }))
    }
}

/// As the engine writes it. Anything can be missing or null: on the host's network, on cgroup v2, on Podman.
#[derive(Deserialize)]
struct Raw {
    read: Option<String>,
    name: Option<String>,
    cpu_stats: Option<RawCpu>,
    precpu_stats: Option<RawCpu>,
    memory_stats: Option<Memory>,
    networks: Option<HashMap<String, Option<RawNetwork>>>,
    blkio_stats: Option<RawBlock>,
    pids_stats: Option<RawPids>,
}

#[derive(Deserialize)]
struct RawCpu {
    cpu_usage: Option<RawUsage>,
    system_cpu_usage: Option<u64>,
    online_cpus: Option<u64>,
}

#[derive(Default, Deserialize)]
struct RawUsage {
    total_usage: Option<u64>,
    /// Of cgroup v1 only.
    percpu_usage: Option<Vec<Option<u64>>>,
}

#[derive(Deserialize)]
struct RawNetwork {
    rx_bytes: Option<u64>,
    tx_bytes: Option<u64>,
}

#[derive(Default, Deserialize)]
struct RawBlock {
    io_service_bytes_recursive: Option<Vec<RawEntry>>,
}

#[derive(Deserialize)]
struct RawEntry {
    op: Option<String>,
    value: Option<u64>,
}

#[derive(Deserialize)]
struct RawPids {
    current: Option<u64>,
}

impl From<RawCpu> for Cpu {
    fn from(raw: RawCpu) -> Self {
        let usage = raw.cpu_usage.unwrap_or_default();
        let listed = usage.percpu_usage.map_or(0, |each| each.len());
        let online = raw.online_cpus.filter(|online| *online > 0);
        Self {
            used: usage.total_usage.unwrap_or_default(),
            system: raw.system_cpu_usage.unwrap_or_default(),
            processors: online.unwrap_or(listed as u64),
        }
    }
}

/// A time in UTC; none for the year one, which stands for never.
fn in_utc(text: &str) -> Result<Option<String>, Unreadable> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Unreadable::Time)?;
    if time.year() <= 1 {
        return Ok(None);
    }
    let utc = time.checked_to_offset(UtcOffset::UTC);
    let written = utc.and_then(|time| time.format(&Rfc3339).ok());
    written.map(Some).ok_or(Unreadable::Time)
}

fn network(interfaces: HashMap<String, Option<RawNetwork>>) -> (u64, u64) {
    let each = interfaces.into_values().flatten();
    each.fold((0, 0), |(rx, tx): (u64, u64), one| {
        (
            rx.saturating_add(one.rx_bytes.unwrap_or_default()),
            tx.saturating_add(one.tx_bytes.unwrap_or_default()),
        )
    })
}

fn block(block: RawBlock) -> (u64, u64) {
    let (mut read, mut written) = (0_u64, 0_u64);
    for entry in block.io_service_bytes_recursive.unwrap_or_default() {
        let value = entry.value.unwrap_or_default();
        // cgroup v1 says `Read`, v2 `read`; there are also `Sync`, `Async`, `Discard` and `Total`.
        match entry.op.as_deref().and_then(|op| op.bytes().next()) {
            Some(b'r' | b'R') => read = read.saturating_add(value),
            Some(b'w' | b'W') => written = written.saturating_add(value),
            Some(_) | None => {}
        }
    }
    (read, written)
}
