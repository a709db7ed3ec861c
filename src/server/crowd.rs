//! The crowd: how many connections each address has open.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::PeerAddress;
use crate::address::Address;

/// How often at most the log says that connections are refused.
const NOTICE: Duration = Duration::from_secs(10);

/// Counts the open connections by address. It holds as many addresses as there are connections, at most.
pub(super) struct Crowd {
    /// `None`: any number.
    most: Option<usize>,
    counts: Counts,
    /// When the log last said that connections are refused.
    noticed: Option<Instant>,
}

type Counts = Arc<Mutex<HashMap<Address, usize>>>;

/// A connection's seat in the crowd, free again when it is dropped.
pub(super) struct Seat(Option<(Counts, Address)>);

impl Crowd {
    pub(super) fn new(most: Option<usize>) -> Self {
        Self {
            most,
            counts: Counts::default(),
            noticed: None,
        }
    }

    /// A seat for a connection from there; `None` where it has as many as it may.
    pub(super) fn seat(&mut self, peer: &PeerAddress) -> Option<Seat> {
        let Some(most) = self.most else {
            return Some(Seat(None));
        };
        let address = peer.counted_as();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count < most {
            *count += 1;
            return Some(Seat(Some((Arc::clone(&self.counts), address))));
        }
        drop(counts);
        let is_silent = |at: Instant| at.elapsed() < NOTICE;
        if !self.noticed.is_some_and(is_silent) {
            self.noticed = Some(Instant::now());
            tracing::warn!(
                ?address,
                connections_per_address = most,
                "an address has as many connections as it may; further ones are closed at once"
            );
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((counts, address)) = self.0.take() else {
            return;
        };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowd, PeerAddress, Seat};

    fn seat(crowd: &mut Crowd, ip: &str) -> Option<Seat> {
        crowd.seat(&PeerAddress::Tcp(
            (ip.parse::<std::net::IpAddr>().unwrap(), 1).into(),
        ))
    }

    #[test]
    fn each_address_has_so_many_seats() {
        let mut crowd = Crowd::new(Some(2));
        let taken = ["10.0.0.1", "::ffff:10.0.0.1"].map(|ip| seat(&mut crowd, ip).unwrap());
        assert!(seat(&mut crowd, "10.0.0.1").is_none());
        let other = seat(&mut crowd, "10.0.0.2");
        assert!(other.is_some());
        drop(taken);
        let again = [(); 2].map(|()| seat(&mut crowd, "10.0.0.1").unwrap());
        assert!(seat(&mut crowd, "10.0.0.1").is_none());
        drop((again, other));
        assert!(crowd.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_one_host_is_one_address() {
        let mut crowd = Crowd::new(Some(1));
        let _taken = seat(&mut crowd, "2001:db8::1").unwrap();
        assert!(seat(&mut crowd, "2001:db8::ffff:1").is_none());
        assert!(seat(&mut crowd, "2001:db8:0:1::1").is_some());
        let user = |uid| PeerAddress::Unix { uid, gid: 1 };
        let _user = crowd.seat(&user(1)).unwrap();
        assert!(crowd.seat(&user(1)).is_none());
        assert!(crowd.seat(&user(2)).is_some());
    }

    #[test]
    fn without_a_limit_nobody_is_counted() {
        let mut crowd = Crowd::new(None);
        let _seats: Vec<_> = (0..1000)
            .map(|_| seat(&mut crowd, "::1").unwrap())
            .collect();
        assert!(crowd.counts.lock().unwrap().is_empty());
    }
}
