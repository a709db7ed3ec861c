//! The pretend engine and a real one, asked the same, and the faults on the wire.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use bollard::models::{ContainerInspectResponse, ContainerSummary, SystemVersion};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Fault, Pretend, fault};

/// Requests, each followed by its indented answer, as a real dockerd 20.10.24 gave it.
///
/// `BEGIN` leaves a request running until `JOIN`, `HANG-UP` leaves it for good, `AWAIT` waits for a process.
/// To write it anew, name a file in `PRETEND_TRANSCRIPT`.
const TRANSCRIPT: &str = include_str!("transcript.txt");
/// Leaves at once on SIGTERM.
const TRAP: &str = r#"{"Image":"busybox:latest","Labels":{"prt":"yes"},"Cmd":["/bin/sh","-c","trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// Leaves five seconds after SIGTERM.
const SLOW: &str = r#"{"Image":"busybox:latest","Labels":{"pretend.stop-delay":"5000"},"Cmd":["/bin/sh","-c","trap 'sleep 5; exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// How long anything but a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a real process needs to set its trap, or to get a signal. Nothing tells when it has.
const A_MOMENT: Duration = Duration::from_secs(1);

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
        let (kind, line) = match line.split_once(' ') {
            Some(("FORM", line)) => ("application/x-www-form-urlencoded", line),
            Some(("TEXT", line)) => ("text/plain", line),
            _ => ("application/json", line),
        };
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
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    async fn ask(&self, line: &str) -> String {
        let request = match line.strip_prefix("RAW ") {
            Some(raw) => format!("{raw}\r\n\r\n"),
            None => self.request(line),
        };
        view(&self.exchange(&request).await).replace(&self.prefix, "PRT")
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.exchange(&self.request(&format!("GET {path}"))).await;
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
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
            written.extend([line, "\n"]);
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
            written.extend(["    ", &answer, "\n"]);
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
        let (chunk, after) = rest.split_at(length);
        whole.push_str(chunk);
        body = after.trim_start();
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
    let client_of_task = client.clone();
    // On a task of its own, so that a panic in it does not leave containers behind.
    let played = tokio::spawn(async move { client_of_task.play().await }).await;
    client.clean_up().await;
    check_transcript(&played.unwrap(), "dockerd");
}

#[tokio::test]
async fn faults_look_as_they_are_called() {
    let (_folder, pretend, client) = pretend().await;
    for (fault, expected) in [
        (Fault::Fail, "500 the pretend engine was told to fail"),
        (Fault::NotJson, "200 <html>this is no JSON</html>"),
        (Fault::Redirect, "301  location=/elsewhere"),
        (Fault::Cut, r#"200 [{"Id":"4"#),
    ] {
        pretend.set_fault(Some(fault));
        let answer = client.ask("GET /containers/json").await;
        assert_eq!(answer, expected, "{fault:?}");
    }
    pretend.set_fault(Some(Fault::Garbage));
    let request = client.request("GET /containers/json");
    assert_eq!(client.exchange(&request).await, fault::GARBAGE);
    pretend.set_fault(None);
    assert_eq!(client.ask("GET /containers/json").await, "200");
}

#[tokio::test]
async fn a_stalled_request_ends_with_its_client() {
    let (_folder, pretend, client) = pretend().await;
    for (fault, expected) in [
        (Fault::Stall, ""),
        (Fault::StallBody, "HTTP/1.1 200 OK\r\n"),
    ] {
        pretend.set_fault(Some(fault));
        let mut stream = UnixStream::connect(&client.socket).await.unwrap();
        let request = client.request("GET /containers/json");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        assert!(timeout(A_MOMENT, reading).await.is_err(), "{fault:?}");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(expected), "{fault:?}: {answer}");
        assert_eq!(answer.is_empty(), expected.is_empty(), "{fault:?}");
        assert!(
            answer.is_empty() || answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
        assert_eq!(pretend.connections(), 1);
        drop(stream);
        until(|| pretend.connections() == 0).await;
    }
}

#[tokio::test]
async fn a_fault_can_be_kept_to_some_paths() {
    let (_folder, pretend, client) = pretend().await;
    pretend.set_fault_on("/stop", Fault::Fail);
    pretend.add("muxer", &[], true).unwrap();
    assert!(
        client
            .ask("POST /containers/muxer/stop")
            .await
            .starts_with("500")
    );
    // The fault came in place of the work.
    assert_eq!(client.ask("POST /containers/muxer/start").await, "304");
}

#[tokio::test]
async fn an_engine_that_went_down_comes_back_with_its_containers() {
    let (_folder, pretend, client) = pretend().await;
    let id = pretend.add("muxer", &[("a", "b")], true).unwrap();
    let taken = pretend.add("muxer", &[], true).unwrap_err().to_string();
    assert!(taken.contains(&id), "{taken}");
    let mut stream = UnixStream::connect(&client.socket).await.unwrap();
    until(|| pretend.connections() == 1).await;

    pretend.go_down().await;
    assert_eq!(pretend.connections(), 0);
    assert!(!pretend.socket().exists());
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    pretend.go_down().await;

    pretend.come_back().await.unwrap();
    pretend.come_back().await.unwrap();
    let ask = format!("GET /containers/{id}/json");
    assert!(client.ask(&ask).await.contains(r#""/muxer" "running""#));
}

#[tokio::test]
async fn the_last_handle_takes_the_server_with_it() {
    let (_folder, pretend, client) = pretend().await;
    let other = pretend.clone();
    drop(pretend);
    assert!(client.ask("GET /_ping").await.starts_with("200"));
    let mut stream = UnixStream::connect(&client.socket).await.unwrap();
    until(|| other.connections() == 1).await;
    drop(other);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(!client.socket.exists());
}

#[tokio::test]
async fn answers_have_what_bollard_reads() {
    let (_folder, pretend, client) = pretend().await;
    pretend.add("muxer", &[("a", "b")], true).unwrap();
    let inspected: ContainerInspectResponse = client.get("/containers/muxer/json").await;
    assert!(inspected.created.is_some());
    assert_eq!(inspected.config.unwrap().labels.unwrap()["a"], "b");
    let listed: Vec<ContainerSummary> = client.get("/containers/json").await;
    assert_eq!(listed[0].id, inspected.id);
    let version: SystemVersion = client.get("/version").await;
    assert_eq!(version.api_version.as_deref(), Some("1.41"));
}

/// Waits for something that another task is about to do.
async fn until(done: impl Fn() -> bool) {
    let look = async {
        while !done() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, look).await.unwrap();
}
