//! Man pages and shell completions, made from the command line: `cargo run --example manual DIR` puts them into DIR/man and
//! DIR/completions. Not a subcommand, so that the shipped command doesn't carry what only packages need.

use clap::CommandFactory;
use clap_complete::Shell;
use sealtail::cli::Cli;
use std::path::Path;
use std::{env, fs, io, process};

fn main() {
    let made = match env::args_os().nth(1) {
        Some(dir) => make(Path::new(&dir)),
        None => Err(io::Error::other("name the folder to make them in: cargo run --example manual DIR")),
    };
    if let Err(error) = made {
        eprintln!("manual: {error}");
        process::exit(1);
    }
}

fn make(dir: &Path) -> io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "sealtail", &completions)?;
    }
    Ok(())
}
