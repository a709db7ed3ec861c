//! Edge: the audit trail, one line of JSON for each thing that somebody may later have to account for.
//!
//! A thread of its own owns the output, so that a disk or a pipe that stalls holds up no request but those that have to
//! wait for their record, and those not for ever. What is written survives the end of this process, however it ends; a
//! loss of power it survives only as far as the file system says.

mod line;
mod output;
mod record;
mod settings;
mod trail;

pub use output::OpenError;
pub use record::{Decision, Event, Outcome, Record};
pub use settings::{Output, Settings};
pub use trail::{CAPACITY, Ending, Place, Trail, Unwritten};
