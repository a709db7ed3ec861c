//! `healthcheck`: does the gateway on this machine serve?

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use rustix::process::geteuid;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError};

use super::connection::{Connection, Place, Tls};
use super::{NO, YES, complain, handshake, in_one_thread, report, say};
use crate::config::{self, Environment};
use crate::confine::User;
use crate::server::Listen;
use crate::tls::fault;

/// How long a connection may take, and then the answer; compose's own limit for the whole is 5 s.
const TIMEOUT: Duration = Duration::from_secs(1);

/// More than this is not the answer of `/health`.
const MAX_BYTES: usize = 4096;

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
    in_one_thread(async {
        for listen in listeners.listen {
            match ask(&listen, listeners.is_tls, &tls).await {
                Ok(()) => say(&format!("{listen}: healthy")),
                Err(error) => {
                    complain(&format!("{listen}: {error}"));
                    return NO;
                }
            }
        }
        YES
    })
}

async fn ask(listen: &Listen, is_tls: bool, tls: &Arc<ClientConfig>) -> io::Result<()> {
    match listen {
        Listen::Tcp(address) => {
            let address = reachable(*address);
            let place = Place::Tcp(address.ip().to_string(), address.port());
            let tls = Tls {
                name: address.ip().into(),
                config: Arc::clone(tls),
            };
            let asked = converse(&place, is_tls.then_some(&tls)).await;
            let Err(error) = asked else {
                return Ok(());
            };
            // The file may say something else by now than what the gateway was started with.
            let otherwise = converse(&place, (!is_tls).then_some(&tls)).await;
            otherwise.map_err(|_| error)
        }
        Listen::Unix(path) => {
            let place = Place::Unix(path.clone());
            match converse(&place, None).await {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    become_owner(path, error)?;
                    converse(&place, None).await
                }
                answer => answer,
            }
        }
    }
}

/// Root without capabilities cannot open what belongs to another, and a gateway that has left root owns its socket: in
/// a container it is asked as that owner.
fn become_owner(path: &Path, error: io::Error) -> io::Result<()> {
    let owner = path.metadata().ok();
    match owner.and_then(|file| User::new(file.uid(), file.gid())) {
        Some(owner) if geteuid().is_root() => owner.become_with(&[]).map_err(io::Error::other),
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

async fn converse(place: &Place, tls: Option<&Tls>) -> io::Result<()> {
    let opened = Connection::open(place, tls, TIMEOUT).await;
    let mut connection = opened.map_err(|error| match fault(&error) {
        Some(TlsError::InvalidCertificate(CertificateError::BadSignature)) => {
            io::Error::other("it does not have the key of the certificate that it shows")
        }
        Some(TlsError::InvalidMessage(_)) => {
            io::Error::other("what answers there does not speak TLS")
        }
        Some(_) | None => error,
    })?;
    let answer = tokio::time::timeout(TIMEOUT, health(&mut connection)).await;
    match answer.unwrap_or_else(|_| Err(io::Error::other("no answer within a second"))) {
        // It is up, it has the key of its certificate, and it does not let strangers in: just as it should be.
        // SECURITY: before the connection was open, anybody could have said so.
        Err(error) if is_let_in_by_certificate_only(&error) => Ok(()),
        answer => answer,
    }
}

fn is_let_in_by_certificate_only(error: &io::Error) -> bool {
    matches!(
        fault(error),
        Some(TlsError::AlertReceived(
            AlertDescription::CertificateRequired
        ))
    )
}

async fn health(connection: &mut Connection) -> io::Result<()> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = hyper::Uri::from_static("/health");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let response = connection.send(request).await.map_err(io::Error::other)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await
        .map(Collected::to_bytes);
    match body {
        Ok(body) if status == StatusCode::OK && body == "\"ok\"" => Ok(()),
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "something else than relayer-controller answers there",
        )),
    }
}
