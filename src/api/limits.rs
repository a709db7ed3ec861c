//! The rates of requests, where the API asks for them.

use super::problem::Problem;
use super::route::{Endpoint, Need, Route};
use crate::gateway::Caller;
use crate::limits::Limits;
use crate::server::Peer;

/// Counts a request from this peer's address. A health check is not counted: a crowd must not make it fail.
///
/// # Errors
///
/// Where it is one too many.
pub(super) fn check_address(limits: &Limits, peer: &Peer, route: &Route) -> Result<(), Problem> {
    if matches!(route, Route::Found(row, _) if row.endpoint == Endpoint::Health) {
        return Ok(());
    }
    limits
        .check_address(peer.address.counted_as())
        .map_err(Problem::AddressLimit)
}

/// Counts a request of this principal. What anybody may ask is not counted: strangers would use up what `anonymous` has.
///
/// # Errors
///
/// Where it is one too many.
pub(super) fn check_principal(
    limits: &Limits,
    caller: &Caller,
    needs: Need,
) -> Result<(), Problem> {
    if needs == Need::Nothing {
        return Ok(());
    }
    limits
        .check_principal(&caller.principal)
        .map_err(|wait| Problem::PrincipalLimit(caller.principal.clone(), wait))
}
