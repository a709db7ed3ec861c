//! The engines to test on, spoken to directly and without the gateway's own code.

use std::env;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The image of every container that the tests make.
const IMAGE: &str = "busybox:latest";

/// A program that ends at once on SIGTERM, as a well-behaved one does.
const PROGRAM: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

/// The socket of the real engine, from `RELAYER_TEST_ENGINE`, `DOCKER_HOST` or the default place.
///
/// `None` only where `RELAYER_TEST_ENGINE=none` says so by name; a test must not pass because its engine is missing.
pub(crate) fn real() -> Option<PathBuf> {
    let named = ["RELAYER_TEST_ENGINE", "DOCKER_HOST"]
        .into_iter()
        .find_map(|name| env::var(name).ok());
    let address = named.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    if address == "none" {
        println!("RELAYER_TEST_ENGINE=none: not tested on a real engine");
        return None;
    }
    let path = address
        .strip_prefix("unix://")
        .expect("the engine to test on must have a Unix socket");
    let path = PathBuf::from(path);
    assert!(
        UnixStream::connect(&path).is_ok(),
        "no engine at {address}: run `tests/run`, which starts one, or set RELAYER_TEST_ENGINE=none to test without"
    );
    Some(path)
}

/// An engine's API, one connection a request.
#[derive(Clone)]
pub(crate) struct Direct(PathBuf);

/// Something that happened to a container.
pub(crate) struct Happened {
    /// The engine's word for it.
    pub(crate) action: String,
    /// When, in nanoseconds since 1970.
    pub(crate) at: u128,
}

/// What an engine answered.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Direct {
    pub(crate) fn new(socket: &Path) -> Self {
        Self(socket.to_owned())
    }

    /// Makes a container that stops at once; answers its id.
    pub(crate) fn create(&self, name: &str, labels: &Value) -> String {
        self.create_with(name, PROGRAM, labels)
    }

    /// Makes a container that runs this program of a shell; answers its id.
    pub(crate) fn create_with(&self, name: &str, program: &str, labels: &Value) -> String {
        let more = json!({ "Labels": labels });
        self.create_as(name, program, more)
    }

    /// The same with these further settings.
    pub(crate) fn create_as(&self, name: &str, program: &str, settings: Value) -> String {
        let said = self.ask_to_create(name, program, settings);
        assert_eq!(said.status, 201, "{name}: {}", said.body);
        said.body["Id"].as_str().unwrap().to_owned()
    }

    /// Makes a container that stops at once, unless the name is taken; answers its id.
    pub(crate) fn try_create(&self, name: &str) -> Option<String> {
        let said = self.ask_to_create(name, PROGRAM, json!({}));
        assert!([201, 409].contains(&said.status), "{name}: {}", said.body);
        said.body["Id"].as_str().map(ToOwned::to_owned)
    }

    fn ask_to_create(&self, name: &str, program: &str, mut settings: Value) -> Said {
        settings["Image"] = IMAGE.into();
        settings["Cmd"] = json!(["/bin/sh", "-c", program]);
        settings["HostConfig"] = json!({ "NetworkMode": "none" });
        self.ask(
            "POST",
            &format!("/containers/create?name={name}"),
            Some(&settings),
        )
    }

    /// Does something that must work.
    pub(crate) fn post(&self, path: &str) {
        let said = self.ask("POST", path, None);
        assert!(said.status < 300, "{path}: {} {}", said.status, said.body);
    }

    /// What the engine says of a container.
    pub(crate) fn inspect(&self, reference: &str) -> Value {
        let said = self.ask("GET", &format!("/containers/{reference}/json"), None);
        assert_eq!(said.status, 200, "{reference}: {}", said.body);
        said.body
    }

    /// The engine's word for what a container is doing.
    pub(crate) fn state(&self, reference: &str) -> String {
        self.inspect(reference)["State"]["Status"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn remove(&self, reference: &str) {
        self.ask("DELETE", &format!("/containers/{reference}?force=1"), None);
    }

    /// The ids of all containers whose name begins so.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<String> {
        let all = self.ask("GET", "/containers/json?all=1", None).body;
        let begins = |container: &&Value| {
            let names = container["Names"].as_array().unwrap();
            names.iter().any(|name| {
                name.as_str()
                    .unwrap()
                    .strip_prefix('/')
                    .unwrap()
                    .starts_with(prefix)
            })
        };
        let containers = all.as_array().unwrap().iter().filter(begins);
        containers
            .map(|container| container["Id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What the engine says that happened to a container, in order, among the last things that happened to any.
    pub(crate) fn events(&self, name: &str) -> Vec<Happened> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let path = format!("/events?since=0&until={}", now.as_secs_f64());
        let (_, lines) = self.ask_for_text("GET", &path, None);
        let events = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .filter(|event| event["Actor"]["Attributes"]["name"] == name)
            .map(|event| Happened {
                action: event["Action"].as_str().unwrap().to_owned(),
                at: event["timeNano"].as_u64().unwrap().into(),
            })
            .collect()
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Said {
        let (status, body) = self.ask_for_text(method, path, body);
        Said {
            status,
            body: serde_json::from_str(&body).unwrap_or(Value::Null),
        }
    }

    fn ask_for_text(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = UnixStream::connect(&self.0).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        // HTTP/1.0: the answer ends when the connection does.
        write!(
            stream,
            "{method} /v1.41{path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}
