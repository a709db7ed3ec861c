//! The principals: by what each is known, and which roles it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::authn::Credentials;
use crate::policy::{Access, Membership, Principal, Role, Rule};

use super::check::Check;
use super::credentials::Seen;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Field, PRINCIPAL_KEYS, Texts};
use super::roles::Roles;
use super::verbs::in_brackets;

/// The most principals that a file can have.
const MOST_PRINCIPALS: usize = 1000;

const EXAMPLE: &str =
    "name one: `[principals.NAME]`, and below it `token = \"sha256:...\"` and `roles = [\"...\"]`";

/// Who may do anything, and by what they are known.
pub(super) struct Principals {
    pub(super) access: Access,
    pub(super) credentials: Vec<(Principal, Credentials)>,
}

/// One principal's part of the configuration, where there is no mistake in it.
type Member = (Principal, Credentials, Membership);

impl Check<'_> {
    /// The principals; every mistake in them is noted. `file` is what rules call the file.
    pub(super) fn principals(
        &mut self,
        file: &str,
        field: Field<BTreeMap<String, Field<raw::Principal>>>,
        roles: &Roles,
    ) -> Principals {
        if matches!(field, Field::Absent) {
            self.roles_of_nobody(roles);
            let rule = Rule::new("no [principals]", file);
            return Principals {
                access: Access::Everybody(rule),
                credentials: Vec::new(),
            };
        }
        let due = "a table for each principal";
        let tables = self.given(&["principals"], field, due, |_| EXAMPLE.to_owned());
        if tables.as_ref().is_some_and(BTreeMap::is_empty) && self.document.is_whole() {
            let what = "no principal is named, so nobody could do anything";
            self.add(&["principals"], Part::Key, what, EXAMPLE);
        }
        let tables = tables.unwrap_or_default();
        if tables.len() > MOST_PRINCIPALS {
            let what = format!("there are {} principals", tables.len());
            let hint = format!("at most {MOST_PRINCIPALS}");
            self.add(&["principals"], Part::Key, what, hint);
        }
        let mut seen = Seen::default();
        let members: Vec<Member> = tables
            .into_iter()
            .filter_map(|(name, table)| self.principal(file, &name, table, (roles, &mut seen)))
            .collect();
        self.roles_without_holder(roles, &members);
        let membership = |(name, _, membership): &Member| (name.clone(), membership.clone());
        Principals {
            access: Access::Principals(members.iter().map(membership).collect()),
            credentials: members
                .into_iter()
                .map(|(name, credentials, _)| (name, credentials))
                .collect(),
        }
    }

    fn principal(
        &mut self,
        file: &str,
        name: &str,
        table: Field<raw::Principal>,
        (roles, seen): (&Roles, &mut Seen),
    ) -> Option<Member> {
        let path = ["principals", name];
        let parsed: Result<Principal, _> = name.parse();
        if let Err(form) = &parsed {
            let what = format!("{} cannot be a principal's name", quoted(name));
            self.add(&path, Part::Key, what, form.to_string());
        }
        let hint = |_: &str| "write `[principals.NAME]`, and its keys below it".to_owned();
        let table = self.given(&path, table, "a table", hint)?;
        self.unknown_in_named(&path, &table.unknown, &PRINCIPAL_KEYS);
        let is_misspelt = self.has_misspelt(&path, &table.unknown, &PRINCIPAL_KEYS);
        let is_anonymous = name == Principal::ANONYMOUS;
        let (unknown, roles_field) = (table.unknown.clone(), table.roles.clone());
        if is_anonymous {
            self.credentials_of_anonymous(&path, &table);
        } else if !is_misspelt {
            self.without_credentials(&path, &table);
        }
        self.credentials_out_of_reach(name, &table);
        let credentials = if is_anonymous {
            Credentials::default()
        } else {
            self.credentials(name, table, seen)
        };
        let is_roles_misspelt = is_misspelt && !unknown.is_empty();
        let membership = self.membership(file, name, (roles_field, is_roles_misspelt), roles)?;
        Some((parsed.ok()?, credentials, membership))
    }

    fn membership(
        &mut self,
        file: &str,
        name: &str,
        (field, is_misspelt): (Field<Texts>, bool),
        roles: &Roles,
    ) -> Option<Membership> {
        const HINT: &str = "name its roles, such as `roles = [\"operator\"]`";
        let path = ["principals", name, "roles"];
        if matches!(field, Field::Absent) {
            if !is_misspelt && !self.document.is_section_broken(&["principals", name]) {
                let what = "this principal has no `roles`, so it may do nothing";
                self.add(&["principals", name], Part::Key, what, HINT);
            }
            return None;
        }
        let members = self.given(&path, field, "a list of roles", in_brackets)?;
        if members.is_empty() {
            let what = "there is no role in the list, so this principal may do nothing";
            self.add(&path, Part::Value, what, HINT);
        }
        let mut named: Vec<Arc<Role>> = Vec::with_capacity(members.len());
        let mut seen = Vec::with_capacity(members.len());
        for (index, member) in members.into_iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = member else {
                self.wrong_type(&path, part, "a role in quotes", "");
                continue;
            };
            match roles.get(&text) {
                Some(_) if seen.contains(&text) => self.stands_twice(&path, part, &text),
                Some(role) => named.extend(role.clone()),
                None => self.unknown_role(&path, part, &text, roles),
            }
            seen.push(text);
        }
        Some(Membership {
            roles: named,
            rule: self.rule(file, &path)?,
        })
    }

    fn unknown_role(&mut self, path: &[&str], part: Part, text: &str, roles: &Roles) {
        let names = || roles.keys().map(String::as_str);
        let hint = match hint::nearest(text, names()) {
            Some(near) => hint::did_you_mean(near),
            None if roles.is_empty() => {
                format!("write `[roles.{text}]`, and below it what it allows")
            }
            None => format!("the roles are {}", hint::list(names().take(10), "and")),
        };
        let what = format!("there is no role {}", quoted(text));
        self.add(path, part, what, hint);
    }

    /// What nobody has forbids nobody anything.
    fn roles_without_holder(&mut self, roles: &Roles, members: &[Member]) {
        if !self.mistakes.is_empty() {
            return;
        }
        let held: BTreeSet<&str> = members
            .iter()
            .flat_map(|(_, _, membership)| membership.roles.iter())
            .map(|role| role.name.as_str())
            .collect();
        for (name, role) in roles {
            let forbids = role.as_ref().is_some_and(|role| role.forbid.is_some());
            if forbids && !held.contains(name.as_str()) {
                let what = "no principal has this role, so it forbids nothing";
                let hint = "add it to the `roles` of whom it is for, or remove it";
                self.add(&["roles", name], Part::Key, what, hint);
            }
        }
    }

    /// Without principals everybody is anonymous, and a role, above all one that forbids, would promise what is not so.
    fn roles_of_nobody(&mut self, roles: &Roles) {
        if let (Some(name), true) = (roles.keys().next(), self.document.is_whole()) {
            let what = "there are roles, but no principals that have them";
            let hint = "without principals everybody may do what the containers allow; name some, such as \
                        `[principals.anonymous]`, or remove the roles";
            self.add(&["roles", name], Part::Key, what, hint);
        }
    }
}
