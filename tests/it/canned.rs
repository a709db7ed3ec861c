//! A server that says what it is told to, byte for byte, and remembers what it was asked.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server with an answer for each question.
pub(crate) struct Canned {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A whole answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> String {
    answer(status, "application/json", body)
}

/// A whole answer of any kind.
pub(crate) fn answer(status: u16, media_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// An answer that comes in these pieces, and breaks off unless it is `whole`.
pub(crate) fn pieces(media_type: &str, pieces: &[&str], whole: bool) -> String {
    let mut answer = format!(
        "HTTP/1.1 200 X\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for piece in pieces {
        write!(answer, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
    }
    if whole {
        answer += "0\r\n\r\n";
    }
    answer
}

impl Canned {
    /// Starts one with answers by method and path, without the query; 404 to all else.
    pub(crate) fn start(answers: &[(&str, &str)]) -> Self {
        Self::start_slow(Duration::ZERO, answers)
    }

    /// The same, but it takes this long for each answer.
    pub(crate) fn start_slow(pause: Duration, answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Vec<(String, String)> = answers
            .iter()
            .map(|(question, answer)| ((*question).to_owned(), (*answer).to_owned()))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asked_here = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), pause, &answers, &asked_here);
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far: method and target, `Accept`, and the body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    pause: Duration,
    answers: &[(String, String)],
    asked: &Mutex<Vec<String>>,
) {
    let Some((head, body)) = request(&mut stream) else {
        return;
    };
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value).to_owned()
    };
    asked.lock().unwrap().push(
        format!("{line} {} {body}", header("accept"))
            .trim_end()
            .to_owned(),
    );
    let question = line.split('?').next().unwrap();
    let found = answers.iter().find(|(known, _)| known == question);
    std::thread::sleep(pause);
    let unknown = json(404, r#"{"error":"Not found"}"#);
    let _left = stream.write_all(found.map_or(&unknown, |(_, answer)| answer).as_bytes());
}

fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(|length| length.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or_default() {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
