//! One container: looked at, or changed.

use futures_util::FutureExt;
use hyper::StatusCode;

use super::condition::Condition;
use super::input::{Parameters, Unread};
use super::problem::Problem;
use super::reply::{self, Changed, Container, Response};
use super::{Action, Api, words};
use crate::engine::{Change, Seen, View};
use crate::gateway::Caller;
use crate::policy::ContainerName;

impl Api {
    pub(super) async fn container(
        &self,
        caller: &Caller,
        action: Action,
        name: &ContainerName,
        unread: Unread<'_>,
    ) -> Result<Response, Problem> {
        let headers = &unread.request.head.headers;
        let mut parameters = Parameters::read(unread).await?;
        let timeout = || {
            let settings = caller.config.containers.get(name);
            settings.and_then(|settings| settings.stop_timeout)
        };
        let (change, done) = match action {
            Action::Status => {
                parameters.finish()?;
                let step = self.begin_status(caller, name, headers);
                return self.end(step).boxed().await;
            }
            Action::View => {
                parameters.finish()?;
                let freshness = Condition::of(headers).freshness;
                let answer = |seen: &Seen| view(caller, name, &seen.view);
                let view = self.gateway.view(caller, name, freshness, answer);
                return Ok(view.boxed().await?);
            }
            Action::Start => (Change::Start, "started"),
            Action::Stop => (Change::Stop { timeout: timeout() }, "stopped"),
            Action::Restart => (Change::Restart { timeout: timeout() }, "restarted"),
            Action::Pause => (Change::Pause, "paused"),
            Action::Unpause => (Change::Unpause, "unpaused"),
            Action::Kill => {
                let signal = parameters.take_signal()?;
                (Change::Kill { signal }, "killed")
            }
        };
        let patience = parameters.take_patience(action)?;
        parameters.finish()?;
        match patience {
            Some(patience) => {
                let gateway = &self.gateway;
                gateway
                    .change_and_wait(caller, change, name, patience)
                    .boxed()
                    .await?;
            }
            None => self.gateway.change(caller, change, name).boxed().await?,
        }
        let container = name.as_str();
        Ok(reply::json(
            StatusCode::OK,
            &Changed {
                status: done,
                container,
            },
        ))
    }
}

fn view(caller: &Caller, name: &ContainerName, view: &View) -> Response {
    let verbs = words(caller.config.policy.granted(&caller.principal, name));
    reply::json(StatusCode::OK, &Container { view, verbs })
}
