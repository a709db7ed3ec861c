//! `logs`: its parameters, and its three forms.

use std::io;

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use hyper::header::HeaderName;
use hyper::{HeaderMap, Method};

use super::input::{Parameters, Unread};
use super::log_form::Form;
use super::media::{EVENT_STREAM, Media, NDJSON, TEXT};
use super::problem::Problem;
use super::reply::{self, Response};
use super::{Api, identify, sse};
use crate::engine::{Error, Moment, Printed, ReadLogs, Streams, Tail};
use crate::gateway::Caller;
use crate::policy::ContainerName;

/// How many lines are told where nothing is said of it.
const DEFAULT_TAIL: Tail = Tail::Last(100);

/// By which a browser says which event was the last that it got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) const TAIL_FORMS: &str = "a tail is a whole number of lines up to 4294967295, or `all`";
pub(super) const TIME_FORMS: &str = "a time is RFC 3339 such as `2026-11-23T09:50:52Z` or `2026-11-23T10:50:52.5+01:00`, \
     Unix seconds such as `1795427452` or `1795427452.5`, or a duration ago such as `10m` or `1h30m`";
pub(super) const SWITCH_FORMS: &str = "it is `true` or `false`";
pub(super) const STREAM_FORMS: &str = "a stream is `stdout`, `stderr` or `both`";

impl Api {
    /// Answers with what a container prints.
    ///
    /// # Errors
    ///
    /// A bad parameter, a denial, or the engine's.
    pub(super) async fn logs(
        &self,
        caller: &Caller,
        name: &ContainerName,
        unread: Unread<'_>,
    ) -> Result<Response, Problem> {
        let head = &unread.request.head;
        let media = Media::asked_by(&head.headers);
        let credentials = identify::credentials(unread.request);
        let is_head = head.method == Method::HEAD;
        let last_event = last_event(&head.headers, media)?;
        let mut parameters = Parameters::read(unread).await?;
        let (mut read, has_times) = asked(&mut parameters)?;
        parameters.finish()?;
        read.is_timed = has_times || media != Media::Plain;
        if let Some(last) = last_event {
            (read.tail, read.since) = (Tail::All, read.since.max(Some(last.next())));
        }
        let (media_type, form) = match media {
            Media::Plain if has_times => (TEXT, Form::dated()),
            Media::Plain => (TEXT, Form::AsPrinted),
            Media::Ndjson => (NDJSON, Form::ndjson()),
            Media::EventStream => (EVENT_STREAM, Form::events()),
        };
        if is_head {
            self.gateway.has_logs(caller, read, name).await?;
            return Ok(reply::text(media_type, String::new()));
        }
        let printed = self.gateway.logs(caller, credentials, read, name).await?;
        let written = written(printed, form);
        Ok(match media {
            Media::Plain | Media::Ndjson => reply::stream(media_type, written),
            Media::EventStream => reply::stream(media_type, sse::with_heartbeat(written)),
        })
    }
}

/// What is printed, as it is written in this form.
fn written(
    printed: impl Stream<Item = Result<Printed, Error>> + Send + 'static,
    form: Form,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let state = Some((Box::pin(printed), form));
    unfold(state, async |state| {
        let (mut printed, mut form) = state?;
        loop {
            let bytes = match printed.next().await {
                None => {
                    let last = form.finish();
                    return (!last.is_empty()).then_some((Ok(last), None));
                }
                Some(Err(error)) => return Some((Err(io::Error::other(error)), None)),
                Some(Ok(Printed::Pieces(pieces))) => form.write(pieces),
                Some(Ok(Printed::Pause)) => form.finish(),
            };
            if !bytes.is_empty() {
                return Some((Ok(bytes), Some((printed, form))));
            }
        }
    })
}

/// When the last event was printed that the caller got before its connection broke; it goes on after that.
fn last_event(headers: &HeaderMap, media: Media) -> Result<Option<Moment>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    if media != Media::EventStream {
        return Ok(None);
    }
    let moment = id.to_str().ok().and_then(Moment::parse);
    moment.map(Some).ok_or_else(|| {
        Problem::Input(
            "Bad header: Last-Event-ID: it is the id of an event of this stream".to_owned(),
        )
    })
}

/// What is asked for, and whether each line is to say when it was printed.
pub(super) fn asked(parameters: &mut Parameters) -> Result<(ReadLogs, bool), Problem> {
    let mut read = ReadLogs {
        tail: parameters
            .take_as("tail", tail, TAIL_FORMS)?
            .unwrap_or(DEFAULT_TAIL),
        since: parameters.take_as("since", time, TIME_FORMS)?,
        until: parameters.take_as("until", time, TIME_FORMS)?,
        streams: Streams::Both,
        follow: parameters
            .take_as("follow", switch, SWITCH_FORMS)?
            .unwrap_or_default(),
        is_timed: false,
    };
    if let Some(streams) = parameters.take_as("stream", streams, STREAM_FORMS)? {
        read.streams = streams;
    }
    let has_times = parameters.take_as("timestamps", switch, SWITCH_FORMS)?;
    if read.follow && read.until.is_some() {
        let why =
            "Bad parameter: until: what is followed has no end; leave out `until` or `follow`";
        return Err(Problem::Input(why.to_owned()));
    }
    Ok((read, has_times.unwrap_or_default()))
}

fn tail(text: &str) -> Option<Tail> {
    if text == "all" {
        return Some(Tail::All);
    }
    is_digits(text)
        .then(|| text.parse().ok().map(Tail::Last))
        .flatten()
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn streams(text: &str) -> Option<Streams> {
    match text {
        "stdout" => Some(Streams::Stdout),
        "stderr" => Some(Streams::Stderr),
        "both" => Some(Streams::Both),
        _ => None,
    }
}

fn time(text: &str) -> Option<Moment> {
    if let Some(moment) = unix_seconds(text) {
        return Some(moment);
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return Some(Moment::now().before(ago));
    }
    // In a query a plus is a space, and who writes an offset by hand forgets that.
    let offset = text.len().checked_sub("+01:00".len())?;
    match text.split_at_checked(offset)? {
        (date, rest) if rest.starts_with(' ') => {
            Moment::parse(&format!("{date}+{}", rest.trim_start()))
        }
        _ => Moment::parse(text),
    }
}

/// Seconds since 1970 with up to nine decimals; further ones are finer than any engine counts.
fn unix_seconds(text: &str) -> Option<Moment> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(seconds) || !is_digits(decimals) {
        return None;
    }
    let nanos = format!("{decimals:0<9}");
    let nanos = nanos.get(..9)?.parse().ok()?;
    Moment::from_unix(seconds.parse().ok()?, nanos)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
