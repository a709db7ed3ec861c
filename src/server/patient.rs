//! How long a client may take: to read what it is sent, and to send the head of its next request.

use std::borrow::Cow;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;
use tokio_io_timeout::TimeoutWriter;

/// How long the reader of a stream may take no further byte: somebody may have stopped a terminal to read. It holds the
/// engine back meanwhile, and costs a connection.
const STREAM_TIMEOUT: Duration = Duration::from_mins(10);

/// The most bytes that are copied together and sent at once, in place of part by part: the kernel takes 0.3 µs less for that.
const MAX_GATHERED: usize = 1024;

/// A connection whose client has to go on reading: there is a time limit on each write, and a longer one while the answer
/// is a stream.
pub(super) struct Patient<S> {
    stream: Pin<Box<TimeoutWriter<S>>>,
    timeout: Duration,
    progress: Progress,
    is_streaming: bool,
}

/// What a connection is at, and since when. Clones share it.
#[derive(Clone)]
pub(super) struct Progress(Arc<Inner>);

struct Inner {
    /// When something was last written, or else when it began, in milliseconds.
    wrote: AtomicU64,
    /// A request is being answered.
    is_answering: AtomicBool,
    /// The latest answer is a stream.
    is_streaming: AtomicBool,
    /// The client does not take what is written.
    is_full: AtomicBool,
}

/// Lasts as long as an answer. When its end has been written, it is the client's turn.
pub(super) struct Answering<'progress>(Cow<'progress, Progress>);

impl<'progress> Answering<'progress> {
    fn new(progress: Cow<'progress, Progress>) -> Self {
        progress.0.is_answering.store(true, Ordering::Relaxed);
        Self(progress)
    }

    /// The same, for what outlives the one who gives the answer.
    pub(super) fn into_owned(self) -> Answering<'static> {
        let progress = self.0.clone().into_owned();
        drop(self);
        Answering::new(Cow::Owned(progress))
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.0.is_answering.store(false, Ordering::Relaxed);
    }
}

impl Progress {
    /// Of a connection that is new.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            wrote: AtomicU64::new(now()),
            is_answering: AtomicBool::new(false),
            is_streaming: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
        }))
    }

    /// A request has come.
    pub(super) fn answer(&self) -> Answering<'_> {
        Answering::new(Cow::Borrowed(self))
    }

    /// To be told of each answer before it is written.
    pub(super) fn set_streaming(&self, is_streaming: bool) {
        self.0.is_streaming.store(is_streaming, Ordering::Relaxed);
    }

    /// Ends when the client has taken longer than this to send the head of a request, or to begin it.
    ///
    /// One timer for a connection, which looks when it rings: hyper's own (1.12) is made and taken back for each request.
    pub(super) async fn too_slow(&self, limit: Duration) {
        let inner = &self.0;
        loop {
            let is_ours = inner.is_answering.load(Ordering::Relaxed);
            let left = if is_ours || inner.is_full.load(Ordering::Relaxed) {
                limit
            } else {
                let passed = now().saturating_sub(inner.wrote.load(Ordering::Relaxed));
                limit.saturating_sub(Duration::from_millis(passed))
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// Something was written, or could not be.
    fn wrote<T>(&self, written: &Poll<T>) {
        let inner = &self.0;
        inner.is_full.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            inner.wrote.store(now(), Ordering::Relaxed);
        }
    }
}

/// The time in milliseconds, of a clock that never goes back. It is some behind, and takes little to look at: every answer
/// does.
fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1000 + u64::try_from(now.tv_nsec / 1_000_000).unwrap_or_default()
}

/// The parts as one, where they have room there; otherwise nothing is copied.
fn gather<'room>(parts: &[io::IoSlice<'_>], room: &'room mut ReadBuf<'_>) -> Option<&'room [u8]> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > room.remaining() {
        return None;
    }
    for part in parts {
        room.put_slice(part);
    }
    Some(room.filled())
}

impl<S: AsyncRead + AsyncWrite> Patient<S> {
    pub(super) fn new(stream: S, timeout: Duration, progress: Progress) -> Self {
        let mut stream = Box::pin(TimeoutWriter::new(stream));
        stream.as_mut().set_timeout_pinned(Some(timeout));
        Self {
            stream,
            timeout,
            progress,
            is_streaming: false,
        }
    }

    fn writing(&mut self) -> Pin<&mut TimeoutWriter<S>> {
        let is_streaming = self.progress.0.is_streaming.load(Ordering::Relaxed);
        if is_streaming != self.is_streaming {
            self.is_streaming = is_streaming;
            let timeout = if is_streaming {
                STREAM_TIMEOUT
            } else {
                self.timeout
            };
            let stream = self.stream.as_mut();
            stream.set_timeout_pinned(Some(timeout));
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
        let written = self.writing().poll_write(cx, bytes);
        self.progress.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(cx);
        // TLS takes what is written at once, and sends it here.
        let is_full = &self.progress.0.is_full;
        is_full.store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); MAX_GATHERED];
        let written = match gather(parts, &mut ReadBuf::uninit(&mut room)) {
            Some(bytes) => self.writing().poll_write(cx, bytes),
            None => self.writing().poll_write_vectored(cx, parts),
        };
        self.progress.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use tokio::io::ReadBuf;

    use super::gather;

    fn check(parts: &[&str], room: usize, expected: Option<&str>) {
        let slices: Vec<_> = parts
            .iter()
            .map(|part| IoSlice::new(part.as_bytes()))
            .collect();
        let mut room = vec![0; room];
        let mut room = ReadBuf::new(&mut room);
        let gathered = gather(&slices, &mut room);
        assert_eq!(gathered, expected.map(str::as_bytes), "{parts:?}");
        assert_eq!(room.filled().len(), expected.map_or(0, str::len));
    }

    #[test]
    fn all_parts_or_none() {
        check(&[], 8, Some(""));
        check(&["head", "body"], 8, Some("headbody"));
        check(&["head", "", "bodies"], 10, Some("headbodies"));
        check(&["head", "body"], 7, None);
        check(&["head", "a body that is long", "x"], 8, None);
    }
}
