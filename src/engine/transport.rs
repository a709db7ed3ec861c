//! Connections to the engine, kept alive and used again.
//!
//! bollard's own transports open a connection for each request, and bollard loses the API version on the way
//! (both in 0.21.1). So this pool is handed to bollard as its transport: it asks each new connection which version
//! the engine speaks and writes that into every request on it. An engine that was replaced while we ran closes its
//! connections, so the version is always that of the engine that is there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::tls::Tls;
use super::{Host, Settings, reach};

/// The most connections that are kept while nobody uses them.
const MAX_IDLE: usize = 16;

/// How long a connection may be idle and still be used: whatever lies between may have forgotten an older one.
const MAX_IDLE_TIME: Duration = Duration::from_mins(1);

/// How long opening a connection may take, and the engine's answer to the first ping on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool of connections to one engine.
pub(super) struct Pool {
    host: Host,
    tls: Option<Tls>,
    idle: Mutex<Vec<Connection>>,
}

/// bollard keeps the name of its body type to itself; it is the body of its requests.
type Body = <BollardRequest as HasBody>::Body;

trait HasBody {
    type Body;
}

impl<B> HasBody for Request<B> {
    type Body = B;
}

/// What carries a connection. One type for all, because what speaks HTTP is compiled for each.
pub(super) type Stream = Either<UnixStream, Either<TcpStream, Box<TlsStream<TcpStream>>>>;

/// What speaks HTTP on a stream.
type Speaking = http1::Connection<TokioIo<Stream>, Body>;

/// A connection to the engine.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    /// Gives back what speaks on it, once it is told to; nothing where the connection has ended.
    speaking: JoinHandle<Option<Speaking>>,
    stop: oneshot::Sender<()>,
    /// When it was last used.
    used: Instant,
    /// The minor number of the API version to speak on it: 41 for `/v1.41`.
    api: usize,
}

impl Connection {
    fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Stops speaking HTTP in the middle of this answer, and gives what follows: what of it has come already, and what
    /// the rest comes on.
    ///
    /// # Errors
    ///
    /// The answer, where all of it has come.
    pub(super) async fn take(self, mut body: Incoming) -> Result<(Bytes, Stream), Incoming> {
        let is_told = self.stop.send(()).is_ok();
        let speaking = match self.speaking.await {
            Ok(Some(speaking)) if is_told => speaking,
            Ok(_) | Err(_) => return Err(body),
        };
        let mut read = BytesMut::new();
        // A part may be under way to its reader.
        while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
            read.extend(frame.into_data());
        }
        let parts = speaking.into_parts();
        read.extend_from_slice(&parts.read_buf);
        Ok((read.freeze(), parts.io.into_inner()))
    }
}

impl Pool {
    /// A pool without a connection yet.
    ///
    /// # Errors
    ///
    /// Where TLS is wanted, and cannot be had.
    pub(super) fn new(settings: &Settings) -> Result<Self, super::Error> {
        let tls = match (&settings.host, &settings.tls) {
            (_, None) => Ok(None),
            (Host::Tcp { host, .. }, Some(tls)) => Tls::load(host, tls).map(Some),
            (Host::Unix(_), Some(_)) => Err("a Unix socket has no TLS".to_owned()),
        };
        let host = settings.host.clone();
        let tls = tls.map_err(|why| {
            super::Error::Unreachable(format!("cannot reach the engine at {host}: {why}"))
        })?;
        Ok(Self {
            host,
            tls,
            idle: Mutex::default(),
        })
    }

    /// Whether the engine is on this machine.
    pub(super) const fn is_local(&self) -> bool {
        matches!(self.host, Host::Unix(_))
    }

    /// Sends a request on an idle connection or a new one, and keeps the connection for others when its answer has been
    /// read.
    ///
    /// A 304 comes back as an error with that status, because bollard takes it for success.
    ///
    /// # Errors
    ///
    /// Where the engine cannot be reached or the connection breaks. A request that was never written is sent again on
    /// a new connection; one that may have been is not, because it may have been carried out.
    pub(super) async fn send(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let (mut connection, response) = self.exchange(request).await?;
        // Its answer is yet to be read; `take` passes it over until then.
        connection.used = Instant::now();
        self.keep(connection);
        if response.status() == StatusCode::NOT_MODIFIED {
            return Err(Error::DockerResponseServerError {
                status_code: StatusCode::NOT_MODIFIED.as_u16(),
                message: String::new(),
            });
        }
        Ok(response)
    }

    /// Sends a request, and gives the connection with the answer: it is for nothing else, and closed when it is dropped.
    ///
    /// # Errors
    ///
    /// As [`Pool::send`].
    pub(super) async fn exchange(
        &self,
        mut request: BollardRequest,
    ) -> Result<(Connection, Response<Incoming>), Error> {
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("docker"));
        let uri = request.uri().clone();
        while let Some(mut connection) = self.take() {
            *request.uri_mut() = versioned(&uri, connection.api)?;
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(failed.into_error().into()),
                },
            }
        }
        let mut connection = self.connect().await?;
        *request.uri_mut() = versioned(&uri, connection.api)?;
        let response = connection.sender.send_request(request).await?;
        Ok((connection, response))
    }

    /// Opens a connection for the next who needs one, where none is idle. That it cannot be opened, they will see.
    pub(super) async fn stock(self: Arc<Self>) {
        let is_any = self.idle().iter().any(Connection::is_usable);
        if !is_any && let Ok(connection) = self.connect().await {
            self.keep(connection);
        }
    }

    /// Forgets the idle connections: after one of them fell silent, the others may lead to nowhere too.
    pub(super) fn forget(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|kept| !kept.sender.is_closed() && kept.used.elapsed() < MAX_IDLE_TIME);
        let latest = idle.iter().rposition(Connection::is_usable)?;
        Some(idle.swap_remove(latest))
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, async {
            let stream = self.open().await;
            let stream =
                stream.map_err(|error| reach::explain(&self.host, self.tls.as_ref(), &error))?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let (stop, is_stopped) = oneshot::channel();
            let speaking = tokio::spawn(speak(connection, is_stopped));
            let api = ask_version(&mut sender)
                .await
                .map_err(|error| reach::explain_first(&self.host, self.tls.as_ref(), error))?;
            Ok(Connection {
                sender,
                speaking,
                stop,
                used: Instant::now(),
                api,
            })
        });
        opened.await.unwrap_or_else(|_| {
            let why = format!(
                "cannot reach the engine at {}: no answer within {}",
                self.host,
                humantime::format_duration(CONNECT_TIMEOUT)
            );
            Err(io::Error::new(io::ErrorKind::TimedOut, why).into())
        })
    }

    async fn open(&self) -> io::Result<Stream> {
        match &self.host {
            Host::Unix(path) => Ok(Either::Left(UnixStream::connect(path).await?)),
            Host::Tcp { host, port } => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await?;
                // Requests are small and whole; waiting to fill a packet only delays them.
                tcp.set_nodelay(true)?;
                Ok(Either::Right(match &self.tls {
                    None => Either::Left(tcp),
                    Some(tls) => Either::Right(Box::new(tls.connect(tcp).await?)),
                }))
            }
        }
    }
}

/// Speaks until the engine closes, nobody sends any more, or it is told to stop.
async fn speak(mut speaking: Speaking, stop: oneshot::Receiver<()>) -> Option<Speaking> {
    // What breaks it is told to whoever waits for an answer.
    tokio::select! {
        _ended = &mut speaking => return None,
        told = stop => if told.is_ok() { return Some(speaking) },
    }
    let _ended = speaking.await;
    None
}

/// The newest API version that the engine and bollard both know.
async fn ask_version(sender: &mut SendRequest<Body>) -> Result<usize, Error> {
    let ping = Request::get("/_ping")
        .header(HOST, HeaderValue::from_static("docker"))
        .body(bollard::body_full(bytes::Bytes::new()))?;
    let response = sender.send_request(ping).await?;
    let version = response.headers().get("api-version").cloned();
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), 4096)
        .collect()
        .await;
    sender.ready().await?;
    let minor = version
        .as_ref()
        .and_then(|version| version.to_str().ok()?.strip_prefix("1.")?.parse().ok());
    if let (true, Some(minor), Ok(_)) = (status.is_success(), minor, body) {
        return Ok(API_DEFAULT_VERSION.minor_version.min(minor));
    }
    Err(Error::DockerResponseServerError {
        status_code: status.as_u16(),
        message: format!(
            "the engine's answer to a ping was status {status} without an API version; is it a Docker engine?"
        ),
    })
}

/// The same request under `/v1.<api>`.
fn versioned(uri: &Uri, api: usize) -> Result<Uri, Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(format!("/v1.{api}{path}").parse()?)
}
