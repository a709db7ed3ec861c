//! Edge: the accept loop. It lets requests in within limits, numbers them, and hands them to whoever answers them.

mod connection;
mod listen;
mod listener;
mod request;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use listen::{Listen, Settings};
pub use listener::BindError;
pub use request::{MAX_BODY_BYTES, MAX_HEAD_BYTES, Refusal, Request, RequestId};

use listener::Listener;

/// How long to wait before accepting again when the kernel could not give us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often at most the log says that all connections are taken.
const FULL_NOTICE: Duration = Duration::from_secs(10);

/// Listeners that are bound and not yet served.
pub struct Server {
    listeners: Vec<Listener>,
    settings: Arc<Settings>,
}

impl Server {
    /// Binds every listener of the settings, or none.
    ///
    /// # Errors
    ///
    /// The first listener that cannot be bound, and why.
    pub async fn bind(settings: Settings) -> Result<Self, BindError> {
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for listen in &settings.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        Ok(Self {
            listeners,
            settings: Arc::new(settings),
        })
    }

    /// Where it listens; for port 0 the port that the kernel gave.
    #[must_use]
    pub fn addresses(&self) -> Vec<Listen> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// Answers requests with `handler` until `stop` is cancelled and every connection has ended.
    ///
    /// From then on idle connections are closed, and requests in flight are answered first.
    pub async fn serve<H, F>(self, handler: H, stop: CancellationToken)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        // Each listener holds a permit while it waits, so fewer permits than listeners would leave some deaf.
        let most = self.settings.max_connections.max(self.listeners.len());
        let permits = Arc::new(Semaphore::new(most));
        let handler = Arc::new(handler);
        let tasks = TaskTracker::new();
        for listener in self.listeners {
            let accepting = Accepting {
                settings: Arc::clone(&self.settings),
                permits: Arc::clone(&permits),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            let handler = Arc::clone(&handler);
            tasks.spawn(async move { accepting.run(listener, handler).await });
        }
        stop.cancelled().await;
        tasks.close();
        tasks.wait().await;
    }
}

/// What the accept loop of one listener needs.
struct Accepting {
    settings: Arc<Settings>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Accepting {
    async fn run<H, F>(self, listener: Listener, handler: Arc<H>)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let mut noticed = None;
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.accept(&listener, &mut noticed) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (handler, settings, stop) = (
                        Arc::clone(&handler),
                        Arc::clone(&self.settings),
                        self.stop.clone(),
                    );
                    self.tasks.spawn(async move {
                        connection::serve(stream, &settings, handler.as_ref(), &stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(listener = %listener.address(), %error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for a free place, and only then for a connection: one that we have no place for stays with the kernel.
    async fn accept(
        &self,
        listener: &Listener,
        noticed: &mut Option<Instant>,
    ) -> io::Result<(connection::Stream, OwnedSemaphorePermit)> {
        if self.permits.available_permits() == 0
            && noticed.is_none_or(|at| at.elapsed() > FULL_NOTICE)
        {
            *noticed = Some(Instant::now());
            tracing::warn!(
                max_connections = self.settings.max_connections,
                "all connections are taken; further ones wait"
            );
        }
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let stream = listener.accept().await?;
        Ok((stream, permit))
    }
}
