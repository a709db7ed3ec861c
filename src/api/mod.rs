//! The REST face: a request becomes an operation, what became of it becomes an answer.

mod batch;
mod body;
mod condition;
mod container;
mod cors;
mod door;
mod event_form;
mod events;
mod exec;
#[cfg(fuzzing)]
pub mod fuzz;
mod handshake;
mod identify;
mod input;
mod limits;
mod log_form;
mod logs;
mod media;
mod openapi;
mod problem;
mod reply;
mod route;
mod site;
mod socket;
mod sse;
mod stats;
mod step;
mod wait;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

pub use openapi::openapi;
pub use route::{Action, Endpoint, Need, ROWS, Row};

use cors::Cors;
use door::{Admitted, Entry};
use input::Unread;
use media::accepts;
use problem::{Form, Problem};
use reply::{NOT_CURRENT, Ready, Response, Whoami};
use route::{Routes, Segments};
use step::Step;

use crate::gateway::{Caller, Gateway};
use crate::limits::{Failures, Limits};
use crate::metrics::{Counted, Format, Metrics, Now};
use crate::policy::{ContainerName, Verb, VerbSet};
use crate::server::{Answer, Connections, Handler, Request, RequestBody};

/// By which every answer says what its request is called in the log.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The REST API.
pub struct Api {
    gateway: Arc<Gateway>,
    routes: Routes,
    metrics: Arc<Metrics>,
    connections: Connections,
    limits: Limits,
    failures: Failures,
    /// The description of all this, from when it is first asked for.
    openapi: OnceLock<Bytes>,
}

impl Api {
    /// The API in front of this gateway, reached over these connections.
    ///
    /// # Errors
    ///
    /// Where the table of routes contradicts itself.
    pub fn new(
        gateway: Arc<Gateway>,
        metrics: Arc<Metrics>,
        connections: Connections,
    ) -> Result<Self, matchit::InsertError> {
        let limits = Limits::new(&gateway.snapshot().limits);
        Ok(Self {
            gateway,
            routes: Routes::new()?,
            metrics,
            connections,
            limits,
            failures: Failures::new(),
            openapi: OnceLock::new(),
        })
    }

    async fn run(&self, admitted: &Admitted<'_>, unread: Unread<'_>) -> Result<Response, Problem> {
        let Admitted {
            caller,
            row,
            segments,
        } = admitted;
        if let Need::Facility(facility) = row.needs {
            self.gateway.admit(caller, facility).await?;
        }
        match row.endpoint {
            Endpoint::Health => {
                input::nothing(unread).await?;
                Ok(reply::json(StatusCode::OK, &"ok"))
            }
            Endpoint::Ready => {
                input::nothing(unread).await?;
                Ok(self.ready().boxed().await)
            }
            Endpoint::OpenApi => {
                input::nothing(unread).await?;
                let document = self.openapi.get_or_init(|| openapi().into());
                Ok(reply::written(document.clone()))
            }
            Endpoint::Whoami => {
                input::nothing(unread).await?;
                Ok(whoami(caller))
            }
            Endpoint::Metrics => {
                let request = unread.request;
                input::nothing(unread).await?;
                Ok(self.scrape(caller, request))
            }
            Endpoint::Containers => {
                let request = unread.request;
                input::nothing(unread).await?;
                let step = self.begin_list(caller, &request.head.headers);
                self.end(step).boxed().await
            }
            Endpoint::Stats => {
                let name = self.name(caller, row, segments).await?;
                self.stats(caller, &name, unread).boxed().await
            }
            Endpoint::Commands => {
                let name = self.name(caller, row, segments).await?;
                input::nothing(unread).await?;
                self.commands(caller, &name).boxed().await
            }
            Endpoint::Command => {
                let name = self.name(caller, row, segments).await?;
                let command = input::decoded(&segments.command);
                let values = input::values(unread).await?;
                self.execute(caller, &name, &command, &values).boxed().await
            }
            Endpoint::Batch(verb) => self.batch(caller.clone(), verb, unread).boxed().await,
            // The rarer ones in boxes, here and below: whoever waits is given room for the largest of the others.
            Endpoint::Events => self.events(caller, unread).boxed().await,
            Endpoint::Logs => {
                let name = self.name(caller, row, segments).await?;
                self.logs(caller, &name, unread).boxed().await
            }
            Endpoint::Container(action) => {
                let name = self.name(caller, row, segments).await?;
                self.container(caller, action, &name, unread).await
            }
        }
    }

    /// Puts into an answer what every answer has, and counts it.
    fn finish(
        &self,
        unfinished: Unfinished<'_>,
        request: &Request,
        answered: Result<Response, Problem>,
    ) -> Response {
        let headers = &request.head.headers;
        let mut response =
            answered.unwrap_or_else(|problem| problem.render(Form::asked_by(headers)));
        unfinished.cors.mark(&mut response);
        if let Ok(id) = HeaderValue::from_bytes(&request.id.digits()) {
            reply::set_request_id(&mut response, id);
        }
        let (status, took) = (response.status().as_u16(), unfinished.begun.elapsed());
        self.metrics.request(&unfinished.counted, status, took);
        response
    }

    /// The container that a path names.
    ///
    /// # Errors
    ///
    /// Where it cannot be a name; that goes on record.
    async fn name<'caller>(
        &self,
        caller: &'caller Caller,
        row: &'static Row,
        segments: &Segments<'_>,
    ) -> Result<Cow<'caller, ContainerName>, Problem> {
        match input::name(&segments.name, |text| caller.config.policy.name(text)) {
            Ok(name) => Ok(name),
            Err(problem) => {
                let refused = self.refuse_name(caller, row, &segments.name, problem);
                Err(refused.boxed().await)
            }
        }
    }

    async fn ready(&self) -> Response {
        let answer = self.gateway.ready().await;
        let status = match answer {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let ready = Ready {
            ready: answer.is_ok(),
            reason: answer.err().map(|error| error.to_string()),
            mirror: (!self.gateway.mirror().is_current()).then_some(NOT_CURRENT),
        };
        reply::json(status, &ready)
    }

    fn scrape(&self, caller: &Caller, request: &Request) -> Response {
        let format = if accepts(&request.head.headers, "application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Prometheus
        };
        let now = Now {
            connections: self.connections.open(),
            mirror_current: self.gateway.mirror().is_current(),
            revision: caller.config.revision.as_str(),
        };
        let text = self.metrics.render(now, format);
        // Text written to text: that cannot fail.
        reply::text(format.media_type(), text.unwrap_or_default())
    }
}

impl Handler for Api {
    fn answer(&self, request: Request, body: RequestBody) -> Answer<'_> {
        let begun = Instant::now();
        let head = &request.head;
        let (counted, route) = self.routes.find(&head.method, head.uri.path());
        let config = self.gateway.snapshot();
        let cors = Cors::of(&head.headers, &config.browsers);
        let step = match self.enter(&request, route, config, &cors) {
            Ok(Entry::In(admitted)) => self.begin(admitted, &request, &body),
            Ok(Entry::Answered(response)) => Step::Break(Ok(response)),
            Err(turned_away) => turned_away.into(),
        };
        let unfinished = Unfinished {
            begun,
            counted,
            cors,
        };
        match step {
            Step::Break(answered) => Answer::Ready(self.finish(unfinished, &request, answered)),
            Step::Continue(next) => {
                let coming = async move {
                    let answered = self.go_on(next, &request, body).await;
                    self.finish(unfinished, &request, answered)
                };
                Answer::Pending(coming.boxed())
            }
        }
    }
}

/// What is known of an answer before it is there.
struct Unfinished<'api> {
    /// When the request came.
    begun: Instant,
    /// As what it is counted.
    counted: Counted<'api>,
    /// What a page may do with it.
    cors: Cors,
}

fn whoami(caller: &Caller) -> Response {
    let policy = &caller.config.policy;
    let visible = policy.visible(&caller.principal);
    let whoami = Whoami {
        principal: caller.principal.to_string(),
        roles: policy.roles(&caller.principal).collect(),
        revision: caller.config.revision.as_str(),
        containers: visible
            .map(|(name, verbs)| (name.as_str(), words(verbs)))
            .collect(),
    };
    reply::json(StatusCode::OK, &whoami)
}

fn words(verbs: VerbSet) -> Vec<&'static str> {
    verbs.iter().map(Verb::as_str).collect()
}
