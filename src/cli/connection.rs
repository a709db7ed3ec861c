//! HTTP to a gateway: over TCP, with TLS or without, or over a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// After how long without a word the kernel asks whether the other machine is still there, and how often it asks: for an
/// answer that takes long there is no other limit.
const ALIVE_AFTER: Duration = Duration::from_secs(30);
const ALIVE_EVERY: Duration = Duration::from_secs(10);
const ALIVE_TRIES: u32 = 3;

/// Where a gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An IP address or a host name, and a port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// TLS to a gateway.
#[derive(Clone)]
pub(super) struct Tls {
    /// The name that its certificate must have.
    pub(super) name: ServerName<'static>,
    /// Whom to believe.
    pub(super) config: Arc<ClientConfig>,
}

/// A connection, and over TLS to a server that has proven itself.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Who is at the other end; nobody with an address at that of a Unix socket.
    pub(super) peer: Option<SocketAddr>,
}

impl Connection {
    /// Opens one within this time, the look-up of the name and the TLS handshake included.
    ///
    /// # Errors
    ///
    /// Where it cannot be reached, or has not proven who it is.
    pub(super) async fn open(
        place: &Place,
        tls: Option<&Tls>,
        limit: Duration,
    ) -> io::Result<Self> {
        tokio::time::timeout(limit, Box::pin(open(place, tls)))
            .await
            .unwrap_or_else(|_| {
                let why = format!("no connection within {}", humantime::format_duration(limit));
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            })
    }

    /// Sends a request, and gives the head of its answer with the body to come. The connection must be kept until that
    /// has been read.
    ///
    /// # Errors
    ///
    /// Where the connection breaks, or what answers does not speak HTTP.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }
}

/// One type for all, because what speaks HTTP is compiled for each.
type Stream = Either<UnixStream, Either<TcpStream, TlsStream<TcpStream>>>;

async fn open(place: &Place, tls: Option<&Tls>) -> io::Result<Connection> {
    let (stream, peer): (Stream, _) = match place {
        Place::Unix(path) => (Either::Left(UnixStream::connect(path).await?), None),
        Place::Tcp(host, port) => {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            let peer = Some(tcp.peer_addr()?);
            // Requests are small and whole; waiting to fill a packet only delays them.
            tcp.set_nodelay(true)?;
            sockopt::set_socket_keepalive(&tcp, true)?;
            sockopt::set_tcp_keepidle(&tcp, ALIVE_AFTER)?;
            sockopt::set_tcp_keepintvl(&tcp, ALIVE_EVERY)?;
            sockopt::set_tcp_keepcnt(&tcp, ALIVE_TRIES)?;
            let stream = match tls {
                None => Either::Left(tcp),
                Some(Tls { name, config }) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    Either::Right(connector.connect(name.clone(), tcp).await?)
                }
            };
            (Either::Right(stream), peer)
        }
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends when its sender is dropped or the gateway closes; what broke it is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(Connection { sender, peer })
}
