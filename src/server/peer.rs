//! Who is at the other end of a connection, as the kernel and the TLS handshake tell.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::Address;

/// Who is at the other end of a connection. Nothing in it is what a client merely says. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: PeerAddress,
    /// The names in the client certificate that it showed and that was verified: subject alternative names and the common
    /// name. `None` where it showed none.
    pub certificate: Option<Arc<[String]>>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// Over TCP, from this address and port.
    Tcp(SocketAddr),
    /// Over a Unix socket, from a process of this user and group.
    Unix {
        /// Its user when it connected.
        uid: u32,
        /// Its group when it connected.
        gid: u32,
    },
}

impl PeerAddress {
    /// What it counts as where there are limits by address.
    #[must_use]
    pub fn counted_as(&self) -> Address {
        match self {
            Self::Tcp(address) => Address::ip(address.ip()),
            Self::Unix { uid, .. } => Address::user(*uid),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            PeerAddress::Tcp(address) => address.fmt(f),
            PeerAddress::Unix { uid, gid } => write!(f, "unix:{uid}:{gid}"),
        }
    }
}
