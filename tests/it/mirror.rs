//! The mirror under anything that can happen, through the gateway and beside it: what is in memory is soon what there is.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relayer_controller::pretend::Pretend;
use serde_json::Value;

use crate::dice::Dice;
use crate::engines;
use crate::http::Kept;
use crate::stage::{Stage, on_each_engine};

const MANAGED: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The managed ones, foreign ones that begin as they do, and such as do not.
const ALL: [&str; 10] = ["a", "b", "c", "d", "e", "f", "x", "y", "-far", "-off"];

const VERBS: [&str; 6] = ["start", "stop", "restart", "pause", "unpause", "kill"];

/// Within what time memory and engine must agree, on a machine however busy.
const LIMIT: Duration = Duration::from_secs(10);

fn tables() -> String {
    let verbs = VERBS.join("\", \"");
    let table = |name| {
        format!("[containers.{name}]\nallow = [\"status\", \"{verbs}\"]\nstop_timeout = \"1s\"\n")
    };
    format!("timeout = \"30s\"\n{}", MANAGED.map(table).concat())
}

/// A stage on which anything happens.
struct World<'stage> {
    stage: &'stage Stage,
    /// Whether something has happened to the events themselves since they last agreed.
    is_disturbed: AtomicBool,
    /// How long it took at most until memory and engine agreed, without that and with it.
    worst: [Duration; 2],
}

impl World<'_> {
    fn full(&self, name: &str) -> String {
        let prefix = &self.stage.prefix;
        name.strip_prefix('-').map_or_else(
            || format!("{prefix}{name}"),
            |name| format!("{name}-{prefix}end"),
        )
    }

    /// Some operations, one after the other.
    fn operate(&self, dice: &mut Dice, count: usize) {
        for _ in 0..count {
            self.operate_once(dice);
            if let Some(pretend) = &self.stage.pretend {
                let name = self.full(dice.pick(&ALL));
                if disturb(pretend, dice, &name) {
                    self.is_disturbed.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn operate_once(&self, dice: &mut Dice) {
        let engine = &self.stage.engine;
        let name = dice.pick(&ALL);
        let full = self.full(name);
        // Whatever is refused is as good: a name that is taken, a container that is not there, or not so.
        match dice.below(24) {
            0..5 => drop(engine.try_create(&full)),
            5..9 => {
                let other = self.full(dice.pick(&ALL));
                let path = format!("/containers/{full}/rename?name={other}");
                engine.ask("POST", &path, None);
            }
            9..11 => engine.remove(&full),
            _ => {
                // Most often what makes others possible.
                let verb = dice.pick(&["start", "start", "unpause"]);
                let other = dice.pick(&VERBS);
                let verb = dice.pick(&[verb, other]);
                if MANAGED.contains(&name) && dice.one_in(2) {
                    self.stage.post(&format!("/container/{name}/{verb}"));
                } else {
                    let query = if ["stop", "restart"].contains(&verb) {
                        "?t=0"
                    } else {
                        ""
                    };
                    engine.ask("POST", &format!("/containers/{full}/{verb}{query}"), None);
                }
            }
        }
    }

    /// Waits until all that is in memory is what the engine says.
    fn agree(&mut self) {
        let begun = Instant::now();
        loop {
            let fresh = self.read("Cache-Control: no-cache\r\n");
            self.stage.record.take();
            let mirrored = self.read("");
            // While it is not current, the engine answers, and it proves nothing.
            let asked = self.stage.record.take();
            if asked.is_empty() && fresh == mirrored {
                break;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "in memory: {mirrored:#?}\nthe engine: {fresh:#?}\nasked meanwhile: {asked:?}"
            );
            self.remove_again(&fresh);
        }
        let is_disturbed = self.is_disturbed.swap(false, Ordering::Relaxed);
        let worst = &mut self.worst[usize::from(is_disturbed)];
        *worst = begun.elapsed().max(*worst);
    }

    /// Where a container is renamed while it is removed, Docker may fail to remove its files. Then it is left over, dead
    /// by one of its answers and still being removed by the other, until it is removed once more.
    fn remove_again(&self, said: &BTreeMap<String, (u16, Value)>) {
        for name in MANAGED {
            let (_, view) = &said[&format!("/container/{name}")];
            if view["status"] == "dead" || view["status"] == "removing" {
                self.stage.engine.remove(&self.full(name));
            }
        }
    }

    fn read(&self, headers: &str) -> BTreeMap<String, (u16, Value)> {
        let mut client = Kept::new(self.stage.address);
        let mut all: Vec<_> = MANAGED
            .iter()
            .map(|name| format!("/container/{name}"))
            .collect();
        all.push("/containers".to_owned());
        let answers = all.into_iter().map(|path| {
            let answer = client.ask("GET", &path, headers);
            let json = answer.json();
            (path, (answer.status, json))
        });
        answers.collect()
    }
}

impl Drop for World<'_> {
    /// Removes what the stage does not know by its name.
    fn drop(&mut self) {
        for name in ALL.iter().filter(|name| name.starts_with('-')) {
            self.stage.engine.remove(&self.full(name));
        }
    }
}

/// Seldom, something happens to the events themselves. Answers whether it did.
fn disturb(pretend: &Pretend, dice: &mut Dice, name: &str) -> bool {
    match dice.below(400) {
        0..4 => pretend.cut_events(),
        4..8 => pretend.send_event(dice.pick(&["{", "null", "\u{0}\u{1b}[2J", "[[[["])),
        8..12 => {
            let kind = dice.pick(&["container", "sandbox", "plugin"]);
            pretend.send_event(&format!(
                r#"{{"Type":"{kind}","Action":"dream","Actor":{{"ID":"{}","Attributes":{{"name":"{name}"}}}}}}"#,
                "7".repeat(64)
            ));
        }
        12 => pretend.send_event(&"{".repeat(2 * 1024 * 1024)),
        _ => return false,
    }
    true
}

/// Lets these many operations happen in bursts, and waits after each.
fn run(stage: &Stage, total: usize) {
    let mut dice = Dice::new();
    let mut world = World {
        stage,
        is_disturbed: AtomicBool::new(false),
        worst: [Duration::ZERO; 2],
    };
    let (mut done, mut bursts, begun) = (0, 0, Instant::now());
    while done < total {
        // Sometimes the engine tells nothing, and then that it has told nothing.
        let deaf = stage.pretend.as_ref().filter(|_| dice.one_in(25));
        if let Some(pretend) = deaf {
            pretend.set_deaf(true);
            world.is_disturbed.store(true, Ordering::Relaxed);
        }
        let (threads, each) = (1 + dice.below(4), 1 + dice.below(15));
        thread::scope(|scope| {
            for mut dice in (0..threads).map(|_| dice.split()).collect::<Vec<_>>() {
                let world = &world;
                scope.spawn(move || world.operate(&mut dice, each));
            }
        });
        if let Some(pretend) = deaf {
            pretend.set_deaf(false);
            pretend.send_event("{");
        }
        if let Some(pretend) = stage.pretend.as_ref().filter(|_| dice.one_in(50)) {
            stage.block_on(async {
                pretend.go_down().await;
                pretend.come_back().await.unwrap();
            });
            world.is_disturbed.store(true, Ordering::Relaxed);
        }
        world.agree();
        done += threads * each;
        bursts += 1;
    }
    println!(
        "{}: {done} operations in {bursts} bursts and {:?}; agreed after {:?} at most, and {:?} where events were lost",
        stage.kind,
        begun.elapsed(),
        world.worst[0],
        world.worst[1]
    );
}

#[test]
fn random_operations_and_a_pretend_engine_that_tells_less() {
    run(&Stage::pretend(&tables()), 10_000);
}

/// `RELAYER_TEST_OPERATIONS` says how many.
#[test]
fn random_operations_and_a_real_engine() {
    let given = env::var("RELAYER_TEST_OPERATIONS").ok();
    let total = given.map_or(300, |given| given.parse().expect("a number of operations"));
    if let Some(socket) = engines::real() {
        run(&Stage::real(&socket, &tables()), total);
    }
}

/// Waits until what is in memory under this name is this container, or none.
fn wait_for(stage: &Stage, name: &str, id: Option<&str>) {
    let created = id.map(|id| stage.engine.inspect(id)["Created"].clone());
    let begun = Instant::now();
    loop {
        stage.record.take();
        let answer = stage.get_mirrored(&format!("/container/{name}"));
        let is_so = match &created {
            Some(created) => answer.status == 200 && answer.json()["created_at"] == *created,
            None => answer.status == 404,
        };
        if is_so && stage.record.take().is_empty() {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{id:?} as {name}: {answer:?}");
    }
}

#[test]
fn names_change_hands_in_memory() {
    on_each_engine(&tables(), |stage| {
        let rename = |id: &str, name: &str| {
            let full = format!("{}{name}", stage.prefix);
            let path = format!("/containers/{id}/rename?name={full}");
            stage.engine.post(&path);
        };
        let (first, second) = (stage.running("a"), stage.container("b"));
        wait_for(stage, "a", Some(&first));
        wait_for(stage, "b", Some(&second));
        rename(&first, "x");
        wait_for(stage, "a", None);
        rename(&second, "a");
        wait_for(stage, "b", None);
        wait_for(stage, "a", Some(&second));
        rename(&first, "b");
        wait_for(stage, "b", Some(&first));
        // One that is made anew under the same name is the new one.
        stage.engine.remove(&second);
        wait_for(stage, "a", None);
        let third = stage.running("a");
        wait_for(stage, "a", Some(&third));
        // Where it was changed through the gateway, without waiting.
        for _ in 0..5 {
            let old = stage.engine.inspect(&format!("{}a", stage.prefix))["Id"].clone();
            stage.engine.remove(old.as_str().unwrap());
            let new = stage.container("a");
            assert_eq!(stage.post("/container/a/start").status, 200);
            let view = stage.get_mirrored("/container/a").json();
            assert_eq!(view["created_at"], stage.engine.inspect(&new)["Created"]);
            assert_eq!(view["status"], "running");
        }
    });
}
