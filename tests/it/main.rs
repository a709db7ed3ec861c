//! The integration tests: one binary, one module a feature.
//!
//! What needs an engine runs on every engine that there is, the pretend one and a real one: see `stage`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]
#![expect(clippy::too_many_lines, reason = "a table is as long as it is")]

mod architecture;
mod audit;
mod audit_ends;
mod authority;
mod batch;
mod batch_ends;
mod batch_order;
mod browsers;
mod canned;
mod command_line;
mod confine;
mod ctl;
mod ctl_access;
mod ctl_actions;
mod ctl_answers;
mod ctl_events;
mod ctl_terminal;
mod dice;
mod door;
mod engine_tls;
mod engines;
mod events;
mod events_flow;
mod events_socket;
mod exec;
mod exec_ends;
mod faults;
mod framing;
mod gateway;
mod http;
mod landlock;
mod limits;
mod logs;
mod logs_flow;
mod logs_follow;
mod metrics;
mod mirror;
mod mirror_away;
mod mirror_streams;
mod mirror_stuck;
mod mirror_tags;
mod mirror_writes;
mod names;
mod openapi;
mod principals;
mod principals_unix;
mod program;
mod rates;
mod reach;
mod recorder;
mod reload;
mod reload_load;
mod rows;
mod running;
mod stage;
mod stats;
mod stats_streams;
mod streams;
mod tls;
mod tls_program;
mod wait;
