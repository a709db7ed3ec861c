//! What a pretend process consumes: counters that grow with the time that it runs, as on cgroup v1.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::container::Container;
use super::engine::Engine;
use super::time::rfc3339;

/// The label that says how much of one processor a container's process uses, in percent.
pub(super) const CPU: &str = "pretend.cpu";

/// How often the engine looks.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// How many processors it has.
const PROCESSORS: u32 = 2;

/// What the kernel counts time in.
const TICK: u128 = 10_000_000;

/// The memory of its host, in bytes.
const HOST_MEMORY: u64 = 8 << 30;

/// The account of a container as it is now, with the processor as it was at an earlier look.
pub(super) fn account(container: &Container, before: Option<&Value>, now: SystemTime) -> Value {
    let nothing = json!({
        "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    });
    let running = container.ran_for(now);
    let date = running.map(|_| now);
    let never = Value::from(rfc3339(None));
    let mut account = json!({
        "read": rfc3339(date),
        "preread": before.map_or(&never, |before| &before["read"]),
        "pids_stats": {},
        "blkio_stats": blocks(running),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": nothing,
        "precpu_stats": before.map_or(&nothing, |before| &before["cpu_stats"]),
        "memory_stats": {},
        "name": format!("/{}", container.name),
        "id": container.id,
    });
    if let (Some(ran), Some(account)) = (running, account.as_object_mut()) {
        account.insert("cpu_stats".to_owned(), processor(container, ran, now));
        account.insert("memory_stats".to_owned(), memory(ran));
        account.insert("pids_stats".to_owned(), json!({ "current": 1 }));
        account.insert("networks".to_owned(), json!({ "eth0": network(ran) }));
    }
    account
}

/// The accounts of a container, one a line, about each second until it is removed.
pub(super) fn accounts(engine: Arc<Engine>, id: String) -> impl Stream<Item = Bytes> + Send {
    unfold(
        (engine, id, None),
        |(engine, id, before): (_, String, Option<Value>)| async move {
            sleep(PERIOD).await;
            let look = |container: &Container, now| account(container, before.as_ref(), now);
            let account =
                engine.with(|state, now| state.find(&id).ok().map(|one| look(one, now)))?;
            let line = Bytes::from(format!("{account}\n"));
            Some((line, (engine, id, Some(account))))
        },
    )
}

fn processor(container: &Container, ran: Duration, now: SystemTime) -> Value {
    let percent = container.config.labels.get(CPU);
    let used = match percent.and_then(|percent| percent.parse::<u32>().ok()) {
        Some(percent) => ran * percent / 100,
        // A quarter of a processor or so, sometimes more and sometimes less, and never going back.
        None => (ran + wave(ran)) / 4,
    };
    let uptime = now.duration_since(UNIX_EPOCH).unwrap_or_default() * PROCESSORS;
    let used = nanoseconds(used.as_nanos());
    let each = vec![used / u64::from(PROCESSORS); PROCESSORS as usize];
    json!({
        "cpu_usage": {
            "total_usage": used,
            "percpu_usage": each,
            "usage_in_kernelmode": used / 10,
            "usage_in_usermode": used - used / 10,
        },
        "system_cpu_usage": nanoseconds(uptime.as_nanos() / TICK * TICK),
        "online_cpus": PROCESSORS,
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

fn memory(ran: Duration) -> Value {
    let anonymous = (4 << 20) + nanoseconds(wave(ran).as_millis()) * 256;
    let (active, inactive) = (1 << 20, 3 << 20);
    let usage = anonymous + active + inactive;
    json!({
        "usage": usage,
        "max_usage": usage + (1 << 20),
        "stats": {
            "total_rss": anonymous,
            "total_cache": active + inactive,
            "total_active_file": active,
            "total_inactive_file": inactive,
            "inactive_file": inactive,
        },
        "limit": HOST_MEMORY,
    })
}

fn network(ran: Duration) -> Value {
    let packets = nanoseconds(ran.as_millis() / 10);
    json!({
        "rx_bytes": packets * 1_200, "rx_packets": packets, "rx_errors": 0, "rx_dropped": 0,
        "tx_bytes": packets * 300, "tx_packets": packets, "tx_errors": 0, "tx_dropped": 0,
    })
}

fn blocks(running: Option<Duration>) -> Value {
    let bytes = running.map(|ran| {
        let (read, written) = (1 << 20, ran.as_secs() * 4096);
        let entry =
            |op: &str, value: u64| json!({ "major": 8, "minor": 0, "op": op, "value": value });
        json!([
            entry("Read", read),
            entry("Write", written),
            entry("Total", read + written)
        ])
    });
    let none = running.map(|_| json!([]));
    json!({
        "io_service_bytes_recursive": bytes,
        "io_serviced_recursive": none,
        "io_queue_recursive": none,
        "io_service_time_recursive": none,
        "io_wait_time_recursive": none,
        "io_merged_recursive": none,
        "io_time_recursive": none,
        "sectors_recursive": none,
    })
}

/// Rises for ten seconds and falls for ten, by half of the time that passes.
fn wave(time: Duration) -> Duration {
    let period = Duration::from_secs(20).as_nanos();
    let phase = time.as_nanos() % period;
    Duration::from_nanos(nanoseconds(phase.min(period - phase) / 2))
}

fn nanoseconds(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
