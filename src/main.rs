//! The sealtail command.

fn main() -> std::process::ExitCode {
    sealtail::cli::main()
}
