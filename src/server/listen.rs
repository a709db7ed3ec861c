//! Where the gateway listens, and within which limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::TlsSettings;

/// The `[server]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The listeners, at least one.
    pub listen: Vec<Listen>,
    /// The most connections at once, over all listeners; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// The most connections at once from one address, where an IPv6 address counts by its /64 and a Unix socket by the
    /// user at its other end; further ones are closed. `None`: any number.
    pub connections_per_address: Option<usize>,
    /// How long a connection may take to send the head of a request, or be idle before it.
    pub header_timeout: Duration,
    /// How long a request may take to send its body, and a client to take the next piece of an answer.
    pub body_timeout: Duration,
    /// How long requests in flight may go on after SIGTERM or SIGINT.
    pub shutdown_timeout: Duration,
    /// Worker threads; `None`: as many as the processor has cores, at most 4.
    pub workers: Option<usize>,
    /// TLS on the TCP listeners; without it they speak plain HTTP.
    pub tls: Option<TlsSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8089)))],
            max_connections: 2048,
            connections_per_address: None,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(30),
            workers: None,
            tls: None,
        }
    }
}

/// The address of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `address:port`.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can reach it: loopback or a Unix socket.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => match address.ip() {
                IpAddr::V4(ip) => ip.is_loopback(),
                IpAddr::V6(ip) => ip.is_loopback(),
            },
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    /// # Errors
    ///
    /// A sentence that says what such an address looks like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/x.sock` is how engines are written; the path is the same.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.starts_with('/') && path.rfind('/') == Some(0) {
                return Err(
                    "a Unix socket needs a directory of its own, such as `unix:/run/relayer-controller/api.sock`",
                );
            }
            if path.starts_with('/') {
                return Ok(Self::Unix(path.into()));
            }
            return Err(
                "a Unix socket is written with its whole path, as `unix:/run/relayer-controller.sock`",
            );
        }
        let text = text.replace("localhost:", "127.0.0.1:");
        text.parse().map(Self::Tcp).map_err(|_| {
            "a listener is `address:port` with an IP address, such as `127.0.0.1:8089` or `0.0.0.0:8089`, or `unix:/path`"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed: Result<Listen, _> = text.parse();
        match (parsed, expected) {
            (Ok(listen), Ok(shown)) => assert_eq!(listen.to_string(), shown),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("0.0.0.0:8089", Ok("0.0.0.0:8089"));
        check("[::]:8089", Ok("[::]:8089"));
        check("localhost:80", Ok("127.0.0.1:80"));
        check("unix:/run/x.sock", Ok("unix:/run/x.sock"));
        check("unix:///run/x.sock", Ok("unix:/run/x.sock"));
        check("unix:x.sock", Err("whole path"));
        check("unix:/x.sock", Err("directory of its own"));
        check("8089", Err("address:port"));
        check(":8089", Err("address:port"));
        check("example.org:80", Err("IP address"));
        check("0.0.0.0:80890", Err("address:port"));
    }

    #[test]
    fn local_means_this_machine() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("unix:/run/x", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().is_local(), local, "{text}");
        }
    }
}
