//! Somebody who listens to an engine's events, on the wire.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Client, PATIENCE};

/// An open stream of events.
pub(super) struct Ear {
    stream: UnixStream,
    /// What came and is no whole chunk yet.
    raw: Vec<u8>,
    /// What came and is no whole line yet.
    text: String,
    ended: bool,
}

impl Client {
    /// Listens with these parameters. The head of the answer must come before anything happens.
    pub(super) async fn listen(&self, query: &str) -> Ear {
        let request = self.request(&format!("GET /events?{query}"));
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut ear = Ear {
            stream,
            raw: Vec::new(),
            text: String::new(),
            ended: false,
        };
        let end = b"\r\n\r\n";
        let head_ends = loop {
            let place = ear.raw.windows(end.len()).position(|four| four == end);
            if let Some(place) = place {
                break place + end.len();
            }
            ear.read().await;
        };
        let head = String::from_utf8(ear.raw.drain(..head_ends).collect()).unwrap();
        let head = head.to_lowercase();
        for part in [
            "http/1.1 200",
            "\r\ncontent-type: application/json\r\n",
            "\r\ntransfer-encoding: chunked\r\n",
            "\r\napi-version: 1.41\r\n",
        ] {
            assert!(head.contains(part), "{head}");
        }
        ear
    }
}

impl Ear {
    /// The next line; none when the stream has come to a good end.
    ///
    /// # Errors
    ///
    /// What came of a line, when the stream is broken off.
    pub(super) async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line = self.text.drain(..=end).collect::<String>();
                return Ok(Some(line.trim_end_matches('\n').to_owned()));
            }
            if self.ended {
                return Ok(None);
            }
            if !self.take_chunk() && !self.read().await {
                return Err(self.text.clone());
            }
        }
    }

    /// The next line, as what has to be the same on every engine.
    pub(super) async fn event(&mut self) -> String {
        view(&self.line().await.unwrap().unwrap())
    }

    /// All events up to one whose action begins so.
    pub(super) async fn events_to(&mut self, last: &str) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            if events.last().unwrap().starts_with(last) {
                return events;
            }
        }
    }

    /// Answers whether there was more to read.
    pub(super) async fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let reading = self.stream.read(&mut bytes);
        let length = timeout(PATIENCE, reading).await.unwrap().unwrap();
        self.raw.extend_from_slice(&bytes[..length]);
        length > 0
    }

    /// Answers whether there was a whole one.
    fn take_chunk(&mut self) -> bool {
        let Some(at) = self.raw.windows(2).position(|two| two == b"\r\n") else {
            return false;
        };
        let length = str::from_utf8(&self.raw[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if self.raw.len() < at + length + 4 {
            return false;
        }
        let chunk = self.raw.drain(..at + length + 4).collect::<Vec<_>>();
        let text = str::from_utf8(&chunk[at + 2..at + 2 + length]).unwrap();
        self.text.push_str(text);
        self.ended = length == 0;
        true
    }
}

/// The action and the attributes of an event. All else in the line must be as it follows from these, in dockerd's order.
pub(super) fn view(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    let (_, attributes) = line.split_once("\"Attributes\":").unwrap();
    let (attributes, _) = attributes.rsplit_once("},\"scope\"").unwrap();
    let (action, id) = (&event["Action"], &event["id"]);
    let (seconds, nanoseconds) = (&event["time"], &event["timeNano"]);
    let from = event["Actor"]["Attributes"].get("image");
    let from = from.map_or_else(String::new, |image| format!("\"from\":{image},"));
    assert_eq!(
        line,
        format!(
            "{{\"status\":{action},\"id\":{id},{from}\"Type\":\"container\",\"Action\":{action},\"Actor\":{{\"ID\":{id},\"Attributes\":{attributes}}},\"scope\":\"local\",\"time\":{seconds},\"timeNano\":{nanoseconds}}}"
        )
    );
    assert_eq!(id.as_str().unwrap().len(), 64);
    assert_eq!(
        nanoseconds.as_u64().unwrap() / 1_000_000_000,
        seconds.as_u64().unwrap()
    );
    format!(
        "{} {}",
        action.as_str().unwrap(),
        super::view::without_ids(attributes)
    )
}
