//! bollard's account of a container, in our own words.

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummaryStateEnum, HealthStatusEnum,
};

use super::{ContainerId, Error, Phase, State, Status, View};

/// How the engine writes a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// One container as the engine described it a moment ago.
pub(super) struct Inspected {
    pub(super) id: ContainerId,
    /// The name that it had, without the slash that the engine puts before it.
    pub(super) full_name: String,
    /// How long it may take to stop by itself, in seconds: `None` for the engine's default, negative for ever.
    pub(super) stop_timeout: Option<i64>,
    state: State,
    response: ContainerInspectResponse,
}

impl Inspected {
    /// Reads the engine's answer.
    ///
    /// # Errors
    ///
    /// Where it lacks the id, the name or the state.
    pub(super) fn read(mut response: ContainerInspectResponse) -> Result<Self, Error> {
        let lacks = |what: &str| Error::Garbled(format!("a container without {what}"));
        let id = response.id.take().and_then(|id| id.parse().ok());
        let name = response.name.take();
        let state = response.state.as_ref().and_then(|state| state.status);
        Ok(Self {
            id: id.ok_or_else(|| lacks("an id"))?,
            full_name: name.map(without_slash).ok_or_else(|| lacks("a name"))?,
            stop_timeout: response
                .config
                .as_ref()
                .and_then(|config| config.stop_timeout),
            state: state.and_then(state_of).ok_or_else(|| lacks("a state"))?,
            response,
        })
    }

    /// Whether it is being deleted.
    pub(super) fn is_going(&self) -> bool {
        self.state == State::Removing
    }

    /// Whether it is between its start and its end, frozen or not.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Stopping)
    }

    /// Which of its runs is the latest: when that began, in the engine's words.
    pub(super) fn run(&self) -> Option<String> {
        self.response.state.as_ref()?.started_at.clone()
    }

    /// Whether programs can be in it: also where the engine is starting it anew, and has not said so yet.
    pub(super) fn can_have_processes(&self) -> bool {
        self.is_up() || self.state == State::Restarting
    }

    /// The user as whom its programs run, as its image or its maker says; `None` for root.
    pub(super) fn user(&self) -> Option<&str> {
        let config = self.response.config.as_ref()?;
        let user = config.user.as_deref()?;
        (!user.is_empty()).then_some(user)
    }

    /// Whether it prints to a terminal. Then all that it prints is one stream, and comes as it is.
    pub(super) fn is_terminal(&self) -> bool {
        let config = self.response.config.as_ref();
        config.and_then(|config| config.tty).unwrap_or_default()
    }

    /// When its latest run began, as the engine writes it; none before the first.
    pub(super) fn started_at(&self) -> Option<&str> {
        let started_at = self.response.state.as_ref()?.started_at.as_deref();
        started_at.filter(|time| *time != NEVER)
    }

    /// Where the writable layer of its root lies, for storage drivers that say so.
    pub(super) fn writable_layer(&self) -> Option<&str> {
        let driver = self.response.graph_driver.as_ref()?;
        driver.data.get("UpperDir").map(String::as_str)
    }

    /// How far it has come.
    pub(super) fn phase(self) -> Phase {
        let state = self.response.state.unwrap_or_default();
        let health = state.health.and_then(|health| health.status);
        let health = health.and_then(health_word);
        let config = self.response.config.unwrap_or_default();
        let test = config.healthcheck.and_then(|check| check.test);
        // As the engine reads it: any other first word is no check, such as NONE.
        let test = test.and_then(|words| words.into_iter().next());
        let has_test = test.is_some_and(|kind| kind == "CMD" || kind == "CMD-SHELL");
        let has_ended = matches!(
            self.state,
            State::Exited | State::Dead | State::Removing | State::Restarting
        );
        Phase {
            state: self.state,
            is_checked: has_test || health.is_some(),
            health,
            exit_code: state.exit_code.filter(|_| has_ended),
        }
    }

    /// What is shown of it under this short name.
    pub(super) fn into_view(self, container: &str) -> View {
        let state = self.response.state.unwrap_or_default();
        let finished_at = state.finished_at.filter(|time| time != NEVER);
        let has_ended = finished_at.is_some()
            && matches!(self.state, State::Exited | State::Dead | State::Removing);
        View {
            status: Status::new(container, self.state),
            health: state
                .health
                .and_then(|health| health.status)
                .and_then(health_word),
            image: self.response.config.and_then(|config| config.image),
            created_at: self.response.created,
            started_at: state.started_at.filter(|time| time != NEVER),
            finished_at,
            exit_code: state.exit_code.filter(|_| has_ended),
            oom_killed: state.oom_killed.unwrap_or_default(),
            restart_count: self.response.restart_count.unwrap_or_default(),
        }
    }
}

/// A name without the slash that the engine puts before it.
pub(super) fn without_slash(name: String) -> String {
    name.strip_prefix('/')
        .map(ToOwned::to_owned)
        .unwrap_or(name)
}

/// The state in a listing.
pub(super) const fn listed_state(state: ContainerSummaryStateEnum) -> Option<State> {
    Some(match state {
        ContainerSummaryStateEnum::EMPTY => return None,
        ContainerSummaryStateEnum::CREATED => State::Created,
        ContainerSummaryStateEnum::RUNNING => State::Running,
        ContainerSummaryStateEnum::PAUSED => State::Paused,
        ContainerSummaryStateEnum::RESTARTING => State::Restarting,
        ContainerSummaryStateEnum::STOPPING => State::Stopping,
        ContainerSummaryStateEnum::REMOVING => State::Removing,
        ContainerSummaryStateEnum::EXITED => State::Exited,
        ContainerSummaryStateEnum::DEAD => State::Dead,
    })
}

const fn state_of(status: ContainerStateStatusEnum) -> Option<State> {
    Some(match status {
        ContainerStateStatusEnum::EMPTY => return None,
        ContainerStateStatusEnum::CREATED => State::Created,
        ContainerStateStatusEnum::RUNNING => State::Running,
        ContainerStateStatusEnum::PAUSED => State::Paused,
        ContainerStateStatusEnum::RESTARTING => State::Restarting,
        ContainerStateStatusEnum::STOPPING => State::Stopping,
        ContainerStateStatusEnum::REMOVING => State::Removing,
        ContainerStateStatusEnum::EXITED => State::Exited,
        ContainerStateStatusEnum::DEAD => State::Dead,
    })
}

fn health_word(health: HealthStatusEnum) -> Option<String> {
    match health {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        HealthStatusEnum::STARTING | HealthStatusEnum::HEALTHY | HealthStatusEnum::UNHEALTHY => {
            Some(health.to_string())
        }
    }
}
