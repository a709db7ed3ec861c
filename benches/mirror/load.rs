//! The load: connections that are kept, each with one request at a time, all on one thread.
//!
//! It shares the processor with the servers that it measures, so it does as little as it can: a request is prepared once,
//! and of an answer only the head is read. It still checks of each answer that it is a good one and as long as it should be.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{interval_at, timeout_at};

use crate::wire::Answer;

/// Where a server listens.
#[derive(Clone)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A request, and what its answer has to be.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) request: String,
    /// The length of the answer's body, where it is the same each time.
    pub(crate) length: Option<usize>,
}

/// What came of one cell of the table.
#[derive(Default)]
pub(crate) struct Tally {
    /// What each answer took.
    pub(crate) took: Vec<Duration>,
    /// From the first request to the last answer.
    pub(crate) lasted: Duration,
    /// Requests that were given up because their answers did not come in time.
    pub(crate) given_up: usize,
}

/// How long a cell lasts, and how long its last answers are waited for, both from its begin.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) asking: Duration,
    pub(crate) waiting: Duration,
}

/// Asks over so many connections, each time anew when the answer has come.
pub(crate) fn press(
    place: &Place,
    asked: &Asked,
    connections: usize,
    limits: Limits,
) -> Result<Tally, String> {
    on_one_thread(async {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(Client::connect(place).await?);
        }
        let begun = Instant::now();
        let mut pressing = JoinSet::new();
        let asked = Arc::new(asked.clone());
        for client in clients {
            pressing.spawn(client.press(Arc::clone(&asked), begun, limits));
        }
        let mut tally = Tally::default();
        while let Some(ended) = pressing.join_next().await {
            let (took, given_up) = ended.map_err(|error| error.to_string())??;
            tally.took.extend(took);
            tally.given_up += usize::from(given_up);
        }
        tally.lasted = begun.elapsed();
        Ok(tally)
    })
}

/// So many clients that ask each of these once a second, at different times. Gives the number of answers.
pub(crate) fn poll(
    place: &Place,
    asked: &[Asked],
    clients: u32,
    lasting: Duration,
) -> Result<usize, String> {
    on_one_thread(async {
        let second = Duration::from_secs(1);
        let mut polling = JoinSet::new();
        let begin = Instant::now() + second / 10;
        for number in 0..clients {
            let mut client = Client::connect(place).await?;
            let asked = asked.to_vec();
            polling.spawn(async move {
                let first = begin + second * number / clients;
                let mut ticks = interval_at(first.into(), second);
                let mut answers = 0;
                // One who gets no answer in all that time has had none.
                let end = begin + lasting;
                while timeout_at(end.into(), ticks.tick()).await.is_ok() {
                    for one in &asked {
                        match timeout_at(end.into(), client.ask(one)).await {
                            Ok(answered) => answers += answered.map(|()| 1)?,
                            Err(_) => return Ok(answers),
                        }
                    }
                }
                Ok::<usize, String>(answers)
            });
        }
        let mut answers = 0;
        while let Some(ended) = polling.join_next().await {
            answers += ended.map_err(|error| error.to_string())??;
        }
        Ok(answers)
    })
}

/// One answer: its status, and all of it as it came.
pub(crate) fn fetch(place: &Place, request: &str) -> Result<(u16, Vec<u8>), String> {
    on_one_thread(async {
        let mut client = Client::connect(place).await?;
        let mut whole = Vec::new();
        let answer = client.exchange(request, |came| whole.extend(came)).await?;
        Ok((answer.status, whole))
    })
}

fn on_one_thread<T>(run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Client {
    /// With one exchange behind it, so that the server has done all that it does once for a connection.
    async fn connect(place: &Place) -> Result<Self, String> {
        let (stream, warming): (io::Result<Box<dyn Stream>>, _) = match place {
            Place::Tcp(address) => {
                let connected = TcpStream::connect(address).await;
                let stream = connected.and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                });
                (stream, "/health")
            }
            Place::Unix(path) => {
                let connected = UnixStream::connect(path).await;
                (connected.map(|stream| Box::new(stream) as _), "/_ping")
            }
        };
        let mut client = Self {
            stream: stream.map_err(|error| format!("cannot connect: {error}"))?,
            buffer: vec![0; 64 * 1024],
        };
        client.exchange(&super::stage::get(warming), |_| ()).await?;
        Ok(client)
    }

    /// Gives what each answer took, and whether the last one was given up.
    async fn press(
        mut self,
        asked: Arc<Asked>,
        begun: Instant,
        limits: Limits,
    ) -> Result<(Vec<Duration>, bool), String> {
        let mut took = Vec::new();
        let patience = begun + limits.waiting;
        let mut sent = Instant::now();
        while sent < begun + limits.asking {
            match timeout_at(patience.into(), self.ask(&asked)).await {
                Ok(answered) => answered?,
                Err(_) => return Ok((took, true)),
            }
            let now = Instant::now();
            took.push(now - sent);
            sent = now;
        }
        Ok((took, false))
    }

    /// One answer, which must be a good one.
    async fn ask(&mut self, asked: &Asked) -> Result<(), String> {
        let answer = self.exchange(&asked.request, |_| ()).await?;
        if answer.status != 200 {
            return Err(format!("HTTP {}", answer.status));
        }
        match asked.length {
            Some(length) if length != answer.length => Err(format!(
                "a body of {} bytes where {length} were before",
                answer.length
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Sends a request and reads its answer to the end; hands on all that comes.
    async fn exchange(
        &mut self,
        request: &str,
        mut came: impl FnMut(&[u8]),
    ) -> Result<Answer, String> {
        let broken = |error: io::Error| format!("broken off: {error}");
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.map_err(broken)?;
        let mut answer = Answer::new();
        while !answer.is_complete() {
            let length = self.stream.read(&mut self.buffer).await.map_err(broken)?;
            let Some(part @ [_, ..]) = self.buffer.get(..length) else {
                return Err("closed".to_owned());
            };
            came(part);
            answer.take(part, |_| ())?;
        }
        Ok(answer)
    }
}
