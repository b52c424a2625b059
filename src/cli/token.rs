//! `yingda token`: a new bearer token and the hash that the configuration holds.

use std::process::ExitCode;

use anyhow::Context;

use crate::config::{Role, hash_token};

/// Prints a random token once, and the line for the configuration, which holds only its hash.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What the token may do
    #[arg(long, value_parser = role)]
    role: Role,
    /// Who will hold it
    #[arg(long, default_value = "unnamed")]
    name: String,
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| "roles are channel, agent, editor, admin".to_owned())
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut bytes = [0_u8; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").context("no randomness")?, &mut bytes)?;
    let token = format!("yd_{}", hex::encode(bytes));
    println!("token, shown only now: {token}\n");
    println!("[[tokens]]\nname = {:?}\nrole = \"{}\"", options.name, options.role.name());
    println!("sha256 = \"{}\"", hex::encode(hash_token(&token)));
    Ok(ExitCode::SUCCESS)
}
