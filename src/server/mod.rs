//! Edge: the accept loop. It lets requests in within limits, numbers them, and hands them to whoever answers them.

mod body;
mod connection;
mod crowd;
mod listen;
mod listener;
mod names;
mod patient;
mod peer;
mod quiet;
mod request;
mod tls;
mod upgrade;

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::{Body, handed_over, streamed, whole};
pub use listen::{Listen, Settings};
pub use listener::BindError;
pub use peer::{Peer, PeerAddress};
pub use request::{MAX_BODY_BYTES, MAX_HEAD_BYTES, Refusal, Request, RequestBody, RequestId};
pub use tls::{Certificates, ClientAuth, ClientCertificates, TlsSettings};
pub use upgrade::{Upgraded, has_word};

use connection::Stream;
use crowd::{Crowd, Seat};
use listener::Listener;

/// How long to wait before accepting again when the kernel could not give us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often at most the log says that all connections are taken.
const FULL_NOTICE: Duration = Duration::from_secs(10);

/// An answer, or the wait for it.
pub enum Answer<'handler> {
    /// It is there at once. Where nothing has to be waited for, this takes the least: no future, and no further buffer
    /// of the connection, because the head of the request, which is a part of the one there is, is gone by then.
    Ready(Response<Body>),
    /// It comes later. It is asked for once before the connection is read on, and dropped when the client leaves. It may
    /// borrow from who gives it: a count of who does would be written by every such request, on all threads.
    Pending(BoxFuture<'handler, Response<Body>>),
}

impl Answer<'_> {
    /// Asks for it once, where it is not there.
    ///
    /// SECURITY: hyper reads on before it asks, and drops what is to come where the client has hung up by then. What was asked
    /// would be neither done nor on record. And a body that nobody reads is gone after this, so that hyper says that it
    /// closes the connection, and does not wait for the rest of it.
    fn begin(&mut self) {
        if let Self::Pending(coming) = self
            && let Some(response) = coming.as_mut().now_or_never()
        {
            *self = Self::Ready(response);
        }
    }
}

/// Who answers requests. An async function of a request and its body is one too.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request, body: RequestBody) -> Answer<'_>;
}

impl<H, F> Handler for H
where
    H: Fn(Request, RequestBody) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    fn answer(&self, request: Request, body: RequestBody) -> Answer<'_> {
        Answer::Pending(self(request, body).boxed())
    }
}

/// Listeners that are bound and not yet served.
pub struct Server {
    listeners: Vec<Listener>,
    settings: Arc<Settings>,
    tasks: TaskTracker,
    certificates: Option<Certificates>,
}

impl Server {
    /// Binds every listener of the settings, or none.
    ///
    /// # Errors
    ///
    /// The first file of `[server.tls]` that cannot be used or the first listener that cannot be bound, and why.
    pub async fn bind(settings: Settings) -> Result<Self, BindError> {
        let certificates = settings.tls.as_ref().map(Certificates::load).transpose();
        let certificates = certificates.map_err(BindError::Tls)?;
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for listen in &settings.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        Ok(Self {
            listeners,
            settings: Arc::new(settings),
            tasks: TaskTracker::new(),
            certificates,
        })
    }

    /// Where it listens; for port 0 the port that the kernel gave.
    #[must_use]
    pub fn addresses(&self) -> Vec<Listen> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// A view of its connections that outlives [`Server::serve`].
    #[must_use]
    pub fn connections(&self) -> Connections {
        Connections(self.tasks.clone())
    }

    /// The certificates of the TCP listeners, where those speak TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Answers requests with `handler` until `stop` is cancelled and every connection has ended.
    ///
    /// From then on idle connections are closed, and requests in flight are answered first. Until then the certificates
    /// are kept current.
    pub async fn serve(self, handler: impl Handler, stop: CancellationToken) {
        let certificates = self.certificates.clone();
        let accepting = Accepting {
            permits: Arc::new(Semaphore::new(self.settings.max_connections)),
            crowd: Crowd::new(self.settings.connections_per_address),
            settings: self.settings,
            listeners: self.listeners,
            certificates: self.certificates,
            tasks: self.tasks,
            noticed: None,
        };
        let tasks = accepting.tasks.clone();
        let keep_current = async {
            if let Some(certificates) = certificates {
                stop.run_until_cancelled(certificates.keep_current()).await;
            }
        };
        tokio::join!(accepting.run(Arc::new(handler), &stop), keep_current);
        tasks.close();
        tasks.wait().await;
    }
}

/// The connections of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections(TaskTracker);

impl Connections {
    /// How many are open, idle ones among them. One that waits with the kernel for a place is not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.len()
    }
}
/// What a connection holds while it lasts.
type Place = (OwnedSemaphorePermit, Seat);

/// The accept loop over all listeners.
struct Accepting {
    settings: Arc<Settings>,
    listeners: Vec<Listener>,
    certificates: Option<Certificates>,
    permits: Arc<Semaphore>,
    crowd: Crowd,
    tasks: TaskTracker,
    /// When the log last said that all connections are taken.
    noticed: Option<Instant>,
}

impl Accepting {
    /// Accepts until `stop` is cancelled; the listeners are closed then.
    async fn run(mut self, handler: Arc<impl Handler>, stop: &CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.accept()).await {
            match accepted {
                Ok((stream, peer, place)) => {
                    let (handler, stop) = (Arc::clone(&handler), stop.child_token());
                    let settings = Arc::clone(&self.settings);
                    let certificates = self.certificates.clone();
                    self.tasks.spawn(async move {
                        let opening = open(stream, peer, certificates, settings.header_timeout);
                        if let Some(Some((stream, peer))) = stop.run_until_cancelled(opening).await
                        {
                            let handler = handler.as_ref();
                            connection::serve(stream, peer, &settings, handler, &stop).await;
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for a free place, and only then for a connection: one that we have no place for stays with the kernel.
    async fn accept(&mut self) -> io::Result<(Stream, Peer, Place)> {
        let is_silent = |at: Instant| at.elapsed() < FULL_NOTICE;
        if self.permits.available_permits() == 0 && !self.noticed.is_some_and(is_silent) {
            self.noticed = Some(Instant::now());
            tracing::warn!(
                max_connections = self.settings.max_connections,
                "all connections are taken; further ones wait"
            );
        }
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
        loop {
            let (stream, peer) = poll_fn(|cx| self.poll_accept(cx)).await?;
            if let Some(seat) = self.crowd.seat(&peer.address) {
                return Ok((stream, peer, (permit, seat)));
            }
        }
    }

    /// A connection of whichever listener has one; it goes to the end of the line, so that none is starved.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        for at in 0..self.listeners.len() {
            let polled = self
                .listeners
                .get(at)
                .map(|listener| listener.poll_accept(cx));
            if let Some(Poll::Ready(accepted)) = polled {
                self.listeners.rotate_left(at + 1);
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// What there is to do before the first request; only TLS has something. `None` if the connection came to nothing.
async fn open(
    stream: Stream,
    peer: Peer,
    certificates: Option<Certificates>,
    limit: Duration,
) -> Option<(Stream, Peer)> {
    match (stream, certificates) {
        (Stream::Tcp(tcp), Some(certificates)) => {
            Box::pin(certificates.shake_hands(tcp, peer, limit)).await
        }
        (stream, _) => Some((stream, peer)),
    }
}
