//! Where the engine is.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::TlsSettings;

/// The port of an engine that speaks plain HTTP, by custom.
const PLAIN_PORT: u16 = 2375;

/// The port of an engine that speaks TLS, by custom.
const TLS_PORT: u16 = 2376;

/// How the engine is reached; the `[engine]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub host: Host,
    /// How long one call may take. A stop or restart may take the container's stop timeout besides.
    pub timeout: Duration,
    /// TLS to an engine at [`Host::Tcp`]; without it plain HTTP.
    pub tls: Option<TlsSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: Host::Unix(PathBuf::from("/var/run/docker.sock")),
            timeout: Duration::from_secs(30),
            tls: None,
        }
    }
}

/// The address of a Docker engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `unix:///path`: a Unix socket.
    Unix(PathBuf),
    /// `tcp://host:port`: TCP, plain for a socket proxy or a private network, or with TLS.
    Tcp {
        /// An IP address or a host name.
        host: String,
        /// The port; where none is written, 2375, and 2376 with TLS.
        port: u16,
    },
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

impl FromStr for Host {
    type Err = &'static str;

    /// # Errors
    ///
    /// A sentence that says what such an address looks like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, PLAIN_PORT)
    }
}

impl Host {
    /// The same as parsing it, for an engine that speaks TLS: where no port is written, it is 2376.
    ///
    /// # Errors
    ///
    /// A sentence that says what such an address looks like.
    pub fn with_tls(text: &str) -> Result<Self, &'static str> {
        Self::read(text, TLS_PORT)
    }

    fn read(text: &str, default_port: u16) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix://") {
            if path.starts_with('/') {
                return Ok(Self::Unix(path.into()));
            }
            return Err(
                "a Unix socket is written with its whole path, as `unix:///var/run/docker.sock`",
            );
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            return Err(
                "an engine is reached by `unix:///path/of/docker.sock` or `tcp://host:port`",
            );
        };
        tcp(address.strip_suffix('/').unwrap_or(address), default_port)
            .ok_or("a TCP engine is written as `tcp://host:port`, such as `tcp://10.0.0.2:2375`")
    }
}

fn tcp(address: &str, default_port: u16) -> Option<Host> {
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    if port == 0 {
        return None;
    }
    Some(Host::Tcp {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::Host;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed: Result<Host, _> = text.parse();
        match (parsed, expected) {
            (Ok(host), Ok(shown)) => assert_eq!(host.to_string(), shown),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn the_port_with_tls_is_another() {
        for (text, expected) in [
            ("tcp://proxy", "tcp://proxy:2376"),
            ("tcp://[::1]", "tcp://[::1]:2376"),
            ("tcp://proxy:2375", "tcp://proxy:2375"),
        ] {
            assert_eq!(Host::with_tls(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn addresses() {
        check(
            "unix:///var/run/docker.sock",
            Ok("unix:///var/run/docker.sock"),
        );
        check("tcp://10.0.0.2:2376", Ok("tcp://10.0.0.2:2376"));
        check("tcp://proxy", Ok("tcp://proxy:2375"));
        check("tcp://[::1]:2375", Ok("tcp://[::1]:2375"));
        check("unix://docker.sock", Err("whole path"));
        check("/var/run/docker.sock", Err("unix:///path"));
        check("http://localhost:2375", Err("tcp://host:port"));
        check("tcp://", Err("tcp://host:port"));
        check("tcp://host:port", Err("tcp://host:port"));
        check("tcp://host:1/x?y", Err("tcp://host:port"));
        check("tcp://a b", Err("tcp://host:port"));
        for bad in [
            "[::1]2375",
            "[::1]junk",
            "[a]b:1",
            "[::1",
            "[::1]:",
            "h:0",
            "h//",
            "::1",
            "h:1:2",
        ] {
            check(&format!("tcp://{bad}"), Err("tcp://host:port"));
        }
    }
}
