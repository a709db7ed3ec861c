//! Logs: a stream under a lease.

use std::sync::Arc;
use std::time::Instant;

use futures_util::Stream;
use futures_util::stream::unfold;

use super::receipt::Receipt;
use super::{Caller, Credentials, Failure, Gateway};
use crate::engine::{Error, Logs, Printed, ReadLogs};
use crate::metrics::StreamKind;
use crate::policy::{ContainerName, Verb};
use crate::server::RequestId;

impl Gateway {
    /// What a container prints, for as long as the caller may read it. What is not taken stays with the engine.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn logs(
        &self,
        caller: &Caller,
        credentials: Credentials,
        read: ReadLogs,
        name: &ContainerName,
    ) -> Result<impl Stream<Item = Result<Printed, Error>> + Send + use<>, Failure> {
        let permitted = self.permit(caller, read, name).await?;
        let lease = self.lease(caller, credentials, StreamKind::Logs, &permitted);
        let receipt = Receipt::admitted(caller, &permitted);
        let logs = receipt.close(Arc::clone(&self.engine).logs(permitted.into_owned()).await)?;
        let told = Told {
            request_id: caller.request_id,
            container: name.clone(),
            begun: Instant::now(),
        };
        let stream = unfold((logs, told), async |(mut logs, told): (Logs, Told)| {
            let next = logs.next().await?;
            Some((next, (logs, told)))
        });
        Ok(lease.hold(stream))
    }

    /// Whether the caller may read what a container prints, and there is one.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn has_logs(
        &self,
        caller: &Caller,
        read: ReadLogs,
        name: &ContainerName,
    ) -> Result<(), Failure> {
        let permitted = self.permit(caller, read, name).await?;
        let receipt = Receipt::admitted(caller, &permitted);
        receipt.close(self.engine.has_logs(&permitted).await)
    }
}

/// Tells the log of the end of a stream, whoever ends it.
struct Told {
    request_id: RequestId,
    container: ContainerName,
    begun: Instant,
}

impl Drop for Told {
    fn drop(&mut self) {
        let (request_id, container, took) =
            (self.request_id, &self.container, self.begun.elapsed());
        tracing::debug!(%request_id, verb = %Verb::Logs, %container, ?took, "the stream has ended");
    }
}
