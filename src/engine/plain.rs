//! Bytes off a connection to its end, with few system calls however they are sent.
//!
//! hyper hands over what ends with its connection in parts of 8 KiB, each through a channel to another task. And the
//! engine sends each line of a log alone: who is woken for each of them takes more time off the engine than the lines
//! are worth. So of what comes fast much is gathered before it is read.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio_util::either::Either;

use super::transport::Stream;

/// The least and the most that is read at once, in bytes.
const ROOM: (usize, usize) = (8 * 1024, 64 * 1024);

/// So much within this time is fast: so many bytes.
const FAST: (usize, Duration) = (64 * 1024, Duration::from_millis(10));

/// How long is gathered. What is sent meanwhile must fit in the socket, which holds some 280 lines: else the sender would
/// have to wait.
const PAUSE: Duration = Duration::from_micros(250);

/// After so many pauses in a row with less than so many bytes it is no longer fast.
const SLOW: (u32, usize) = (4, 2048);

/// What comes on a connection, to its end.
pub(super) struct Plain {
    source: Source,
    /// What was read before.
    read: Bytes,
    buffer: BytesMut,
    /// How much to read at once.
    room: usize,
    /// How much came, and since when.
    came: (usize, Instant),
}

enum Source {
    /// It is read when something comes.
    Woken(Stream),
    /// It is read after pauses.
    Gathering(Gathering),
    /// While it becomes another one, and where that failed.
    Lost,
}

/// A socket that wakes nobody.
struct Gathering {
    socket: Socket,
    alarm: AsyncFd<OwnedFd>,
    is_set: bool,
    /// How many pauses in a row brought little.
    poor: u32,
}

impl Plain {
    /// What comes on this connection after what was read of it.
    pub(super) fn new(read: Bytes, stream: Stream) -> Self {
        let (room, _) = ROOM;
        Self {
            source: Source::Woken(stream),
            read,
            buffer: BytesMut::new(),
            room,
            came: (0, Instant::now()),
        }
    }

    /// What comes next; none at the end. Nothing is lost where this is not waited for.
    ///
    /// # Errors
    ///
    /// Where the connection breaks.
    pub(super) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        if !self.read.is_empty() {
            return Ok(Some(std::mem::take(&mut self.read)));
        }
        self.buffer.reserve(self.room);
        let length = loop {
            match &mut self.source {
                Source::Woken(stream) => {
                    let most = u64::try_from(self.room).unwrap_or(u64::MAX);
                    break stream.take(most).read_buf(&mut self.buffer).await?;
                }
                Source::Gathering(gathering) => {
                    gathering.pause().await?;
                    if let Some(length) = gathering.read(&mut self.buffer, self.room)? {
                        break length;
                    }
                    self.wake_if_slow()?;
                }
                Source::Lost => return Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let read = self.buffer.split().freeze();
        self.fit(length);
        self.pace(length)?;
        Ok((length > 0).then_some(read))
    }

    /// Makes room for more, or for less.
    fn fit(&mut self, length: usize) {
        let (least, most) = ROOM;
        if length == self.room {
            self.room = most.min(self.room * 2);
        } else if length < self.room / 4 && self.room > least {
            self.room = least.max(self.room / 2);
            // Where little comes, little is kept.
            self.buffer = BytesMut::new();
        }
    }

    /// Begins to gather what comes fast, and ends it.
    fn pace(&mut self, length: usize) -> io::Result<()> {
        if matches!(self.source, Source::Gathering(_)) {
            return self.wake_if_slow();
        }
        let (much, soon) = FAST;
        let (before, since) = self.came;
        let came = before + length;
        if since.elapsed() > soon {
            self.came = (length, Instant::now());
        } else if came < much {
            self.came = (came, since);
        } else {
            self.came = (0, Instant::now());
            self.gather()?;
        }
        Ok(())
    }

    fn gather(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.source, Source::Lost) {
            // A network gathers by itself.
            other @ (Source::Woken(Either::Right(_)) | Source::Gathering(_) | Source::Lost) => {
                self.source = other;
            }
            Source::Woken(Either::Left(stream)) => {
                self.source = Source::Gathering(Gathering {
                    alarm: alarm()?,
                    socket: stream.into_std()?,
                    is_set: false,
                    poor: 0,
                });
            }
        }
        Ok(())
    }

    fn wake_if_slow(&mut self) -> io::Result<()> {
        let (most, _) = SLOW;
        match std::mem::replace(&mut self.source, Source::Lost) {
            Source::Gathering(gathering) if gathering.poor >= most => {
                let stream = UnixStream::from_std(gathering.socket)?;
                self.source = Source::Woken(Either::Left(stream));
            }
            other @ (Source::Woken(_) | Source::Gathering(_) | Source::Lost) => self.source = other,
        }
        Ok(())
    }
}

/// A clock of its own: the runtime's counts whole milliseconds.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for types that lie about their file; an `OwnedFd` does not"
)]
fn alarm() -> io::Result<AsyncFd<OwnedFd>> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

impl Gathering {
    /// Waits for the end of the pause, which begins when this is first called.
    async fn pause(&mut self) -> io::Result<()> {
        if !self.is_set {
            let nothing = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let pause = Itimerspec {
                it_interval: nothing,
                it_value: Timespec {
                    tv_nsec: PAUSE.subsec_nanos().into(),
                    ..nothing
                },
            };
            // It forgets that it rang, too.
            timerfd_settime(self.alarm.get_ref(), TimerfdTimerFlags::empty(), &pause)?;
            self.is_set = true;
        }
        self.alarm.readable().await?.clear_ready();
        self.is_set = false;
        Ok(())
    }

    /// What came meanwhile, at most so much; none where nothing came.
    fn read(&mut self, buffer: &mut BytesMut, room: usize) -> io::Result<Option<usize>> {
        buffer.resize(room, 0);
        let read = loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        buffer.truncate(*read.as_ref().unwrap_or(&0));
        let (_, little) = SLOW;
        let is_poor = !matches!(read, Ok(length) if length >= little);
        self.poor = if is_poor { self.poor + 1 } else { 0 };
        match read {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::FutureExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;
    use tokio::time::timeout;
    use tokio_util::either::Either;

    use super::{Plain, Source};

    /// Lines that are sent one by one, as fast as they go.
    const LINES: usize = 40_000;

    /// What comes fast is gathered, what comes slowly is not waited for, and all of it comes once.
    #[tokio::test(flavor = "multi_thread")]
    async fn all_comes_however_fast() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let mut plain = Plain::new(Bytes::from_static(b"begun "), Either::Left(ours));
        let lines = (0..LINES).map(|number| format!("{number:099}\n"));
        let expected = lines
            .clone()
            .fold("begun ".to_owned(), |all, line| all + &line);
        let sender = tokio::spawn(async move {
            for line in lines {
                theirs.write_all(line.as_bytes()).await.unwrap();
            }
            theirs
        });
        let (mut came, mut was_gathering) = (Vec::new(), false);
        while came.len() < expected.len() {
            // One who does not wait to the end loses nothing.
            let chunk = match plain.chunk().now_or_never() {
                Some(chunk) => chunk,
                None => plain.chunk().await,
            };
            came.extend_from_slice(&chunk.unwrap().unwrap());
            was_gathering |= matches!(plain.source, Source::Gathering(_));
        }
        assert!(came == expected.as_bytes());
        assert!(was_gathering);

        let nothing = timeout(Duration::from_millis(100), plain.chunk()).await;
        assert!(nothing.is_err());
        assert!(matches!(plain.source, Source::Woken(_)));
        let mut theirs = sender.await.unwrap();
        theirs.write_all(b"more").await.unwrap();
        assert_eq!(plain.chunk().await.unwrap().unwrap(), "more");
        drop(theirs);
        assert_eq!(plain.chunk().await.unwrap(), None);
    }
}
