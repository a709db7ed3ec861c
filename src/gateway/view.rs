//! Looks at one container: from memory where that is current and will do, otherwise from the engine.

use super::receipt::Receipt;
use super::{Caller, Failure, Gateway};
use crate::engine::{Freshness, Look, Seen};
use crate::policy::{ContainerName, Denial, Operation, Permitted};

/// A look that did not end in memory.
#[must_use]
pub struct Unseen(Rest);

/// What there is to do for it.
enum Rest {
    /// Tell the record that the law said no.
    Denied(ContainerName, Denial),
    /// Ask the engine.
    Unknown(Permitted<'static, Look>, Receipt<'static>),
}

impl Gateway {
    /// What `read` makes of what there is to see of one container: from memory where that is current and will do.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn view<T>(
        &self,
        caller: &Caller,
        name: &ContainerName,
        freshness: Freshness,
        read: impl Fn(&Seen) -> T,
    ) -> Result<T, Failure> {
        match self.view_at_once(caller, name, freshness, &read) {
            Ok(answer) => answer,
            Err(unseen) => self.view_further(caller, unseen, read).await,
        }
    }

    /// The same, from memory alone and without waiting.
    ///
    /// # Errors
    ///
    /// Where that is not the end of it: what there is to do, which is for [`Gateway::view_further`].
    pub fn view_at_once<T>(
        &self,
        caller: &Caller,
        name: &ContainerName,
        freshness: Freshness,
        read: impl Fn(&Seen) -> T,
    ) -> Result<Result<T, Failure>, Unseen> {
        let permitted = match self.judge(caller, Look, name) {
            Ok(permitted) => permitted,
            Err(denial) => return Err(Unseen(Rest::Denied(name.clone(), denial))),
        };
        let receipt = Receipt::admitted(caller, &permitted);
        if freshness == Freshness::Mirrored
            && let Some(answer) = self.engine.remembered(&permitted, read)
        {
            return Ok(receipt.close(answer));
        }
        Err(Unseen(Rest::Unknown(
            permitted.into_owned(),
            receipt.into_owned(),
        )))
    }

    /// The rest of a view that did not end at once.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn view_further<T>(
        &self,
        caller: &Caller,
        unseen: Unseen,
        read: impl FnOnce(&Seen) -> T,
    ) -> Result<T, Failure> {
        match unseen.0 {
            Rest::Denied(name, denial) => {
                let asked = (Look.verb(), None);
                Err(self.deny(caller, &name, asked, denial).await)
            }
            Rest::Unknown(permitted, receipt) => {
                let seen = self.engine.view(permitted).await;
                receipt.close(seen.map(|seen| read(&seen)))
            }
        }
    }
}
