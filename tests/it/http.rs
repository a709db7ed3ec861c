//! A client for the gateway that sends exactly what it is told, byte for byte.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketType, bind, socket};
use serde_json::Value;

/// What the gateway answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A connection for several requests, one after the other.
pub(crate) struct Kept(BufReader<TcpStream>);

impl Kept {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(connect(address)))
    }

    /// Sends one request with these further header lines, each with its `\r\n`.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "{path}: {head}");
        }
        let mut answer = parse(&head).unwrap_or_else(|| panic!("{method} {path}: {head}"));
        let mut body = vec![0; answer.header("content-length").parse().unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    ask_with(address, method, path, "", "")
}

/// The same with further header lines, each with its `\r\n`, and a body.
pub(crate) fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}{headers}\r\n{body}"
    );
    let answers = exchange(address, request.as_bytes());
    parse(&answers).unwrap_or_else(|| panic!("{method} {path}: {answers:?}"))
}

/// The same from another address of this machine, such as 127.0.0.2: what one address gets wrong slows it alone.
pub(crate) fn ask_from(
    source: Ipv4Addr,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
) -> Answer {
    ask_from_with(source, address, &format!("{method} {path}"), headers, "")
}

/// The same with a body; `line` is method and path.
pub(crate) fn ask_from_with(
    source: Ipv4Addr,
    address: SocketAddr,
    line: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let SocketAddr::V4(address) = address else {
        panic!("an address of IPv4")
    };
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(source, 0)).unwrap();
    net::connect(&socket, &address).unwrap();
    let mut stream = TcpStream::from(socket);
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    parse(&answer).unwrap_or_else(|| panic!("{line}: {answer:?}"))
}

/// Sends bytes and gives back all that comes until the gateway closes, at most 30 s.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    // The gateway may have closed already because of what came first.
    let _closed = stream.write_all(request);
    read_all(&mut stream)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// All that comes until the gateway closes the connection, gracefully or not.
pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "not closed: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer off a text that begins with it and ends with its body.
pub(crate) fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Answer {
        status,
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    })
}
