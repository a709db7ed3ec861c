//! Listeners: bound all or none, TCP and Unix alike.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::net::{TcpListener, UnixListener};

use crate::tls;

use super::connection::Stream;
use super::{Listen, Peer, PeerAddress};

/// Who may connect to a Unix listener: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// How many connections may wait with the kernel to be accepted; it allows 4096 at most unless told otherwise.
const BACKLOG: i32 = 1024;

/// A listener that is bound.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// Why the listeners could not be bound.
#[derive(Debug)]
pub enum BindError {
    /// This one could not, for this reason.
    Listen(Listen, io::Error),
    /// A file of `[server.tls]` cannot be used.
    Tls(tls::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listen, error) = match self {
            Self::Listen(listen, error) => (listen, error),
            Self::Tls(error) => return error.fmt(f),
        };
        write!(f, "cannot listen on {listen}: {error}")?;
        match (error.kind(), listen) {
            (io::ErrorKind::AddrInUse, _) => {
                f.write_str("; another program listens there: stop it, or change `server.listen`")
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                f.write_str("; no network interface of this machine has that address")
            }
            (io::ErrorKind::PermissionDenied, Listen::Tcp(_)) => f.write_str(
                "; ports below 1024 need a privilege: take a higher one in `server.listen`",
            ),
            (io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound, Listen::Unix(_)) => f
                .write_str(
                    "; its folder must exist, and this process must be allowed to write there",
                ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

impl Listener {
    pub(super) async fn bind(listen: &Listen) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path).await,
        };
        bound.map_err(|error| BindError::Listen(listen.clone(), error))
    }

    /// Where it listens; for port 0 the port that the kernel gave.
    pub(super) fn address(&self) -> Listen {
        match self {
            Self::Tcp(tcp) => Listen::Tcp(
                tcp.local_addr()
                    .unwrap_or_else(|_| SocketAddr::from(([0; 4], 0))),
            ),
            Self::Unix(_, file) => Listen::Unix(file.0.clone()),
        }
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        let (stream, address) = match self {
            Self::Tcp(tcp) => {
                let (stream, address) = ready!(tcp.poll_accept(cx))?;
                // Answers are small and whole; waiting to fill a packet only delays them.
                stream.set_nodelay(true)?;
                (Stream::Tcp(stream), PeerAddress::Tcp(address))
            }
            Self::Unix(unix, _) => {
                let (stream, _) = ready!(unix.poll_accept(cx))?;
                let process = stream.peer_cred()?;
                let (uid, gid) = (process.uid(), process.gid());
                (Stream::Unix(stream), PeerAddress::Unix { uid, gid })
            }
        };
        let certificate = None;
        Poll::Ready(Ok((
            stream,
            Peer {
                address,
                certificate,
            },
        )))
    }
}

/// A socket's file, removed with its listener.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = ?self.0, %error, "the socket's file could not be removed");
        }
    }
}

async fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path).await?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // SECURITY: before it has a name. Otherwise the umask decides who may connect in the moment after it has.
    fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile(path.to_owned());
    // The umask may have taken something away from that.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    listen(&socket, BACKLOG)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok(Listener::Unix(listener, file))
}

/// Removes a socket that a program left behind which is gone; everything else stays, and binding then fails.
async fn remove_stale(path: &Path) -> io::Result<()> {
    // SECURITY: not following links, so that a planted one cannot make us remove somebody's file.
    match path.symlink_metadata() {
        Ok(file) if file.file_type().is_socket() => {
            match tokio::net::UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)
                }
                Ok(_) | Err(_) => Ok(()),
            }
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is in the way",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
