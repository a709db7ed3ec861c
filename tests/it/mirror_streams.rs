//! A thousand who follow along, and an engine that goes away and comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use relayer_controller::engine::OwnContainer;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::events::summary;
use crate::gateway::Gateway;
use crate::stage::Stage;
use crate::stats::until;

const COUNT: usize = 1000;

const TABLES: &str = "[containers.a]\nallow = [\"status\"]\n[containers.b]\nallow = [\"status\"]\n\
    [containers.c]\nallow = [\"status\"]\n";

/// One of them.
struct Follower(BufReader<TcpStream>);

impl Follower {
    async fn new(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n";
        stream.write_all(request).await.unwrap();
        Self(BufReader::with_capacity(1024, stream))
    }

    /// Waits for an event of this name, and gives what it says; no other may come before.
    async fn expect(&mut self, expected: &str) -> Value {
        let told = timeout(Duration::from_secs(30), self.read(expected)).await;
        told.unwrap_or_else(|_| panic!("no {expected}"))
    }

    async fn read(&mut self, expected: &str) -> Value {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).await.unwrap();
            assert_ne!(read, 0, "ended before {expected}");
            if let Some(given) = line.trim_end().strip_prefix("event: ") {
                given.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                assert_eq!(name, expected, "{data}");
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

/// Has each of them read an event of this name; answers what they say, in which all agree.
async fn all(followers: &mut Vec<Follower>, expected: &'static str) -> Value {
    let reading: Vec<_> = followers
        .drain(..)
        .map(|mut follower| {
            tokio::spawn(async move {
                let told = follower.expect(expected).await;
                (follower, told)
            })
        })
        .collect();
    let mut told = Vec::with_capacity(COUNT);
    for one in reading {
        let (follower, said) = one.await.unwrap();
        followers.push(follower);
        told.push(said);
    }
    let first = told.pop().unwrap();
    let is_like = |said: &Value| expected == "interrupted" || *said == first;
    assert!(told.iter().all(is_like), "{first}");
    first
}

#[test]
fn an_engine_that_restarts() {
    // Both ends of each are open files of this process, and many systems begin with 1024.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let stage = Stage::pretend(TABLES);
    let pretend = stage.pretend.clone().unwrap();
    // Without the relay in between, which is there although the engine is not.
    let host = format!("unix://{}", pretend.socket().display());
    let gateway = Gateway::start(&stage.prefix, &host, OwnContainer::default(), TABLES);
    gateway.wait_until_current();
    let id = stage.running("a");
    stage.container("b");
    let both = |answer: &str| answer.matches("\"container\"").count() == 2;
    until("seen", || both(&gateway.get_mirrored("/containers").body));
    stage.block_on(async {
        let mut followers = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            followers.push(Follower::new(gateway.address).await);
        }
        let snapshot = all(&mut followers, "snapshot").await;
        assert_eq!(summary(&snapshot), json!({"a": "running", "b": "created"}));
        for round in 0..3 {
            let gone = Instant::now();
            pretend.go_down().await;
            all(&mut followers, "interrupted").await;
            let told = gone.elapsed();
            // Nobody is told of this but by the next snapshot.
            let name = format!("{}c", stage.prefix);
            let expected = if round == 0 {
                pretend.add(&name, &[], true).unwrap();
                json!({"a": "running", "b": "created", "c": "running"})
            } else {
                json!({"a": "exited", "b": "created", "c": "running"})
            };
            let back = Instant::now();
            pretend.come_back().await.unwrap();
            let snapshot = all(&mut followers, "snapshot").await;
            let took = back.elapsed();
            assert_eq!(summary(&snapshot), expected, "round {round}");
            println!(
                "{COUNT} were told after {told:?} that it is away, and {took:?} after its return what there is"
            );
            assert!(took < Duration::from_secs(10), "{took:?}");
            if round == 0 {
                let (engine, path) = (stage.engine.clone(), format!("/containers/{id}/stop?t=0"));
                let stop = tokio::task::spawn_blocking(move || engine.post(&path));
                let begun = Instant::now();
                let told = all(&mut followers, "").await;
                println!("{COUNT} were told of a change after {:?}", begun.elapsed());
                assert_eq!((&told["container"], &told["status"]), (&json!("a"), &json!("exited")));
                stop.await.unwrap();
            }
        }
    });
}
