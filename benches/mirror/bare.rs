//! The limit: a hyper server that knows nothing but the answers which the gateway gave.
//!
//! It is a process of its own, as the gateway is, has as many workers, and sends the same headers and bodies.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// The argument that makes this program the bare server; behind it comes the folder with its answers.
const ARGUMENT: &str = "--bare";

/// As many workers as the gateway has at most.
const MOST_WORKERS: usize = 4;

/// A bare server that runs.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// That answers these paths with these whole answers, of which it keeps copies in the folder.
    pub(crate) fn start(folder: &Path, answers: &[(&str, Vec<u8>)]) -> Self {
        let folder = folder.join("bare");
        fs::create_dir_all(&folder).unwrap();
        for (number, (path, answer)) in answers.iter().enumerate() {
            let text = [path.as_bytes(), b"\n", answer].concat();
            fs::write(folder.join(number.to_string()), text).unwrap();
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .arg(ARGUMENT)
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Whether this process is the bare server; then this does not return.
pub(crate) fn serve_if_asked() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        return;
    }
    let answers = Arc::new(read(Path::new(&arguments.next().unwrap())));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers.min(MOST_WORKERS))
        .enable_all()
        .build();
    runtime.unwrap().block_on(serve(answers));
}

type Answers = HashMap<String, (HeaderMap, Bytes)>;

fn read(folder: &Path) -> Answers {
    let files = fs::read_dir(folder).unwrap();
    let answer = |file: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let (path, answer) = text.split_once('\n').unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut headers = HeaderMap::new();
        for line in head.split("\r\n").skip(1) {
            let (name, value) = line.split_once(": ").unwrap();
            // These are hyper's own.
            if !name.eq_ignore_ascii_case("date") && !name.eq_ignore_ascii_case("content-length") {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
        }
        (path.to_owned(), (headers, Bytes::from(body.to_owned())))
    };
    files.map(answer).collect()
}

async fn serve(answers: Arc<Answers>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answers.get(request.uri().path()).map_or_else(
                    Response::default,
                    |(headers, body)| {
                        let mut response = Response::new(Full::new(body.clone()));
                        response.headers_mut().clone_from(headers);
                        response
                    },
                );
                async { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that leaves is none of its business.
            let _ended = served.await;
        });
    }
}
