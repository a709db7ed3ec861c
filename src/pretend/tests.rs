//! A small client for tests of any engine, and the faults on the wire.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerSummary, SystemVersion};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::{Fault, Output, Pretend, fault};

mod ear;
mod events;
mod transcript;
mod view;

/// Leaves at once on SIGTERM.
const TRAP: &str = r#"{"Image":"busybox:latest","Labels":{"prt":"yes"},"Cmd":["/bin/sh","-c","trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// Leaves five seconds after SIGTERM.
const SLOW: &str = r#"{"Image":"busybox:latest","Labels":{"pretend.stop-delay":"5000"},"Cmd":["/bin/sh","-c","trap 'sleep 5; exit 0' TERM; while :; do sleep 1 & wait $!; done"]}"#;
/// Becomes healthy half a second after its start.
const HEALTHY: &str = r#"{"Image":"busybox:latest","Labels":{"pretend.health":"healthy:500"},"Cmd":["/bin/sh","-c","trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"],"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":500000000}}"#;
/// Leaves with 3 half a second after its start.
const DYING: &str = r#"{"Image":"busybox:latest","Labels":{"pretend.exit":"3:500"},"Cmd":["/bin/sh","-c","sleep 0.5; exit 3"]}"#;
/// How long anything but a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a real process needs to set its trap, or to get a signal: nothing tells when it has.
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
            Some("HEALTHY") => HEALTHY,
            Some("DYING") => DYING,
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
        view::view(&self.exchange(&request).await).replace(&self.prefix, "PRT")
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.exchange(&self.request(&format!("GET {path}"))).await;
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

async fn pretend() -> (TempDir, Pretend, Client) {
    let folder = tempfile::tempdir().unwrap();
    let pretend = Pretend::serve(folder.path().join("docker.sock"))
        .await
        .unwrap();
    let client = Client::new(pretend.socket());
    (folder, pretend, client)
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

/// What a container has printed, as it is on the wire; its times are left out.
async fn logs(client: &Client, parameters: &str) -> String {
    let line = format!("GET /containers/muxer/logs?{parameters} HTTP/1.0\r\nHost: x\r\n\r\n");
    let answer = client.exchange(&line).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(" 200 ") && !head.contains("content-type"),
        "{head}"
    );
    body.replace("pretend: started", "started")
}

#[tokio::test]
async fn what_is_printed_is_told_as_dockerd_tells_it() {
    let (_folder, pretend, client) = pretend().await;
    pretend.add("muxer", &[], true).unwrap();
    pretend
        .print("muxer", Output::Stderr, b"one\ntwo\n")
        .unwrap();
    // The frame's length is that of the whole line.
    let started = "\x01\0\0\0\0\0\0\x11started\n".to_owned();
    let [one, two] = ["one", "two"].map(|line| format!("\x02\0\0\0\0\0\0\x04{line}\n"));
    for (parameters, expected) in [
        ("stdout=1&stderr=1", format!("{started}{one}{two}")),
        ("stdout=1", started.clone()),
        ("stderr=1", format!("{one}{two}")),
        ("stderr=1&tail=1", two.clone()),
        ("stderr=1&tail=0", String::new()),
        ("stderr=1&tail=x", format!("{one}{two}")),
        ("stderr=1&until=1", String::new()),
        ("stderr=1&since=99999999999", String::new()),
    ] {
        assert_eq!(logs(&client, parameters).await, expected, "{parameters}");
    }
    // A long line is in parts of one time.
    let long = "x".repeat(40_000) + "\n";
    pretend
        .print("muxer", Output::Stdout, long.as_bytes())
        .unwrap();
    let told = logs(&client, "stdout=1&timestamps=1&tail=3").await;
    let frames: Vec<_> = told.split("\x01\0\0\0\0").skip(1).collect();
    let texts = frames.iter().map(|frame| frame.get(3 + 31..).unwrap());
    assert_eq!(
        texts.clone().map(str::len).collect::<Vec<_>>(),
        [16_384, 16_384, 7_233]
    );
    assert_eq!(texts.collect::<String>(), long);
    assert!(
        frames
            .iter()
            .all(|frame| frame.get(3..34) == frames[0].get(3..34))
    );
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
