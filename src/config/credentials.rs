//! What principals are known by: tokens, certificates, users and groups of this machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::authn::{Credentials, InvalidHash, Token, TokenHash};
use crate::policy::Principal;

use super::check::Check;
use super::document::{Part, key};
use super::file;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Field, OneOrMore, TokenForm, TokenTable};

/// The most tokens, certificates, users or groups of one principal.
const MOST_CREDENTIALS: usize = 100;

/// SECURITY: what stands there may be the token itself, which no message repeats.
const NO_HASH: &str = "this is no hash of a token";

const TOKEN_HINT: &str =
    "`relayer-controller token` prints a new token, and the line for this file";

/// The credentials that were seen, and where: one that two principals have would tell neither.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, String>);

impl Check<'_> {
    /// Nobody can be a principal that has nothing to be known by.
    pub(super) fn without_credentials(&mut self, path: &[&str], table: &raw::Principal) {
        let name = path.last().copied().unwrap_or_default();
        if is_known_by(table).is_none() {
            let what = "this principal has nothing that it is known by";
            let hint = match hint::nearest(name, [Principal::ANONYMOUS]) {
                Some(anonymous) => {
                    format!(
                        "{} That one has no credentials",
                        hint::did_you_mean(anonymous)
                    )
                }
                None => format!(
                    "give it a `token`, a `token_file`, a `certificate`, a `uid` or a `gid`; {TOKEN_HINT}"
                ),
            };
            self.add(path, Part::Key, what, hint);
        }
    }

    /// Nobody can show what the listeners do not ask for.
    pub(super) fn credentials_out_of_reach(&mut self, name: &str, table: &raw::Principal) {
        let is_there = |path: &[&str]| !self.written(path).is_empty();
        let asks_for_certificates = is_there(&["server", "tls", "client_ca"]);
        let has_unix_listener = self.written(&["server", "listen"]).contains("unix:");
        if !matches!(table.certificate, Field::Absent) && !asks_for_certificates {
            let what = "no client is asked for a certificate, so nobody can show this one";
            let hint = "name the authorities that issue them in `client_ca` of `[server.tls]`";
            self.add(&["principals", name, "certificate"], Part::Key, what, hint);
        }
        for (key, field) in [("uid", &table.uid), ("gid", &table.gid)] {
            if !matches!(field, Field::Absent) && !has_unix_listener {
                let what = format!("nobody can be known by a {key} without a Unix listener");
                let hint = "add one to `listen` of `[server]`, such as `\"unix:/run/relayer-controller.sock\"`";
                self.add(&["principals", name, key], Part::Key, what, hint);
            }
        }
    }

    /// Whoever shows something is not anonymous.
    pub(super) fn credentials_of_anonymous(&mut self, path: &[&str], table: &raw::Principal) {
        if let Some(known_by) = is_known_by(table) {
            let what = format!("`anonymous` is whoever shows nothing, so it has no `{known_by}`");
            let hint = "give the principal another name, or remove the line";
            self.add(&[path, &[known_by]].concat(), Part::Key, what, hint);
        }
    }

    /// What a principal is known by; every mistake in it is noted.
    pub(super) fn credentials(
        &mut self,
        name: &str,
        table: raw::Principal,
        seen: &mut Seen,
    ) -> Credentials {
        let path = |last| ["principals", name, last];
        let mut tokens = self.tokens(&path("token"), table.token, seen);
        tokens.extend(self.token_files(&path("token_file"), table.token_file, seen));
        Credentials {
            tokens,
            certificates: self.certificates(&path("certificate"), table.certificate, seen),
            uids: self.ids(&path("uid"), table.uid, seen),
            gids: self.ids(&path("gid"), table.gid, seen),
        }
    }

    fn tokens(
        &mut self,
        path: &[&str],
        field: Field<OneOrMore<TokenForm>>,
        seen: &mut Seen,
    ) -> Vec<Token> {
        let tokens = match field {
            Field::Given(tokens) => tokens,
            Field::Absent => return Vec::new(),
            Field::Wrong => {
                self.add(path, Part::Value, NO_HASH, InvalidHash.to_string());
                return Vec::new();
            }
        };
        let members = self.members(path, tokens);
        let token = |(part, member)| {
            let (hash, expires) = match member {
                Field::Given(TokenForm::Hash(hash)) => (Some(hash), None),
                Field::Given(TokenForm::Table(table)) => self.token_table(path, part, table),
                Field::Wrong | Field::Absent => {
                    self.add(path, part, NO_HASH, InvalidHash.to_string());
                    return None;
                }
            };
            let hash = self.hash(path, part, &hash?)?;
            let hash = self.only_once(seen, (path, part), &hash.written(), hash)?;
            Some(Token { hash, expires })
        };
        members.into_iter().filter_map(token).collect()
    }

    fn token_table(
        &mut self,
        path: &[&str],
        part: Part,
        table: TokenTable,
    ) -> (Option<String>, Option<SystemTime>) {
        for unknown in table.unknown.keys() {
            let what = format!("{} is not known in a token", quoted(unknown));
            self.add(path, part, what, "it has `hash` and `expires`");
        }
        let expires = match table.expires {
            Field::Given(text) => self.moment(path, part, &text),
            Field::Absent => None,
            Field::Wrong => {
                let what = "`expires` is no text in quotes";
                self.add(
                    path,
                    part,
                    what,
                    "such as `\"2027-01-31\"` or `\"2027-01-31T18:00:00Z\"`",
                );
                None
            }
        };
        match table.hash {
            Field::Given(hash) => (Some(hash), expires),
            Field::Absent | Field::Wrong => {
                let what = "this token has no `hash` in quotes";
                let hint = "such as `{ hash = \"sha256:...\", expires = \"2027-01-31\" }`";
                self.add(path, part, what, hint);
                (None, expires)
            }
        }
    }

    fn hash(&mut self, path: &[&str], part: Part, text: &str) -> Option<TokenHash> {
        match text.parse() {
            Ok(hash) => Some(hash),
            Err(form) => {
                self.add(path, part, NO_HASH, form.to_string());
                None
            }
        }
    }

    fn moment(&mut self, path: &[&str], part: Part, text: &str) -> Option<SystemTime> {
        let whole = if text.len() == 10 {
            format!("{text}T00:00:00Z")
        } else {
            text.to_owned()
        };
        let moment = humantime::parse_rfc3339(&whole);
        if moment.is_err() {
            let what = format!("{} is no date", quoted(text));
            let hint = "a token expires at the beginning of a day in UTC, such as `\"2027-01-31\"`, or at a moment in \
                        UTC, such as `\"2027-01-31T18:00:00Z\"`";
            self.add(path, part, what, hint);
        }
        moment.ok()
    }

    fn token_files(
        &mut self,
        path: &[&str],
        field: Field<OneOrMore<String>>,
        seen: &mut Seen,
    ) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (part, text) in self.texts(path, field, "a file's path in quotes") {
            // Also where it cannot be read: it may be there tomorrow.
            self.files.push(PathBuf::from(&text));
            match file::read_tokens(Path::new(&text)) {
                Ok(hashes) if hashes.len() > MOST_CREDENTIALS => {
                    let what = format!("there are {} tokens in the file", hashes.len());
                    self.add(path, part, what, format!("at most {MOST_CREDENTIALS}"));
                }
                Ok(hashes) => {
                    for hash in hashes {
                        let once = self.only_once(seen, (path, part), &hash.written(), hash);
                        tokens.extend(once.map(|hash| Token {
                            hash,
                            expires: None,
                        }));
                    }
                }
                Err((what, hint)) => self.add(path, part, what, hint),
            }
        }
        tokens
    }

    fn certificates(
        &mut self,
        path: &[&str],
        field: Field<OneOrMore<String>>,
        seen: &mut Seen,
    ) -> Vec<String> {
        let texts = self.texts(path, field, "a name in quotes");
        let certificate = |(part, text): (Part, String)| {
            if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
                let what = format!("{} cannot be the name in a certificate", quoted(&text));
                let hint = "write a subject alternative name of it, or its common name, such as `bot.example.org`";
                self.add(path, part, what, hint);
                return None;
            }
            self.only_once(seen, (path, part), &format!("certificate {text}"), text)
        };
        texts.into_iter().filter_map(certificate).collect()
    }

    fn ids(&mut self, path: &[&str], field: Field<OneOrMore<i64>>, seen: &mut Seen) -> Vec<u32> {
        let kind = path.last().copied().unwrap_or_default();
        let option = if kind == "uid" { "-u" } else { "-g" };
        let hint = format!("`id {option} NAME` prints the number");
        let due = "a number, or a list of them";
        let Some(numbers) = self.given(path, field, due, |_| hint.clone()) else {
            return Vec::new();
        };
        let members = self.members(path, numbers);
        let id = |(part, member)| {
            let Field::Given(number) = member else {
                self.wrong_type(path, part, "a number", hint.as_str());
                return None;
            };
            let Some(id) = u32::try_from(number).ok().filter(|id| *id != u32::MAX) else {
                let what = format!("`{number}` is no {kind}");
                self.add(path, part, what, hint.as_str());
                return None;
            };
            self.only_once(seen, (path, part), &format!("{kind} {id}"), id)
        };
        members.into_iter().filter_map(id).collect()
    }

    /// One or more texts.
    fn texts(
        &mut self,
        path: &[&str],
        field: Field<OneOrMore<String>>,
        due: &str,
    ) -> Vec<(Part, String)> {
        let both = format!("{due}, or a list of them");
        let Some(texts) = self.given(path, field, &both, |_| String::new()) else {
            return Vec::new();
        };
        let members = self.members(path, texts);
        let text = |(part, member)| match member {
            Field::Given(text) => Some((part, text)),
            Field::Wrong | Field::Absent => {
                self.wrong_type(path, part, due, "");
                None
            }
        };
        members.into_iter().filter_map(text).collect()
    }

    fn members<T>(&mut self, path: &[&str], list: OneOrMore<T>) -> Vec<(Part, Field<T>)> {
        let mut members = list.members();
        if members.is_empty() {
            self.add(
                path,
                Part::Value,
                "there is nothing in the list",
                "remove the line, or fill it",
            );
        }
        if members.len() > MOST_CREDENTIALS {
            let what = format!("there are {} members in the list", members.len());
            let hint = format!("at most {MOST_CREDENTIALS}");
            self.add(path, Part::Value, what, hint);
            members.truncate(MOST_CREDENTIALS);
        }
        members
    }

    /// Gives the credential back, unless it was seen before. `what` tells it apart from others, and is not shown.
    fn only_once<T>(
        &mut self,
        seen: &mut Seen,
        (path, part): (&[&str], Part),
        what: &str,
        credential: T,
    ) -> Option<T> {
        let here = key(path);
        let Some(first) = seen.0.get(what) else {
            seen.0.insert(what.to_owned(), here);
            return Some(credential);
        };
        let (first, hint) = if *first == here {
            (
                "this list has it".to_owned(),
                "remove one of them".to_owned(),
            )
        } else {
            let hint = "what two principals have tells neither; give each its own";
            (format!("`{first}` has it"), hint.to_owned())
        };
        self.add(path, part, format!("{first} already"), hint);
        None
    }
}

/// The first key of the table by which the principal would be known.
fn is_known_by(table: &raw::Principal) -> Option<&'static str> {
    let is_there = |there: bool, key| there.then_some(key);
    is_there(!matches!(table.token, Field::Absent), "token")
        .or_else(|| is_there(!matches!(table.token_file, Field::Absent), "token_file"))
        .or_else(|| is_there(!matches!(table.certificate, Field::Absent), "certificate"))
        .or_else(|| is_there(!matches!(table.uid, Field::Absent), "uid"))
        .or_else(|| is_there(!matches!(table.gid, Field::Absent), "gid"))
}
