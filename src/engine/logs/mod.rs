//! What containers print: read once or followed, in bounded memory whatever they print.

mod demux;
mod follow;
mod lines;
mod moment;
mod position;
mod query;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::inspected::Inspected;
use super::{Engine, Error};
use crate::policy::Permitted;

pub(super) use demux::Demux;
pub use demux::Piece;
pub use follow::{Logs, Printed};
pub use lines::{Line, Lines, MAX_LINE_BYTES, decode};
pub use moment::Moment;
pub use query::{ReadLogs, Source, Streams, Tail};

/// The most bytes of a line among the last ones.
const MAX_LAST_LINE_BYTES: usize = 1024;

/// How long reading the last lines may take.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(5);

impl Engine {
    /// Begins to read what a container printed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn logs(
        self: &Arc<Self>,
        permitted: Permitted<'static, ReadLogs>,
    ) -> Result<Logs, Error> {
        // Each answer of the engine is a large one while it is being read.
        Box::pin(Logs::open(Arc::clone(self), permitted)).await
    }

    /// Whether there is a container whose output could be read.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn has_logs(&self, permitted: &Permitted<'_, ReadLogs>) -> Result<(), Error> {
        self.locate(permitted.full_name()).await.map(drop)
    }

    /// The last lines of both streams, at most so many, each cut after 1 KiB; what is no UTF-8 is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no container of that name, and the engine's own.
    pub async fn last_lines(
        &self,
        permitted: &Permitted<'_, ReadLogs>,
        count: usize,
    ) -> Result<Vec<String>, Error> {
        let found = self.locate(permitted.full_name()).await?;
        let count_asked = u32::try_from(count).unwrap_or(u32::MAX);
        let reading = self.read_last(&found, count_asked);
        let lines = tokio::time::timeout(LAST_LINES_TIMEOUT, reading).await;
        let mut lines = lines.map_err(|_| Error::TimedOut(LAST_LINES_TIMEOUT))??;
        // One line may have come in several pieces.
        lines.drain(..lines.len().saturating_sub(count));
        Ok(lines)
    }

    async fn read_last(&self, found: &Inspected, count: u32) -> Result<Vec<String>, Error> {
        let mut reading = self.read(found, &ReadLogs::last(count)).await?;
        let (mut lines, mut ended, mut last) = (Lines::default(), Vec::new(), Vec::new());
        while let Some(pieces) = reading.pieces().await {
            for piece in pieces? {
                lines.push(piece, &mut ended);
            }
            last.extend(ended.drain(..).map(|line| shown(&line.bytes)));
        }
        lines.finish(&mut ended);
        last.extend(ended.drain(..).map(|line| shown(&line.bytes)));
        Ok(last)
    }
}

/// The beginning of a line.
fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.get(..MAX_LAST_LINE_BYTES).unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}
