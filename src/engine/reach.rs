//! Why an engine's address cannot be reached, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::Host;

/// The same error in words that say where, what, and what to do.
pub(super) fn explain(host: &Host, error: &io::Error) -> io::Error {
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
