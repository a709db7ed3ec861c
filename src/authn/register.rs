//! The register of all credentials, and the look-up in it.

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use super::{Malformed, Shown, Token, TokenHash};
use crate::policy::Principal;

/// By what one principal is known. Any one of these is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Names in client certificates.
    pub certificates: Vec<String>,
    /// Users of this machine, on Unix listeners.
    pub uids: Vec<u32>,
    /// Groups of this machine, on Unix listeners: the group that a process has, not those that its user is in besides.
    pub gids: Vec<u32>,
}

/// Who a caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It shows nothing.
    Absent,
    /// It is this principal.
    Accepted(Principal),
    /// It shows something, and that is wrong.
    Rejected(Rejection),
}

/// Why what a caller shows is wrong. For the log and the audit trail: callers are told nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The `Authorization` header is not understood.
    Malformed(Malformed),
    /// No principal has this token.
    UnknownToken,
    /// The principal's token is past its time.
    Expired(Principal),
    /// The token is this principal's, and the user name is another.
    OtherUser(Principal),
    /// No principal has a name of this certificate.
    UnknownCertificate,
    /// The certificate has names of more than one principal.
    AmbiguousCertificate,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::UnknownToken => f.write_str("a token that no principal has"),
            Self::Expired(principal) => write!(f, "a token of {principal} that has expired"),
            Self::OtherUser(principal) => {
                write!(f, "the token of {principal} with another user name")
            }
            Self::UnknownCertificate => f.write_str("a certificate that names no principal"),
            Self::AmbiguousCertificate => {
                f.write_str("a certificate that names more than one principal")
            }
        }
    }
}

/// All credentials, ready to be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// By the beginning of the hash. What is looked up there is compared whole, in constant time; a caller who does not
    /// have the token can choose no hash, so the look-up tells nothing.
    tokens: HashMap<[u8; 8], Vec<(Token, Principal)>>,
    certificates: HashMap<String, Principal>,
    uids: HashMap<u32, Principal>,
    gids: HashMap<u32, Principal>,
}

impl Register {
    /// A register of these principals. Where two have the same credential, the first one has it: whoever reads a
    /// configuration refuses that before.
    pub fn new(principals: impl IntoIterator<Item = (Principal, Credentials)>) -> Self {
        let mut register = Self::default();
        for (principal, credentials) in principals {
            for token in credentials.tokens {
                let known = register.tokens.entry(token.hash.beginning()).or_default();
                known.push((token, principal.clone()));
            }
            for name in credentials.certificates {
                register
                    .certificates
                    .entry(name)
                    .or_insert_with(|| principal.clone());
            }
            for uid in credentials.uids {
                register
                    .uids
                    .entry(uid)
                    .or_insert_with(|| principal.clone());
            }
            for gid in credentials.gids {
                register
                    .gids
                    .entry(gid)
                    .or_insert_with(|| principal.clone());
            }
        }
        register
    }

    /// Who shows this in the `Authorization` header at this time. What is shown there counts before everything else.
    #[must_use]
    pub fn by_header(&self, shown: Result<Option<Shown>, Malformed>, now: SystemTime) -> Identity {
        let shown = match shown {
            Ok(Some(shown)) => shown,
            Ok(None) => return Identity::Absent,
            Err(malformed) => return Identity::Rejected(Rejection::Malformed(malformed)),
        };
        let Some((token, principal)) = self.token(&shown.hash) else {
            return Identity::Rejected(Rejection::UnknownToken);
        };
        let principal = principal.clone();
        if shown.user.is_some_and(|user| user != principal.as_str()) {
            Identity::Rejected(Rejection::OtherUser(principal))
        } else if token.expires.is_some_and(|expires| expires <= now) {
            Identity::Rejected(Rejection::Expired(principal))
        } else {
            Identity::Accepted(principal)
        }
    }

    /// When this token expires; none where it does not, or is nobody's.
    #[must_use]
    pub fn expires(&self, shown: &Shown) -> Option<SystemTime> {
        let (token, _) = self.token(&shown.hash)?;
        token.expires
    }

    /// Who has a verified certificate with these names. Where no principal is known by a certificate, one shows nothing:
    /// it only opened the door.
    #[must_use]
    pub fn by_certificate(&self, names: &[String]) -> Identity {
        if self.certificates.is_empty() {
            return Identity::Absent;
        }
        let mut holders = names.iter().filter_map(|name| self.certificates.get(name));
        let Some(first) = holders.next() else {
            return Identity::Rejected(Rejection::UnknownCertificate);
        };
        if holders.all(|other| other == first) {
            Identity::Accepted(first.clone())
        } else {
            Identity::Rejected(Rejection::AmbiguousCertificate)
        }
    }

    /// Who is this user, or else of this group, of this machine. A process cannot help having both, so one that no
    /// principal has shows nothing.
    #[must_use]
    pub fn by_process(&self, uid: u32, gid: u32) -> Identity {
        match self.uids.get(&uid).or_else(|| self.gids.get(&gid)) {
            Some(principal) => Identity::Accepted(principal.clone()),
            None => Identity::Absent,
        }
    }

    fn token(&self, hash: &TokenHash) -> Option<(&Token, &Principal)> {
        let candidates = self.tokens.get(&hash.beginning())?;
        let (token, principal) = candidates.iter().find(|(token, _)| token.hash == *hash)?;
        Some((token, principal))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Credentials, Identity, Register, Rejection, Shown, Token, TokenHash};
    use crate::policy::Principal;

    const NOON: SystemTime = SystemTime::UNIX_EPOCH;

    fn principal(name: &str) -> Principal {
        name.parse().unwrap()
    }

    fn token(secret: &str, expires: Option<SystemTime>) -> Token {
        let hash = TokenHash::of(secret);
        Token { hash, expires }
    }

    fn register() -> Register {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let later = Some(NOON + Duration::from_secs(1));
        Register::new([
            (
                principal("bot"),
                Credentials {
                    tokens: vec![token("old", Some(NOON)), token("new", later)],
                    certificates: names(&["bot.example.org", "bot@example.org"]),
                    uids: vec![1000],
                    gids: vec![],
                },
            ),
            (
                principal("screen"),
                Credentials {
                    tokens: vec![token("screen", None)],
                    certificates: names(&["screen.example.org"]),
                    uids: vec![1001],
                    gids: vec![1000, 50],
                },
            ),
        ])
    }

    fn check_token(user: Option<&str>, secret: &str, expected: &Identity) {
        let shown = Shown {
            user: user.map(str::to_owned),
            hash: TokenHash::of(secret),
        };
        let identity = register().by_header(Ok(Some(shown)), NOON);
        assert_eq!(&identity, expected, "{user:?} {secret}");
    }

    #[test]
    fn tokens() {
        let accepted = |name| Identity::Accepted(principal(name));
        check_token(None, "new", &accepted("bot"));
        check_token(None, "screen", &accepted("screen"));
        check_token(Some("screen"), "screen", &accepted("screen"));
        let rejected = Identity::Rejected;
        check_token(None, "old", &rejected(Rejection::Expired(principal("bot"))));
        check_token(None, "", &rejected(Rejection::UnknownToken));
        check_token(None, "New", &rejected(Rejection::UnknownToken));
        let other = rejected(Rejection::OtherUser(principal("screen")));
        check_token(Some("bot"), "screen", &other);
        check_token(Some(""), "screen", &other);
        check_token(Some("Screen"), "screen", &other);
        assert_eq!(register().by_header(Ok(None), NOON), Identity::Absent);
    }

    #[test]
    fn certificates() {
        for (names, expected) in [
            (
                vec!["bot.example.org", "else"],
                Identity::Accepted(principal("bot")),
            ),
            (
                vec!["bot@example.org", "bot.example.org"],
                Identity::Accepted(principal("bot")),
            ),
            (
                vec!["bot.example.org", "screen.example.org"],
                Identity::Rejected(Rejection::AmbiguousCertificate),
            ),
            (
                vec!["BOT.example.org"],
                Identity::Rejected(Rejection::UnknownCertificate),
            ),
            (vec![], Identity::Rejected(Rejection::UnknownCertificate)),
        ] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(register().by_certificate(&names), expected, "{names:?}");
        }
    }

    #[test]
    fn processes() {
        for (uid, gid, expected) in [
            (1000, 1000, Some("bot")),
            (1001, 7, Some("screen")),
            (7, 50, Some("screen")),
            (7, 7, None),
            (0, 0, None),
        ] {
            let expected =
                expected.map_or(Identity::Absent, |name| Identity::Accepted(principal(name)));
            assert_eq!(register().by_process(uid, gid), expected, "{uid}:{gid}");
        }
    }
}
