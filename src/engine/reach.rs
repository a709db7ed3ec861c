//! Why an engine's address cannot be reached, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bollard::errors::Error;
use rustix::process::{getegid, geteuid};

use super::Host;
use super::tls::Tls;
use crate::tls::Words;

/// The same error in words that say where, what, and what to do.
pub(super) fn explain(host: &Host, tls: Option<&Tls>, error: &io::Error) -> io::Error {
    if let Some(why) = tls.and_then(|tls| words(host, tls).advice(error)) {
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
    match tls.and_then(|tls| words(host, tls).advice(&error)) {
        Some(why) => io::Error::other(format!("cannot reach the engine at {host}: {why}")).into(),
        None => error,
    }
}

fn words<'a>(host: &'a Host, tls: &Tls) -> Words<'a> {
    let name = match host {
        Host::Tcp { host, .. } => host,
        // A socket has no TLS.
        Host::Unix(_) => "",
    };
    Words {
        server: "the engine",
        name,
        address: "engine.host",
        issuer: "an authority in `engine.tls.ca`; name the file with the one that issued it",
        certificate: "engine.tls.certificate",
        key: "engine.tls.key",
        is_named: tls.is_named,
        believes: " (dockerd: `--tlscacert`)",
        plain: "is it the engine's plain port? the one with TLS is 2376 by custom",
    }
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
