//! Who a request comes from: the first of token, certificate and user of this machine that it shows.

use std::time::SystemTime;

use crate::authn::{Identity, Malformed, Register, Rejection, Shown};
use crate::gateway::{Credentials, Standing};
use crate::policy::{Policy, Principal};
use crate::server::{Peer, PeerAddress, Request};

/// Who asks, as far as can be told.
pub(super) enum Who {
    /// This principal.
    Known(Principal),
    /// Nobody that the rules know: it shows nothing, and `anonymous` is no principal.
    Unknown,
    /// It shows something that is wrong. That is never taken for showing nothing.
    Rejected(Rejection),
}

/// Finds out who a request comes from.
pub(super) fn identify(request: &Request, policy: &Policy, register: &Register) -> Who {
    let shown = || Shown::read(&request.head.headers);
    who(shown, &request.peer, policy, register)
}

/// What a request shows, to be judged again later. Of a token its hash is kept.
pub(super) fn credentials(request: &Request) -> Credentials {
    let shown = Shown::read(&request.head.headers);
    let peer = request.peer.clone();
    Credentials::new(move |config| {
        match who(|| shown.clone(), &peer, &config.policy, &config.register) {
            Who::Known(principal) => {
                let token = shown.as_ref().ok().and_then(Option::as_ref);
                let until = token.and_then(|shown| config.register.expires(shown));
                Some(Standing { principal, until })
            }
            Who::Unknown | Who::Rejected(_) => None,
        }
    })
}

fn who(
    shown: impl FnOnce() -> Result<Option<Shown>, Malformed>,
    peer: &Peer,
    policy: &Policy,
    register: &Register,
) -> Who {
    // Without principals no credential can be right or wrong; a proxy before us may ask for its own.
    if !policy.has_principals() {
        return Who::Known(Principal::anonymous());
    }
    let mut identity = register.by_header(shown(), SystemTime::now());
    if let (Identity::Absent, Some(names)) = (&identity, &peer.certificate) {
        identity = register.by_certificate(names);
    }
    if let (Identity::Absent, PeerAddress::Unix { uid, gid }) = (&identity, peer.address) {
        identity = register.by_process(uid, gid);
    }
    match identity {
        Identity::Accepted(principal) => Who::Known(principal),
        Identity::Rejected(rejection) => Who::Rejected(rejection),
        Identity::Absent if policy.knows(&Principal::anonymous()) => {
            Who::Known(Principal::anonymous())
        }
        Identity::Absent => Who::Unknown,
    }
}
