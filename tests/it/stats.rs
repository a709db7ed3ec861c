//! What containers consume: once and as a stream, with the figures of the engine's own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http;
use crate::stage::{Stage, on_each_engine};

pub(crate) const TABLES: &str = r#"
[containers.a]
allow = ["stats"]
[containers.b]
allow = ["status"]
"#;

pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const EVENTS: &str = "text/event-stream";

/// Within a second the answer is the same.
pub(crate) const A_WHILE: Duration = Duration::from_millis(1100);

const KEYS: [&str; 10] = [
    "container",
    "time",
    "cpu_percent",
    "memory_bytes",
    "memory_limit_bytes",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
    "pids",
];

/// One who watches a container.
pub(crate) struct Watcher {
    pub(crate) head: String,
    pub(crate) stream: BufReader<TcpStream>,
}

impl Watcher {
    pub(crate) fn new(address: SocketAddr, name: &str, accept: &str, token: Option<&str>) -> Self {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let mut stream = http::connect(address);
        write!(
            stream,
            "GET /container/{name}/stats HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n{}\r\n",
            token.unwrap_or_default()
        )
        .unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Self { head, stream }
    }

    /// The next figures; none at the end, which must be a proper one.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut last = String::new();
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "broken off after {last:?}");
            let data = line.strip_prefix("data: ").unwrap_or(&line);
            if data.starts_with('{') {
                return Some(serde_json::from_str(data).unwrap());
            }
            // The last chunk of a body has no length, and an empty line behind it.
            if line == "\r\n" && last == "0\r\n" {
                return None;
            }
            last = line;
        }
    }
}

/// Makes and starts a container that uses one processor as far as it gets it; answers its id.
pub(crate) fn busy(stage: &Stage, name: &str) -> String {
    let name = format!("{}{name}", stage.prefix);
    let label = json!({ "pretend.cpu": "100" });
    let id = stage
        .engine
        .create_with(&name, "while :; do :; done", &label);
    stage.engine.post(&format!("/containers/{id}/start"));
    id
}

/// Waits, at most ten seconds, until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(10), "not {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn keys(body: &str) -> Vec<&str> {
    let quoted = body.split('"').skip(1).step_by(2);
    quoted.filter(|word| KEYS.contains(word)).collect()
}

#[test]
fn once() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        for _ in 0..2 {
            let answer = stage.get("/container/a/stats");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(keys(&answer.body), KEYS, "{}", answer.body);
            let stats = answer.json();
            assert_eq!(stats.as_object().unwrap().len(), KEYS.len(), "{stats}");
            assert_eq!(stats["container"], "a");
            assert!(stats["time"].as_str().unwrap().ends_with('Z'), "{stats}");
            for key in &KEYS[3..] {
                assert!(stats[key].is_u64(), "{key} of {stats}");
            }
            assert!(stats["pids"].as_u64() > Some(0), "{stats}");
            let memory = [&stats["memory_bytes"], &stats["memory_limit_bytes"]];
            let [used, limit] = memory.map(|bytes| bytes.as_u64().unwrap());
            assert!(0 < used && used < limit, "{stats}");
            // A machine that is busy itself gives less, and nothing gives more.
            let percent = stats["cpu_percent"].as_f64().unwrap();
            let least = if stage.pretend.is_some() { 95.0 } else { 5.0 };
            assert!((least..125.0).contains(&percent), "{stats}");
        }
    });
}

#[test]
fn refusals() {
    on_each_engine(TABLES, |stage| {
        stage.running("b");
        stage.container("a");
        let error = |error: &str| json!({ "error": error }).to_string();
        for (path, status, why) in [
            ("/container/a/stats", 409, "Container not running"),
            (
                "/container/a/stats?stream=1",
                400,
                "Unknown parameter: stream",
            ),
            (
                "/container/b/stats",
                403,
                "Forbidden: stats is not allowed on b",
            ),
            ("/container/c/stats", 404, "Container not found: c"),
        ] {
            stage.check("GET", path, status, &error(why));
            let headers = format!("Accept: {EVENTS}\r\n");
            let head = http::ask_with(stage.address, "HEAD", path, &headers, "");
            // Whoever watches waits until it runs.
            let expected = if status == 409 { 200 } else { status };
            assert_eq!((head.status, head.body.as_str()), (expected, ""), "{path}");
        }
        stage.check(
            "POST",
            "/container/a/stats",
            405,
            &error("Method not allowed"),
        );
        let asked = stage.record.take();
        assert!(
            asked.iter().all(|line| !line.contains("/stats")),
            "{asked:?}"
        );
        stage.engine.remove(&format!("{}a", stage.prefix));
        stage.check(
            "GET",
            "/container/a/stats",
            404,
            &error("Container not found: a"),
        );
    });
}

/// Of what a container does not use, nothing is shown; and it is no longer busy when it is another one.
#[test]
fn states() {
    on_each_engine(TABLES, |stage| {
        let id = busy(stage, "a");
        let percent = || {
            let answer = stage.get("/container/a/stats");
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()["cpu_percent"].as_f64().unwrap()
        };
        assert!(percent() > 5.0);
        stage.engine.post(&format!("/containers/{id}/pause"));
        percent();
        // From here on the look before is one at the frozen container.
        thread::sleep(A_WHILE);
        percent();
        thread::sleep(A_WHILE);
        assert!(percent() < 2.0);
        stage.engine.post(&format!("/containers/{id}/unpause"));
        for _ in 0..3 {
            stage.engine.post(&format!("/containers/{id}/restart?t=0"));
            let after = percent();
            assert!((1.0..125.0).contains(&after), "{after}");
        }
        stage.engine.post(&format!("/containers/{id}/stop?t=0"));
        assert_eq!(stage.get("/container/a/stats").status, 409);
        stage.engine.remove(&id);
        stage.running("a");
        assert!(percent() < 60.0);
    });
}

/// After the first time, an answer costs one look at the container and one at its counters, and no wait.
#[test]
fn the_look_before_is_kept() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        let asked = || {
            let lines = stage.record.take().into_iter();
            lines.filter(|line| line.contains("/stats?")).count()
        };
        // The first look alone says nothing.
        stage.get("/container/a/stats");
        assert_eq!(asked(), 2);
        let first = stage.get("/container/a/stats").body;
        assert_eq!(asked(), 0);
        let mut watcher = Watcher::new(stage.address, "a", NDJSON, None);
        assert_ne!(watcher.next().unwrap().to_string(), first);
        asked();
        // Who watches a container looks for those who ask once, too.
        stage.get("/container/a/stats");
        assert_eq!(asked(), 0);
        drop(watcher);
        for _ in 0..3 {
            thread::sleep(A_WHILE);
            stage.get("/container/a/stats");
            assert_eq!(asked(), 1);
        }
    });
}

#[test]
fn those_who_ask_at_once_share_an_answer() {
    on_each_engine(TABLES, |stage| {
        busy(stage, "a");
        let address = stage.address;
        let ask = move || http::ask(address, "GET", "/container/a/stats").body;
        let askers: Vec<_> = (0..50).map(|_| thread::spawn(ask)).collect();
        let bodies = askers.into_iter().map(|asker| asker.join().unwrap());
        let bodies: Vec<String> = bodies.collect();
        assert!(bodies.iter().all(|body| keys(body) == KEYS), "{bodies:?}");
        let asked = stage.record.take();
        let looks = asked.iter().filter(|line| line.contains("/stats?")).count();
        assert!(looks < 25, "{looks} on the {} engine", stage.kind);
    });
}

/// The engine's own samples and ours are the same ones: each is told by its time.
#[test]
fn the_figures_are_those_of_the_engine() {
    let Some(socket) = crate::engines::real() else {
        return;
    };
    let stage = Stage::real(&socket, TABLES);
    let id = busy(&stage, "a");
    let mut engine = UnixStream::connect(&socket).unwrap();
    write!(engine, "GET /v1.41/containers/{id}/stats HTTP/1.0\r\n\r\n").unwrap();
    let reading = thread::spawn(move || {
        let mut own = BTreeMap::new();
        for line in BufReader::new(engine)
            .lines()
            .map(Result::unwrap)
            .filter(|line| line.starts_with('{'))
        {
            let sample: Value = serde_json::from_str(&line).unwrap();
            let time = sample["read"].as_str().unwrap().to_owned();
            if own.insert(time, own_figures(&sample)).is_some() || own.len() == 8 {
                break;
            }
        }
        own
    });
    let mut watcher = Watcher::new(stage.address, "a", NDJSON, None);
    let ours: Vec<_> = (0..6).map(|_| watcher.next().unwrap()).collect();
    let own = reading.join().unwrap();
    let mut compared = 0;
    // The first of each is over another time.
    for stats in &ours[1..] {
        let Some((_, theirs)) = own.iter().skip(1).find(|(time, _)| stats["time"] == **time) else {
            continue;
        };
        for (key, expected) in theirs {
            let figure = stats[*key].as_f64().unwrap();
            let is_close = (figure - expected).abs() <= expected * 0.02;
            assert!(is_close, "{key}: {figure} and {expected} in {stats}");
        }
        compared += 1;
    }
    assert!(compared >= 3, "{ours:?} {own:?}");
}

/// As the source of the command `docker stats` has it.
fn own_figures(sample: &Value) -> BTreeMap<&'static str, f64> {
    let number = |pointer: &str| {
        sample
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or_default()
    };
    let cpu =
        number("/cpu_stats/cpu_usage/total_usage") - number("/precpu_stats/cpu_usage/total_usage");
    let system = number("/cpu_stats/system_cpu_usage") - number("/precpu_stats/system_cpu_usage");
    let files = if sample
        .pointer("/memory_stats/stats/total_inactive_file")
        .is_some()
    {
        "/memory_stats/stats/total_inactive_file"
    } else {
        "/memory_stats/stats/inactive_file"
    };
    BTreeMap::from([
        (
            "cpu_percent",
            cpu / system * number("/cpu_stats/online_cpus") * 100.0,
        ),
        (
            "memory_bytes",
            number("/memory_stats/usage") - number(files),
        ),
        ("memory_limit_bytes", number("/memory_stats/limit")),
        ("pids", number("/pids_stats/current")),
    ])
}
