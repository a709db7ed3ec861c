//! The law held against an oracle written as loops, and a golden matrix that a deployer can read.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Ceiling, ContainerName, Decision, Denial, Operation, Policy, Principal, Rule, Verb, VerbSet,
};

/// What the tables of a file say: names, each with its verbs.
type Tables = Vec<(String, Vec<Verb>)>;

impl Operation for Verb {
    fn verb(&self) -> Verb {
        *self
    }
}

/// The law once more, as somebody would read it out of the file: no sets, no maps, no early answers.
fn oracle(tables: &Tables, verb: Verb, container: &str) -> &'static str {
    let (mut allowed, mut visible) = (false, false);
    for (name, verbs) in tables {
        for granted in verbs {
            if name == container {
                visible = true;
                allowed = allowed || *granted == verb;
            }
        }
    }
    if allowed {
        "yes"
    } else if visible {
        "no"
    } else {
        "hidden"
    }
}

fn policy(tables: &Tables) -> Policy {
    let ceilings = tables.iter().map(|(name, verbs)| {
        let allow: VerbSet = verbs.iter().copied().collect();
        let rule = Rule::new(&format!("containers.{name}.allow"), "test.toml:1:1");
        (name.parse().unwrap(), Ceiling { allow, rule })
    });
    Policy::new(
        "relayer-".parse().unwrap(),
        ceilings.collect::<BTreeMap<ContainerName, _>>(),
    )
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow { .. } => "yes",
        Decision::Deny(Denial::Hidden) => "hidden",
        Decision::Deny(Denial::NotGranted { .. }) => "no",
        Decision::Deny(Denial::Forbidden { .. }) => "forbidden",
    }
}

fn tables() -> impl Strategy<Value = Tables> {
    let verbs = prop::collection::vec(prop::sample::select(&Verb::ALL[..]), 0..6);
    let table = ("[a-c]{1,2}", verbs);
    prop::collection::vec(table, 0..6).prop_map(|mut tables| {
        tables.sort();
        tables.dedup_by(|one, other| one.0 == other.0);
        tables
    })
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(tables in tables(), asked in "[a-d]{1,2}") {
        let policy = policy(&tables);
        let anonymous = Principal::anonymous();
        let name: ContainerName = asked.parse().unwrap();
        for verb in Verb::ALL {
            let expected = oracle(&tables, verb, &asked);
            let decision = policy.decide(&anonymous, verb, &name);
            prop_assert_eq!(word(&decision), expected);
            prop_assert_eq!(policy.granted(&anonymous, &name).contains(verb), expected == "yes");
            match policy.permit(&anonymous, verb, &name) {
                Ok(permitted) => {
                    prop_assert_eq!(expected, "yes");
                    prop_assert_eq!(permitted.full_name().as_str(), format!("relayer-{asked}"));
                    let by = format!("containers.{asked}.allow (test.toml:1:1)");
                    prop_assert_eq!(permitted.by().to_string(), by);
                }
                Err(denial) => prop_assert_eq!(Decision::Deny(denial), decision),
            }
        }
        let visible = policy.visible(&anonymous).any(|(container, _)| *container == name);
        let shown = Verb::ALL.into_iter().any(|verb| oracle(&tables, verb, &asked) != "hidden");
        prop_assert_eq!(visible, shown);
    }
}

/// Every verb on every container of a small relay; whoever changes the law sees here what it means.
#[test]
fn golden_matrix() {
    let tables = vec![
        (
            "ffmpeg-kick".to_owned(),
            vec![Verb::Status, Verb::Start, Verb::Stop, Verb::Restart],
        ),
        ("muxer".to_owned(), vec![Verb::Status]),
        ("blind".to_owned(), vec![Verb::Restart]),
        ("closed".to_owned(), vec![]),
    ];
    let policy = policy(&tables);
    let names = ["ffmpeg-kick", "muxer", "blind", "closed", "unmanaged"];
    let line = |first: &str, cells: [&str; 5]| {
        let cells = cells.map(|cell| format!("{cell:<12}"));
        format!("{first:<10} {}", cells.join(" "))
            .trim_end()
            .to_owned()
    };
    let mut matrix = vec![line("anonymous", names)];
    for verb in Verb::ALL {
        let cell = |name: &str| {
            word(&policy.decide(&Principal::anonymous(), verb, &name.parse().unwrap()))
        };
        matrix.push(line(verb.as_str(), names.map(cell)));
    }
    assert_eq!(
        matrix.join("\n"),
        include_str!("../../tests/golden/matrix.txt").trim_end()
    );
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
