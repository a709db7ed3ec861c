//! A request's parameters, read as Go reads a form.

use super::refusal::Refusal;

/// Parameters in the order in which they count.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form body and a query. The body goes first, so it overrides the query, as in dockerd.
    pub(super) fn parse(body: &str, query: &str) -> Result<Self, Refusal> {
        let pairs = body.split('&').chain(query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                let message = "invalid semicolon separator in query";
                return Err(Refusal::new(400, message));
            }
            if let Some(escape) = bad_escape(pair) {
                let message = format!("invalid URL escape \"{escape}\"");
                return Err(Refusal::new(400, message));
            }
        }
        let pairs = [body, query]
            .into_iter()
            .flat_map(|text| form_urlencoded::parse(text.as_bytes()).into_owned());
        Ok(Self(pairs.collect()))
    }

    /// The first value of a parameter; empty when there is none, as dockerd makes no difference.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }

    /// Whether a switch is on. Every word but a few for no means yes.
    pub(super) fn is_on(&self, key: &str) -> bool {
        let value = self.get(key).trim().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// Whether a switch is on that need not be there.
    pub(super) fn is_on_or(&self, key: &str, absent: bool) -> bool {
        if self.0.iter().any(|(name, _)| name == key) {
            self.is_on(key)
        } else {
            absent
        }
    }

    /// A whole number, if there is one.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let text = self.get(key);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let reason = if numeric {
                "value out of range"
            } else {
                "invalid syntax"
            };
            let message = format!("strconv.Atoi: parsing \"{text}\": {reason}");
            Refusal::new(500, message)
        })
    }
}

/// The first percent sign that two hexadecimal digits do not follow, with what follows instead.
pub(super) fn bad_escape(text: &str) -> Option<String> {
    text.split('%').skip(1).find_map(|rest| {
        let digits: String = rest.chars().take(2).collect();
        let good = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        (!good).then(|| format!("%{digits}"))
    })
}
