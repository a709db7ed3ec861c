//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::body::{Handover, Kind};
use super::patient::{Answering, Patient, Progress};
use super::quiet::Quiet;
use super::request::{MAX_HEAD_BYTES, Refusal};
use super::{Answer, Body, Handler, Peer, Request, RequestId, Settings, Upgraded, whole};

/// How much of a head is read: above [`MAX_HEAD_BYTES`], so that one which is a little too large gets an answer that
/// says so. hyper answers a larger one, and one of more than 100 headers, with 431 and no body.
const MAX_BUFFER_BYTES: usize = 2 * MAX_HEAD_BYTES;

/// How long a connection may last whose client is known by a certificate; then it ends after the request under way.
///
/// SECURITY: a certificate is verified in the handshake alone. One that expires, or whose authority is no longer trusted,
/// would count for as long as its client keeps the connection.
const MAX_CERTIFIED: Duration = Duration::from_mins(10);

/// Serves the requests of one connection until either side ends it or `stop` is cancelled.
pub(super) async fn serve(
    stream: Stream,
    peer: Peer,
    settings: &Settings,
    handler: &impl Handler,
    stop: &CancellationToken,
) {
    let progress = Progress::new();
    // What is done with the connection when the answer under way has been written, where that is its last.
    let handover = Mutex::new(None);
    let stream = Patient::new(stream, settings.body_timeout, progress.clone());
    let service = service_fn(|request| {
        let (request, body) = Request::new(request, peer.clone(), settings.body_timeout);
        let exchange = Exchange::begin(&request, &progress, &handover);
        let mut answer = handler.answer(request, body);
        answer.begin();
        match answer {
            Answer::Ready(mut response) => {
                exchange.end(&mut response);
                Either::Left(ready(Ok::<_, Infallible>(response)))
            }
            Answer::Pending(coming) => Either::Right(coming.map(|mut response| {
                exchange.end(&mut response);
                Ok(response)
            })),
        }
    });
    let mut connection = Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let is_certified = peer.certificate.is_some();
    let limit = pin!(async {
        tokio::select! {
            biased;
            () = progress.too_slow(settings.header_timeout) => Some(Ended::TooSlow),
            () = stop.cancelled() => None,
            () = tokio::time::sleep(MAX_CERTIFIED), if is_certified => None,
        }
    });
    let first = tokio::select! {
        biased;
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(Ended::of(ended)),
        limit = Quiet::new(limit) => limit,
    };
    let ended = if let Some(ended) = first {
        ended
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        let too_slow = pin!(progress.too_slow(settings.header_timeout));
        tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Ended::of(ended),
            () = Quiet::new(too_slow) => Ended::TooSlow,
        }
    };
    let mut parts = connection.into_parts();
    let handover = handover
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match (ended, handover) {
        (Ended::Well, Some(run)) => {
            let upgraded = Upgraded::new(parts.read_buf, parts.io.into_inner());
            return run(upgraded).await;
        }
        (Ended::TooSlow, _) => {
            tracing::debug!("a client did not send a request in time");
            // An idle connection is closed without a word; one with half a request is told why.
            if !parts.read_buf.is_empty() {
                let refusal = Refusal::TooSlow(settings.header_timeout);
                let farewell = by_hand("408 Request Timeout", &refusal.to_string());
                // If it cannot be told either, it is gone.
                let _gone = parts.io.inner_mut().write_all(farewell.as_bytes()).await;
            }
        }
        (Ended::Well | Ended::Broken, _) => {}
    }
    let _gone = parts.io.inner_mut().shutdown().await;
}

/// How a connection came to its end.
enum Ended {
    /// As either side wished.
    Well,
    /// The client was waited for too long.
    TooSlow,
    /// Something went wrong.
    Broken,
}

impl Ended {
    fn of(ended: hyper::Result<()>) -> Self {
        match ended {
            Ok(()) => Self::Well,
            Err(error) => {
                tracing::debug!(%error, "a connection ended early");
                Self::Broken
            }
        }
    }
}

/// One request and its answer, from the one to the other.
struct Exchange<'connection> {
    is_chunked: bool,
    asks_for_websocket: bool,
    progress: &'connection Progress,
    handover: &'connection Mutex<Option<Handover>>,
    answering: Answering<'connection>,
}

impl<'connection> Exchange<'connection> {
    fn begin(
        request: &Request,
        progress: &'connection Progress,
        handover: &'connection Mutex<Option<Handover>>,
    ) -> Self {
        Self {
            is_chunked: request.is_chunked,
            asks_for_websocket: request.asks_for_websocket,
            progress,
            handover,
            answering: progress.answer(),
        }
    }

    /// Notes what the answer means for the connection, and says so in it.
    fn end(self, response: &mut Response<Body>) {
        // SECURITY: whoever asks for this may have sent what it would say then. Where the answer is no, that must not be
        // taken for a request.
        let is_early =
            self.asks_for_websocket && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        self.progress
            .set_streaming(!matches!(response.body().0, Kind::Whole(_)));
        match &mut response.body_mut().0 {
            Kind::Whole(_) => {}
            Kind::Stream(_, lasting) => *lasting = Some(self.answering.into_owned()),
            kind @ Kind::Handover(_) => {
                if let Kind::Handover(run) = std::mem::replace(kind, whole("").0) {
                    *self.handover.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
                }
            }
        }
        // SECURITY: hyper lets a chunked body beside a Content-Length through. A proxy before us may go by the length and
        // take the rest of the body for the next request; on such a connection there is none.
        if self.is_chunked || is_early {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// The answer where hyper gives none, because the head does not come or is no HTTP; `error` is one of our own texts.
pub(super) fn by_hand(status: &str, error: &str) -> String {
    let body = format!("{{\"error\":\"{error}\"}}");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        RequestId::next(),
        body.len(),
    )
}

/// An accepted connection of any kind.
pub(super) enum Stream {
    Tcp(TcpStream),
    /// After the handshake.
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }
}
