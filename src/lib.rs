//! `relayer-controller` is the least-privilege door to the Docker engine: *these verbs* on *these containers*, and
//! nothing else.
//!
//! # The house
//!
//! Seven floors. A module uses only floors below its own, and neighbours on a floor do not know each other;
//! `tests/it/architecture.rs` sees to it.
//!
//! | floor | what happens there |
//! |---|---|
//! | [`cli`] | reads the arguments and picks a subcommand |
//! | [`app`] | builds the parts, starts them, drains them |
//! | [`api`] | the REST face: requests into operations, outcomes into answers |
//! | [`gateway`] | admit, run, record: once for each request, whichever face took it |
//! | [`config`] | text into a [`Config`](config::Config), or every mistake in it |
//! | [`audit`] [`authn`] [`confine`] [`engine`] [`limits`] [`metrics`] [`pretend`] [`server`] [`telemetry`] | the edges: all the input and output |
//! | [`policy`] [`address`] [`tls`] | the law: pure, and of the standard library only; beside it, what edges share: addresses as they are counted, certificates and keys out of files |
//!
//! # One request
//!
//! 1. The [`server`] accepts its connection within limits, does the TLS handshake, and gives it an
//!    [id](server::RequestId) and a [`Peer`](server::Peer).
//! 2. The face takes one [snapshot](gateway::Gateway::snapshot) of the configuration and goes by it to the end.
//! 3. The path is looked up in the one [table of rows](api::ROWS); a name in it is decoded once into a
//!    [`ContainerName`](policy::ContainerName).
//! 4. The [`Register`](authn::Register) tells which [`Principal`](policy::Principal) shows that token, certificate or user;
//!    what is wrong is refused and never taken for nothing. [`Limits`](limits::Limits) count it.
//! 5. Query and body become an operation: a [`Look`](engine::Look), a [`Change`](engine::Change), [reading](engine::ReadLogs) what
//!    it prints or [consumes](engine::ReadStats), or a command to [run](engine::Run).
//! 6. The [`Gateway`](gateway::Gateway) asks the [`Policy`](policy::Policy), and the [`Trail`](audit::Trail) has the decision
//!    before anything happens.
//! 7. The [`Permitted`](policy::Permitted) operation, which only the policy can make, is spent on the
//!    [`Mirror`](engine::Mirror), which has in memory what there is, or on the [`Engine`](engine::Engine). A change runs on
//!    a task of its own, to its end, and is answered when the mirror shows it.
//! 8. What goes on after that, such as a log that is followed or the [`Events`](gateway::Events) of the mirror, is asked about again whenever the configuration changes.
//!    The outcome is recorded and [counted](metrics::Metrics), and the answer is rendered.

pub mod address;
pub mod api;
pub mod app;
pub mod audit;
pub mod authn;
pub mod cli;
pub mod config;
pub mod confine;
pub mod engine;
pub mod gateway;
pub mod limits;
pub mod metrics;
pub mod policy;
pub mod pretend;
pub mod server;
pub mod telemetry;
pub mod tls;
