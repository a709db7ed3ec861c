//! What the mirror makes of what it is told: which containers to look at, and the picture that comes of it. Pure: it is
//! told the time too.
//!
//! A look is one question about one container. Of one container there is never more than one under way; hints that come
//! meanwhile are one further look after it. So looks at a container end in the order in which they began, and the last one
//! begins after the last hint: whatever was lost or overtaken on the way, the picture ends up as the engine is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::hint::Subject;
use super::picture::{ByName, Known, Managed, Picture};
use super::{Notice, Seen};
use crate::engine::{ContainerId, Moment, View};
use crate::policy::ContainerName;

/// The mirror's state.
#[derive(Default)]
pub(super) struct Reducer {
    managed: Arc<Managed>,
    containers: HashMap<ContainerId, Container>,
    /// Who has each name.
    owners: HashMap<ContainerName, ContainerId>,
    known: ByName<Known>,
    /// Those to look at next. One that is gone meanwhile is passed over.
    wanted: VecDeque<ContainerId>,
    /// Those to look at when there is nobody else: nothing is said to have happened to them.
    wanted_later: VecDeque<ContainerId>,
    stage: Stage,
    notices: Vec<Notice>,
    /// Those of whom it has been told that they are there.
    told: HashSet<ContainerName>,
    /// Whether something is seen otherwise than when that was last asked.
    is_changed: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing is known.
    #[default]
    Unlisted,
    /// What the engine has is known; so many of these are yet to be looked at for the first time.
    Listed(usize),
    /// All is known.
    Current,
}

/// A container that has a managed name, or may have one.
#[derive(Default)]
struct Container {
    /// The managed name that it has, as far as is known.
    name: Option<ContainerName>,
    seen: Option<Arc<Seen>>,
    look: Look,
    /// Whether the look under way takes long.
    is_slow: bool,
    /// Whether the listing that makes the picture current waits for it.
    is_awaited: bool,
    /// When the engine last said that something happened to it, where that was after it was last seen.
    hinted_at: Option<Moment>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Look {
    #[default]
    None,
    WantedLater,
    Wanted,
    UnderWay,
    /// Under way, and wanted again.
    Again,
}

/// What a look told.
pub(super) enum Looked {
    /// A container with a managed name.
    Managed(ContainerName, View),
    /// One without, or none.
    Other,
    /// The engine could not say.
    Nothing,
}

impl Reducer {
    /// Begins anew: nothing is known, and these are managed.
    pub(super) fn begin(&mut self, managed: Arc<Managed>) {
        *self = Self {
            managed,
            is_changed: true,
            ..Self::default()
        };
    }

    pub(super) fn managed(&self) -> &Arc<Managed> {
        &self.managed
    }

    pub(super) const fn is_current(&self) -> bool {
        matches!(self.stage, Stage::Current)
    }

    /// Whether the engine has not listed yet what it has.
    pub(super) const fn is_unlisted(&self) -> bool {
        matches!(self.stage, Stage::Unlisted)
    }

    /// How many containers are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// What those who follow along are to be told.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether something is seen otherwise than when this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The picture as it is now, with these numbers.
    pub(super) fn picture(&self, version: u64, content: u64) -> Picture {
        Picture {
            version,
            content,
            managed: Arc::clone(&self.managed),
            is_current: self.is_current(),
            known: if self.is_current() {
                self.known.clone()
            } else {
                ByName::default()
            },
        }
    }

    /// The engine has listed what it has: these have managed names. All are looked at, and so are those that are known
    /// and not among them.
    pub(super) fn listed(
        &mut self,
        listed: impl IntoIterator<Item = (ContainerId, ContainerName)>,
    ) {
        let known: Vec<_> = self.containers.keys().cloned().collect();
        for id in known {
            self.want_later(&id);
        }
        let is_first = self.stage == Stage::Unlisted;
        let mut awaited = 0;
        for (id, name) in listed {
            self.want_later(&id);
            let container = self.containers.entry(id.clone()).or_default();
            if is_first && !container.is_awaited {
                container.is_awaited = true;
                awaited += 1;
            }
            self.presume(&id, &name);
        }
        if is_first {
            self.stage = Stage::Listed(awaited);
            self.settle();
        }
    }

    /// The engine said that something happened to a container.
    pub(super) fn hinted(&mut self, subject: &Subject) {
        let name = self.managed_name(subject.name.as_deref()).cloned();
        let old_name = self.managed_name(subject.old_name.as_deref());
        let is_managed = name.is_some() || old_name.is_some();
        // An engine that says no name may mean anyone.
        let is_nameless = subject.name.is_none();
        if !(is_managed || is_nameless || self.containers.contains_key(&subject.id)) {
            return;
        }
        self.want(&subject.id);
        let container = self.containers.entry(subject.id.clone()).or_default();
        container.hinted_at = container.hinted_at.max(subject.at);
        if let Some(name) = name {
            self.presume(&subject.id, &name);
        }
    }

    /// The engine said that a container was out of memory.
    pub(super) fn out_of_memory(&mut self, subject: &Subject, now: Moment) {
        self.hinted(subject);
        let name = self.managed_name(subject.name.as_deref()).cloned();
        if let Some(name) = name.filter(|_| self.is_current()) {
            let at = subject.at.unwrap_or(now);
            self.notices.push(Notice::OutOfMemory { name, at });
        }
    }

    /// The short name of what the engine calls so, where that is managed.
    fn managed_name(&self, full_name: Option<&str>) -> Option<&ContainerName> {
        self.managed.name_of(full_name?)
    }

    /// Something was done to a container.
    pub(super) fn touched(&mut self, id: &ContainerId) {
        self.want(id);
    }

    /// The container to look at next.
    pub(super) fn next(&mut self) -> Option<ContainerId> {
        while let Some(id) = self
            .wanted
            .pop_front()
            .or_else(|| self.wanted_later.pop_front())
        {
            if let Some(container) = self.containers.get_mut(&id)
                && matches!(container.look, Look::Wanted | Look::WantedLater)
            {
                container.look = Look::UnderWay;
                return Some(id);
            }
        }
        None
    }

    /// A look has ended that began at that time.
    pub(super) fn looked(&mut self, id: &ContainerId, began: Instant, looked: Looked, now: Moment) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let is_again = container.look == Look::Again;
        container.look = Look::None;
        let at = if is_again {
            container.hinted_at
        } else {
            container.hinted_at.take()
        };
        let at = at.unwrap_or(now);
        let was_awaited = std::mem::take(&mut container.is_awaited);
        let was_slow = std::mem::take(&mut container.is_slow);
        match looked {
            // Who waited for the look that follows does so no more, and is not to see what was before.
            Looked::Managed(..) | Looked::Other if is_again && was_slow => self.doubt(id, began),
            Looked::Managed(name, view) => self.see(id, name, (view, at), began),
            Looked::Other => self.leave(id, at),
            Looked::Nothing => self.doubt(id, began),
        }
        if is_again {
            self.want(id);
        } else if let Some(container) = self.containers.get(id)
            && container.name.is_none()
            && container.look == Look::None
        {
            self.containers.remove(id);
        }
        if was_awaited {
            self.count_off();
        }
    }

    /// A look that began at that time takes long: until it ends, nothing is known of that container.
    pub(super) fn is_slow(&mut self, id: &ContainerId, began: Instant) {
        self.doubt(id, began);
        if let Some(container) = self.containers.get_mut(id) {
            container.is_slow = true;
            if std::mem::take(&mut container.is_awaited) {
                self.count_off();
            }
        }
    }

    /// The engine said that a container has this name; what a look told of names counts for more. So of one whose first
    /// look takes long it is known that there is something to ask the engine.
    fn presume(&mut self, id: &ContainerId, name: &ContainerName) {
        let container = self.containers.entry(id.clone()).or_default();
        if container.name.is_none() && !self.owners.contains_key(name) {
            container.name = Some(name.clone());
            self.owners.insert(name.clone(), id.clone());
        }
    }

    fn want(&mut self, id: &ContainerId) {
        let container = self.containers.entry(id.clone()).or_default();
        container.look = match container.look {
            Look::None | Look::WantedLater => {
                self.wanted.push_back(id.clone());
                Look::Wanted
            }
            Look::Wanted => Look::Wanted,
            Look::UnderWay | Look::Again => Look::Again,
        };
    }

    fn want_later(&mut self, id: &ContainerId) {
        let container = self.containers.entry(id.clone()).or_default();
        container.look = match container.look {
            Look::None => {
                self.wanted_later.push_back(id.clone());
                Look::WantedLater
            }
            Look::WantedLater => Look::WantedLater,
            Look::Wanted => Look::Wanted,
            Look::UnderWay | Look::Again => Look::Again,
        };
    }

    fn see(
        &mut self,
        id: &ContainerId,
        name: ContainerName,
        (view, at): (View, Moment),
        began: Instant,
    ) {
        let other = self.owners.get(&name).filter(|owner| *owner != id);
        let known = self.known.get(&name);
        if other.is_some() && known.is_some_and(|known| known.looked_at > began) {
            // A later look told that another one has that name.
            self.want(id);
            return;
        }
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let before = container.seen.take();
        let old_name = container.name.replace(name.clone());
        if let Some(old_name) = old_name.filter(|old_name| *old_name != name) {
            self.release(&old_name, id, at);
        }
        let owner = self.owners.insert(name.clone(), id.clone());
        if let Some(other) = owner.filter(|other| other != id) {
            // Two cannot have one name: the other has been renamed or removed.
            if let Some(other) = self.containers.get_mut(&other) {
                (other.name, other.seen) = (None, None);
            }
            self.want(&other);
        }
        let seen = match before {
            Some(before) if before.name == name && before.view == view => before,
            Some(_) | None => Arc::new(Seen::new(id.clone(), name.clone(), view, at)),
        };
        if let Some(container) = self.containers.get_mut(id) {
            container.seen = Some(Arc::clone(&seen));
        }
        let known = Known {
            seen: Some(Arc::clone(&seen)),
            looked_at: began,
        };
        let before = self.known.insert(name.clone(), known);
        if before.is_some_and(|before| before.seen.as_ref() == Some(&seen)) {
            return;
        }
        self.is_changed = true;
        if self.is_current() {
            self.told.insert(name);
            self.notices.push(Notice::Changed(seen));
        }
    }

    /// It has no managed name any more, and perhaps is no more.
    fn leave(&mut self, id: &ContainerId, at: Moment) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.seen = None;
        if let Some(name) = container.name.take() {
            self.release(&name, id, at);
        }
    }

    /// Nobody has this name, if this container had it.
    fn release(&mut self, name: &ContainerName, id: &ContainerId, at: Moment) {
        if self.owners.get(name) != Some(id) {
            return;
        }
        self.owners.remove(name);
        self.is_changed = true;
        self.known.remove(name);
        if self.told.remove(name) {
            let name = name.clone();
            self.notices.push(Notice::Gone { name, at });
        }
    }

    /// What a container is now is not known, but that it has its name.
    fn doubt(&mut self, id: &ContainerId, began: Instant) {
        let container = self.containers.get(id);
        if let Some(name) = container.and_then(|container| container.name.clone()) {
            let known = Known {
                seen: None,
                looked_at: began,
            };
            let before = self.known.insert(name, known);
            self.is_changed |= before.is_none_or(|before| before.seen.is_some());
        }
    }

    fn count_off(&mut self) {
        if let Stage::Listed(left) = self.stage {
            self.stage = Stage::Listed(left.saturating_sub(1));
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.stage == Stage::Listed(0) {
            self.is_changed = true;
            self.stage = Stage::Current;
            let seen = self.known.iter().filter(|(_, known)| known.seen.is_some());
            self.told = seen.map(|(name, _)| name.clone()).collect();
            self.notices.push(Notice::Current);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::{Managed, Reducer, Subject};
    use crate::policy::ContainerName;

    /// One that is there is not said to be absent, however long it takes to look at it.
    #[test]
    fn a_first_look_that_takes_long() {
        let name: ContainerName = "a".parse().unwrap();
        let mut reducer = Reducer::default();
        reducer.begin(Arc::new(Managed::new(&"p-".parse().unwrap(), [&name])));
        reducer.listed([]);
        let subject = Subject {
            id: "0a".repeat(32).parse().unwrap(),
            name: Some("p-a".to_owned()),
            old_name: None,
            at: None,
        };
        reducer.hinted(&subject);
        assert_eq!(reducer.next().as_ref(), Some(&subject.id));
        assert!(!reducer.picture(1, 1).known.contains_key(&name));
        reducer.is_slow(&subject.id, Instant::now());
        assert!(reducer.picture(2, 2).known[&name].seen.is_none());
        assert!(reducer.take_changed());
    }
}
