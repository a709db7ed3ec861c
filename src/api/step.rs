//! The first step to an answer, which waits for nothing: for state that is in memory it is the only one.

use std::ops::ControlFlow;

use hyper::HeaderMap;

use super::Api;
use super::condition::Condition;
use super::door::{Admitted, TurnedAway};
use super::input::Unread;
use super::problem::Problem;
use super::reply::{self, Response};
use super::route::{Action, Endpoint};
use crate::engine::Seen;
use crate::gateway::{Caller, Unlisted, Unseen};
use crate::policy::ContainerName;
use crate::server::{Request, RequestBody};

/// An answer, or what there is to do for it.
pub(super) type Step<N> = ControlFlow<Result<Response, Problem>, N>;

/// What there is to do for an answer.
pub(super) enum Next {
    /// Tell why the request is not let in, and first do what that takes.
    TurnAway(TurnedAway),
    /// All of it.
    Run(Admitted<'static>),
    /// Ask for state that memory does not have.
    Ask(Unknown),
}

/// State that memory does not have.
pub(super) enum Unknown {
    /// A container's status.
    Status(Caller, Condition, Unseen),
    /// The list.
    List(Caller, Condition, Unlisted),
}

impl Api {
    /// Begins a request that is let in. The status of a container, and the list, are answered here where the mirror has
    /// them: they are asked for more often than all else together, and a future would cost them more than what it does.
    pub(super) fn begin(
        &self,
        admitted: Admitted<'_>,
        request: &Request,
        body: &RequestBody,
    ) -> Step<Next> {
        let (caller, headers) = (&admitted.caller, &request.head.headers);
        if body.is_absent() && request.head.uri.query().is_none() {
            let endpoint = admitted.row.endpoint;
            if endpoint == Endpoint::Containers {
                return self.begin_list(caller, headers).map_continue(Next::Ask);
            }
            // Another spelling of a name, and one that is not managed, take the long way.
            if endpoint == Endpoint::Container(Action::Status)
                && let Some(name) = caller.config.policy.name(&admitted.segments.name)
            {
                let step = self.begin_status(caller, name, headers);
                return step.map_continue(Next::Ask);
            }
        }
        Step::Continue(Next::Run(admitted.into_owned()))
    }

    /// Looks at a container's status.
    pub(super) fn begin_status(
        &self,
        caller: &Caller,
        name: &ContainerName,
        headers: &HeaderMap,
    ) -> Step<Unknown> {
        let condition = Condition::of(headers);
        let read = |seen: &Seen| condition.answer(&seen.status);
        let gateway = &self.gateway;
        match gateway.view_at_once(caller, name, condition.freshness, read) {
            Ok(answer) => Step::Break(answer.map_err(Problem::Failed)),
            Err(unseen) => Step::Continue(Unknown::Status(caller.clone(), condition, unseen)),
        }
    }

    /// Looks at the list.
    pub(super) fn begin_list(&self, caller: &Caller, headers: &HeaderMap) -> Step<Unknown> {
        let condition = Condition::of(headers);
        let gateway = &self.gateway;
        match gateway.list_at_once(caller, condition.freshness, reply::containers) {
            Ok(list) => Step::Break(Ok(condition.answer(&list))),
            Err(unlisted) => Step::Continue(Unknown::List(caller.clone(), condition, unlisted)),
        }
    }

    /// Does what is left to do.
    ///
    /// # Errors
    ///
    /// Why there is no good answer.
    pub(super) async fn go_on(
        &self,
        next: Next,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response, Problem> {
        match next {
            Next::TurnAway(turned_away) => Err(self.turn_away(turned_away).await),
            Next::Run(admitted) => self.run(&admitted, Unread { request, body }).await,
            Next::Ask(unknown) => self.ask(unknown).await,
        }
    }

    /// The answer, wherever it comes from.
    ///
    /// # Errors
    ///
    /// Why there is no good answer.
    pub(super) async fn end(&self, step: Step<Unknown>) -> Result<Response, Problem> {
        match step {
            Step::Break(answered) => answered,
            Step::Continue(unknown) => self.ask(unknown).await,
        }
    }

    async fn ask(&self, unknown: Unknown) -> Result<Response, Problem> {
        let gateway = &self.gateway;
        match unknown {
            Unknown::Status(caller, condition, unseen) => {
                let read = |seen: &Seen| condition.answer(&seen.status);
                Ok(gateway.view_further(&caller, unseen, read).await?)
            }
            Unknown::List(caller, condition, unlisted) => {
                let list = gateway.list_further(&caller, unlisted, reply::containers);
                Ok(condition.answer(&list.await?))
            }
        }
    }
}
