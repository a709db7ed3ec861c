//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, PRAGMA};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version as Http};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::answer::{Body, bad_request, empty, introduce, json_value, refusal, streamed, text};
use super::engine::Engine;
use super::fault::{self, PastHttp};
use super::form::Form;
use super::refusal::Refusal;
use super::route::{Route, Target, Version};
use super::signal::Signal;
use super::state::Done;
use super::{exec, filter, json, listen, logs, stats};

/// The most bytes that the body of a request can have; dockerd has no limit.
const MAX_BODY: usize = 1 << 20;
/// The media type of what a program prints.
const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// The longest body that a start may have: dockerd lets `{}` and the like pass.
const MAX_START_BODY: usize = 7;

/// Answers one request, or says that the answer is no HTTP.
pub(super) async fn serve(
    engine: &Arc<Engine>,
    request: Request<Incoming>,
) -> Result<Response<Body>, PastHttp> {
    let (head, body) = request.into_parts();
    if let Some(fault) = engine.fault(head.uri.path()) {
        return fault::answer(fault).await;
    }
    let target = Target::of(&head.method, head.uri.path());
    if target != Target::Malformed
        && let Some(refused) = refuse_host(&head)
    {
        return Ok(refused);
    }
    let (route, version) = match target {
        Target::Known(route, version) => (route, version),
        Target::Moved(path) => return Ok(moved(&path, head.uri.query())),
        Target::Unknown => return Ok(refusal(&Refusal::new(404, "page not found"), false)),
        Target::Malformed => return Ok(bad_request("")),
    };
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(bad_request(""));
    };
    let asked = Asked {
        head: &head,
        body: &body.to_bytes(),
        old: version.as_ref().is_some_and(Version::is_before_json_errors),
        knows_one_shot: !version.as_ref().is_some_and(Version::is_before_one_shot),
    };
    let answer = match version.as_ref().map_or(Ok(()), Version::check) {
        Ok(()) => asked.answer(engine, route).await,
        Err(refused) => Err(refused),
    };
    let mut response = answer.unwrap_or_else(|refused| refusal(&refused, asked.old));
    introduce(response.headers_mut());
    Ok(response)
}

/// Go's own HTTP server wants one Host header.
fn refuse_host(head: &Parts) -> Option<Response<Body>> {
    match head.headers.get_all(HOST).iter().count() {
        0 if head.version == Http::HTTP_11 => Some(bad_request(": missing required Host header")),
        0 | 1 => None,
        _ => Some(bad_request(": too many Host headers")),
    }
}

fn moved(path: &str, query: Option<&str>) -> Response<Body> {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A request whose route is known.
struct Asked<'a> {
    head: &'a Parts,
    body: &'a [u8],
    /// By a client from before API 1.24.
    old: bool,
    /// By a client of API 1.41.
    knows_one_shot: bool,
}

impl Asked<'_> {
    async fn answer(&self, engine: &Arc<Engine>, route: Route) -> Result<Response<Body>, Refusal> {
        let done = match route {
            Route::Ping => return Ok(ping(&self.head.method)),
            Route::Version => return Ok(good(&json::version())),
            Route::Options => return Ok(empty(StatusCode::OK)),
            Route::Events => return listen::answer(engine, &self.form()?),
            Route::List => return self.list(engine),
            Route::Inspect(name) => {
                let found = engine.with(|state, now| {
                    let found = state.find(&name);
                    found.map(|container| json::inspect(container, now))
                });
                return found.map(|value| good(&value));
            }
            Route::Logs(name) => return logs::answer(engine, &name, &self.form()?),
            Route::Stats(name) => return self.stats(engine, &name).await,
            Route::Create => return self.create(engine),
            Route::Top(name) => {
                let top = engine.change(|state, now| state.top(&name, now))?;
                return Ok(good(&top));
            }
            Route::CreateExec(name) => return self.create_exec(engine, &name),
            Route::StartExec(id) => return self.start_exec(engine, id),
            Route::InspectExec(id) => {
                let exec = engine.with(|state, now| state.inspect_exec(&id, now))?;
                return Ok(good(&exec));
            }
            Route::Start(name) => {
                self.form()?;
                self.check_start_body()?;
                engine.change(|state, now| state.start(&name, now))
            }
            Route::Stop(name) => {
                let grace = self.form()?.number("t")?;
                let done = engine.change(|state, now| state.stop(&name, grace, now))?;
                if let Done::When(run) = &done {
                    // A stop is as good when its container was removed meanwhile.
                    engine.outlive(run).await;
                }
                Ok(done)
            }
            Route::Restart(name) => self.restart(engine, &name).await,
            Route::Pause(name) => {
                self.form()?;
                engine.change(|state, now| state.pause(&name, now))
            }
            Route::Unpause(name) => {
                self.form()?;
                engine.change(|state, now| state.unpause(&name, now))
            }
            Route::Kill(name) => {
                let signal = Signal::parse(self.form()?.get("signal"))?;
                engine.change(|state, now| state.kill(&name, signal, now))
            }
            Route::Rename(name) => {
                let form = self.form()?;
                engine.change(|state, now| state.rename(&name, form.get("name"), now))
            }
            Route::Remove(name) => {
                let force = self.form()?.is_on("force");
                engine.change(|state, now| state.remove(&name, force, now))
            }
        };
        Ok(empty(match done? {
            Done::Changed | Done::When(_) => StatusCode::NO_CONTENT,
            Done::Unchanged => StatusCode::NOT_MODIFIED,
        }))
    }

    fn list(&self, engine: &Engine) -> Result<Response<Body>, Refusal> {
        let form = self.form()?;
        let listed = engine.with(|state, now| {
            let found = filter::list(state, &form)?;
            let summaries = found.into_iter().map(|one| json::summary(one, now));
            Ok(summaries.collect())
        });
        listed.map(|list| good(&Value::Array(list)))
    }

    async fn stats(&self, engine: &Arc<Engine>, name: &str) -> Result<Response<Body>, Refusal> {
        let form = self.form()?;
        let is_stream = form.is_on_or("stream", true);
        let is_one_shot = self.knows_one_shot && form.is_on("one-shot");
        if is_stream && is_one_shot {
            let message = "cannot have stream=true and one-shot=true";
            return Err(Refusal::new(400, message));
        }
        let look = |before: Option<&Value>| {
            engine.with(|state, now| {
                let found = state.find(name)?;
                Ok((
                    found.id.clone(),
                    stats::account(found, before, now),
                    found.process.is_some(),
                ))
            })
        };
        let (id, first, is_running) = look(None)?;
        if is_stream {
            let mut response = streamed("", stats::accounts(Arc::clone(engine), id));
            response.headers_mut().remove(CONTENT_TYPE);
            return Ok(response);
        }
        if is_one_shot || !is_running {
            return Ok(good(&first));
        }
        sleep(stats::PERIOD).await;
        look(Some(&first)).map(|(_, second, _)| good(&second))
    }

    fn create(&self, engine: &Engine) -> Result<Response<Body>, Refusal> {
        let form = self.form()?;
        self.check_json()?;
        let config = json::read_config(self.body)?;
        let id = engine.change(|state, now| state.create(form.get("name"), config, now))?;
        let answer = json!({ "Id": id, "Warnings": [] });
        Ok(json_value(StatusCode::CREATED, &answer))
    }

    fn create_exec(&self, engine: &Engine, name: &str) -> Result<Response<Body>, Refusal> {
        self.form()?;
        self.check_json()?;
        let wish = json::read_wish(self.body)?;
        let id = engine.change(|state, now| state.create_exec(name, wish, now))?;
        Ok(json_value(StatusCode::CREATED, &json!({ "Id": id })))
    }

    fn start_exec(&self, engine: &Arc<Engine>, id: String) -> Result<Response<Body>, Refusal> {
        self.form()?;
        self.check_json()?;
        json::read_start(self.body)?;
        let said = engine.change(|state, now| state.start_exec(&id, now))?;
        let said = said.map(|words| Bytes::from(exec::framed(1, words.as_bytes())));
        Ok(match said {
            Some(words) => streamed(RAW_STREAM, stream::iter([words])),
            None => streamed(RAW_STREAM, Arc::clone(engine).printed(id)),
        })
    }

    async fn restart(&self, engine: &Engine, name: &str) -> Result<Done, Refusal> {
        let grace = self.form()?.number("t")?;
        let done = engine.change(|state, now| state.restart(name, grace, now))?;
        if let Done::When(run) = &done
            && !engine.outlive(run).await
        {
            let message = format!(
                "Cannot restart container {name}: container is marked for removal and cannot be started"
            );
            return Err(Refusal::new(500, message));
        }
        Ok(done)
    }

    fn form(&self) -> Result<Form, Refusal> {
        let posted = self.head.method == Method::POST
            && media_type(&self.head.headers) == "application/x-www-form-urlencoded";
        let body = if posted { self.body } else { &[] };
        Form::parse(
            &String::from_utf8_lossy(body),
            self.head.uri.query().unwrap_or_default(),
        )
    }

    fn check_start_body(&self) -> Result<(), Refusal> {
        if self.old || self.body.len() <= MAX_START_BODY {
            return Ok(());
        }
        Err(Refusal::new(
            400,
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ))
    }

    fn check_json(&self) -> Result<(), Refusal> {
        let kind = self.head.headers.get(CONTENT_TYPE);
        let absent = kind.is_none() && self.body.is_empty();
        if absent || media_type(&self.head.headers) == "application/json" {
            return Ok(());
        }
        let kind = kind.map_or("".into(), |kind| String::from_utf8_lossy(kind.as_bytes()));
        let message = format!("Content-Type specified ({kind}) must be 'application/json'");
        Err(Refusal::new(400, message))
    }
}

fn good(value: &Value) -> Response<Body> {
    json_value(StatusCode::OK, value)
}

fn ping(method: &Method) -> Response<Body> {
    // dockerd gives HEAD the length of nothing, and not the length that GET would have.
    let body = if method == Method::HEAD { "" } else { "OK" };
    let mut response = text(StatusCode::OK, body);
    let headers = response.headers_mut();
    let never = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.insert(CACHE_CONTROL, never);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The type of a body, without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let whole = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = whole.split(';').next().unwrap_or_default();
    kind.trim().to_lowercase()
}
