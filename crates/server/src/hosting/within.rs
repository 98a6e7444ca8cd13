//! The files of a folder and no others: what a link leads out of it to is not there, nor is what its name hides.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tower_http::services::fs::{Backend, TokioBackend, TokioFile};

/// Reads files below a folder.
#[derive(Clone, Debug)]
pub(super) struct Within {
    /// Without links and dots in it.
    root: Arc<Path>,
    hidden: bool,
}

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Within {
    /// `root` must be in canonical form. `hidden`: files whose names begin with a dot are shown, too.
    pub(super) fn new(root: &Path, hidden: bool) -> Self {
        Self { root: root.into(), hidden }
    }

    /// Where the file really is, if it may be seen. Who can move links about while we look can read the files as well.
    fn really(&self, path: &Path) -> io::Result<PathBuf> {
        let real = path.canonicalize()?;
        let Ok(below) = real.strip_prefix(&self.root) else { return Err(io::ErrorKind::NotFound.into()) };
        // What a link within the folder leads to must not be hidden either.
        let asked = path.strip_prefix(&self.root).unwrap_or(path);
        if !self.hidden && [below, asked].iter().any(|path| is_hidden(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(real)
    }
}

/// `.git`, `.env`; `.well-known` is what the web itself calls so (RFC 8615).
fn is_hidden(path: &Path) -> bool {
    let names = path.components().map(|component| component.as_os_str().to_string_lossy());
    names.into_iter().any(|name| name.starts_with('.') && name.len() > 1 && name != ".." && name != ".well-known")
}

impl Backend for Within {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = Later<TokioFile>;
    type MetadataFuture = Later<std::fs::Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let within = self.clone();
        Box::pin(async move {
            let real = tokio::task::spawn_blocking(move || {
                let real = within.really(&path)?;
                // A named pipe would be waited for until somebody writes to it.
                if real.metadata()?.is_file() { Ok(real) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
            });
            TokioBackend.open(real.await??).await
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let within = self.clone();
        Box::pin(async move { tokio::task::spawn_blocking(move || within.really(&path)?.metadata()).await? })
    }
}
