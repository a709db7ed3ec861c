//! Edge: the Docker engine, asked through bollard and only with permitted operations.

mod change;
mod command;
mod compose;
mod docker;
mod error;
mod exec;
mod flights;
mod host;
mod id;
mod inspected;
mod lines;
mod logs;
mod mirror;
mod observe;
mod own;
mod plain;
mod reach;
mod rendered;
mod roster;
mod stats;
mod tls;
mod transport;
mod upstream;
mod view;

pub use command::{Change, InvalidSignal, Look, Outcome, Signal};
pub use compose::{Composed, Condition};
pub use docker::Engine;
pub use error::Error;
pub use exec::{CommandOutput, Commands, MARKER, Ran, Run};
pub use host::{Host, Settings};
pub use id::{ContainerId, InvalidId};
pub use logs::{
    Line, Lines, Logs, MAX_LINE_BYTES, Moment, Piece, Printed, ReadLogs, Source, Streams, Tail,
    decode,
};
pub use mirror::{Freshness, Managed, Mirror, Notice, Picture, Seen, Told, Watch};
pub use observe::{End, Observation, Observer};
pub use own::OwnContainer;
pub use rendered::Rendered;
pub use stats::{Figures, ReadStats, Stats};
pub use tls::{ClientCertificate, TlsSettings};
pub use view::{Live, Phase, State, Status, View};
