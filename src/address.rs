//! Addresses as they are counted: what the server and the limits both go by, so that both mean the same by one.

use std::net::{IpAddr, Ipv6Addr};

/// Where a connection comes from: an IPv4 address, the /64 of an IPv6 address, or a user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Ip(IpAddr),
    User(u32),
}

impl Address {
    /// That of a connection over TCP.
    #[must_use]
    pub fn ip(ip: IpAddr) -> Self {
        Self(Kind::Ip(match ip.to_canonical() {
            IpAddr::V6(ip) => {
                // SECURITY: one host has a whole /64 to send from, so by single addresses it would have no limit.
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            ip @ IpAddr::V4(_) => ip,
        }))
    }

    /// That of a connection over a Unix socket: the user at its other end.
    #[must_use]
    pub const fn user(uid: u32) -> Self {
        Self(Kind::User(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn check(one: &str, other: &str, same: bool) {
        let [one, other] = [one, other].map(|ip| Address::ip(ip.parse().unwrap()));
        assert_eq!(one == other, same, "{one:?} {other:?}");
    }

    #[test]
    fn who_counts_as_one() {
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        check("::ffff:10.0.0.1", "::ffff:10.0.0.2", false);
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
        assert_ne!(Address::user(1), Address::user(2));
    }
}
