//! Listings: what each caller may look at, worked out once for a configuration, and written once for a state of things.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{Caller, Failure, Gateway, receipt};
use crate::config::Config;
use crate::engine::{Freshness, Look, Mirror, Rendered};
use crate::policy::{Operation, Permitted, Principal};

/// Writes a listing of these, each written already.
pub type WriteList = fn(&[Rendered]) -> Rendered;

/// Who may look at what, by the configuration in force.
pub(super) struct Shown(ArcSwap<Table>);

struct Table {
    config: Arc<Config>,
    /// Those who have asked; they are no more than the configuration names.
    by_principal: RwLock<HashMap<Principal, Arc<Visible>>>,
}

/// A listing for which the engine has to be asked.
#[must_use]
pub struct Unlisted(Arc<Visible>);

/// What one caller may look at, or several that may look at the same.
struct Visible {
    permitted: Vec<Permitted<'static, Look>>,
    /// The latest listing.
    kept: ArcSwapOption<Kept>,
}

struct Kept {
    /// The content of the picture that it shows.
    content: u64,
    list: Rendered,
}

impl Shown {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self(ArcSwap::from_pointee(Table::new(config)))
    }

    /// Another configuration is in force.
    pub(super) fn reload(&self, config: &Arc<Config>) {
        self.0.store(Arc::new(Table::new(config)));
    }

    fn to(&self, caller: &Caller) -> Arc<Visible> {
        let table = self.0.load();
        if Arc::ptr_eq(&table.config, &caller.config) {
            table.of(&caller.principal)
        } else {
            // It has been replaced since the caller asked.
            Arc::new(Visible::of(&caller.config, &caller.principal))
        }
    }
}

impl Table {
    fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            by_principal: RwLock::default(),
        }
    }

    fn of(&self, principal: &Principal) -> Arc<Visible> {
        let known = self
            .by_principal
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(visible) = known.get(principal) {
            return Arc::clone(visible);
        }
        drop(known);
        let visible = Visible::of(&self.config, principal);
        let mut known = self
            .by_principal
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let same = known
            .values()
            .find(|other| other.is_like(&visible))
            .cloned();
        let visible = same.unwrap_or_else(|| Arc::new(visible));
        known.insert(principal.clone(), Arc::clone(&visible));
        visible
    }
}

impl Visible {
    fn of(config: &Config, principal: &Principal) -> Self {
        let policy = &config.policy;
        let names = policy.visible(principal).map(|(name, _)| name);
        Self {
            permitted: names
                .filter_map(|name| policy.permit(principal, Look, name).ok())
                .map(Permitted::into_owned)
                .collect(),
            kept: ArcSwapOption::empty(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let names = |visible: &'_ Self| -> Vec<_> {
            let permitted = visible.permitted.iter();
            permitted
                .map(|permitted| permitted.container().clone())
                .collect()
        };
        names(self) == names(other)
    }

    /// The listing as the mirror has it; none where that does not know.
    fn mirrored(&self, mirror: &Mirror, write: WriteList) -> Option<Rendered> {
        let picture = mirror.picture();
        let content = picture.is_current().then_some(picture.content())?;
        if let Some(kept) = self.kept.load().as_ref()
            && kept.content == content
        {
            return Some(kept.list.clone());
        }
        let list = write(&picture.statuses(&self.permitted)?);
        let kept = Kept {
            content,
            list: list.clone(),
        };
        self.kept.store(Some(Arc::new(kept)));
        Some(list)
    }
}

impl Gateway {
    /// The status of every container that the caller may look at and that exists, by name, as `write` writes it: from
    /// memory where that is current and will do, without waiting.
    ///
    /// # Errors
    ///
    /// Where that is not the end of it: what there is to do, which is for [`Gateway::list_further`].
    pub fn list_at_once(
        &self,
        caller: &Caller,
        freshness: Freshness,
        write: WriteList,
    ) -> Result<Rendered, Unlisted> {
        let visible = self.shown.to(caller);
        // However many containers there are, it is one question.
        self.metrics.decided(&caller.principal, Look.verb(), None);
        receipt::listed(caller, visible.permitted.len());
        if freshness == Freshness::Mirrored
            && let Some(list) = visible.mirrored(self.mirror(), write)
        {
            return Ok(list);
        }
        Err(Unlisted(visible))
    }

    /// The rest of a listing that did not end at once.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub async fn list_further(
        &self,
        caller: &Caller,
        Unlisted(visible): Unlisted,
        write: WriteList,
    ) -> Result<Rendered, Failure> {
        let prefix = caller.config.policy.prefix();
        let listed = self.engine.list(prefix, &visible.permitted).await;
        Ok(write(&listed.map_err(Failure::Engine)?))
    }
}
