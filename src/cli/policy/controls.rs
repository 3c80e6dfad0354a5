//! `sealtail policy controls`.

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use serde::Serialize;

use crate::policy::controls::{all, answered};

/// Arguments of `sealtail policy controls`.
#[derive(Debug, Args)]
pub(super) struct ControlsArgs {
    /// Policies whose rules are listed; by default those that come with sealtail
    #[arg(long, value_name = "PATH")]
    policies: Vec<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// One control as a program reads it.
#[derive(Serialize)]
struct Row<'a> {
    control: &'a str,
    title: Option<&'a str>,
    /// Ids of verdicts.
    rules: &'a [&'a str],
    /// What the chain shows.
    chain: Option<&'a str>,
    /// What no log shows.
    limit: Option<&'a str>,
}

pub(super) fn run(args: &ControlsArgs) -> ExitCode {
    let set = match super::load(&args.policies) {
        Ok(set) => set,
        Err(faults) => return super::refuse(&faults),
    };
    let answered = answered(&set);
    let known = all().iter().map(|control| (control.id, Some(control)));
    let others = answered.keys().filter(|id| all().iter().all(|control| control.id != **id)).map(|id| (*id, None));
    for (id, control) in known.chain(others) {
        let row = Row {
            control: id,
            title: control.map(|control| control.title),
            rules: answered.get(id).map(Vec::as_slice).unwrap_or_default(),
            chain: control.and_then(|control| control.chain),
            limit: control.and_then(|control| control.limit),
        };
        match (args.json, serde_json::to_string(&row)) {
            (true, Ok(json)) => anstream::println!("{json}"),
            _ => show(&row),
        }
    }
    ExitCode::SUCCESS
}

fn show(row: &Row<'_>) {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    anstream::println!("{bold}{}{bold:#} {}", row.control, row.title.unwrap_or("(not in the catalogue)"));
    if !row.rules.is_empty() {
        anstream::println!("    rules  {}", row.rules.join(", "));
    }
    if let Some(chain) = row.chain {
        anstream::println!("    chain  {chain}");
    }
    if let Some(limit) = row.limit {
        anstream::println!("    not shown by a log  {dim}{limit}{dim:#}");
    }
    if row.rules.is_empty() && row.chain.is_none() && row.limit.is_none() {
        anstream::println!("    {dim}no rule answers it{dim:#}");
    }
}
