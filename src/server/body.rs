//! Bodies of answers: whole, as a stream, or none, because the connection is handed over.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, SizeHint};

use super::Upgraded;
use super::patient::Answering;

/// The body of an answer. A stream that fails breaks the connection off, so that nobody takes a part for the whole.
pub struct Body(pub(super) Kind);

pub(super) enum Kind {
    Whole(Full<Bytes>),
    /// And what lasts as long as it.
    Stream(UnsyncBoxBody<Bytes, io::Error>, Option<Answering<'static>>),
    Handover(Handover),
}

/// What is done with a connection that was handed over.
pub(super) type Handover = Box<dyn FnOnce(Upgraded) -> BoxFuture<'static, ()> + Send>;

/// A body that is there already.
#[must_use]
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Body(Kind::Whole(Full::new(bytes.into())))
}

/// A body that comes piece by piece. A piece is asked for when the one before it is on its way, and the stream is
/// dropped when the client leaves.
#[must_use]
pub fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    let frames = pieces.map(|piece| piece.map(Frame::data));
    Body(Kind::Stream(StreamBody::new(frames).boxed_unsync(), None))
}

/// No body, and the connection is this function's when the answer has been written. That is for 101 alone, to a request
/// of HTTP/1.1 that asks for an upgrade. What it does counts as a part of the connection: there is a limit on each write,
/// and the server ends after it.
#[must_use]
pub fn handed_over<F>(run: impl FnOnce(Upgraded) -> F + Send + 'static) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    Body(Kind::Handover(Box::new(|upgraded| run(upgraded).boxed())))
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(whole) => {
                let never = |never: Infallible| match never {};
                Pin::new(whole).poll_frame(cx).map_err(never)
            }
            Kind::Stream(pieces, _) => Pin::new(pieces).poll_frame(cx),
            Kind::Handover(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(whole) => whole.is_end_stream(),
            Kind::Stream(pieces, _) => pieces.is_end_stream(),
            Kind::Handover(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => whole.size_hint(),
            Kind::Stream(pieces, _) => pieces.size_hint(),
            Kind::Handover(_) => SizeHint::with_exact(0),
        }
    }
}
