//! The law held against an oracle written as loops, and a golden matrix that a deployer can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Access, Ceiling, ContainerName, Decision, Denial, Facility, Membership, Operation, Policy,
    Principal, Role, Rule, Verb, VerbSet, Verbs,
};

/// What a file says, as somebody would read it out of the file.
#[derive(Clone, Debug, Default)]
struct File {
    /// `[containers.*].allow`.
    containers: Vec<(String, Vec<Verb>)>,
    roles: Vec<RoleTable>,
    /// Names with roles by their place; `None` where there is no `[principals]`.
    principals: Option<Vec<(String, Vec<usize>)>>,
}

#[derive(Clone, Debug, Default)]
struct RoleTable {
    allow: Vec<Verb>,
    forbid: Vec<Verb>,
    containers: Option<Vec<String>>,
}

impl Operation for Verb {
    fn verb(&self) -> Verb {
        *self
    }
}

/// Whether somebody who only knows `*` and single letters would say that the pattern matches.
fn covers(role: &RoleTable, container: &str) -> bool {
    let Some(patterns) = &role.containers else {
        return true;
    };
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => container.starts_with(beginning),
            None => pattern == container,
        })
}

/// The law once more: no sets, no maps, no early answers.
fn may(file: &File, principal: &str, verb: Verb, container: &str) -> (bool, bool) {
    let mut ceiling = false;
    for (name, verbs) in &file.containers {
        for allowed in verbs {
            ceiling = ceiling || name == container && *allowed == verb;
        }
    }
    let Some(principals) = &file.principals else {
        return (ceiling, false);
    };
    let (mut permitted, mut forbidden) = (false, false);
    for (name, roles) in principals {
        for (place, role) in file.roles.iter().enumerate() {
            if name == principal && roles.contains(&place) && covers(role, container) {
                permitted = permitted || role.allow.contains(&verb);
                forbidden = forbidden || role.forbid.contains(&verb);
            }
        }
    }
    (ceiling && permitted && !forbidden, forbidden)
}

fn oracle(file: &File, principal: &str, verb: Verb, container: &str) -> &'static str {
    let mut visible = false;
    for any in Verb::ALL {
        visible = visible || may(file, principal, any, container).0;
    }
    match (may(file, principal, verb, container), visible) {
        ((true, _), _) => "yes",
        ((false, _), false) => "hidden",
        ((false, true), true) => "forbidden",
        ((false, false), true) => "no",
    }
}

fn rule(key: &str) -> Rule {
    Rule::new(key, "test.toml:1:1")
}

fn verbs(key: &str, verbs: &[Verb]) -> Option<Verbs> {
    let verbs: VerbSet = verbs.iter().copied().collect();
    let rule = rule(key);
    (!verbs.is_empty()).then_some(Verbs { verbs, rule })
}

fn policy(file: &File) -> Policy {
    let ceilings = file.containers.iter().map(|(name, verbs)| {
        let allow: VerbSet = verbs.iter().copied().collect();
        let rule = rule(&format!("containers.{name}.allow"));
        (name.parse().unwrap(), Ceiling { allow, rule })
    });
    let role = |(place, table): (usize, &RoleTable)| {
        let patterns = table.containers.as_ref();
        Arc::new(Role {
            name: format!("r{place}"),
            allow: verbs(&format!("roles.r{place}.allow"), &table.allow),
            forbid: verbs(&format!("roles.r{place}.forbid"), &table.forbid),
            containers: patterns.map(|all| all.iter().map(|one| one.parse().unwrap()).collect()),
            gateway: None,
        })
    };
    let roles: Vec<_> = file.roles.iter().enumerate().map(role).collect();
    let access = match &file.principals {
        None => Access::Everybody(rule("no [principals]")),
        Some(principals) => {
            let member = |(name, places): &(String, Vec<usize>)| {
                let roles = places.iter().map(|place| Arc::clone(&roles[*place]));
                let membership = Membership {
                    roles: roles.collect(),
                    rule: rule(&format!("principals.{name}.roles")),
                };
                (name.parse().unwrap(), membership)
            };
            Access::Principals(principals.iter().map(member).collect())
        }
    };
    let ceilings = ceilings.collect::<BTreeMap<ContainerName, _>>();
    Policy::new("relayer-".parse().unwrap(), ceilings, access)
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow { .. } => "yes",
        Decision::Deny(Denial::Hidden { .. }) => "hidden",
        Decision::Deny(Denial::NotGranted { .. }) => "no",
        Decision::Deny(Denial::Forbidden { .. }) => "forbidden",
    }
}

fn some_verbs() -> impl Strategy<Value = Vec<Verb>> {
    prop::collection::vec(prop::sample::select(&Verb::ALL[..]), 0..6)
}

fn files() -> impl Strategy<Value = File> {
    let container = ("[a-c]{1,2}", some_verbs());
    let containers = prop::collection::vec(container, 0..6).prop_map(|mut tables| {
        tables.sort();
        tables.dedup_by(|one, other| one.0 == other.0);
        tables
    });
    let patterns = prop::option::of(prop::collection::vec("[a-c]{1,2}|[a-c]?[*]", 1..4));
    let role =
        (some_verbs(), some_verbs(), patterns).prop_map(|(allow, forbid, containers)| RoleTable {
            allow,
            forbid,
            containers,
        });
    let roles = prop::collection::vec(role, 1..5);
    let places = prop::collection::btree_set(0..4_usize, 0..4);
    let principal = ("anonymous|bot|eve", places);
    let principals = prop::option::of(prop::collection::vec(principal, 0..4));
    (containers, roles, principals).prop_map(|(containers, roles, principals)| {
        let principals = principals.map(|mut all| {
            all.sort();
            all.dedup_by(|one, other| one.0 == other.0);
            let existing = |places: std::collections::BTreeSet<usize>| {
                let there = places.into_iter().filter(|place| *place < roles.len());
                there.collect::<Vec<_>>()
            };
            all.into_iter()
                .map(|(name, places)| (name, existing(places)))
                .collect()
        });
        File {
            containers,
            roles,
            principals,
        }
    })
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(file in files(), name in "anonymous|bot|eve", asked in "[a-d]{1,2}") {
        let policy = policy(&file);
        let principal: Principal = name.parse().unwrap();
        let container: ContainerName = asked.parse().unwrap();
        let everybody_is_anonymous = file.principals.is_none();
        for verb in Verb::ALL {
            let expected = oracle(&file, &name, verb, &asked);
            let decision = policy.decide(&principal, verb, &container);
            prop_assert_eq!(word(&decision), expected, "{} {}", name, verb);
            prop_assert_eq!(policy.granted(&principal, &container).contains(verb), expected == "yes");
            match policy.permit(&principal, verb, &container) {
                Ok(permitted) => {
                    prop_assert_eq!(expected, "yes");
                    prop_assert_eq!(permitted.full_name().as_str(), format!("relayer-{asked}"));
                    let by = permitted.by().to_string();
                    let beginning = if everybody_is_anonymous { "containers." } else { "roles." };
                    prop_assert!(by.starts_with(beginning) && by.contains(".allow"), "{}", by);
                }
                Err(denial) => prop_assert_eq!(Decision::Deny(denial), decision),
            }
        }
        let visible = policy.visible(&principal).any(|(name, _)| *name == container);
        let shown = Verb::ALL.into_iter().any(|verb| oracle(&file, &name, verb, &asked) != "hidden");
        prop_assert_eq!(visible, shown);
    }

    /// The order of a principal's roles, and of the roles in the file, means nothing.
    #[test]
    fn order_means_nothing(file in files(), asked in "[a-d]{1,2}") {
        let mut turned = file.clone();
        let last = turned.roles.len() - 1;
        turned.roles.reverse();
        for (_, places) in turned.principals.iter_mut().flatten() {
            for place in places { *place = last - *place; }
        }
        let container: ContainerName = asked.parse().unwrap();
        for name in ["anonymous", "bot", "eve"] {
            let principal: Principal = name.parse().unwrap();
            for verb in Verb::ALL {
                let [one, other] = [&file, &turned].map(|file| policy(file).decide(&principal, verb, &container));
                prop_assert_eq!(word(&one), word(&other));
            }
        }
    }
}

/// The relay of the documentation, with a container that is closed to everybody.
fn relay() -> File {
    use Verb::{Logs, Restart, Start, Stats, Status, Stop};
    let containers = [
        (
            "ffmpeg-kick",
            vec![Status, Start, Stop, Restart, Logs, Stats],
        ),
        ("muxer", vec![Status, Start, Stop, Restart]),
        ("nginx-rtmp", vec![Status, Logs]),
        ("closed", vec![]),
    ];
    let table = |allow: &[Verb], forbid: &[Verb], containers: &[&str]| RoleTable {
        allow: allow.to_vec(),
        forbid: forbid.to_vec(),
        containers: (!containers.is_empty())
            .then(|| containers.iter().map(|name| (*name).to_owned()).collect()),
    };
    let viewer = table(&[Status, Logs, Stats], &[], &[]);
    let operator = table(&[Status, Start, Stop, Restart], &[], &["ffmpeg-*", "muxer"]);
    let careful = table(&[], &[Stop, Restart], &["muxer"]);
    let blind = table(&[], &[Status, Logs, Stats], &["nginx-rtmp"]);
    let member = |name: &str, roles: &[usize]| (name.to_owned(), roles.to_vec());
    File {
        containers: containers
            .into_iter()
            .map(|(name, verbs)| (name.to_owned(), verbs))
            .collect(),
        roles: vec![viewer, operator, careful, blind],
        principals: Some(vec![
            member("anonymous", &[0]),
            member("operator", &[1]),
            member("stream-bot", &[1, 2]),
            member("guest", &[0, 3]),
        ]),
    }
}

/// Every principal, verb and container of a small relay; whoever changes the law sees here what it means.
#[test]
fn golden_matrix() {
    let with_roles = relay();
    let without = File {
        principals: None,
        ..relay()
    };
    let names = ["ffmpeg-kick", "muxer", "nginx-rtmp", "closed", "unmanaged"];
    let line = |first: &str, cells: [&str; 5]| {
        let cells = cells.map(|cell| format!("{cell:<12}"));
        format!("{first:<10} {}", cells.join(" "))
            .trim_end()
            .to_owned()
    };
    let mut matrix = Vec::new();
    for (title, file, principals) in [
        ("without [principals]", &without, &["anonymous"][..]),
        (
            "with [principals]",
            &with_roles,
            &["anonymous", "operator", "stream-bot", "guest", "stranger"][..],
        ),
    ] {
        let policy = policy(file);
        matrix.push(format!("# {title}"));
        for name in principals {
            let principal: Principal = name.parse().unwrap();
            matrix.push(line(name, names));
            for verb in Verb::ALL {
                let cell =
                    |name: &str| word(&policy.decide(&principal, verb, &name.parse().unwrap()));
                matrix.push(line(verb.as_str(), names.map(cell)));
            }
        }
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/matrix.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, matrix.join("\n") + "\n").unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    assert_eq!(matrix.join("\n"), expected.trim_end());
}

/// The answer names the rule that decided.
#[test]
fn who_decided() {
    let policy = policy(&relay());
    for (name, verb, container, expected) in [
        (
            "anonymous",
            Verb::Logs,
            "nginx-rtmp",
            "allow roles.r0.allow",
        ),
        (
            "anonymous",
            Verb::Stop,
            "muxer",
            "not granted by principals.anonymous.roles",
        ),
        (
            "anonymous",
            Verb::Stats,
            "muxer",
            "not granted by containers.muxer.allow",
        ),
        ("stream-bot", Verb::Start, "muxer", "allow roles.r1.allow"),
        (
            "stream-bot",
            Verb::Stop,
            "muxer",
            "forbidden by roles.r2.forbid",
        ),
        (
            "stream-bot",
            Verb::Logs,
            "nginx-rtmp",
            "hidden by principals.stream-bot.roles",
        ),
        (
            "guest",
            Verb::Logs,
            "nginx-rtmp",
            "hidden by roles.r3.forbid",
        ),
        (
            "guest",
            Verb::Status,
            "closed",
            "hidden by containers.closed.allow",
        ),
        (
            "guest",
            Verb::Status,
            "unmanaged",
            "hidden: no rule is about it",
        ),
        (
            "stranger",
            Verb::Status,
            "muxer",
            "hidden: no rule is about it",
        ),
    ] {
        let decision = policy.decide(&name.parse().unwrap(), verb, &container.parse().unwrap());
        let said = match decision {
            Decision::Allow { by } => format!("allow {by}"),
            Decision::Deny(denial) => denial.to_string(),
        };
        let said = said.trim_end_matches(" (test.toml:1:1)");
        assert_eq!(said, expected, "{name} {verb} {container}");
    }
}

#[test]
fn the_gateway_itself() {
    let policy_of = |granted: bool| {
        let gateway = granted.then(|| (vec![Facility::Metrics], rule("roles.ops.gateway")));
        let role = Arc::new(Role {
            name: "ops".to_owned(),
            allow: None,
            forbid: None,
            containers: None,
            gateway,
        });
        let member = Membership {
            roles: vec![role],
            rule: rule("principals.bot.roles"),
        };
        let members = BTreeMap::from([("bot".parse().unwrap(), member)]);
        Policy::new(
            "".parse().unwrap(),
            BTreeMap::new(),
            Access::Principals(members),
        )
    };
    let asked = |policy: &Policy, name: &str| {
        word(&policy.decide_facility(&name.parse().unwrap(), Facility::Metrics))
    };
    assert_eq!(asked(&policy_of(true), "bot"), "yes");
    assert_eq!(asked(&policy_of(false), "bot"), "no");
    assert_eq!(asked(&policy_of(true), "stranger"), "hidden");
    assert_eq!(asked(&policy(&File::default()), "anonymous"), "yes");
}

#[test]
fn names_of_principals() {
    for good in [
        "a",
        "stream-bot",
        "alice@example.org",
        "A_1.b",
        &"x".repeat(64),
    ] {
        assert!(good.parse::<Principal>().is_ok(), "{good}");
    }
    for bad in ["", "a b", "a:b", "a/b", "ä", "a\n", "a\"b", &"x".repeat(65)] {
        assert!(bad.parse::<Principal>().is_err(), "{bad:?}");
    }
}

#[test]
fn names_are_dockers() {
    for good in ["a", "7", "ffmpeg-kick", "A_b.c-", &"x".repeat(128)] {
        assert!(good.parse::<ContainerName>().is_ok(), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "-a",
        "_a",
        "a/b",
        "a b",
        "a%62",
        "a\n",
        "a\0",
        "ä",
        "a;b",
        "a?b",
        "a#b",
        &"x".repeat(129),
    ] {
        assert!(bad.parse::<ContainerName>().is_err(), "{bad:?}");
    }
}
