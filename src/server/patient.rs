//! How long a client may take to read what it is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

/// How long the reader of a stream may take no further byte: somebody may have stopped a terminal to read. It holds the
/// engine back meanwhile, and costs a connection.
const STREAM_TIMEOUT: Duration = Duration::from_mins(10);

/// A connection whose client has to go on reading: there is a time limit on each write, and a longer one while the answer
/// is a stream.
pub(super) struct Patient<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    timeout: Duration,
    answers: Streaming,
    is_streaming: bool,
}

/// Whether the answer under way is a stream. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Streaming(Arc<AtomicBool>);

impl Streaming {
    /// To be told of each answer before it is written.
    pub(super) fn set(&self, is_streaming: bool) {
        self.0.store(is_streaming, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + AsyncWrite> Patient<S> {
    pub(super) fn new(stream: S, timeout: Duration, answers: Streaming) -> Self {
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(timeout));
        Self {
            stream,
            timeout,
            answers,
            is_streaming: false,
        }
    }

    fn writing(&mut self) -> Pin<&mut TimeoutStream<S>> {
        let is_streaming = self.answers.0.load(Ordering::Relaxed);
        if is_streaming != self.is_streaming {
            self.is_streaming = is_streaming;
            let timeout = if is_streaming {
                STREAM_TIMEOUT
            } else {
                self.timeout
            };
            let stream = self.stream.as_mut();
            stream.set_write_timeout_pinned(Some(timeout));
        }
        self.stream.as_mut()
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writing().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
