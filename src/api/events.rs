//! `events`: what happens to the containers that a caller may see, as server-sent events, as lines, or over a WebSocket.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::event_form::{Around, Message};
use super::handshake::Handshake;
use super::input::{self, Unread};
use super::media::{EVENT_STREAM, Media, NDJSON};
use super::problem::Problem;
use super::reply::{self, Response};
use super::{Api, identify, socket, sse};
use crate::gateway::{Caller, Events};
use crate::policy::ContainerName;
use crate::server;

/// The most names that can be asked for.
const MOST_NAMES: usize = 1000;

pub(super) const CONTAINER_FORMS: &str =
    "it is the names of containers with commas between them, at most 1000, such as `a,b`";

impl Api {
    /// Answers with what happens.
    ///
    /// # Errors
    ///
    /// A bad parameter, or a denial.
    pub(super) async fn events(
        &self,
        caller: &Caller,
        unread: Unread<'_>,
    ) -> Result<Response, Problem> {
        let request = unread.request;
        let media = Media::asked_by(&request.head.headers);
        let handshake = Handshake::asked_by(request)?;
        let credentials = identify::credentials(request);
        let only = only(request.head.uri.query())?;
        input::no_body(&unread.read().await?)?;
        let events = self.gateway.events(caller, credentials, only).await?;
        if let Some(handshake) = handshake {
            let speak = |upgraded| socket::speak(upgraded, events);
            return Ok(handshake.answer(server::handed_over(speak)));
        }
        // The answer to HEAD is the same, and its body is never begun.
        Ok(match media {
            Media::Plain | Media::EventStream => {
                let written = written(events, Around::Event);
                reply::stream(EVENT_STREAM, sse::with_heartbeat(written))
            }
            Media::Ndjson => reply::stream(NDJSON, written(events, Around::Line)),
        })
    }
}

/// What happens, as it is written in this form.
fn written(
    events: Events,
    around: Around,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    // A box: on its way it is moved often.
    let state = (Box::new(events), None::<Message>);
    unfold(state, move |(mut events, under_way)| async move {
        let mut message = match under_way {
            Some(message) => message,
            None => Message::of(events.next().await.ok()?),
        };
        let mut out = BytesMut::new();
        let is_last = around.write(&mut message, &mut out);
        let under_way = (!is_last).then_some(message);
        Some((Ok(out.freeze()), (events, under_way)))
    })
}

/// The containers that a query names; none where it names none.
pub(super) fn only(query: Option<&str>) -> Result<Option<Vec<ContainerName>>, Problem> {
    let mut only = None;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key != "container" {
            return Err(input::unknown(&key));
        }
        let names: &mut Vec<_> = only.get_or_insert_default();
        for name in value.split(',') {
            let name = name.parse().ok().filter(|_| names.len() < MOST_NAMES);
            names.push(name.ok_or_else(|| {
                Problem::Input(format!("Bad parameter: container: {CONTAINER_FORMS}"))
            })?);
        }
    }
    Ok(only)
}

#[cfg(test)]
mod tests {
    use super::{CONTAINER_FORMS, only};

    fn check(query: &str, expected: &str) {
        let shown = match only(Some(query)) {
            Ok(None) => "all".to_owned(),
            Ok(Some(names)) => names
                .iter()
                .map(|name| format!("[{name}]"))
                .collect::<Vec<_>>()
                .concat(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn which_containers() {
        check("", "all");
        check("container=a", "[a]");
        check("container=a,b&container=c", "[a][b][c]");
        check("container=a%2Cb,a", "[a][b][a]");
        check(
            &format!("container={}", ["a"; 1000].join(",")),
            &"[a]".repeat(1000),
        );
        let forms = format!("Bad parameter: container: {CONTAINER_FORMS}");
        for bad in [
            "container=",
            "container",
            "container=a,",
            "container=,a",
            "container=a,,b",
            "container=a, b",
            "container=a&container=",
            "container=%2Fa",
            "container=*",
            &format!("container={}", ["a"; 1001].join(",")),
        ] {
            check(bad, &forms);
        }
        check("containers=a", "Unknown parameter: containers");
        check("container=a&x=", "Unknown parameter: x");
    }
}
