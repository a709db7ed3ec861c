//! Figures out of accounts as engines write them.

use serde_json::{Value, json};

use super::compute::figures;
use super::sample::{Cpu, Reading};

/// Docker 20.10 on cgroup v1.
const V1: &str = include_str!("tests/v1.json");
/// Docker on cgroup v2, with a clock that is not in UTC.
const V2: &str = include_str!("tests/v2.json");

/// The figures of an account over the time since the earlier look in it, or why there are none.
fn read(account: &Value) -> String {
    match Reading::read(account.to_string().as_bytes()) {
        Ok(Some(reading)) => {
            let figures = figures(reading.before.unwrap_or_default(), &reading.sample);
            serde_json::to_string(&figures).unwrap()
        }
        Ok(None) => "does not run".to_owned(),
        Err(why) => why.to_string(),
    }
}

/// Asserts what is different in the figures when these places of the account are otherwise; none removes the place.
fn check(account: &str, changes: &[(&str, Option<Value>)], expected: &Value) {
    let mut account: Value = serde_json::from_str(account).unwrap();
    let plain: Value = serde_json::from_str(&read(&account)).unwrap();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = account
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        let before = parent.remove(key);
        assert!(before.is_some(), "{pointer}");
        if let Some(value) = value {
            parent.insert(key.to_owned(), value.clone());
        }
    }
    let text = read(&account);
    let now: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let Some(figures) = now.as_object() else {
        return assert_eq!(&now, expected, "{changes:?}");
    };
    let differences = figures.iter().filter(|(key, value)| plain[*key] != **value);
    let differences: Value = differences
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(&differences, expected, "{changes:?}");
}

#[test]
fn the_figures_of_docker_stats() {
    for (account, expected) in [
        (
            V1,
            r#"{"time":"2026-11-23T15:46:16.926989095Z","cpu_percent":46.19782567164179,"memory_bytes":614400,"memory_limit_bytes":104857600,"network_rx_bytes":1296,"network_tx_bytes":648,"block_read_bytes":1983464,"block_write_bytes":4096,"pids":1}"#,
        ),
        (
            V2,
            r#"{"time":"2026-11-23T15:46:16.5Z","cpu_percent":150.0,"memory_bytes":41000000,"memory_limit_bytes":8345239552,"network_rx_bytes":101,"network_tx_bytes":12,"block_read_bytes":8192,"block_write_bytes":12289,"pids":7}"#,
        ),
    ] {
        assert_eq!(read(&serde_json::from_str(account).unwrap()), expected);
    }
}

/// What is missing or null counts as nothing, one thing as well as all.
#[test]
fn what_engines_leave_out() {
    let no_cpu = json!({ "cpu_percent": 0.0 });
    for nothing in [None, Some(Value::Null)] {
        let none = |pointer| [(pointer, nothing.clone())];
        let without_network = json!({ "network_rx_bytes": 0, "network_tx_bytes": 0 });
        check(V1, &none("/networks"), &without_network);
        check(V1, &none("/networks/eth0"), &without_network);
        check(
            V2,
            &none("/networks/eth1"),
            &json!({ "network_rx_bytes": 100, "network_tx_bytes": 10 }),
        );
        check(
            V2,
            &none("/networks/eth1/rx_bytes"),
            &json!({ "network_rx_bytes": 100 }),
        );
        let without_blocks = json!({ "block_read_bytes": 0, "block_write_bytes": 0 });
        check(V2, &none("/blkio_stats"), &without_blocks);
        check(
            V2,
            &none("/blkio_stats/io_service_bytes_recursive"),
            &without_blocks,
        );
        check(V2, &none("/pids_stats"), &json!({ "pids": 0 }));
        check(V2, &none("/pids_stats/current"), &json!({ "pids": 0 }));
        check(
            V2,
            &none("/memory_stats"),
            &json!({ "memory_bytes": 0, "memory_limit_bytes": 0 }),
        );
        check(
            V2,
            &none("/memory_stats/stats"),
            &json!({ "memory_bytes": 50_000_000 }),
        );
        check(
            V2,
            &none("/memory_stats/stats/inactive_file"),
            &json!({ "memory_bytes": 50_000_000 }),
        );
        check(
            V1,
            &none("/memory_stats/stats/total_inactive_file"),
            &json!({ "memory_bytes": 696_864 }),
        );
        check(
            V2,
            &none("/memory_stats/limit"),
            &json!({ "memory_limit_bytes": 0 }),
        );
        check(
            V2,
            &none("/memory_stats/usage"),
            &json!({ "memory_bytes": 0 }),
        );
        check(V2, &none("/cpu_stats"), &no_cpu);
        check(V2, &none("/cpu_stats/cpu_usage"), &no_cpu);
        check(V2, &none("/cpu_stats/system_cpu_usage"), &no_cpu);
        check(V2, &none("/precpu_stats"), &no_cpu);
        check(V2, &none("/precpu_stats/system_cpu_usage"), &no_cpu);
        // Only cgroup v1 lists each processor.
        check(V1, &none("/cpu_stats/online_cpus"), &json!({}));
        check(V2, &none("/cpu_stats/online_cpus"), &no_cpu);
        check(V2, &none("/name"), &json!({}));
        check(V2, &none("/read"), &json!("does not run"));
    }
}

#[test]
fn what_does_not_fit() {
    let no_cpu = json!({ "cpu_percent": 0.0 });
    let one = |pointer, value: Value| [(pointer, Some(value))];
    // It was started again, or the host was.
    check(
        V1,
        &one("/cpu_stats/cpu_usage/total_usage", json!(5)),
        &no_cpu,
    );
    check(V1, &one("/cpu_stats/system_cpu_usage", json!(5)), &no_cpu);
    // All that it uses are files; the second is looked at where the first does not fit.
    check(
        V1,
        &one("/memory_stats/stats/total_inactive_file", json!(2_596_864)),
        &json!({ "memory_bytes": 696_864 }),
    );
    check(
        V2,
        &one("/memory_stats/stats/inactive_file", json!(60_000_000)),
        &json!({ "memory_bytes": 50_000_000 }),
    );
    check(
        V2,
        &one("/networks/eth0/rx_bytes", json!(u64::MAX)),
        &json!({ "network_rx_bytes": u64::MAX }),
    );
    check(
        V2,
        &one("/read", json!("0001-01-01T00:00:00Z")),
        &json!("does not run"),
    );
    check(
        V2,
        &one("/read", json!("now")),
        &json!("the stats of a container: `read` is no time"),
    );
    assert!(read(&json!("x")).starts_with("the stats of a container: invalid type"));
    assert!(
        read(&json!({"read": "2026-11-23T15:46:16Z", "cpu_stats": 1})).contains("invalid type")
    );
}

#[test]
fn a_later_look_at_the_same_run() {
    let cpu = |used, system| Cpu {
        used,
        system,
        processors: 2,
    };
    for (before, now, expected) in [
        (cpu(1, 10), cpu(2, 20), true),
        (cpu(1, 10), cpu(1, 10), true),
        (cpu(2, 10), cpu(1, 20), false),
        (cpu(1, 20), cpu(2, 10), false),
    ] {
        assert_eq!(now.follows(before), expected, "{before:?} {now:?}");
    }
}

#[test]
fn a_name_has_no_slash_before_it() {
    for (written, expected) in [
        ("/relayer-muxer", "relayer-muxer"),
        ("relayer-muxer", "relayer-muxer"),
    ] {
        let account = json!({ "read": "2026-11-23T15:46:16Z", "name": written });
        let reading = Reading::read(account.to_string().as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(reading.name.as_deref(), Some(expected));
    }
}
