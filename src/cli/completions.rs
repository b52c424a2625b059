//! `yingda completions`: a completion script for a shell.

use std::process::ExitCode;

use clap::CommandFactory;

/// Write it where the shell looks, for example:
/// `yingda completions bash > ~/.local/share/bash-completion/completions/yingda`
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    clap_complete::generate(options.shell, &mut super::Cli::command(), "yingda", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
