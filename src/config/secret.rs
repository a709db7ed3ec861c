//! Hides secrets in what is shown of a file: where the hash of a token is due, people paste the token itself, and messages
//! end up in logs.

use super::lines::Lines;

/// Words that make a line one that may hold a secret.
const SUSPICIOUS: [&str; 5] = ["token", "secret", "passw", "sha256", "rlc_"];

/// Keys of a principal that hold none.
const HARMLESS: [&str; 4] = ["roles", "certificate", "uid", "gid"];

/// Words that are no secret, on a line that may hold one.
const PLAIN: [&str; 8] = [
    "sha256",
    "sha512",
    "hash",
    "expires",
    "token",
    "token_file",
    "roles",
    "principals",
];

/// The shortest word of a secret that is hidden in a message: our own words are to stay.
const SHORTEST: usize = 5;

/// What may be secret in one file.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn new(lines: &Lines<'_>) -> Self {
        let suspicious = (1..=lines.count())
            .filter(|line| is_suspicious(lines, *line) && !is_path(lines, *line));
        let values = suspicious.map(|line| value(lines, line).1.to_owned());
        Self(values.collect())
    }

    /// A message, or a key, without the words that may be secret.
    pub(super) fn hide(&self, text: &str) -> String {
        let is_part = |c: char| !c.is_whitespace() && !is_quote(c) && c != '.';
        each_word(text, is_part, |word| {
            let bare = word.trim_end_matches([':', ',', ';']);
            let is_secret = bare.len() >= SHORTEST
                && !PLAIN.contains(&bare)
                && !is_date(bare)
                && self.0.iter().any(|region| region.contains(bare));
            is_secret.then(|| "*".repeat(word.len()))
        })
    }
}

/// A line as it is shown for a mistake at this key: every word of a value that may be secret becomes asterisks, as many
/// bytes as it has.
pub(super) fn masked(lines: &Lines<'_>, line: usize, key: &str) -> String {
    let whole = lines.line(line);
    let is_secret_key = SUSPICIOUS.iter().any(|word| key.contains(word));
    let may_be_secret = is_suspicious(lines, line) || is_secret_key && !is_header(whole);
    if !may_be_secret || is_path(lines, line) {
        return whole.to_owned();
    }
    let (before, value) = value(lines, line);
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '!');
    let shown = each_word(value, is_part, |word| {
        (word != "=" && !PLAIN.contains(&word)).then(|| "*".repeat(word.len()))
    });
    format!("{before}{shown}")
}

/// Whether a line may hold a secret.
fn is_suspicious(lines: &Lines<'_>, line: usize) -> bool {
    let text = lines.line(line).to_ascii_lowercase();
    if is_header(&text) || text.trim_start().starts_with('#') {
        return text.contains("rlc_");
    }
    if SUSPICIOUS.iter().any(|word| text.contains(word)) {
        return true;
    }
    let is_harmless = lines.key(line).is_some_and(|key| HARMLESS.contains(&key));
    let header = lines.header_above(line).and_then(|line| lines.header(line));
    !is_harmless && header.is_some_and(|header| header.starts_with("principal"))
}

/// Whether a line names a file, which is shown, or nobody could see what is wrong with it.
fn is_path(lines: &Lines<'_>, line: usize) -> bool {
    lines.key(line) == Some("token_file") && value(lines, line).1.contains('/')
}

fn is_date(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | 'Z');
    word.matches('-').count() == 2 && word.chars().all(plain)
}

/// What stands before the value on a line, and the value. Where no key can be told, all of it is value.
fn value<'text>(lines: &Lines<'text>, line: usize) -> (&'text str, &'text str) {
    let whole = lines.line(line);
    let is_keyed = lines.key(line).is_some() && !whole.trim_start().starts_with(is_quote);
    match whole.split_once('=') {
        // Base64 that stands alone ends in what looks like the beginning of a value.
        Some((key, value)) if is_keyed && !value.trim_matches('=').trim().is_empty() => {
            whole.split_at(key.len() + 1)
        }
        Some(_) | None => ("", whole),
    }
}

/// A list within a list begins alike, but its members stand in quotes.
fn is_header(line: &str) -> bool {
    let inside = line.trim_start().strip_prefix('[');
    inside.is_some_and(|inside| !inside.trim_start_matches('[').starts_with(is_quote))
}

const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

/// The text with some of its words replaced.
fn each_word(
    text: &str,
    is_part: impl Fn(char) -> bool,
    replace: impl Fn(&str) -> Option<String>,
) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        match replace(word) {
            Some(other) => shown.push_str(&other),
            None => shown.push_str(word),
        }
        let (between, after) = after.split_at(after.find(&is_part).unwrap_or(after.len()));
        shown.push_str(between);
        rest = after;
    }
    shown
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    const SECRET: &str = "c2VjcmV0IHNlY3JldA==";

    /// Asserts that nothing of what is said about a file has the secret in it.
    fn check(before: &str, line: &str) {
        let rules = "[containers.a]\nallow = [\"status\"]\n[roles.r]\nallow = [\"status\"]\n";
        for secret in [
            SECRET,
            "hunter2-hunter2!xyz",
            "hunter2!",
            "rlc_0123456789abcdef",
        ] {
            let text = format!(
                "{rules}{before}{}\n[serve]\n",
                line.replace("SECRET", secret)
            );
            let mistakes = parse("x.toml", &text, &Environment::default()).unwrap_err();
            let mut told = format!("{mistakes}\n{mistakes:?}");
            for mistake in mistakes.list() {
                told.extend([mistake.what(), mistake.key(), mistake.hint()]);
            }
            let beginning = secret.get(..7).unwrap();
            assert!(!told.contains(beginning), "{line}\n{told}");
        }
    }

    #[test]
    fn wherever_people_paste_them() {
        let bot = "[principals.bot]\nroles = [\"r\"]\n";
        for line in [
            "token = \"SECRET\"",
            "token = SECRET",
            "token = 'SECRET'",
            "token = [\n  \"SECRET\",\n]",
            "token = [\"x\",\n'SECRET'",
            "token = [[\"SECRET\"]]",
            "token = { hash = \"SECRET\" }",
            "token = { hash = \"sha256:00\", expires = \"SECRET\" }",
            "token = { SECRET = 1 }",
            "tokens = [\"x\",\n'SECRET',",
            "tokn = \"SECRET\"",
            "password = \"SECRET\"",
            "SECRET",
            "\"SECRET\"",
            "\"token\" : \"SECRET\"",
            "token: SECRET",
            "token_file = \"SECRET\"",
            "key = \"SECRET",
        ] {
            check(bot, line);
        }
        for (before, line) in [
            ("", "principal.bot.token = \"SECRET\""),
            ("", "principals = { bot = { token = \"SECRET\" } }"),
            ("[server]\n", "token = \"SECRET\""),
            ("[roles.x]\n", "token = \"SECRET\""),
            ("[principal.bot]\n", "key = \"SECRET\""),
            ("[principals]\n", "bot = \"SECRET\""),
        ] {
            check(before, line);
        }
    }
}
