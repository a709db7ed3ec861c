//! The law: who may do what to which container, decided without a clock, a socket or an environment.
//!
//! Deny by default. A container without a ceiling is not managed, and nobody can tell it from one that does not
//! exist. The only way to act is a [`Permitted`] operation, and only [`Policy::permit`] makes those.

mod decision;
mod managed;
mod pattern;
mod principal;
mod resource;
mod rights;
mod role;
mod rule;
mod verb;

pub use decision::{Decision, Denial, Operation, Permitted, Rule};
pub use pattern::{InvalidPattern, Pattern};
pub use principal::{InvalidPrincipal, Principal};
pub use resource::{ContainerName, FullName, InvalidName, Prefix};
pub use role::{Access, Facility, Membership, Role, Verbs};
pub use rule::{Ceiling, Policy};
pub use verb::{UnknownVerb, Verb, VerbSet};

#[cfg(test)]
mod tests;
