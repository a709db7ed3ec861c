//! Read your writes: what is in memory never contradicts the answer that a change got before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use relayer_controller::pretend::Pretend;

use crate::dice::Dice;
use crate::engines;
use crate::http::Kept;
use crate::stage::{Stage, on_each_engine};
use crate::stats::until;

const VERBS: &str = r#"["status", "start", "stop", "restart", "pause", "unpause", "kill"]"#;

fn tables(count: usize) -> String {
    let names = (0..count).map(|number| format!("c{number}"));
    let others = ["other-0", "other-1", "other-2"].map(ToOwned::to_owned);
    let table = |name| format!("[containers.{name}]\nallow = {VERBS}\nstop_timeout = \"1s\"\n");
    let tables: String = names.chain(others).map(table).collect();
    format!("timeout = \"30s\"\n{tables}")
}

/// Changes this container so many times, and each time asks at once what it is now.
fn pairs(stage: &Stage, name: &str, count: usize, dice: &mut Dice) {
    let mut before = "created";
    for number in 0..count {
        let (verb, after) = match before {
            "running" => dice.pick(&[
                ("stop", "exited"),
                ("restart", "running"),
                ("pause", "paused"),
            ]),
            "paused" => ("unpause", "running"),
            _ => dice.pick(&[("start", "running"), ("restart", "running")]),
        };
        let mut client = Kept::new(stage.address);
        let path = format!("/container/{name}");
        let begun = SystemTime::now();
        let answer = client.ask("POST", &format!("{path}/{verb}"), "");
        assert_eq!(answer.status, 200, "{verb} {name}: {answer:?}");
        let answered = begun.elapsed().unwrap();
        let told = match number % 8 {
            0 => client.ask("GET", &path, "").json()["status"].clone(),
            1 => {
                let all = client.ask("GET", "/containers", "").json();
                let all = all["containers"].as_array().unwrap();
                let found = all.iter().find(|one| one["container"] == name);
                found.unwrap_or_else(|| panic!("no {name}"))["status"].clone()
            }
            _ => client.ask("GET", &format!("{path}/status"), "").json()["status"].clone(),
        };
        if told != after {
            let events = engine_events(stage, name, begun);
            let what = format!(
                "{name} was {before}, and is {told} after {verb}, number {number}, answered after {answered:?}; engine: {events:?}"
            );
            assert!(is_undone(verb, &events), "{what}");
            println!("the engine undid it: {what}");
            let full = format!("{}{name}", stage.prefix);
            until(&what, || stage.engine.state(&full) == after);
        }
        before = after;
    }
}

/// What happened to a container since then, in the engine's words.
fn engine_events(stage: &Stage, name: &str, since: SystemTime) -> Vec<String> {
    let events = stage.engine.events(&format!("{}{name}", stage.prefix));
    let since = since.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let events = events.into_iter().filter(|event| event.at >= since);
    events.map(|event| event.action).collect()
}

/// Whether the engine itself, by its own account, took back a change that nobody else undid: Docker takes it for news when
/// containerd tells it late of a pause that is over (moby 20.10, `daemon/monitor.go`), and corrects that when it is told
/// of the end too.
fn is_undone(verb: &str, events: &[String]) -> bool {
    let opposite = match verb {
        "pause" => "unpause",
        "unpause" => "pause",
        _ => return false,
    };
    events.iter().any(|event| event == opposite)
}

/// Makes the mirror busy with others, and its events unreliable.
fn disturb(stage: &Stage, dice: &mut Dice, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let full = format!("{}other-{}", stage.prefix, dice.below(3));
        let verb = dice.pick(&["start", "stop?t=0", "restart?t=0", "pause", "unpause"]);
        let path = format!("/containers/{full}/{verb}");
        stage.engine.ask("POST", &path, None);
        if let Some(pretend) = &stage.pretend {
            unsettle(pretend, dice);
        } else {
            thread::sleep(Duration::from_millis(100));
        }
    }
    if let Some(pretend) = &stage.pretend {
        pretend.set_deaf(false);
    }
}

fn unsettle(pretend: &Pretend, dice: &mut Dice) {
    match dice.below(1000) {
        0 => pretend.cut_events(),
        1..10 => pretend.send_event("{"),
        10..20 => pretend.set_deaf(true),
        20..60 => pretend.set_deaf(false),
        _ => {}
    }
}

fn run(stage: &Stage, threads: usize, each: usize) {
    let mut dice = Dice::new();
    for number in 0..threads {
        stage.container(&format!("c{number}"));
    }
    for number in 0..3 {
        stage.container(&format!("other-{number}"));
    }
    stage.record.take();
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        for mut dice in [dice.split(), dice.split()] {
            let is_over = &is_over;
            scope.spawn(move || disturb(stage, &mut dice, is_over));
        }
        let writers: Vec<_> = (0..threads)
            .map(|number| {
                let mut dice = dice.split();
                scope.spawn(move || pairs(stage, &format!("c{number}"), each, &mut dice))
            })
            .collect();
        let ended: Vec<_> = writers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        is_over.store(true, Ordering::Relaxed);
        for one in ended {
            one.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let all = threads * each;
    let asked = stage.record.take();
    let looks = asked.iter().filter(|line| line.starts_with("GET ")).count();
    println!(
        "{}: {all} pairs in {:?}; the gateway looked {looks} times, of which {all} are before the changes",
        stage.kind,
        begun.elapsed()
    );
    // One look comes before each change. Of the rest most must have been answered from memory, or it proves little.
    assert!(looks < all + all / 2, "{looks} for {all}");
}

#[test]
fn pairs_on_a_pretend_engine_whose_events_get_lost() {
    run(&Stage::pretend(&tables(8)), 8, 1250);
}

#[test]
fn pairs_on_a_real_engine() {
    if let Some(socket) = engines::real() {
        run(&Stage::real(&socket, &tables(4)), 4, 50);
    }
}

/// What a change finds to be so is what is told after it, also where the engine told nothing of it.
#[test]
fn what_a_change_finds() {
    on_each_engine(&tables(1), |stage| {
        let check = |verb: &str, status: u16, told: &str| {
            let answer = stage.post(&format!("/container/c0/{verb}"));
            assert_eq!(answer.status, status, "{verb}: {answer:?}");
            let answer = stage.get_mirrored("/container/c0/status");
            let state = answer.json()["status"].clone();
            assert_eq!(state.as_str().unwrap_or("none"), told, "after {verb}");
            stage.record.take();
            stage.get_mirrored("/container/c0/status");
            assert_eq!(stage.record.take(), [""; 0], "after {verb}");
        };
        let full = format!("{}c0", stage.prefix);
        let id = stage.running("c0");
        stage.check(
            "GET",
            "/container/c0/status",
            200,
            r#"{"container":"c0","status":"running","running":true}"#,
        );
        if let Some(pretend) = &stage.pretend {
            pretend.set_deaf(true);
        }
        check("start", 409, "running");
        stage.engine.post(&format!("/containers/{id}/stop?t=0"));
        check("stop", 409, "exited");
        check("pause", 500, "exited");
        check("start", 200, "running");
        stage.engine.post(&format!("/containers/{id}/pause"));
        check("unpause", 200, "running");
        stage
            .engine
            .post(&format!("/containers/{id}/rename?name={full}-away"));
        check("stop", 404, "none");
        let other = stage.container("c0");
        check("start", 200, "running");
        stage.engine.remove(&other);
        check("restart", 404, "none");
        stage
            .engine
            .post(&format!("/containers/{id}/rename?name={full}"));
        check("start", 409, "running");
    });
}
