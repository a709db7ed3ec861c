//! Changes: carried out, and answered when what is read afterwards shows them.

use std::time::Instant;

use super::inspected::Inspected;
use super::mirror::Goal;
use super::{Change, Engine, Error, Outcome};
use crate::policy::Permitted;

impl Engine {
    /// Carries out a change. When this has answered, the other calls show it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no container of that name, [`Error::OwnContainer`] where it is the
    /// gateway's, and the engine's own.
    pub async fn change(&self, permitted: Permitted<'_, Change>) -> Result<Outcome, Error> {
        let outcome = self.try_change(&permitted).await;
        if matches!(outcome, Err(Error::NotFound)) {
            self.mirror.catch_up_absence(permitted.container()).await;
        }
        outcome
    }

    async fn try_change(&self, permitted: &Permitted<'_, Change>) -> Result<Outcome, Error> {
        let found = self.locate(permitted.full_name()).await?;
        let answer = self.act_and_show(&found, permitted).await;
        let Err(Error::Refused { .. }) = answer else {
            return answer;
        };
        // Perhaps only because the container went away, or began to, between the look and the act.
        let again = self.locate(permitted.full_name()).await?;
        if again.id != found.id {
            return self.act_and_show(&again, permitted).await;
        }
        if again.is_going() {
            return Err(Error::NotFound);
        }
        answer
    }

    /// Acts, and answers when the mirror has seen what came of it.
    async fn act_and_show(
        &self,
        found: &Inspected,
        permitted: &Permitted<'_, Change>,
    ) -> Result<Outcome, Error> {
        let (began, change) = (Instant::now(), permitted.operation());
        let outcome = self.act(found, change).await;
        let goal = match &outcome {
            Ok(Outcome::Done) => Goal::of(change, found),
            // There is nothing to wait for but that the mirror is no older than this. What went wrong may have been done
            // all the same.
            Ok(Outcome::AlreadyRunning | Outcome::AlreadyStopped)
            | Err(
                Error::TimedOut(_) | Error::Broken(_) | Error::Garbled(_) | Error::Refused { .. },
            ) => None,
            Err(Error::NotFound | Error::OwnContainer | Error::Unreachable(_)) => return outcome,
        };
        let container = (&found.id, permitted.container());
        self.mirror.catch_up(container, began, goal.as_ref()).await;
        outcome
    }
}
