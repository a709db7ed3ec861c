//! The door: what is checked of a request before anybody looks at what it asks for, from the outside in.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::cors::Cors;
use super::identify::{Who, identify};
use super::input;
use super::limits;
use super::problem::{self, Problem};
use super::reply::Response;
use super::route::{Endpoint, Need, Route, Row, Segments};
use super::{Api, site};
use crate::config::Config;
use crate::gateway::{Caller, Door, Snapshot};
use crate::policy::{Principal, Verb};
use crate::server::Request;

/// What becomes of a request at the door.
pub(super) enum Entry<'path> {
    /// It is let in.
    In(Admitted<'path>),
    /// It is answered here: a browser asked whether it may ask.
    Answered(Response),
}

/// What is known of a request that is let in.
pub(super) struct Admitted<'path> {
    /// Who asks.
    pub(super) caller: Caller,
    /// For what.
    pub(super) row: &'static Row,
    /// What the path says beside it.
    pub(super) segments: Segments<'path>,
}

impl Api {
    /// Lets a request in under this snapshot of the configuration. A refusal that is about who asks goes on record; those
    /// of rates do not, or whoever sends too much would fill the disk.
    ///
    /// # Errors
    ///
    /// Why it is not let in.
    pub(super) async fn enter<'request>(
        &self,
        request: &Request,
        route: Route<'request>,
        config: Snapshot,
        cors: &Cors,
    ) -> Result<Entry<'request>, Problem> {
        request.check_head()?;
        let route = &route;
        let (method, headers) = (&request.head.method, &request.head.headers);
        limits::check_address(&self.limits, &request.peer, route)?;
        if !cors.is_listed()
            && let Err(problem) = site::check(method, headers, request.asks_for_websocket)
        {
            let (door, why) = (door(request, &config, route, None), problem.to_string());
            return Err(self.refuse(door, problem, why).await);
        }
        let (row, segments) = match route {
            Route::Found(row, segments) => (*row, *segments),
            Route::OtherMethod(allow) => {
                let preflight = cors.preflight(method, headers, allow);
                let answered = preflight.map(Entry::Answered);
                return answered.ok_or_else(|| Problem::OtherMethod(allow.clone()));
            }
            Route::Unknown => return Err(Problem::NoSuchPath),
        };
        let principal = self.principal(request, route, row.needs, &config).await?;
        if row.endpoint != Endpoint::Health
            && principal.is_anonymous()
            && let Err(problem) = site::check_host(&request.head, &config.browsers.hosts)
        {
            let door = door(request, &config, route, Some(principal));
            let why = problem.to_string();
            return Err(self.refuse(door, problem, why).await);
        }
        let caller = Caller {
            request_id: request.id,
            peer: request.peer.clone(),
            principal,
            config,
            status_of: problem::status_of,
        };
        limits::check_principal(&self.limits, &caller, row.needs)?;
        match row.needs {
            Need::Facility(facility) => self.gateway.admit(&caller, facility).boxed().await?,
            Need::Nothing | Need::Principal | Need::Verb(_) => {}
        }
        Ok(Entry::In(Admitted {
            caller,
            row,
            segments,
        }))
    }

    /// Who asks; whoever fails to say it is slowed.
    async fn principal(
        &self,
        request: &Request,
        route: &Route<'_>,
        needs: Need,
        config: &Config,
    ) -> Result<Principal, Problem> {
        let (why, hold) = match identify(request, &config.policy, &config.register) {
            Who::Known(principal) => return Ok(principal),
            Who::Unknown if needs == Need::Nothing => return Ok(Principal::anonymous()),
            Who::Unknown => ("no credentials".to_owned(), None),
            Who::Rejected(rejection) => {
                let hold = self.failures.count(request.peer.address.counted_as());
                (rejection.to_string(), hold)
            }
        };
        // On record before it is held: whoever hangs up meanwhile takes the rest of this with it.
        let door = door(request, config, route, None);
        let refused = self.refuse(door, Problem::Unauthorized, why);
        let turned_away = async move {
            let problem = refused.await;
            if let Some(hold) = hold {
                tokio::time::sleep(hold).await;
            }
            problem
        };
        Err(turned_away.boxed().await)
    }

    /// Records that somebody asked for what cannot be the name of a container, as for one that is not there.
    pub(super) async fn refuse_name(
        &self,
        caller: &Caller,
        row: &'static Row,
        raw: &str,
        problem: Problem,
    ) -> Problem {
        let (verb, container) = asked(row, raw);
        let door = Door {
            request_id: caller.request_id,
            revision: caller.config.revision.clone(),
            peer: caller.peer.clone(),
            principal: Some(caller.principal.clone()),
            verb,
            container,
        };
        let why = "no name of a container".to_owned();
        self.refuse(door, problem, why).await
    }

    /// Records a refusal and why, and gives it back. In a box, because it is rare: each request is given room for all
    /// that is not.
    fn refuse(&self, door: Door, problem: Problem, why: String) -> BoxFuture<'_, Problem> {
        let refused = async move {
            let status = problem.status().as_u16();
            self.gateway.refused_at_the_door(&door, &why, status).await;
            problem
        };
        refused.boxed()
    }
}

/// As much as is known of a request by now.
fn door(
    request: &Request,
    config: &Config,
    route: &Route<'_>,
    principal: Option<Principal>,
) -> Door {
    let (verb, container) = match route {
        Route::Found(row, segments) => asked(row, segments.name),
        Route::OtherMethod(_) | Route::Unknown => (None, None),
    };
    Door {
        request_id: request.id,
        revision: config.revision.clone(),
        peer: request.peer.clone(),
        principal,
        verb,
        container,
    }
}

/// What a row and the name in its path ask for.
fn asked(row: &Row, raw: &str) -> (Option<Verb>, Option<String>) {
    match row.needs {
        Need::Verb(verb) => (
            Some(verb),
            (!raw.is_empty()).then(|| cut(input::decoded(raw).into_owned())),
        ),
        Need::Nothing | Need::Principal | Need::Facility(_) => (None, None),
    }
}

/// SECURITY: a path can be as long as a head; a record of everybody who is turned away must not be.
fn cut(name: String) -> String {
    /// The most characters of a name that are recorded; one that could be a name has fewer.
    const MOST: usize = 160;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()),
        None => name,
    }
}
