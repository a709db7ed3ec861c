//! The audit trail: where it goes, and how much depends on it.

use crate::audit::Settings;

use super::check::Check;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw;

impl Check<'_> {
    pub(super) fn audit(&mut self, raw: raw::Audit) -> Settings {
        self.unknown_settings("audit", &raw.unknown);
        let output = self.text(&["audit", "output"], raw.output, |text| {
            text.parse().map_err(|form: &str| {
                let near = hint::nearest(text, ["stdout"]);
                let hint = near.map_or_else(|| form.to_owned(), hint::did_you_mean);
                (format!("{} is no output for records", quoted(text)), hint)
            })
        });
        let required = self.flag(&["audit", "required"], raw.required);
        let default = Settings::default();
        Settings {
            output: output.or(default.output),
            required: required.unwrap_or(default.required),
        }
    }

    /// Notes that there is something to say about an audit trail, and none. To be asked of all layers together: each may
    /// give a part.
    pub(super) fn audit_output(&mut self) {
        let is_there = |key: &str| {
            let is_given = self.giver(&format!("audit.{key}")).is_some();
            is_given || self.document.entry(&["audit", key]).is_some()
        };
        // What is broken, or misspelt, may be the output.
        let is_in_doubt = self.document.is_section_broken(&["audit"])
            || self
                .mistakes
                .iter()
                .any(|mistake| mistake.key().starts_with("audit."));
        if is_there("required") && !is_there("output") && !is_in_doubt {
            let what = "there is no `output`, so nothing is recorded, and nothing can be required";
            let hint = "name an `output` in `[audit]`, or remove `required`";
            self.add(&["audit", "required"], Part::Key, what, hint);
        }
    }
}
