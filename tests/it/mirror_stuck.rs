//! The mirror before an engine that is slow to tell, or does not: what is stuck holds nothing else up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Fault;

use crate::http::{self, Answer};
use crate::stage::Stage;
use crate::stats::until;

/// Containers `c0` to `c10`, and an engine that may take its time.
fn tables() -> String {
    tables_of(11)
}

fn tables_of(count: usize) -> String {
    let verbs = r#"["status", "start", "stop", "unpause"]"#;
    let table = |number| format!("[containers.c{number}]\nallow = {verbs}\n");
    let tables: String = (0..count).map(table).collect();
    format!("timeout = \"60s\"\n{tables}")
}

fn state(answer: &Answer) -> String {
    answer.json()["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn is(stage: &Stage, name: &str, expected: &str) -> bool {
    state(&stage.get_mirrored(&format!("/container/{name}/status"))) == expected
}

/// Changes them all beside the gateway, and waits until the mirror looks at each.
fn change_beside(stage: &Stage, ids: &[String], verb: &str) {
    for id in ids {
        stage.engine.post(&format!("/containers/{id}/{verb}"));
    }
    for id in ids {
        stage
            .record
            .wait_for(|line| line.contains(&format!("{id}/json?size=false")));
    }
}

/// A line that cannot be read may have been about anything, also about what came too late for the listing under way.
#[test]
fn a_line_that_is_lost_during_a_listing() {
    let stage = Stage::pretend(&tables());
    let pretend = stage.pretend.as_ref().unwrap();
    stage.record.take_of_mirror();
    stage.record.hold(|line| line.contains("/json?all=1"));
    pretend.send_event("{");
    stage.record.wait_for(|line| line.contains("/json?all=1"));
    // By when it has been answered is not known here, but that it has before this.
    assert_eq!(stage.engine.state(&stage.container("c0")), "created");
    until("seen", || is(&stage, "c0", "created"));
    pretend.set_deaf(true);
    stage.container("c1");
    pretend.set_deaf(false);
    pretend.send_event("{");
    // What is told after that line is heard after it.
    let last = stage.container("c2");
    stage.record.wait_for(|line| line.contains(&last));
    stage.record.release();
    until("listed again", || is(&stage, "c1", "created"));
}

/// More than are looked at at once are stuck: the others are told of all the same, and read as they are.
#[test]
fn containers_that_the_engine_does_not_tell_of() {
    let stage = Stage::pretend(&tables());
    let ids: Vec<_> = (0..11)
        .map(|number| stage.running(&format!("c{number}")))
        .collect();
    for number in 0..11 {
        until("seen", || is(&stage, &format!("c{number}"), "running"));
    }
    let stuck: Vec<_> = ids[..9].to_vec();
    let of_stuck = stuck.clone();
    stage.record.hold(move |line| {
        line.contains("size=false") && of_stuck.iter().any(|id| line.contains(id))
    });
    change_beside(&stage, &stuck, "stop?t=0");
    // Through the gateway what was done is read at once, and beside it soon.
    let begun = Instant::now();
    assert_eq!(stage.post("/container/c9/stop").status, 200);
    assert!(is(&stage, "c9", "exited"));
    stage
        .engine
        .post(&format!("/containers/{}/stop?t=0", ids[10]));
    until("told", || is(&stage, "c10", "exited"));
    println!("told after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5));
    // Of those that are stuck the engine is asked.
    until("doubted", || is(&stage, "c0", "exited"));
    let list = stage.get_mirrored("/containers").json();
    let list = list["containers"].as_array().unwrap();
    assert!(list.iter().all(|one| one["status"] == "exited"), "{list:?}");
    stage.record.release();
    until("in memory", || {
        stage.record.take();
        let is_told = is(&stage, "c0", "exited");
        is_told && stage.record.take().is_empty()
    });
}

/// The look that is under way when something is changed ends just in time with what was before, and the one after it is
/// stuck: who made the change is answered, and what was before is not shown by then.
#[test]
fn two_looks_in_a_row_that_take_long() {
    let stage = Stage::pretend(&tables());
    let [id, other] = ["c0", "c1"].map(|name| stage.running(name));
    until("seen", || {
        is(&stage, "c0", "running") && is(&stage, "c1", "running")
    });
    // After its second listing it looks at nobody by itself for a minute.
    stage
        .record
        .wait_for_mirror(2, |line| line.contains("/json?all=1"));
    thread::sleep(Duration::from_millis(300));
    stage.record.take_of_mirror();
    let is_look_at = |line: &str, id: &str| line.contains(&format!("{id}/json?size=false"));
    stage.record.hold(|line| line.contains("/json?size=false"));
    // With the first look that it waits for the gateway begins to ask, four times a second, which of them are slow.
    for (id, pause) in [(&other, 100), (&id, 0)] {
        stage.engine.post(&format!("/containers/{id}/pause"));
        stage.record.wait_for(|line| is_look_at(line, id));
        thread::sleep(Duration::from_millis(pause));
    }
    let changed = thread::scope(|scope| {
        let changed = scope.spawn(|| stage.post("/container/c0/unpause"));
        thread::sleep(Duration::from_millis(970));
        let is_second = AtomicBool::new(false);
        stage.record.hold(move |line| {
            is_look_at(line, &other)
                || (is_look_at(line, &id) && is_second.swap(true, Ordering::Relaxed))
        });
        changed.join().unwrap()
    });
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(is(&stage, "c0", "running"), "what was before is shown");
    stage.record.release();
}

/// So many are stuck that no further look begins: who changes another container is answered all the same, and what was
/// before is not shown by then.
#[test]
fn a_look_that_cannot_begin() {
    // As many as are looked at at once, slow ones among them, and one in the place that a listing would have.
    const LOOKS: usize = 65;
    let stage = Stage::pretend(&tables_of(LOOKS + 1));
    let last = format!("c{LOOKS}");
    let ids: Vec<_> = (0..LOOKS)
        .map(|number| stage.container(&format!("c{number}")))
        .collect();
    let last_id = stage.container(&last);
    until("seen", || {
        (0..=LOOKS).all(|number| is(&stage, &format!("c{number}"), "created"))
    });
    stage.record.take_of_mirror();
    stage.record.hold(|line| line.contains("/json?size=false"));
    change_beside(&stage, &ids, "start");
    let begun = Instant::now();
    assert_eq!(stage.post(&format!("/container/{last}/start")).status, 200);
    let took = begun.elapsed();
    assert!(is(&stage, &last, "running"), "what was before is shown");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let begun = stage.record.take_of_mirror();
    assert!(!begun.iter().any(|line| line.contains(&last_id)));
    stage.record.release();
    until("in memory", || {
        stage.record.take();
        is(&stage, &last, "running") && stage.record.take().is_empty()
    });
}

/// A new one, whose first look is stuck, is not taken for one that is not there.
#[test]
fn a_new_container_that_the_engine_does_not_tell_of() {
    let stage = Stage::pretend(&tables());
    let asked = || stage.get_mirrored("/container/c0/status").status;
    until("listed", || asked() == 404);
    stage.record.hold(|line| line.contains("/json?size=false"));
    stage.container("c0");
    until("doubted", || is(&stage, "c0", "created"));
    stage.record.release();
}

/// Nobody waits for a mirror that is not current.
#[test]
fn changes_while_no_events_come() {
    let stage = Stage::pretend(&tables());
    stage.container("c0");
    until("seen", || is(&stage, "c0", "created"));
    let pretend = stage.pretend.as_ref().unwrap();
    pretend.set_fault_on("/events", Fault::Stall);
    stage.record.take_of_mirror();
    pretend.cut_events();
    stage.record.wait_for(|line| line.contains("/events?"));
    let ready = http::ask(stage.address, "GET", "/ready");
    assert_eq!(ready.body, r#"{"ready":true,"mirror":"not current"}"#);
    let begun = Instant::now();
    for (verb, after) in [
        ("start", "running"),
        ("stop", "exited"),
        ("start", "running"),
    ] {
        assert_eq!(stage.post(&format!("/container/c0/{verb}")).status, 200);
        assert!(is(&stage, "c0", after), "after {verb}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}
