//! The `yingda` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    yingda::cli::main()
}
