//! A batch at work: each item begins as soon as what it waits for is done, and not too many are at it at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::BatchVerb;
use super::order::{Direction, Order};
use super::plan::Plan;
use crate::engine::Condition;
use crate::gateway::wait::{Missed, Until, Verdict};
use crate::gateway::{Caller, Failure, Gateway};
use crate::policy::{ContainerName, Decision, Verb};

/// How many items of one batch are under way at once.
const AT_ONCE: usize = 32;

/// How long a dependency may take to become what its dependents need.
const CONDITION_TIMEOUT: Duration = Duration::from_mins(1);

/// What came of one item.
type Answer = Result<(), Failure>;

/// What came of a look at all containers of a service: the service, what is needed of it, and whether it is so.
type Looked = (usize, Condition, Answer);

/// A batch under way.
pub(super) struct Run<'run> {
    gateway: &'run Gateway,
    caller: &'run Caller,
    verb: BatchVerb,
    names: &'run [ContainerName],
    plan: &'run Plan,
    order: Order,
    /// Groups that wait for nothing any more.
    due: Vec<usize>,
    /// By group, why it is not acted upon.
    unmet: HashMap<usize, Failure>,
    /// By group, how many of its items have not ended.
    left: HashMap<usize, usize>,
    /// By item, its group.
    group_of: HashMap<usize, usize>,
    /// By service and condition, the groups that wait for it.
    waiting: HashMap<(usize, Condition), Vec<usize>>,
    /// Items whose turn has come, with why they are not acted upon.
    ready: VecDeque<(usize, Option<Failure>)>,
    acting: FuturesUnordered<BoxFuture<'run, (usize, Answer)>>,
    looking: FuturesUnordered<BoxFuture<'run, Looked>>,
    answers: BTreeMap<usize, Answer>,
}

impl<'run> Run<'run> {
    /// A batch of these containers by this plan. Items that the plan does not know of are `ready` from the beginning.
    pub(super) fn new(
        (gateway, caller): (&'run Gateway, &'run Caller),
        verb: BatchVerb,
        names: &'run [ContainerName],
        plan: &'run Plan,
        ready: VecDeque<(usize, Option<Failure>)>,
    ) -> Self {
        let order = Order::new(&plan.graph, verb.direction());
        Self {
            gateway,
            caller,
            verb,
            names,
            plan,
            due: order.first(),
            order,
            unmet: HashMap::new(),
            left: HashMap::new(),
            group_of: HashMap::new(),
            waiting: HashMap::new(),
            ready,
            acting: FuturesUnordered::new(),
            looking: FuturesUnordered::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Runs it to its end; gives the answers by the items' numbers.
    pub(super) async fn run(mut self) -> BTreeMap<usize, Answer> {
        loop {
            while let Some(group) = self.due.pop() {
                self.begin(group);
            }
            while self.acting.len() < AT_ONCE
                && let Some((item, failure)) = self.ready.pop_front()
            {
                self.act(item, failure);
            }
            tokio::select! {
                Some((item, answer)) = self.acting.next() => self.ended(item, answer),
                Some(looked) = self.looking.next() => self.looked(looked),
                else => return self.answers,
            }
        }
    }

    fn begin(&mut self, group: usize) {
        let services = self.order.services(group);
        let is_knot = match services {
            [service] => self.plan.graph.needs_itself(*service),
            _ => true,
        };
        let unmet = self.unmet.remove(&group);
        let mut left = 0;
        for service in services {
            for item in self.plan.items(*service) {
                let name = self.names.get(*item).filter(|_| is_knot);
                let cycle = name.and_then(|name| self.plan.cycle(name, *service));
                let failure = cycle.map(Failure::Cycle).or_else(|| unmet.clone());
                self.ready.push_back((*item, failure));
                self.group_of.insert(*item, group);
                left += 1;
            }
        }
        if left == 0 {
            self.done(group);
        } else {
            self.left.insert(group, left);
        }
    }

    fn act(&mut self, item: usize, failure: Option<Failure>) {
        let Some(name) = self.names.get(item) else {
            return;
        };
        let (gateway, caller) = (self.gateway, self.caller);
        let change = self.verb.change(&caller.config, name);
        let act = async move { (item, gateway.act(caller, change, name, failure).await) };
        self.acting.push(act.boxed());
    }

    fn ended(&mut self, item: usize, answer: Answer) {
        self.answers.insert(item, answer);
        let Some(group) = self.group_of.get(&item).copied() else {
            return;
        };
        if let Some(left) = self.left.get_mut(&group) {
            *left -= 1;
            if *left == 0 {
                self.done(group);
            }
        }
    }

    /// Lets those go on who wait for a group; at once, or when the group is what they need.
    fn done(&mut self, group: usize) {
        for follower in self.order.followers(group) {
            let (service, condition) = (follower.service, follower.condition);
            let until = match condition {
                Condition::Started => None,
                Condition::Healthy => Some(Until::Healthy),
                Condition::Completed => Some(Until::Completed),
            };
            match until {
                Some(until) if !self.plan.items(service).is_empty() => {
                    let waiting = self.waiting.entry((service, condition)).or_default();
                    waiting.push(follower.group);
                    if waiting.len() == 1 {
                        self.look(service, condition, until);
                    }
                }
                Some(_) | None => self.release(follower.group),
            }
        }
    }

    fn look(&mut self, service: usize, condition: Condition, until: Until) {
        let items = self.plan.items(service).iter();
        let names: Vec<_> = items.filter_map(|item| self.names.get(*item)).collect();
        let (gateway, caller, verb) = (self.gateway, self.caller, self.verb);
        let deadline = Instant::now() + CONDITION_TIMEOUT;
        let look = async move {
            for name in names {
                let met = gateway.met(caller, verb, name, (until, deadline)).await;
                if met.is_err() {
                    return (service, condition, met);
                }
            }
            (service, condition, Ok(()))
        };
        self.looking.push(look.boxed());
    }

    fn looked(&mut self, (service, condition, answer): Looked) {
        let waiting = self.waiting.remove(&(service, condition));
        for group in waiting.unwrap_or_default() {
            if let Err(failure) = &answer {
                let first = || failure.clone();
                self.unmet.entry(group).or_insert_with(first);
            }
            self.release(group);
        }
    }

    fn release(&mut self, group: usize) {
        if self.order.release(group) {
            self.due.push(group);
        }
    }
}

impl BatchVerb {
    /// Starts and restarts go from what is needed to what needs it, as compose does both: who comes up again finds what
    /// it needs up again. Stops go the other way.
    const fn direction(self) -> Direction {
        match self {
            Self::Start | Self::Restart => Direction::NeededFirst,
            Self::Stop => Direction::NeededLast,
        }
    }
}

impl Gateway {
    /// Waits until a dependency is what its dependents need.
    async fn met(
        &self,
        caller: &Caller,
        verb: BatchVerb,
        name: &ContainerName,
        (until, deadline): (Until, Instant),
    ) -> Answer {
        let policy = &caller.config.policy;
        let change = verb.change(&caller.config, name);
        let permitted = policy.permit(&caller.principal, change, name);
        // It was permitted a moment ago, by the same rules.
        let permitted = permitted.map_err(|_| Failure::NotFound(name.to_string()))?;
        let Some(seen) = self.watch(&permitted, until, deadline).await else {
            return Err(Failure::Stopping);
        };
        let after = match seen.verdict(until) {
            Verdict::So => return Ok(()),
            Verdict::Never => None,
            Verdict::NotYet => Some(CONDITION_TIMEOUT),
        };
        // SECURITY: who may start a container need not know what state it is in.
        let decision = policy.decide(&caller.principal, Verb::Status, name);
        let may_know = matches!(decision, Decision::Allow { .. });
        Err(Failure::Unmet(Missed {
            container: name.clone(),
            until,
            after,
            why: may_know.then(|| seen.instead_of(until)),
        }))
    }
}
