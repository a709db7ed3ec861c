//! Answers that go on: a reader may pause, one that leaves is noticed, and a part is never taken for the whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::iter;
use futures_util::{Stream, StreamExt};
use hyper::Response;
use relayer_controller::server::{
    Body, Listen, Request, RequestBody, Server, Settings, streamed, whole,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::http;

/// How long a client may take for the head of its next request.
const TIMEOUT: Duration = Duration::from_millis(200);

/// How long it may take for the next piece of a whole answer.
const PATIENCE: Duration = Duration::from_millis(800);

/// More than all buffers between two processes hold.
const PIECES: usize = 256;
const PIECE: usize = 256 * 1024;

/// A server of large answers that counts the pieces which were asked of it.
struct Source {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    open: Arc<()>,
    stop: CancellationToken,
    _runtime: Runtime,
}

impl Source {
    fn start() -> Self {
        let (runtime, stop) = (Runtime::new().unwrap(), CancellationToken::new());
        let settings = Settings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            body_timeout: PATIENCE,
            header_timeout: TIMEOUT,
            ..Settings::default()
        };
        let server = runtime.block_on(Server::bind(settings)).unwrap();
        let Some(Listen::Tcp(address)) = server.addresses().into_iter().next() else {
            panic!("a TCP listener")
        };
        let (asked, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let shared = (Arc::clone(&asked), Arc::clone(&open));
        let answer = move |request: Request, _: RequestBody| {
            let pieces = pieces(&request, shared.clone());
            async move {
                let body: Body = match request.head.uri.path() {
                    "/whole" => whole(vec![b'x'; PIECES * PIECE]),
                    "/late" => {
                        tokio::time::sleep(TIMEOUT * 3).await;
                        whole("x")
                    }
                    "/silent" => streamed(iter(0..2).then(async |_| {
                        tokio::time::sleep(TIMEOUT * 3).await;
                        Ok(Bytes::from("x"))
                    })),
                    _ => streamed(pieces),
                };
                Response::new(body)
            }
        };
        runtime.spawn(server.serve(answer, stop.clone()));
        Self {
            address,
            asked,
            open,
            stop,
            _runtime: runtime,
        }
    }

    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = http::connect(self.address);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream
    }

    /// Waits until what is asked for is so.
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(10), "never {what}");
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn pieces(
    request: &Request,
    (asked, open): (Arc<AtomicUsize>, Arc<()>),
) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let breaks = request.head.uri.path() == "/breaks";
    iter(0..PIECES).map(move |number| {
        assert!(Arc::strong_count(&open) > 1, "held while it lasts");
        asked.fetch_add(1, Ordering::SeqCst);
        if breaks && number == 2 {
            return Err(io::Error::other("for the test"));
        }
        Ok(Bytes::from(vec![b'x'; PIECE]))
    })
}

/// How many bytes of the answer's body came, and whether its end did.
fn read_body(stream: &mut TcpStream) -> (usize, bool) {
    let mut bytes = Vec::new();
    let _reset_or_not = stream.read_to_end(&mut bytes);
    let body = bytes.iter().map(|byte| usize::from(*byte == b'x')).sum();
    (body, bytes.ends_with(b"0\r\n\r\n"))
}

#[test]
fn the_reader_of_a_stream_may_pause() {
    let source = Source::start();
    let mut stream = source.ask("/stream");
    source.until("asked", |source| source.asked.load(Ordering::SeqCst) > 0);
    sleep(PATIENCE * 2);
    let asked = source.asked.load(Ordering::SeqCst);
    assert!(
        asked < PIECES / 2,
        "{asked} pieces were asked for of which nobody read one"
    );
    assert_eq!(read_body(&mut stream), (PIECES * PIECE, true));
}

#[test]
fn the_reader_of_a_whole_answer_may_not() {
    let source = Source::start();
    let mut stream = source.ask("/whole");
    sleep(PATIENCE * 2);
    let (came, _) = read_body(&mut stream);
    assert!(came < PIECES * PIECE, "all of it");

    // For a while it may.
    let mut stream = source.ask("/whole");
    sleep(TIMEOUT * 2);
    let (came, _) = read_body(&mut stream);
    assert_eq!(came, PIECES * PIECE);
}

#[test]
fn a_part_is_not_taken_for_the_whole() {
    let source = Source::start();
    assert_eq!(read_body(&mut source.ask("/breaks")), (2 * PIECE, false));
}

#[test]
fn a_reader_that_leaves_ends_the_stream() {
    let source = Source::start();
    let stream = source.ask("/stream");
    // One is the test's own, one the server's.
    source.until("open", |source| Arc::strong_count(&source.open) == 3);
    drop(stream);
    source.until("closed", |source| Arc::strong_count(&source.open) == 2);
}

/// An answer may take its time, and so may each of its pieces; then it is the client's turn again.
#[test]
fn only_clients_are_hurried() {
    let source = Source::start();
    let mut stream = http::connect(source.address);
    let begun = Instant::now();
    for path in ["/late", "/silent"] {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    assert_eq!(read_body(&mut stream), (3, true));
    // The clock may be a little behind.
    let took = begun.elapsed() + Duration::from_millis(20);
    assert!((TIMEOUT * 10..TIMEOUT * 50).contains(&took), "{took:?}");
}
