//! A hundred reloads, good and bad in turn, under busy clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use relayer_controller::config::{self, Environment};
use serde_json::{Value, json};

use crate::reload::{Gateway, ask, rules, wait_for_reloads};
use crate::stage::Stage;

/// A hundred reloads, good and bad in turn, under 64 busy clients: no request fails, and each answer is of one revision
/// alone.
#[test]
fn a_hundred_reloads_under_load() {
    const CLIENTS: usize = 64;
    let stage = Stage::pretend("[containers.a]\nallow = [\"status\"]\n");
    stage.running("a");
    stage.running("b");
    let texts = [["a"], ["b"]].map(|visible| rules(&stage.host, &stage.prefix, &visible));
    let bad = format!("{}\n[serve]\nworkers = 0\n", texts[0]);
    // By revision: the whole answer of `/whoami`, and which container is seen.
    let expected: BTreeMap<String, (Value, &str)> = texts
        .iter()
        .zip(["a", "b"])
        .map(|(text, seen)| {
            let config = config::parse("x", text, &Environment::default()).unwrap();
            let revision = config.revision.to_string();
            let whoami = json!({"principal": "bot", "roles": ["viewer"], "revision": revision,
                "containers": {seen: ["status"]}});
            (revision, (whoami, seen))
        })
        .collect();
    let gateway = Gateway::start(&texts[0]);
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtTheEnd(&stop);
        for client in 0..CLIENTS {
            let (stop, answers, expected, address) = (&stop, &answers, &expected, gateway.address);
            scope.spawn(move || {
                // A client that fails stops all.
                let _stop = StopAtTheEnd(stop);
                while !stop.load(Ordering::Relaxed) {
                    check_one(client, address, expected);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..100 {
            let so_far = answers.load(Ordering::Relaxed);
            while answers.load(Ordering::Relaxed) < so_far + CLIENTS {
                assert!(!stop.load(Ordering::Relaxed), "a client has failed");
                std::thread::yield_now();
            }
            let text = if round % 2 == 1 {
                &bad
            } else {
                &texts[(round / 2 + 1) % 2]
            };
            gateway.replace(text);
            gateway.hang_up();
            let outcome = if round % 2 == 1 { "bad" } else { "good" };
            wait_for_reloads(&gateway, outcome, round / 2 + 1);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        answers.into_inner() > 100 * CLIENTS,
        "the clients were not busy"
    );
    gateway.wait_for_lines("configuration reloaded", 50);
    gateway.wait_for_lines("configuration not reloaded", 50);
    let log = gateway.log();
    assert_eq!(log.matches("configuration reloaded").count(), 50);
    assert_eq!(log.matches("configuration not reloaded").count(), 50);
}

/// Lets the clients stop, also where the test has failed: somebody waits for them.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn check_one(client: usize, address: SocketAddr, expected: &BTreeMap<String, (Value, &str)>) {
    if client.is_multiple_of(2) {
        let whoami = ask(address, "/whoami").json();
        let (whole, _) = &expected[whoami["revision"].as_str().unwrap()];
        assert_eq!(&whoami, whole);
        return;
    }
    let listed = ask(address, "/containers");
    let containers = listed.json()["containers"].clone();
    let is_of_one = |(_, seen): &(Value, &str)| {
        containers == json!([{"container": seen, "status": "running", "running": true}])
    };
    assert!(expected.values().any(is_of_one), "{listed:?}");
}
