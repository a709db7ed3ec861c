//! What a container consumes: once as JSON, or again and again as server-sent events or lines.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt;
use hyper::StatusCode;

use super::input::{self, Unread};
use super::media::{EVENT_STREAM, Media, NDJSON};
use super::problem::Problem;
use super::reply::{self, Response};
use super::{Api, identify, sse};
use crate::engine::Stats;
use crate::gateway::Caller;
use crate::policy::ContainerName;

impl Api {
    pub(super) async fn stats(
        &self,
        caller: &Caller,
        name: &ContainerName,
        unread: Unread<'_>,
    ) -> Result<Response, Problem> {
        let media = Media::asked_by(&unread.request.head.headers);
        let credentials = identify::credentials(unread.request);
        input::nothing(unread).await?;
        if media == Media::Plain {
            let stats = self.gateway.stats(caller, name).await?;
            return Ok(reply::json(StatusCode::OK, &stats));
        }
        // The answer to HEAD is the same, and its body is never begun.
        let stats = self.gateway.watch_stats(caller, credentials, name).await?;
        Ok(if media == Media::EventStream {
            let events = stats.map(|stats| written(&stats).map(|json| sse::event(&json)));
            reply::stream(EVENT_STREAM, sse::with_heartbeat(events))
        } else {
            let lines = stats.map(|stats| written(&stats).map(|json| Bytes::from(json + "\n")));
            reply::stream(NDJSON, lines)
        })
    }
}

fn written(stats: &Stats) -> io::Result<String> {
    serde_json::to_string(stats).map_err(io::Error::other)
}
