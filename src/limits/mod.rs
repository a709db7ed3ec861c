//! Edge: how much one caller may ask for: rates by address and by principal, and the slowing of failed credentials.
//!
//! Whatever is remembered of callers is bounded: see [`MOST_KEYS`].

mod buckets;
mod failures;
mod rate;
mod wait;

pub use buckets::MOST_KEYS;
pub use failures::Failures;
pub use rate::Rate;
pub use wait::Wait;

use buckets::Buckets;

use crate::address::Address;
use crate::policy::Principal;

/// The most that `limits.changes` can be.
pub const MOST_CHANGES: usize = 1024;

/// The `[limits]` table, but for `connections_per_address`, which is the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most requests of one principal; `None`: any number. All anonymous callers are one principal.
    pub per_principal: Option<Rate>,
    /// The most requests from one [`Address`]; `None`: any number.
    pub per_address: Option<Rate>,
    /// The most changes that are under way at once.
    pub changes: usize,
    /// The most changes of one container that wait for their turn, with the one whose turn it is.
    pub changes_per_container: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            per_principal: None,
            per_address: None,
            changes: 256,
            changes_per_container: 32,
        }
    }
}

/// The rates, and what each caller has used of them. A process has one.
pub struct Limits {
    by_principal: Option<Buckets<Principal>>,
    by_address: Option<Buckets<Address>>,
}

impl Limits {
    /// Rates of which nobody has used anything yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            by_principal: settings.per_principal.map(Buckets::new),
            by_address: settings.per_address.map(Buckets::new),
        }
    }

    /// Counts a request from this address.
    ///
    /// # Errors
    ///
    /// Where it is one too many, and then it is not counted: when the next one may come.
    pub fn check_address(&self, address: Address) -> Result<(), Wait> {
        match &self.by_address {
            Some(buckets) => buckets.take(&address),
            None => Ok(()),
        }
    }

    /// Counts a request of this principal.
    ///
    /// # Errors
    ///
    /// As for [`Limits::check_address`].
    pub fn check_principal(&self, principal: &Principal) -> Result<(), Wait> {
        match &self.by_principal {
            Some(buckets) => buckets.take(principal),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Settings};
    use crate::address::Address;
    use crate::policy::Principal;

    #[test]
    fn each_limit_counts_by_itself() {
        let settings = Settings {
            per_principal: Some("2/h".parse().unwrap()),
            per_address: Some("1/h".parse().unwrap()),
            ..Settings::default()
        };
        let limits = Limits::new(&settings);
        assert_eq!(limits.check_address(Address::user(1)), Ok(()));
        assert!(limits.check_address(Address::user(1)).is_err());
        assert_eq!(limits.check_address(Address::user(2)), Ok(()));
        let anonymous = Principal::anonymous();
        assert_eq!(limits.check_principal(&anonymous), Ok(()));
        assert_eq!(limits.check_principal(&anonymous), Ok(()));
        assert!(limits.check_principal(&anonymous).is_err());
    }

    #[test]
    fn there_are_no_rates_unless_asked_for() {
        let limits = Limits::new(&Settings::default());
        for _ in 0..10_000 {
            assert_eq!(limits.check_address(Address::user(1)), Ok(()));
            assert_eq!(limits.check_principal(&Principal::anonymous()), Ok(()));
        }
    }
}
