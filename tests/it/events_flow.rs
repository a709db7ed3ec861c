//! What happens, as it goes on: slow readers, reloads, and the end.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, socket};
use serde_json::json;

use crate::events::{Follower, TABLES, settled, summary};
use crate::reload::{Gateway, TOKEN, rules};
use crate::stage::Stage;
use crate::stats::until;

/// Who does not read gets a snapshot instead of what was missed, and nobody waits for it.
#[test]
fn a_slow_reader_gets_a_new_snapshot() {
    /// How often something happens: far more often than all buffers on the way hold.
    const TIMES: usize = 30_000;
    /// How many of those at once: fewer than the gateway keeps for those who are behind.
    const AT_ONCE: usize = 200;
    let name = "long".repeat(30);
    let stage = Stage::pretend(&format!("[containers.{name}]\nallow = [\"status\"]\n"));
    let id = stage.running(&name);
    let running = json!({ &name: "running" });
    settled(&stage, &running);
    let stream = narrow(stage.address);
    let mut slow = Follower::over(stream, "", "");
    let mut quick = Follower::at(stage.address, "", &running);
    let gauge = "open_streams{kind=\"events\"} 2\n";
    until("two", || stage.get("/metrics").body.contains(gauge));
    let pretend = stage.pretend.clone().unwrap();
    for number in 1..=TIMES {
        let line = json!({"Type": "container", "Action": "oom", "timeNano": number,
            "Actor": {"ID": id, "Attributes": {"name": format!("{}{name}", stage.prefix)}}});
        pretend.send_event(&line.to_string());
        if number % AT_ONCE == 0 {
            let time = format!(".{number:09}Z");
            while !quick.next().unwrap().1["time"]
                .as_str()
                .unwrap()
                .ends_with(&time)
            {}
        }
    }
    stage.engine.post(&format!("/containers/{id}/stop?t=0"));
    quick.until(&name, "exited");
    assert_eq!(slow.snapshot(), running);
    let (mut snapshots, mut told) = (0, 0);
    loop {
        let (name, event) = slow.next().unwrap();
        match name.as_str() {
            "oom" => told += 1,
            "snapshot" => snapshots += 1,
            _ => {}
        }
        if event["status"] == "exited" || event["containers"][0]["status"] == "exited" {
            break;
        }
    }
    assert!(snapshots > 0 && told < TIMES, "{told} and {snapshots}");
}

/// A connection whose other end notices soon that nobody reads.
fn narrow(address: SocketAddr) -> TcpStream {
    let SocketAddr::V4(address) = address else {
        panic!("an address of IPv4")
    };
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// What is told is what the caller may see, also after a reload, and as long as it is the caller.
#[test]
fn a_reload_takes_away_and_gives() {
    let stage = Stage::pretend(TABLES);
    let ids = ["a", "b"].map(|name| stage.running(name));
    let rules = |visible: &[&str]| rules(&stage.host, &stage.prefix, visible);
    let gateway = Gateway::start(&rules(&["a"]));
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut follower = Follower::new(gateway.address, "", &token);
    let mut told = follower.next().unwrap();
    while told.0 != "snapshot" {
        told = follower.next().unwrap();
    }
    assert_eq!(summary(&told.1), json!({"a": "running"}));
    let mut one = Follower::new(gateway.address, "?container=a", &token);
    assert_eq!(one.snapshot(), json!({"a": "running"}));
    gateway.replace(&rules(&["a", "b"]));
    assert_eq!(follower.snapshot(), json!({"a": "running", "b": "running"}));
    gateway.replace(&rules(&["b"]));
    assert_eq!(follower.snapshot(), json!({"b": "running"}));
    assert_eq!(one.snapshot(), json!({}));
    gateway.replace(&(rules(&["b"]) + "# the same\n"));
    gateway.wait_for_lines("configuration reloaded", 3);
    for id in &ids {
        stage.engine.post(&format!("/containers/{id}/stop?t=0"));
    }
    // Nothing was told of `a` meanwhile.
    while follower.expect("")["status"] != "exited" {}
    let renamed = rules(&["b"]).replace("principals.bot", "principals.other");
    gateway.replace(&renamed);
    follower.end();
    one.end();
    gateway.wait_for_lines("a stream is closed", 2);
}

/// A gateway that stops does not wait for those who follow along.
#[test]
fn a_stop_ends_it() {
    let mut stage = Stage::pretend(TABLES);
    stage.running("a");
    settled(&stage, &json!({"a": "running"}));
    let mut followers: Vec<_> = (0..50)
        .map(|_| Follower::at(stage.address, "", &json!({"a": "running"})))
        .collect();
    let since = Instant::now();
    assert!(stage.stop());
    assert!(since.elapsed() < Duration::from_secs(2));
    for follower in &mut followers {
        follower.end();
    }
}
