//! The mirror while it is not current: the engine answers, nobody is told what is not so, and it comes back by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use relayer_controller::engine::OwnContainer;
use relayer_controller::pretend::Fault;

use crate::gateway::Gateway;
use crate::http;
use crate::reload;
use crate::stage::Stage;
use crate::stats::until;

const TWO: &str = "[containers.a]\nallow = [\"status\", \"start\", \"stop\"]\n\
    [containers.b]\nallow = [\"status\"]\n";

const NOT_CURRENT: &str = r#"{"ready":true,"mirror":"not current"}"#;

/// Whether the engine was asked for this.
fn asks(stage: &Stage, path: &str) -> bool {
    stage.record.take();
    assert_eq!(stage.get_mirrored(path).status, 200, "{path}");
    !stage.record.take().is_empty()
}

fn gauge(stage: &Stage) -> String {
    let metrics = stage.get_mirrored("/metrics").body;
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.starts_with("relayer_controller_mirror_current "));
    line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn the_engine_answers_instead() {
    let stage = Stage::pretend(TWO);
    let pretend = stage.pretend.as_ref().unwrap();
    stage.container("a");
    stage.container("b");
    for path in ["/container/a", "/container/b"] {
        until("seen", || stage.get_mirrored(path).status == 200);
    }
    for fault in [Fault::Fail, Fault::Stall, Fault::Garbage, Fault::Redirect] {
        for path in ["/container/a/status", "/container/b", "/containers"] {
            until("in memory", || !asks(&stage, path));
        }
        assert_eq!(gauge(&stage), "1", "{fault:?}");
        pretend.set_fault_on("/events", fault);
        pretend.cut_events();
        until("known", || stage.get_mirrored("/ready").body == NOT_CURRENT);
        assert_eq!(stage.get_mirrored("/ready").status, 200);
        assert_eq!(gauge(&stage), "0", "{fault:?}");
        for path in ["/container/a/status", "/container/b", "/containers"] {
            assert!(asks(&stage, path), "{fault:?}: {path}");
        }
        for (verb, state) in [("start", "running"), ("stop", "exited")] {
            assert_eq!(stage.post(&format!("/container/a/{verb}")).status, 200);
            let answer = stage.get_mirrored("/container/a/status");
            assert_eq!(answer.json()["status"], state, "{fault:?}");
        }
        pretend.set_fault(None);
    }
}

/// However many ask for a container at once, the engine is asked for it twice at most: by the first, and for all others.
#[test]
fn one_flight_for_each_container() {
    let stage = Stage::pretend(TWO);
    let pretend = stage.pretend.as_ref().unwrap();
    let ids = ["a", "b"].map(|name| stage.container(name));
    pretend.set_fault_on("/events", Fault::Fail);
    pretend.cut_events();
    until("known", || stage.get_mirrored("/ready").body == NOT_CURRENT);
    stage.get("/container/a/status");
    stage.get("/container/b/status");
    let decided = || {
        let metrics = stage.get_mirrored("/metrics").body;
        let mut lines = metrics.lines();
        let part = "decisions_total{principal=\"anonymous\",verb=\"status\",decision=\"allow\"} ";
        let line = lines.find(|line| line.contains(part)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap()
    };
    let before = decided();
    stage.record.take();
    stage.record.hold(|line| line.contains("/json"));
    thread::scope(|scope| {
        for number in 0..100 {
            let stage = &stage;
            let name = if number % 2 == 0 { "a" } else { "b" };
            let path = format!("/container/{name}/status");
            scope.spawn(move || assert_eq!(stage.get_mirrored(&path).status, 200));
        }
        until("all asked", || decided() == before + 100);
        stage.record.release();
    });
    let asked = stage.record.take();
    for id in ids {
        let looks = asked.iter().filter(|line| line.contains(&id)).count();
        assert!((1..=2).contains(&looks), "{asked:#?}");
    }
    assert!(asked.len() <= 4, "{asked:#?}");
}

/// A configuration with this many containers, `c0` and on.
fn config(stage: &Stage, count: usize) -> String {
    let table = |number| format!("[containers.c{number}]\nallow = [\"status\"]\n");
    let tables: String = (0..count).map(table).collect();
    let (prefix, host) = (&stage.prefix, &stage.host);
    format!(
        "prefix = \"{prefix}\"\n[server]\nlisten = \"127.0.0.1:0\"\n[engine]\nhost = \"{host}\"\n{tables}"
    )
}

/// What a reload adds is never said not to exist: as soon as the configuration is in force, it is there.
#[test]
fn a_reload_that_adds_a_container() {
    const COUNT: usize = 10;
    let stage = Stage::pretend(TWO);
    for number in 0..COUNT {
        stage.running(&format!("c{number}"));
    }
    let gateway = reload::Gateway::start(&config(&stage, 1));
    gateway.wait_for("the mirror is current");
    for count in 2..=COUNT {
        let (path, is_there) = (
            format!("/container/c{}/status", count - 1),
            AtomicBool::new(false),
        );
        assert_eq!(gateway.ask(&path).status, 404);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_there.load(Ordering::Relaxed) {
                        let whoami = http::ask(gateway.address, "GET", "/whoami").json();
                        if whoami["containers"].as_object().unwrap().len() == count {
                            let status = http::ask(gateway.address, "GET", &path);
                            let list = http::ask(gateway.address, "GET", "/containers").json();
                            is_there.store(true, Ordering::Relaxed);
                            assert_eq!(status.status, 200, "{status:?}");
                            assert_eq!(list["containers"].as_array().unwrap().len(), count);
                        }
                    }
                });
            }
            gateway.replace(&config(&stage, count));
        });
    }
    let log = gateway.log();
    assert!(!log.contains("not current"), "{log}");
}

/// The log tells of each change once, however often it is tried in between.
#[test]
fn the_log_tells_once() {
    let stage = Stage::pretend(TWO);
    let pretend = stage.pretend.as_ref().unwrap();
    stage.container("a");
    let gateway = reload::Gateway::start(&config(&stage, 1));
    gateway.wait_for_lines("the mirror is current containers=0", 1);
    pretend.set_fault_on("/events", Fault::Fail);
    stage.record.take_of_mirror();
    pretend.cut_events();
    gateway.wait_for_lines("the mirror is not current: reads go to the engine", 1);
    stage
        .record
        .wait_for_mirror(8, |line| line.contains("/events?"));
    pretend.set_fault(None);
    gateway.wait_for_lines("the mirror is current containers=0", 2);
    let log = gateway.log();
    assert_eq!(log.matches("the mirror is not current").count(), 1, "{log}");
    assert_eq!(log.matches("the mirror is current").count(), 2, "{log}");
}

/// On a host that is full of others' containers the mirror asks about its own alone.
#[test]
fn a_host_full_of_foreign_containers() {
    const FOREIGN: usize = 2_000;
    let stage = Stage::pretend(TWO);
    let pretend = stage.pretend.as_ref().unwrap();
    let id = stage.container("a");
    let is_seen = |expected: &str| {
        let answer = stage.get_mirrored("/container/a/status");
        answer.status == 200 && answer.json()["status"] == expected
    };
    until("seen", || is_seen("created"));
    stage.record.take_of_mirror();
    for number in 0..FOREIGN {
        // Some begin as the managed ones do, and some have their names in theirs.
        let prefix = ["", &stage.prefix, "not-"][number % 3];
        let name = format!("{prefix}{}a-{number}", stage.prefix);
        pretend.add(&name, &[], true).unwrap();
        if number % 200 == 0 {
            let (verb, after) = [("start", "running"), ("stop?t=0", "exited")][number / 200 % 2];
            stage.engine.post(&format!("/containers/{id}/{verb}"));
            until("heard", || is_seen(after));
        }
    }
    let foreign = || {
        let mut asked = stage.record.take_of_mirror();
        let others = ["/_ping", "/events?", "/json?all=1", &id];
        asked.retain(|line| !others.iter().any(|other| line.contains(other)));
        asked
    };
    assert_eq!(foreign(), [""; 0]);
    // Nor when it begins.
    let other = Gateway::start(&stage.prefix, &stage.host, OwnContainer::default(), TWO);
    other.wait_until_current();
    assert_eq!(foreign(), [""; 0]);
}
