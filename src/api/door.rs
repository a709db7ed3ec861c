//! The door: what is checked of a request before anybody looks at what it asks for, from the outside in.

use std::time::Duration;

use super::cors::Cors;
use super::identify::{Who, identify};
use super::input;
use super::limits;
use super::problem::{self, Problem};
use super::reply::Response;
use super::route::{Endpoint, Need, Route, Row, Segments};
use super::step::{Next, Step};
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

/// A request that is not let in.
pub(super) struct TurnedAway {
    problem: Problem,
    /// What goes on record, and why it is refused; nothing where the refusal is not about who asks.
    record: Option<Box<(Door, String)>>,
    /// How long it is held.
    hold: Option<Duration>,
}

impl<P: Into<Problem>> From<P> for TurnedAway {
    fn from(problem: P) -> Self {
        Self {
            problem: problem.into(),
            record: None,
            hold: None,
        }
    }
}

impl TurnedAway {
    /// One whose refusal goes on record.
    fn refused(door: Door, problem: Problem) -> Self {
        let why = problem.to_string();
        Self {
            record: Some(Box::new((door, why))),
            ..problem.into()
        }
    }

    /// One of somebody who fails to say who asks; why, the answer does not tell.
    fn unknown(door: Door, why: String, hold: Option<Duration>) -> Self {
        Self {
            record: Some(Box::new((door, why))),
            hold,
            ..Problem::Unauthorized.into()
        }
    }
}

impl From<TurnedAway> for Step<Next> {
    /// The answer at once, where nothing has to be done first: whoever sends too much shall cost little.
    fn from(turned_away: TurnedAway) -> Self {
        match turned_away {
            TurnedAway {
                problem,
                record: None,
                hold: None,
            } => Self::Break(Err(problem)),
            turned_away => Self::Continue(Next::TurnAway(turned_away)),
        }
    }
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

impl Admitted<'_> {
    /// The same, on its own.
    pub(super) fn into_owned(self) -> Admitted<'static> {
        Admitted {
            segments: self.segments.into_owned(),
            ..self
        }
    }
}

impl Api {
    /// Lets a request in under this snapshot of the configuration. A refusal that is about who asks is to go on record;
    /// those of rates are not, or whoever sends too much would fill the disk.
    ///
    /// # Errors
    ///
    /// Why it is not let in, for [`Api::turn_away`].
    pub(super) fn enter<'request>(
        &self,
        request: &Request,
        route: Route<'request>,
        config: Snapshot,
        cors: &Cors,
    ) -> Result<Entry<'request>, TurnedAway> {
        request.check_head()?;
        let (method, headers) = (&request.head.method, &request.head.headers);
        limits::check_address(&self.limits, &request.peer, &route)?;
        if !cors.is_listed()
            && let Err(problem) = site::check(method, headers, request.asks_for_websocket)
        {
            let door = door(request, &config, asked_by(&route), None);
            return Err(TurnedAway::refused(door, problem));
        }
        let (row, segments) = match route {
            Route::Found(row, segments) => (row, segments),
            Route::OtherMethod(allow) => {
                let preflight = cors.preflight(method, headers, &allow);
                let answered = preflight.map(Entry::Answered);
                return answered.ok_or_else(|| Problem::OtherMethod(allow).into());
            }
            Route::Unknown => return Err(Problem::NoSuchPath.into()),
        };
        let asked = || asked(row, &segments.name);
        let principal = match identify(request, &config.policy, &config.register) {
            Who::Known(principal) => principal,
            Who::Unknown if row.needs == Need::Nothing => Principal::anonymous(),
            Who::Unknown => {
                let door = door(request, &config, asked(), None);
                return Err(TurnedAway::unknown(door, "no credentials".to_owned(), None));
            }
            Who::Rejected(rejection) => {
                let hold = self.failures.count(request.peer.address.counted_as());
                let door = door(request, &config, asked(), None);
                return Err(TurnedAway::unknown(door, rejection.to_string(), hold));
            }
        };
        if row.endpoint != Endpoint::Health
            && principal.is_anonymous()
            && let Err(problem) = site::check_host(&request.head, &config.browsers.hosts)
        {
            let door = door(request, &config, asked(), Some(principal));
            return Err(TurnedAway::refused(door, problem));
        }
        let caller = Caller {
            request_id: request.id,
            peer: request.peer.clone(),
            principal,
            config,
            status_of: problem::status_of,
        };
        limits::check_principal(&self.limits, &caller, row.needs)?;
        Ok(Entry::In(Admitted {
            caller,
            row,
            segments,
        }))
    }

    /// Records that a request is not let in, where that goes on record, and holds it, where it is to be held. On record
    /// first: whoever hangs up meanwhile takes the rest of this with it.
    pub(super) async fn turn_away(&self, turned_away: TurnedAway) -> Problem {
        let TurnedAway {
            problem,
            record,
            hold,
        } = turned_away;
        if let Some(record) = record {
            let (door, why) = *record;
            self.record(&door, &why, &problem).await;
        }
        if let Some(hold) = hold {
            tokio::time::sleep(hold).await;
        }
        problem
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
        self.record(&door, "no name of a container", &problem).await;
        problem
    }

    async fn record(&self, door: &Door, why: &str, problem: &Problem) {
        let status = problem.status().as_u16();
        self.gateway.refused_at_the_door(door, why, status).await;
    }
}

/// As much as is known of a request by now.
fn door(
    request: &Request,
    config: &Config,
    (verb, container): Asked,
    principal: Option<Principal>,
) -> Door {
    Door {
        request_id: request.id,
        revision: config.revision.clone(),
        peer: request.peer.clone(),
        principal,
        verb,
        container,
    }
}

/// What is asked, and of which container, as far as that goes on record.
type Asked = (Option<Verb>, Option<String>);

fn asked_by(route: &Route<'_>) -> Asked {
    match route {
        Route::Found(row, segments) => asked(row, &segments.name),
        Route::OtherMethod(_) | Route::Unknown => (None, None),
    }
}

/// What a row and the name in its path ask for.
fn asked(row: &Row, raw: &str) -> Asked {
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
