//! The pretend engine and a real one, asked the same, give the same answers.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::ear::Ear;
use super::{A_MOMENT, Client, PATIENCE, pretend, until, view};

/// Requests, each followed by its indented answer, as a real dockerd 20.10.24 gave it.
///
/// `EXEC` makes a program in a container, starts it and looks at it, and `AGAIN` starts it once more. `BEGIN` leaves a request running until `JOIN`, `HANG-UP` leaves it for good, `AWAIT` waits for a process.
/// `LISTEN` opens a stream of the events that the filters pick, and `TOLD` reads it up to an event.
/// To write it anew, name a file in `PRETEND_TRANSCRIPT`.
const TRANSCRIPT: &str = include_str!("transcript.txt");

#[tokio::test]
async fn the_pretend_engine_answers_as_written() {
    let (_folder, pretend, client) = pretend().await;
    check_transcript(&client.play().await, "the pretend engine");
    until(|| pretend.connections() == 0).await;
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

impl Client {
    /// Plays the requests of the transcript, and writes it anew with this engine's answers.
    async fn play(&self) -> String {
        let mut written = String::new();
        let mut begun: Option<JoinHandle<String>> = None;
        let mut made = String::new();
        let mut ear: Option<Ear> = None;
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
                "EXEC" => {
                    made = self.make(rest).await;
                    format!(
                        "{}\n    {}",
                        self.start(&made).await,
                        self.look(&made).await
                    )
                }
                "AGAIN" => self.start(&made).await,
                "LISTEN" => {
                    ear = Some(self.listen(&format!("filters={rest}")).await);
                    continue;
                }
                "TOLD" => {
                    let told = ear.as_mut().unwrap().events_to(rest).await;
                    told.join("\n    ").replace(&self.prefix, "PRT")
                }
                "JOIN" => begun.take().unwrap().await.unwrap(),
                _ => self.ask(line).await,
            };
            written.extend(["    ", &answer, "\n"]);
        }
        written
    }

    /// Makes a program, and answers its id.
    pub(super) async fn make(&self, rest: &str) -> String {
        let (container, config) = rest.split_once(' ').unwrap();
        let request = self.request(&format!("POST /containers/{container}/exec {config}"));
        let answer = String::from_utf8(self.exchange(&request).await).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let made: Value = serde_json::from_str(body).unwrap();
        made["Id"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    /// Starts a program, and answers what it prints.
    async fn start(&self, id: &str) -> String {
        let line = format!("POST /exec/{id}/start {{\"Detach\":false,\"Tty\":false}}");
        view::printed(&self.exchange(&self.request(&line)).await).replace(id, "ID")
    }

    /// What the engine says of a program that ends.
    async fn look(&self, id: &str) -> String {
        let path = format!("/exec/{id}/json");
        let mut told: Value = self.get(&path).await;
        // dockerd may close the output first.
        while told["Running"] == true {
            sleep(Duration::from_millis(5)).await;
            told = self.get(&path).await;
        }
        assert_eq!(told["ContainerID"].as_str().unwrap().len(), 64);
        told["ContainerID"] = "ID".into();
        told["ID"] = "ID".into();
        told["Pid"] = (told["Pid"] != 0).into();
        told.to_string()
    }

    /// Removes what a play that broke off has left.
    async fn clean_up(&self) {
        for name in ["a", "b", "c", "e", "h", "l", "m", "s", "t", "x"] {
            let line = format!("DELETE /containers/PRT-{name}?force=1");
            self.ask(&line).await;
        }
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
