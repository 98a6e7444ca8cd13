//! `hot_paths`: prints the names. `hot_paths NAME TIMES`: does one of them so often, to be counted by callgrind.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (name, times) = (arguments.next(), arguments.next().and_then(|times| times.parse::<u64>().ok()));
    match (name, times) {
        (None, _) => openline_hot_paths::all().iter().for_each(|path| println!("{}", path.name)),
        (Some(name), Some(times)) => {
            let Some(mut path) = openline_hot_paths::all().into_iter().find(|path| path.name == name) else {
                eprintln!("there is no {name}");
                return ExitCode::FAILURE;
            };
            (0..times).for_each(|_| (path.run)());
        }
        (Some(_), None) => {
            eprintln!("usage: hot_paths [NAME TIMES]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
