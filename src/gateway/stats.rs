//! What containers consume: asked once, or watched for as long as it is permitted.

use futures_util::Stream;

use super::{Caller, Credentials, Failure, Gateway, Receipt};
use crate::engine::{ReadStats, Stats};
use crate::metrics::StreamKind;
use crate::policy::ContainerName;

impl Gateway {
    /// What one container consumes now.
    ///
    /// # Errors
    ///
    /// A denial, the engine's, or [`Failure::NotRunning`].
    pub async fn stats(&self, caller: &Caller, name: &ContainerName) -> Result<Stats, Failure> {
        let permitted = self.permit(caller, ReadStats, name).await?;
        let receipt = Receipt::admitted(caller, &permitted);
        let stats = receipt.close(self.engine.stats(permitted).await)?;
        stats.ok_or(Failure::NotRunning)
    }

    /// What one container consumes, about each second while it runs, until it is gone or the caller may not see it any
    /// more.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn watch_stats(
        &self,
        caller: &Caller,
        credentials: Credentials,
        name: &ContainerName,
    ) -> Result<impl Stream<Item = Stats> + Send + use<>, Failure> {
        let permitted = self.permit(caller, ReadStats, name).await?;
        let lease = self.lease(caller, credentials, StreamKind::Stats, &permitted);
        let receipt = Receipt::admitted(caller, &permitted);
        let stats = receipt.close(self.engine.watch_stats(permitted.into_owned()).await)?;
        Ok(lease.hold(stats))
    }
}
