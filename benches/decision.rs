//! What it costs to find out who asks and what they may do: `cargo bench --bench decision`.
//!
//! One more rule must not make a request dearer, so each size is measured beside the others in one run.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use std::fmt::Write;
use std::time::SystemTime;

use divan::{Bencher, black_box};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use relayer_controller::authn::{Identity, Shown, TokenHash};
use relayer_controller::config::{self, Config, Environment};
use relayer_controller::engine::Look;
use relayer_controller::policy::ContainerName;

fn main() {
    divan::main();
}

/// A configuration with this many principals, each with all of this many roles, on this many containers.
fn configuration(principals: usize, roles: usize, containers: usize) -> Config {
    let mut text = String::new();
    for container in 0..containers {
        write!(
            text,
            "[containers.c{container}]\nallow = [\"status\", \"start\"]\n"
        )
        .unwrap();
    }
    let names: Vec<_> = (0..roles).map(|role| format!("\"r{role}\"")).collect();
    for role in 0..roles {
        let verbs = if role % 2 == 0 {
            "allow = [\"status\"]"
        } else {
            "forbid = [\"stop\"]"
        };
        write!(text, "[roles.r{role}]\n{verbs}\ncontainers = [\"c*\"]\n").unwrap();
    }
    for principal in 0..principals {
        let hash = TokenHash::of(&token(principal)).written();
        let roles = names.join(", ");
        write!(
            text,
            "[principals.p{principal}]\ntoken = \"{hash}\"\nroles = [{roles}]\n"
        )
        .unwrap();
    }
    config::parse("bench.toml", &text, &Environment::default()).unwrap()
}

/// As long as one that `relayer-controller token` makes.
fn token(principal: usize) -> String {
    format!("rlc_{principal:064x}")
}

/// Authentication and decision together, for the last principal and the last container.
fn measure(bencher: Bencher<'_, '_>, sizes: (usize, usize, usize)) {
    let (principals, roles, containers) = sizes;
    let config = configuration(principals, roles, containers);
    let header = format!("Bearer {}", token(principals - 1));
    let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
    let last = containers - 1;
    let name: ContainerName = format!("c{last}").parse().unwrap();
    let ask = || {
        let shown = Shown::read(black_box(&headers));
        let Identity::Accepted(principal) = config.register.by_header(shown, SystemTime::now())
        else {
            return false;
        };
        let permitted = config.policy.permit(&principal, Look, black_box(&name));
        permitted.is_ok()
    };
    assert!(ask(), "the benchmark measures a refusal");
    bencher.bench(ask);
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn by_rules(bencher: Bencher<'_, '_>, roles: usize) {
    measure(bencher, (100.min(100_000 / roles), roles, 1000));
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn by_principals(bencher: Bencher<'_, '_>, principals: usize) {
    measure(bencher, (principals, 10, 1000));
}

#[divan::bench(args = [1, 10, 100, 1000, 5000])]
fn by_containers(bencher: Bencher<'_, '_>, containers: usize) {
    measure(bencher, (100, 10, containers));
}

/// The size that the figures name: 100 principals, 100 rules, 1,000 containers.
#[divan::bench]
fn hundred_hundred_thousand(bencher: Bencher<'_, '_>) {
    measure(bencher, (100, 100, 1000));
}

/// What the hash of the token alone takes of it.
#[divan::bench]
fn hash_alone() -> TokenHash {
    TokenHash::of(black_box(&token(99)))
}
