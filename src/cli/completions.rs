//! `completions`: what makes a shell complete our subcommands and options.

use clap::{CommandFactory, ValueEnum};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use super::{Arguments, YES, say};

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

pub(super) fn run(shell: Shell) -> u8 {
    const NAME: &str = "relayer-controller";
    let mut command = Arguments::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(Bash, &mut command, NAME, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, NAME, &mut script),
        Shell::Fish => generate(Fish, &mut command, NAME, &mut script),
    }
    let script = String::from_utf8_lossy(&script);
    // clap_complete spells a name with a hyphen in two ways, and bash then finds nothing below it: clap#6421.
    let script = script.replace("relayer__subcmd__controller", "relayer__controller");
    say(script.trim_end());
    YES
}
