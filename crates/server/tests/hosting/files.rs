//! `static`: a folder's files, and nothing else of the machine.

use std::fs;
use std::path::PathBuf;

use openline_server::hosting::{Files, Route, What};

use crate::{get, host, host_one};

/// A folder that is gone when the test is.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn put(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn files_with_type_tag_range_and_index() {
    let folder = Folder::new("files");
    folder.put("index.html", "<p>start");
    folder.put("app.js", "0123456789");
    folder.put("app.js.gz", "packed");
    folder.put("sub/index.html", "<p>sub");
    folder.put("a b.txt", "blank");
    let server = host_one("/", What::Files(Files::new(&folder.0))).await;

    let index = get(&server, "/", "").await;
    assert_eq!((index.status, index.body.as_str()), (200, "<p>start"));
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(index.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(get(&server, "/a%20b.txt", "").await.body, "blank");

    let script = get(&server, "/app.js", "").await;
    assert_eq!(
        (script.body.as_str(), script.header("content-type")),
        ("0123456789", Some("text/javascript; charset=utf-8"))
    );
    let tag = script.header("etag").unwrap();
    assert_eq!(get(&server, "/app.js", &format!("If-None-Match: {tag}\r\n")).await.status, 304);
    let part = get(&server, "/app.js", "Range: bytes=2-4\r\n").await;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(get(&server, "/app.js", "Range: bytes=20-\r\n").await.status, 416);
    let packed = get(&server, "/app.js", "Accept-Encoding: br, gzip\r\n").await;
    assert_eq!((packed.body.as_str(), packed.header("content-encoding")), ("packed", Some("gzip")));

    assert_eq!(get(&server, "/sub", "").await.header("location"), Some("/sub/"));
    assert_eq!(get(&server, "/sub/", "").await.body, "<p>sub");
    assert_eq!(get(&server, "/none", "").await.status, 404);
    let mut raw = server.connect().await;
    raw.send("DELETE /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 405);
    let mut raw = server.connect().await;
    raw.send(crate::support::upgrade("/app.js")).await;
    assert_eq!(raw.answer().await.status, 404);
}

#[tokio::test]
async fn below_a_path_links_of_pages_stay_there() {
    let folder = Folder::new("below");
    folder.put("index.html", "<p>docs");
    folder.put("sub/a.txt", "a");
    let server = host_one("/docs", What::Files(Files::new(&folder.0))).await;
    let away = get(&server, "/docs?q", "").await;
    assert_eq!((away.status, away.header("location")), (308, Some("/docs/?q")));
    assert_eq!(get(&server, "/docs/", "").await.body, "<p>docs");
    assert_eq!(get(&server, "/docs/sub/a.txt", "").await.body, "a");
    assert_eq!(get(&server, "/docs/sub", "").await.header("location"), Some("/docs/sub/"));
    assert_eq!(get(&server, "/docsy", "").await.status, 404);
}

#[tokio::test]
async fn an_application_answers_for_its_pages() {
    let folder = Folder::new("fallback");
    folder.put("index.html", "<p>app");
    let files = Files { fallback: Some("index.html".into()), ..Files::new(&folder.0) };
    let server = host_one("/", What::Files(files)).await;
    let page = get(&server, "/users/17", "").await;
    assert_eq!((page.status, page.body.as_str()), (200, "<p>app"));
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_outside_of_the_folder_and_nothing_hidden() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("escape");
    folder.put("public/a.txt", "a");
    folder.put("public/.env", "secret");
    folder.put("public/.git/config", "secret");
    folder.put("public/.well-known/acme", "token");
    folder.put("secret.txt", "secret");
    let public = folder.0.join("public");
    symlink(folder.0.join("secret.txt"), public.join("out.txt")).unwrap();
    symlink(&folder.0, public.join("up")).unwrap();
    symlink("/etc", public.join("etc")).unwrap();
    symlink(".env", public.join("env.txt")).unwrap();
    symlink("a.txt", public.join("in.txt")).unwrap();
    let server = host(vec![
        Route::new("/", What::Files(Files::new(&public))),
        Route::new("/all", What::Files(Files { hidden: true, ..Files::new(&public) })),
    ])
    .await;
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/out.txt",
        "/up/secret.txt",
        "/up/",
        "/etc/passwd",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/env.txt",
        "/a.txt%00",
        "//etc/passwd",
        "/all/out.txt",
        "/all/../.env",
    ] {
        let answer = get(&server, path, "").await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.body.contains("secret\n") && answer.body != "secret", "{path}");
    }
    assert_eq!(get(&server, "/in.txt", "").await.body, "a");
    assert_eq!(get(&server, "/.well-known/acme", "").await.body, "token");
    assert_eq!(get(&server, "/all/.env", "").await.body, "secret");
}
