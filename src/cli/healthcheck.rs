//! `healthcheck`: does the gateway on this machine serve?

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error as TlsError,
    StreamOwned,
};

use super::{NO, YES, complain, handshake, report, say};
use crate::config::{self, Environment};
use crate::confine::User;
use crate::server::Listen;

/// How long each step may take; compose's own limit for the whole is 5 s.
const TIMEOUT: Duration = Duration::from_secs(1);

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

pub(super) fn run(file: &Path) -> u8 {
    let listeners = match config::listeners(file, &Environment::of_process()) {
        Ok(listeners) => listeners,
        Err(mistakes) => return report(&mistakes),
    };
    let tls = match handshake::client() {
        Ok(client) => client,
        Err(error) => {
            complain(&error.to_string());
            return NO;
        }
    };
    for listen in listeners.listen {
        match ask(&listen, listeners.is_tls, &tls) {
            Ok(()) => say(&format!("{listen}: healthy")),
            Err(error) => {
                complain(&format!("{listen}: {error}"));
                return NO;
            }
        }
    }
    YES
}

fn ask(listen: &Listen, is_tls: bool, tls: &Arc<ClientConfig>) -> io::Result<()> {
    match listen {
        Listen::Tcp(address) => {
            let address = reachable(*address);
            // The file may say something else by now than what the gateway was started with.
            let asked = ask_over_tcp(address, is_tls.then_some(tls));
            asked
                .or_else(|error| ask_over_tcp(address, (!is_tls).then_some(tls)).map_err(|_| error))
        }
        Listen::Unix(path) => {
            let mut stream = UnixStream::connect(path).or_else(|error| as_owner(path, error))?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            converse(&mut stream)
        }
    }
}

fn ask_over_tcp(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    match tls {
        None => converse(&mut stream),
        Some(tls) => converse_over_tls(stream, address.ip(), tls),
    }
}

/// Root without capabilities cannot open what belongs to another, and a gateway that has left root owns its socket: in
/// a container it is asked as that owner.
fn as_owner(path: &Path, error: io::Error) -> io::Result<UnixStream> {
    let owner = path.metadata().ok();
    match owner.and_then(|file| User::new(file.uid(), file.gid())) {
        Some(owner) if error.kind() == io::ErrorKind::PermissionDenied && geteuid().is_root() => {
            owner.become_with(&[]).map_err(io::Error::other)?;
            UnixStream::connect(path)
        }
        Some(_) | None => Err(error),
    }
}

/// A listener on all addresses is asked on loopback.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn converse_over_tls(tcp: TcpStream, ip: IpAddr, tls: &Arc<ClientConfig>) -> io::Result<()> {
    let client = ClientConnection::new(Arc::clone(tls), ip.into()).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(client, tcp);
    let answer = converse(&mut stream);
    let Err(error) = &answer else {
        return answer;
    };
    let fault = error
        .get_ref()
        .and_then(|fault| fault.downcast_ref::<TlsError>());
    match fault {
        // It is up, it has the key of its certificate, and it does not let strangers in: just as it should be.
        // SECURITY: before it has proven that, anybody could say so.
        Some(TlsError::AlertReceived(AlertDescription::CertificateRequired))
            if !stream.conn.is_handshaking() =>
        {
            Ok(())
        }
        Some(TlsError::InvalidCertificate(CertificateError::BadSignature)) => Err(
            io::Error::other("it does not have the key of the certificate that it shows"),
        ),
        Some(TlsError::InvalidMessage(_)) => {
            Err(io::Error::other("what answers there does not speak TLS"))
        }
        Some(_) | None => answer,
    }
}

fn converse(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    // More than this is not the answer of `/health`.
    stream.take(4096).read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\n\"ok\"") {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "something else than relayer-controller answers there",
        ))
    }
}
