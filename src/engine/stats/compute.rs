//! From two samples to figures, as the command `docker stats` computes them.

use super::Figures;
use super::sample::{Cpu, Memory, Sample};

/// The figures of a sample; the processor's share is over the time since `previous`.
pub(super) fn figures(previous: Cpu, current: &Sample) -> Figures {
    let (received, sent) = current.network;
    let (read, written) = current.block;
    Figures {
        time: current.time.clone(),
        cpu_percent: cpu_percent(previous, current.cpu),
        memory_bytes: memory(current.memory),
        memory_limit_bytes: current.memory.limit.unwrap_or_default(),
        network_rx_bytes: received,
        network_tx_bytes: sent,
        block_read_bytes: read,
        block_write_bytes: written,
        pids: current.pids,
    }
}

impl Cpu {
    /// Whether this can be a later look at the same run: counters of one run never go back.
    pub(super) const fn follows(self, previous: Self) -> bool {
        self.used >= previous.used && self.system >= previous.system
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage needs no more than 52 bits"
)]
fn cpu_percent(previous: Cpu, current: Cpu) -> f64 {
    let used = current.used.saturating_sub(previous.used);
    let system = current.system.saturating_sub(previous.system);
    if system == 0 || previous.system == 0 {
        return 0.0;
    }
    used as f64 / system as f64 * current.processors as f64 * 100.0
}

/// Memory in use without the files in it that were not used lately.
fn memory(memory: Memory) -> u64 {
    let usage = memory.usage.unwrap_or_default();
    let stats = memory.stats.unwrap_or_default();
    let less = |inactive: Option<u64>| inactive.filter(|inactive| *inactive < usage);
    let inactive = less(stats.total_inactive_file).or_else(|| less(stats.inactive_file));
    usage - inactive.unwrap_or_default()
}
