//! The program `openline`. What it can do is in `cli`, what its exit codes mean in `exit`.

use std::process::ExitCode;

fn main() -> ExitCode {
    openline_server::cli::run().into()
}
