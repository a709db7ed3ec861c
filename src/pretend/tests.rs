//! The pretend engine and a real one, asked the same, and the faults on the wire.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use bollard::models::{ContainerInspectResponse, ContainerSummary, SystemVersion};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Fault, Pretend};

/// Requests, each followed by its indented answer.
const TRANSCRIPT: &str = include_str!("transcript.txt");
/// Leaves at once on SIGTERM; says so when it is ready to.
const TRAP: &str = r#"{"Image":"busybox:latest","Labels":{"prt":"yes"},"Cmd":["/bin/sh","-c","trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// Leaves five seconds after SIGTERM.
const SLOW: &str = r#"{"Image":"busybox:latest","Labels":{"pretend.stop-delay":"5000"},"Cmd":["/bin/sh","-c","trap 'sleep 5; exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// How long anything but a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a real process needs to set its trap, or to get a signal. Nothing tells when it has.
const A_MOMENT: Duration = Duration::from_millis(700);

/// An engine's socket, and what makes the names on it this process's own.
#[derive(Clone)]
struct Client {
    socket: PathBuf,
    prefix: String,
}

impl Client {
    fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            prefix: format!("prt-{}", std::process::id()),
        }
    }

    /// Sends bytes and reads to the end of the connection.
    async fn exchange(&self, request: &str) -> Vec<u8> {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    /// A request line and perhaps a body, as bytes.
    fn request(&self, line: &str) -> String {
        let line = line.replace("PRT", &self.prefix);
        let mut words = line.splitn(3, ' ');
        let method = words.next().unwrap();
        let path = words.next().unwrap();
        let path = path
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('"', "%22");
        let body = match words.next() {
            Some("TRAP") => TRAP,
            Some("SLOW") => SLOW,
            other => other.unwrap_or_default(),
        };
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    async fn ask(&self, line: &str) -> String {
        let request = match line.strip_prefix("RAW ") {
            Some(raw) => format!("{raw}\r\n\r\n"),
            None => self.request(line),
        };
        view(&self.exchange(&request).await).replace(&self.prefix, "PRT")
    }

    /// Waits until a container's process does what the word says.
    async fn wait_for(&self, name: &str, word: &str) {
        if word == "trapped" {
            return sleep(A_MOMENT).await;
        }
        let inspect = format!("GET /containers/{name}/json");
        let look = async {
            while !self.ask(&inspect).await.contains(word) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap();
    }

    /// Plays the requests of the transcript, and writes it anew with this engine's answers.
    async fn play(&self) -> String {
        let mut written = String::new();
        let mut begun: Option<JoinHandle<String>> = None;
        for line in TRANSCRIPT.lines().filter(|line| !line.starts_with(' ')) {
            written.push_str(line);
            written.push('\n');
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let answer = match word {
                "" | "#" => continue,
                "AWAIT" => {
                    let (name, what) = rest.split_once(' ').unwrap();
                    self.wait_for(name, what).await;
                    continue;
                }
                "BEGIN" => {
                    let (client, request) = (self.clone(), rest.to_owned());
                    begun = Some(tokio::spawn(async move { client.ask(&request).await }));
                    sleep(A_MOMENT).await;
                    continue;
                }
                "HANG-UP" => {
                    let mut stream = UnixStream::connect(&self.socket).await.unwrap();
                    let request = self.request(rest);
                    stream.write_all(request.as_bytes()).await.unwrap();
                    sleep(A_MOMENT).await;
                    continue;
                }
                "JOIN" => begun.take().unwrap().await.unwrap(),
                _ => self.ask(line).await,
            };
            written.push_str(&format!("    {answer}\n"));
        }
        written
    }

    /// Removes what an earlier run left behind.
    async fn clean_up(&self) {
        for name in ["a", "b", "c", "s", "t"] {
            let line = format!("DELETE /containers/PRT-{name}?force=1");
            self.ask(&line).await;
        }
    }
}

/// An answer in one line: what has to be the same on every engine.
fn view(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let body = if header("transfer-encoding") == Some("chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    let shown = match serde_json::from_str(&body) {
        Ok(value) if header("content-type") == Some("application/json") => view_json(&value),
        _ => body.trim_end().to_owned(),
    };
    let notes = ["api-version", "ostype", "docker-experimental", "location"]
        .iter()
        .filter(|name| shown == "OK" || **name == "location")
        .filter_map(|name| header(name).map(|value| format!(" {name}={value}")));
    let notes: String = notes.collect();
    format!("{status} {shown}{notes}").trim_end().to_owned()
}

fn view_json(value: &Value) -> String {
    if let Some(list) = value.as_array() {
        let one = |container: &Value| {
            let word = container["Status"]
                .as_str()
                .unwrap()
                .split([' ', '('])
                .next();
            format!(
                "{} {} {}",
                container["Names"][0],
                container["State"],
                word.unwrap()
            )
        };
        return list.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    if let Some(message) = value["message"].as_str() {
        return without_ids(message);
    }
    if value["Warnings"].is_array() {
        assert_eq!(value["Id"].as_str().unwrap().len(), 64);
        return "created".to_owned();
    }
    let state = &value["State"];
    let ever = |key: &str| state[key] != "0001-01-01T00:00:00Z";
    format!(
        "{} {} running={} paused={} pid={} exit={} started={} finished={} config={} cmd={}",
        value["Name"],
        state["Status"],
        state["Running"],
        state["Paused"],
        state["Pid"] != 0,
        state["ExitCode"],
        ever("StartedAt"),
        ever("FinishedAt"),
        value["Config"]["Image"],
        value["Path"],
    )
}

fn without_ids(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| !letter.is_ascii_hexdigit());
    let word = |word: &str| {
        let end = word.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
        if word.len() - end.len() == 64 {
            format!("ID{end}")
        } else {
            word.to_owned()
        }
    };
    words.map(word).collect()
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start();
    }
    whole
}

async fn pretend() -> (TempDir, Pretend, Client) {
    let folder = tempfile::tempdir().unwrap();
    let pretend = Pretend::serve(folder.path().join("docker.sock"))
        .await
        .unwrap();
    let client = Client::new(pretend.socket());
    (folder, pretend, client)
}

/// The real engine's socket, or none if none is wanted.
fn real_engine() -> Option<PathBuf> {
    let named = env::var("RELAYER_TEST_ENGINE").or_else(|_| env::var("DOCKER_HOST"));
    let host = named.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    if host == "none" {
        return None;
    }
    let path = host.strip_prefix("unix://").map(PathBuf::from);
    let Some(path) = path.filter(|path| path.exists()) else {
        panic!("no engine at {host}: start dockerd, or set RELAYER_TEST_ENGINE=none to do without");
    };
    Some(path)
}

fn check_transcript(actual: &str, engine: &str) {
    if actual == TRANSCRIPT {
        return;
    }
    if let Ok(path) = env::var("PRETEND_TRANSCRIPT") {
        fs::write(path, actual).unwrap();
    }
    let different = actual.lines().zip(TRANSCRIPT.lines());
    let mut request = "";
    for (actual, expected) in different {
        assert_eq!(actual, expected, "{engine} answers otherwise to {request}");
        request = actual;
    }
    panic!("{engine}: the transcript ends otherwise");
}

#[tokio::test]
async fn the_pretend_engine_answers_as_written() {
    let (_folder, pretend, client) = pretend().await;
    check_transcript(&client.play().await, "the pretend engine");
    assert_eq!(pretend.connections(), 0);
}

#[tokio::test]
async fn dockerd_answers_as_written() {
    let Some(socket) = real_engine() else {
        println!("RELAYER_TEST_ENGINE=none: compared with the pretend engine only");
        return;
    };
    let client = Client::new(&socket);
    let actual = client.play().await;
    client.clean_up().await;
    check_transcript(&actual, "dockerd");
}
