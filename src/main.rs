//! The command: arguments in, exit code out.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    drctl::cli::run(std::env::args_os()).await
}
