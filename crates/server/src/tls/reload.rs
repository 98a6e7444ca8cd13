//! Certificates that are replaced while the server runs: newcomers get the new ones, and open lines notice nothing.

use std::time::Duration;

use openline::tls::Acceptor;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Tls;
use super::files::Read;

/// How soon a change is seen. The files are read, which costs microseconds: what tells of changes (inotify and its like)
/// sees neither a network's file system nor, through the links that orchestrators swap, the file that is meant.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks at the files for ever. What cannot be used is said once, and what was goes on to be used: a certificate and its key
/// are two files, and are not replaced at the same moment.
pub(crate) async fn follow(tls: Tls, acceptor: Acceptor) {
    let mut last = look(&tls).await;
    loop {
        sleep(LOOK_EVERY).await;
        let now = look(&tls).await;
        if now == last {
            continue;
        }
        let replaced = match &now {
            Ok(read) => {
                read.judge(&tls).and_then(|settings| acceptor.replace(&settings)).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.clone()),
        };
        match replaced {
            Ok(()) => tracing::info!("the certificates have changed: newcomers get the new ones"),
            Err(error) => {
                tracing::error!("the certificates have changed and cannot be used, so those before are: {error}")
            }
        }
        last = now;
    }
}

async fn look(tls: &Tls) -> Result<Read, String> {
    let tls = tls.clone();
    let read = spawn_blocking(move || Read::now(&tls).map_err(|error| error.to_string())).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}
