//! The one table of what can be asked for, and the look-up in it.

use std::borrow::Cow;

use hyper::Method;
use matchit::{InsertError, Router};

use crate::gateway::BatchVerb;
use crate::metrics::{Counted, Tally};
use crate::policy::{Facility, Verb};

/// One thing that can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `GET` or `POST`; where it is `GET`, `HEAD` works too.
    pub method: &'static str,
    /// The path, with `{name}` for a container's short name and `{command}` for one of its commands.
    pub path: &'static str,
    /// What the caller must be or have.
    pub needs: Need,
    /// What it leads to.
    pub endpoint: Endpoint,
}

/// What a caller must be or have, so that it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: whoever shows no credentials is answered too. Wrong ones are refused all the same.
    Nothing,
    /// Be a principal.
    Principal,
    /// Be permitted something of the gateway itself.
    Facility(Facility),
    /// Be granted a verb on the container; where the row is about all, only those count on which it is.
    Verb(Verb),
}

/// What a row leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether the process serves.
    Health,
    /// Whether the engine answers.
    Ready,
    /// Who the caller is, and what it may do.
    Whoami,
    /// What was counted.
    Metrics,
    /// The description of all this.
    OpenApi,
    /// The status of all containers.
    Containers,
    /// What happens to them.
    Events,
    /// What one container prints.
    Logs,
    /// What one container consumes.
    Stats,
    /// The commands that can be run in one container.
    Commands,
    /// One of them, run.
    Command,
    /// The same change of many containers.
    Batch(BatchVerb),
    /// Something about one container.
    Container(Action),
}

/// What can be asked of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// All that is shown of it.
    View,
    /// Its status.
    Status,
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Restart it.
    Restart,
    /// Pause it.
    Pause,
    /// Unpause it.
    Unpause,
    /// Send it a signal.
    Kill,
}

/// Everything that can be asked for.
pub const ROWS: &[Row] = &[
    row("GET", "/health", Need::Nothing, Endpoint::Health),
    row("GET", "/ready", Need::Nothing, Endpoint::Ready),
    row("GET", "/openapi.json", Need::Nothing, Endpoint::OpenApi),
    row("GET", "/whoami", Need::Principal, Endpoint::Whoami),
    row(
        "GET",
        "/metrics",
        Need::Facility(Facility::Metrics),
        Endpoint::Metrics,
    ),
    row(
        "GET",
        "/containers",
        Need::Verb(Verb::Status),
        Endpoint::Containers,
    ),
    row("GET", "/events", Need::Verb(Verb::Status), Endpoint::Events),
    row(
        "POST",
        "/containers/start",
        Need::Verb(Verb::Start),
        Endpoint::Batch(BatchVerb::Start),
    ),
    row(
        "POST",
        "/containers/stop",
        Need::Verb(Verb::Stop),
        Endpoint::Batch(BatchVerb::Stop),
    ),
    row(
        "POST",
        "/containers/restart",
        Need::Verb(Verb::Restart),
        Endpoint::Batch(BatchVerb::Restart),
    ),
    row(
        "GET",
        "/container/{name}",
        Need::Verb(Verb::Status),
        Endpoint::Container(Action::View),
    ),
    row(
        "GET",
        "/container/{name}/status",
        Need::Verb(Verb::Status),
        Endpoint::Container(Action::Status),
    ),
    row(
        "GET",
        "/container/{name}/logs",
        Need::Verb(Verb::Logs),
        Endpoint::Logs,
    ),
    row(
        "GET",
        "/container/{name}/stats",
        Need::Verb(Verb::Stats),
        Endpoint::Stats,
    ),
    row(
        "POST",
        "/container/{name}/start",
        Need::Verb(Verb::Start),
        Endpoint::Container(Action::Start),
    ),
    row(
        "POST",
        "/container/{name}/stop",
        Need::Verb(Verb::Stop),
        Endpoint::Container(Action::Stop),
    ),
    row(
        "POST",
        "/container/{name}/restart",
        Need::Verb(Verb::Restart),
        Endpoint::Container(Action::Restart),
    ),
    row(
        "POST",
        "/container/{name}/pause",
        Need::Verb(Verb::Pause),
        Endpoint::Container(Action::Pause),
    ),
    row(
        "POST",
        "/container/{name}/unpause",
        Need::Verb(Verb::Unpause),
        Endpoint::Container(Action::Unpause),
    ),
    row(
        "POST",
        "/container/{name}/kill",
        Need::Verb(Verb::Kill),
        Endpoint::Container(Action::Kill),
    ),
    row(
        "GET",
        "/container/{name}/exec",
        Need::Verb(Verb::Exec),
        Endpoint::Commands,
    ),
    row(
        "POST",
        "/container/{name}/exec/{command}",
        Need::Verb(Verb::Exec),
        Endpoint::Command,
    ),
];

const fn row(method: &'static str, path: &'static str, needs: Need, endpoint: Endpoint) -> Row {
    Row {
        method,
        path,
        needs,
        endpoint,
    }
}

/// What requests are counted as that no row is for.
const OTHER: &str = "other";

/// The table, ready to look things up in.
pub(super) struct Routes(Router<Known>);

/// A path that is known.
struct Known {
    rows: Vec<&'static Row>,
    /// Where its GETs are counted.
    gets: Tally,
}

/// What a path says where its row leaves it open, still encoded; empty where it leaves nothing open.
#[derive(Debug)]
pub(super) struct Segments<'path> {
    /// Which container.
    pub(super) name: Cow<'path, str>,
    /// Which of its commands.
    pub(super) command: Cow<'path, str>,
}

impl Segments<'_> {
    /// The same, on its own.
    pub(super) fn into_owned(self) -> Segments<'static> {
        Segments {
            name: Cow::Owned(self.name.into_owned()),
            command: Cow::Owned(self.command.into_owned()),
        }
    }
}

/// What a method and a path lead to.
#[derive(Debug)]
pub(super) enum Route<'path> {
    /// A row, and what its path leaves open.
    Found(&'static Row, Segments<'path>),
    /// The path is known; these are its methods, as `Allow` lists them.
    OtherMethod(String),
    /// No such path.
    Unknown,
}

impl Routes {
    /// Reads the table.
    ///
    /// # Errors
    ///
    /// Where two paths of the table contradict each other.
    pub(super) fn new() -> Result<Self, InsertError> {
        let mut router = Router::<Known>::new();
        for row in ROWS {
            if let Ok(found) = router.at_mut(row.path) {
                found.value.rows.push(row);
            } else {
                let known = Known {
                    rows: vec![row],
                    gets: Tally::default(),
                };
                router.insert(row.path, known)?;
            }
        }
        Ok(Self(router))
    }

    /// Looks a method and a path up, neither of them changed: a path is compared as it was sent. Says also what such a
    /// request is counted as.
    pub(super) fn find<'path>(
        &self,
        method: &Method,
        path: &'path str,
    ) -> (Counted<'_>, Route<'path>) {
        let Ok(found) = self.0.at(path) else {
            return (counted(method, None), Route::Unknown);
        };
        let counted = counted(method, Some(found.value));
        let asked = if method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        let route = match found.value.rows.iter().find(|row| row.method == asked) {
            Some(row) => {
                // In the order of the path: a name, and perhaps a command.
                let mut open = found.params.iter().map(|(_, segment)| segment);
                let name = open.next().unwrap_or_default();
                let has_command = row.endpoint == Endpoint::Command;
                let command = has_command.then(|| open.next()).flatten();
                let segments = Segments {
                    name: Cow::Borrowed(name),
                    command: Cow::Borrowed(command.unwrap_or_default()),
                };
                Route::Found(row, segments)
            }
            None => Route::OtherMethod(allow(&found.value.rows)),
        };
        (counted, route)
    }
}

/// What a request is counted as: a method and a row's path, or `other` where no row has them. There are few of either,
/// whatever callers send.
fn counted<'routes>(method: &Method, known: Option<&'routes Known>) -> Counted<'routes> {
    let row = known.and_then(|known| known.rows.first());
    let (method, tally) = match *method {
        Method::GET => ("GET", known.map(|known| &known.gets)),
        Method::HEAD => ("HEAD", None),
        Method::POST => ("POST", None),
        _ => (OTHER, None),
    };
    Counted {
        method,
        route: row.map_or(OTHER, |row| row.path),
        tally,
    }
}

fn allow(rows: &[&Row]) -> String {
    let methods: Vec<_> = rows
        .iter()
        .map(|row| {
            if row.method == "GET" {
                "GET, HEAD"
            } else {
                row.method
            }
        })
        .collect();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::{Route, Routes, Segments};

    fn check(method: &str, path: &str, expected: &str) {
        let routes = Routes::new().unwrap();
        let (_, route) = routes.find(&method.parse::<Method>().unwrap(), path);
        let found = match route {
            Route::Found(row, Segments { name, command }) => {
                format!("{:?} {name} {command}", row.endpoint)
                    .trim_end()
                    .to_owned()
            }
            Route::OtherMethod(allow) => format!("405 {allow}"),
            Route::Unknown => "404".to_owned(),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn paths_are_taken_as_sent() {
        check("GET", "/health", "Health");
        check("HEAD", "/health", "Health");
        check("POST", "/health", "405 GET, HEAD");
        check("get", "/health", "405 GET, HEAD");
        check("GET", "/container/a", "Container(View) a");
        check("GET", "/container/a%2Fb/status", "Container(Status) a%2Fb");
        check("GET", "/container/a/exec", "Commands a");
        check("POST", "/container/a/exec/b", "Command a b");
        check("GET", "/container/a/start", "405 POST");
        check("TRACE", "/container/a/start", "405 POST");
        for unknown in [
            "",
            "/",
            "*",
            "/health/",
            "//health",
            "/Health",
            "/healthx",
            "/%68ealth",
            "/container",
            "/container/",
            "/container//status",
            "/container/a/",
            "/container/a/status/",
            "/container/a/b/status",
            "/container/a/../b/status",
            "/v1.41/containers/json",
            "/containers/json",
        ] {
            check("GET", unknown, "404");
        }
    }
}
