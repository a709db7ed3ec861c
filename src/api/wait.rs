//! `wait` and `timeout`: until what a change is to be waited for, and how long.

use std::time::Duration;

use super::input::Parameters;
use super::problem::Problem;
use super::route::Action;
use crate::gateway::{Patience, Until};

/// How long is waited where nothing is said.
const DEFAULT: Duration = Duration::from_secs(30);

/// The longest that can be waited.
const LONGEST: Duration = Duration::from_mins(10);

impl Parameters {
    /// What is to be waited for, where something is. Only starts, stops and restarts know of waiting.
    ///
    /// # Errors
    ///
    /// Another word, another duration, a duration without a word, and what a stop cannot lead to.
    pub(super) fn take_patience(&mut self, action: Action) -> Result<Option<Patience>, Problem> {
        let is_stop = match action {
            Action::Start | Action::Restart => false,
            Action::Stop => true,
            Action::View | Action::Status | Action::Pause | Action::Unpause | Action::Kill => {
                return Ok(None);
            }
        };
        let (wait, timeout) = (self.take("wait"), self.take("timeout"));
        let Some(wait) = wait else {
            return match timeout {
                Some(_) => Err(bad("timeout: it goes with `wait`, which is not given")),
                None => Ok(None),
            };
        };
        let until = match wait.as_str() {
            "healthy" | "running" if is_stop => {
                return Err(bad("wait: after a stop only `exited` can be waited for"));
            }
            "healthy" => Until::Healthy,
            "running" => Until::Running,
            "exited" => Until::Exited,
            _ => return Err(bad("wait: it is `healthy`, `running` or `exited`")),
        };
        let timeout = match timeout {
            Some(text) => duration(&text)?,
            None => DEFAULT,
        };
        Ok(Some(Patience { until, timeout }))
    }
}

fn duration(text: &str) -> Result<Duration, Problem> {
    let duration = humantime::parse_duration(text).ok();
    let duration = duration.filter(|duration| !duration.is_zero() && *duration <= LONGEST);
    duration.ok_or_else(|| bad("timeout: it is a duration such as `30s` or `2m`, at most `10m`"))
}

fn bad(what: &str) -> Problem {
    Problem::Input(format!("Bad parameter: {what}"))
}

#[cfg(test)]
mod tests {
    use super::{Action, Parameters};

    fn check(action: Action, query: &str, expected: &str) {
        let taken = Parameters::parse(Some(query)).and_then(|mut parameters| {
            let patience = parameters.take_patience(action)?;
            parameters.finish().map(|()| patience)
        });
        let shown = match taken {
            Ok(None) => "-".to_owned(),
            Ok(Some(patience)) => format!("{:?} {:?}", patience.until, patience.timeout),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected, "{action:?} {query}");
    }

    #[test]
    fn what_can_be_waited_for() {
        check(Action::Start, "", "-");
        check(Action::Start, "wait=healthy", "Healthy 30s");
        check(Action::Start, "wait=running&timeout=2m", "Running 120s");
        check(Action::Restart, "timeout=500ms&wait=exited", "Exited 500ms");
        check(Action::Stop, "wait=exited&timeout=10m", "Exited 600s");
        check(Action::Start, "wait=exited&timeout=1m%2030s", "Exited 90s");
    }

    #[test]
    fn what_cannot() {
        let words = "Bad parameter: wait: it is `healthy`, `running` or `exited`";
        for word in ["", "Healthy", "completed", "healthy,running", "true"] {
            check(Action::Start, &format!("wait={word}"), words);
            check(Action::Stop, &format!("wait={word}"), words);
        }
        let durations =
            "Bad parameter: timeout: it is a duration such as `30s` or `2m`, at most `10m`";
        for text in [
            "",
            "0",
            "0s",
            "30",
            "-1s",
            "601s",
            "11m",
            "1h",
            "soon",
            "1e3s",
            "99999999999999999999y",
            "1s%00",
        ] {
            check(
                Action::Start,
                &format!("wait=running&timeout={text}"),
                durations,
            );
        }
        let alone = "Bad parameter: timeout: it goes with `wait`, which is not given";
        check(Action::Restart, "timeout=30s", alone);
        let after_a_stop = "Bad parameter: wait: after a stop only `exited` can be waited for";
        check(Action::Stop, "wait=healthy", after_a_stop);
        check(Action::Stop, "wait=running", after_a_stop);
        check(
            Action::Start,
            "wait=running&wait=running",
            "Parameter given twice: wait",
        );
        for action in [Action::Pause, Action::Unpause, Action::Kill, Action::Status] {
            check(action, "wait=running", "Unknown parameter: wait");
        }
    }
}
