//! Who a request comes from: the first of token, certificate and user of this machine that it shows.

use std::time::SystemTime;

use crate::authn::{Identity, Register, Rejection, Shown};
use crate::policy::{Policy, Principal};
use crate::server::{PeerAddress, Request};

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
    // Without principals no credential can be right or wrong; a proxy before us may ask for its own.
    if !policy.has_principals() {
        return Who::Known(Principal::anonymous());
    }
    let shown = Shown::read(&request.head.headers);
    let mut identity = register.by_header(shown, SystemTime::now());
    if let (Identity::Absent, Some(names)) = (&identity, &request.peer.certificate) {
        identity = register.by_certificate(names);
    }
    if let (Identity::Absent, PeerAddress::Unix { uid, gid }) = (&identity, request.peer.address) {
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
