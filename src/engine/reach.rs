//! Why an engine's address cannot be reached, and what to do about it.

use std::error::Error as AnyError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bollard::errors::Error;
use rustix::process::{getegid, geteuid};
use rustls::{AlertDescription, CertificateError};

use super::Host;
use super::tls::Tls;

/// The same error in words that say where, what, and what to do.
pub(super) fn explain(host: &Host, tls: Option<&Tls>, error: &io::Error) -> io::Error {
    if let (Some(tls), Some(fault)) = (tls, tls_fault(error)) {
        let why = tls_advice(host, tls, fault);
        return io::Error::new(
            error.kind(),
            format!("cannot reach the engine at {host}: {why}"),
        );
    }
    let advice = match (host, error.kind()) {
        (Host::Unix(path), io::ErrorKind::PermissionDenied) => permission(path),
        (Host::Unix(_), io::ErrorKind::NotFound) => {
            "; is Docker running here, and is its socket mounted into this container?".to_owned()
        }
        (Host::Unix(_), io::ErrorKind::ConnectionRefused) => {
            "; nothing listens on that socket: Docker is down, or was restarted under a mounted socket file".to_owned()
        }
        _ => String::new(),
    };
    io::Error::new(
        error.kind(),
        format!("cannot reach the engine at {host}: {error}{advice}"),
    )
}

/// The same for what went wrong with the first request on a connection: only then does TLS 1.3 tell a client that its
/// certificate was not accepted.
pub(super) fn explain_first(host: &Host, tls: Option<&Tls>, error: Error) -> Error {
    match (tls, tls_fault(&error)) {
        (Some(tls), Some(fault)) => {
            let why = tls_advice(host, tls, fault);
            io::Error::other(format!("cannot reach the engine at {host}: {why}")).into()
        }
        (Some(_) | None, _) => error,
    }
}

/// What TLS has to say about an error, however deep it lies in it.
fn tls_fault<'a>(error: &'a (dyn AnyError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref() {
            return Some(fault);
        }
        // An I/O error counts the sources of what is in it, and passes over that itself.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are not ours: what is not told apart is told in their own words"
)]
fn tls_advice(host: &Host, tls: &Tls, fault: &rustls::Error) -> String {
    match fault {
        rustls::Error::InvalidCertificate(error) => certificate_advice(host, error),
        rustls::Error::AlertReceived(alert) => match (alert, tls.is_named) {
            (AlertDescription::CertificateRequired | AlertDescription::BadCertificate, false) => {
                "it demands a client certificate; name one in `engine.tls.certificate` and `engine.tls.key`".to_owned()
            }
            (AlertDescription::CertificateExpired, true) => {
                "it says that our client certificate has expired; renew `engine.tls.certificate`, or set the clocks right".to_owned()
            }
            (
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError,
                true,
            ) => "it refuses our client certificate; `engine.tls.certificate` must be issued by an authority that the engine \
                  believes (dockerd: `--tlscacert`)".to_owned(),
            _ => format!("the TLS handshake failed: {fault}"),
        },
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS; is it the engine's plain port? the one with \
                                             TLS is 2376 by custom".to_owned(),
        _ => format!("the TLS handshake failed: {fault}"),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is not ours: what is not told apart is told in its own words"
)]
fn certificate_advice(host: &Host, error: &CertificateError) -> String {
    let ours = match host {
        Host::Tcp { host, .. } => host.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it at the engine, or set this machine's clock right".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; set this machine's clock right".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate was not issued by an authority in `engine.tls.ca`; name the file with the one that issued it"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            format!("its certificate is not for `{ours}`; have that name put into it, or write one that is in it in `engine.host`")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented_names(presented);
            format!(
                "its certificate is not for `{ours}`, but for {names}; have that name put into it, or write one that \
                 is in it in `engine.host`"
            )
        }
        other => format!("its certificate cannot be believed: {other}"),
    }
}

/// As they would be written in `engine.host`; rustls tells of which kind each is.
fn presented_names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inside = name
            .split_once("(\"")
            .and_then(|(_, rest)| rest.split_once("\")"));
        format!("`{}`", inside.map_or(name.as_str(), |(name, _)| name))
    };
    presented.iter().map(plain).collect::<Vec<_>>().join(", ")
}

fn permission(path: &Path) -> String {
    let us = format!(
        "this process is uid {}, gid {}",
        geteuid().as_raw(),
        getegid().as_raw()
    );
    match path.metadata() {
        Ok(socket) => format!(
            "; the socket belongs to uid {}, gid {}, mode {:03o}, and {us}: run it with group {1} (compose: `group_add: [\"{1}\"]`)",
            socket.uid(),
            socket.gid(),
            socket.mode() & 0o777,
        ),
        Err(_) => format!("; its folder is closed to us, {us}"),
    }
}
