//! Events: what of the mirror a caller may see, first all of it, and then what changes, for as long as it may.

use std::sync::Arc;

use futures_util::FutureExt;

use super::lease::Lease;
use super::receipt::{self, Receipt};
use super::{Caller, Credentials, Ended, Failure, Gateway};
use crate::config::Config;
use crate::engine::{Engine, Look, Moment, Notice, Seen, Told, Watch};
use crate::metrics::StreamKind;
use crate::policy::{ContainerName, Operation as _, Permitted};

/// What those are told who follow along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// All that they may see, by name: whatever was told before is forgotten.
    Snapshot(Vec<Arc<Seen>>),
    /// A container is there, or has changed.
    Changed(Arc<Seen>),
    /// There is no container of that name any more.
    Gone {
        /// That name.
        name: ContainerName,
        /// Since when.
        at: Moment,
    },
    /// One of a container's processes was killed for want of memory.
    OutOfMemory {
        /// The container's name.
        name: ContainerName,
        /// When.
        at: Moment,
    },
    /// From now on it is not known what changes. A snapshot follows when it is known again.
    Interrupted {
        /// Since when.
        at: Moment,
    },
}

/// What happens to the containers that one caller may see. It holds nothing that waits for the caller: who is slow is told
/// less, and a snapshot instead.
pub struct Events {
    lease: Lease,
    /// What the caller may see is a matter of this.
    config: Arc<Config>,
    /// Sorted; none where it is all that the caller may see.
    only: Option<Box<[ContainerName]>>,
    engine: Arc<Engine>,
    watch: Watch,
    /// The number of the picture that the latest snapshot is of.
    version: u64,
    /// Whether a snapshot is to be told.
    is_due: bool,
    /// Whether the caller takes what it was told for current.
    is_current: bool,
}

impl Gateway {
    /// What happens to these containers, or to all on which the caller has the verb `status`.
    ///
    /// # Errors
    ///
    /// The denial of the first one.
    pub async fn events(
        &self,
        caller: &Caller,
        credentials: Credentials,
        only: Option<Vec<ContainerName>>,
    ) -> Result<Events, Failure> {
        let only = if let Some(mut names) = only {
            names.sort_unstable();
            names.dedup();
            for name in &names {
                let permitted = self.permit(caller, Look, name).await?;
                Receipt::admitted(caller, &permitted).close(Ok(()))?;
            }
            Some(names.into_boxed_slice())
        } else {
            // However many containers there are, it is one question.
            self.metrics.decided(&caller.principal, Look.verb(), None);
            receipt::followed(caller);
            None
        };
        Ok(Events {
            lease: self.lease_of_caller(caller, credentials, StreamKind::Events),
            config: Arc::clone(&caller.config),
            only,
            // Before the picture is looked at: so nothing is missed in between.
            watch: self.engine.mirror().watch(),
            engine: Arc::clone(&self.engine),
            version: 0,
            is_due: true,
            is_current: true,
        })
    }
}

impl Events {
    /// What happens next; at first there is something at once. May be broken off, and called again.
    ///
    /// # Errors
    ///
    /// Why nothing follows.
    pub async fn next(&mut self) -> Result<Happened, Ended> {
        // SECURITY: what is not the caller's any more is not told, not even what happened before.
        while let Some(renewed) = self.lease.renewed().now_or_never() {
            self.renew(renewed?);
        }
        loop {
            if let Some(told) = self.due() {
                return Ok(told);
            }
            tokio::select! {
                biased;
                renewed = self.lease.renewed() => self.renew(renewed?),
                told = self.watch.next() => match told {
                    Some(told) => if let Some(told) = self.tell(told) {
                        return Ok(told);
                    },
                    // Some were missed: the engine is held here, so that it cannot be that no more come.
                    None => self.is_due = true,
                },
            }
        }
    }

    /// Waits until nothing follows any more, and says why. May be broken off.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match self.lease.renewed().await {
                Ok(config) => self.renew(config),
                Err(ended) => return ended,
            }
        }
    }

    /// By this configuration from now on.
    fn renew(&mut self, config: Arc<Config>) {
        if Arc::ptr_eq(&config, &self.config) {
            return;
        }
        let (before, now) = (self.permitted(&self.config), self.permitted(&config));
        let before = before.iter().map(Permitted::full_name);
        self.is_due |= !before.eq(now.iter().map(Permitted::full_name));
        self.config = config;
    }

    /// What is to be told though nothing happens.
    fn due(&mut self) -> Option<Happened> {
        if !self.is_due {
            return None;
        }
        let picture = self.engine.mirror().picture();
        let seen = picture.seen(&self.permitted(&self.config));
        let version = picture.version();
        drop(picture);
        let was_current = self.is_current;
        self.is_current = seen.is_some();
        self.is_due = !self.is_current;
        if let Some(seen) = seen {
            self.version = version;
            return Some(Happened::Snapshot(seen));
        }
        let at = Moment::now();
        was_current.then_some(Happened::Interrupted { at })
    }

    /// What this is to the caller.
    fn tell(&mut self, Told { version, notice }: Told) -> Option<Happened> {
        let is_news = version > self.version && !self.is_due;
        match notice {
            Notice::Changed(seen) => {
                (is_news && self.sees(&seen.name)).then_some(Happened::Changed(seen))
            }
            Notice::Gone { name, at } => {
                (is_news && self.sees(&name)).then_some(Happened::Gone { name, at })
            }
            // No picture shows it.
            Notice::OutOfMemory { name, at } => {
                (!self.is_due && self.sees(&name)).then_some(Happened::OutOfMemory { name, at })
            }
            Notice::Current | Notice::NotCurrent => {
                self.is_due |= version > self.version;
                None
            }
        }
    }

    fn sees(&self, name: &ContainerName) -> bool {
        let is_meant = |only: &[ContainerName]| only.binary_search(name).is_ok();
        self.only.as_deref().is_none_or(is_meant) && self.permit(&self.config, name).is_some()
    }

    fn permit<'law>(
        &self,
        config: &'law Config,
        name: &ContainerName,
    ) -> Option<Permitted<'law, Look>> {
        let principal = self.lease.principal();
        config.policy.permit(principal, Look, name).ok()
    }

    /// All that the caller sees by this configuration, by name.
    fn permitted<'law>(&self, config: &'law Config) -> Vec<Permitted<'law, Look>> {
        let permit = |name| self.permit(config, name);
        if let Some(only) = &self.only {
            return only.iter().filter_map(permit).collect();
        }
        let visible = config.policy.visible(self.lease.principal());
        visible.filter_map(|(name, _)| permit(name)).collect()
    }
}
