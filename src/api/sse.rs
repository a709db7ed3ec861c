//! Server-sent events, as the HTML standard has them (section 9.2).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

/// How often something is sent where nothing happens, so that nobody on the way takes the connection for a dead one.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event; `data` is text without a line's end in it, such as JSON.
pub(super) fn event(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// A stream of events with a comment in between whenever nothing else came for a while.
pub(super) fn with_heartbeat(
    events: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    unfold(Box::pin(events), |mut events| async move {
        let next = match timeout(HEARTBEAT, events.next()).await {
            Ok(next) => next?,
            Err(_) => Ok(Bytes::from_static(b":\n\n")),
        };
        Some((next, events))
    })
}
