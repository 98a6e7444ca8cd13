//! Every way the program ends, and the number it tells the shell.

use std::process::ExitCode;

/// How a command ended. The numbers are a promise to scripts: they do not change, and new ones are added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Ok = 0,
    /// Something failed while running that no other code names.
    Failure = 1,
    /// The command line makes no sense. (The number clap uses, too.)
    Usage = 2,
    /// `serve`: an address cannot be listened on: in use, not ours, not allowed.
    CannotListen = 3,
    /// `connect`: no connection came about: the name does not resolve, nobody listens there, nobody answers, there is
    /// no TLS between us, or the proxy does not connect us.
    CannotConnect = 4,
    /// `connect`: the opening handshake failed: the server refused it, or accepted it wrongly.
    Refused = 5,
    /// `connect`: the line ended badly: without a closing handshake, or with a close code that reports an error.
    EndedBadly = 6,
    /// `connect`: the peer broke the WebSocket protocol.
    Protocol = 7,
    /// `bench`: it ran, and what was measured is not within the limits that were asked for.
    Missed = 8,
    /// A second signal cut the ending short. (What a shell reports for a program that Ctrl-C killed.)
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The end of `openline --help`.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  failed while running
    2  the command line makes no sense
    3  serve: cannot listen on an address
    4  connect: no connection: unknown name, nobody answers, no TLS, no way through the proxy
    5  connect: the opening handshake failed: refused, or answered wrongly
    6  connect: the line ended badly: broken off, or closed for an error
    7  connect: the peer broke the WebSocket protocol
    8  bench: a limit was missed, such as --max-p99
  130  a second Ctrl-C (or SIGTERM) cut the ending short";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        let all = [
            Exit::Ok,
            Exit::Failure,
            Exit::Usage,
            Exit::CannotListen,
            Exit::CannotConnect,
            Exit::Refused,
            Exit::EndedBadly,
            Exit::Protocol,
            Exit::Missed,
            Exit::Interrupted,
        ];
        let documented: Vec<u8> =
            HELP.lines().skip(1).map(|line| line.trim().split(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(documented, all.map(|exit| exit as u8));
    }
}
