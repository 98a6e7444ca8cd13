//! `exec`: programs, with websocketd's own examples as they are written in its documentation.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use openline::{Client, CloseCode, Config as LineConfig, ConnectError, Message};
use openline_server::hosting::{Exec, Frames, Route, Sharing, What};
use openline_server::{Config, Order};
use tokio::time::timeout;

use crate::files::Folder;
use crate::support::{PATIENCE, start};
use crate::{closes, hear, hears, host, host_one, open};

/// A program in a folder.
fn program(folder: &Folder, name: &str, text: &str) -> Exec {
    folder.put(name, text);
    let path = folder.0.join(name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Exec::new(path)
}

fn shell(script: &str) -> Exec {
    Exec { arguments: vec!["-c".into(), script.into()], ..Exec::new("/bin/sh") }
}

/// Whether a process is there and no zombie.
fn is_alive(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

async fn dies(id: &str) {
    let dead = async {
        while is_alive(id) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, dead).await.expect("it ends");
}

#[tokio::test]
async fn websocketd_count() {
    let folder = Folder::new("count");
    let count = program(
        &folder,
        "count.sh",
        "#!/bin/bash\n\nfor ((COUNT = 1; COUNT <= 10; COUNT++)); do\n  echo $COUNT\n  sleep 0.01\ndone\n",
    );
    let server = host_one("/", What::Exec(count)).await;
    let mut socket = open(&server, "/", &[]).await;
    for number in 1..=10 {
        hears(&mut socket, &number.to_string()).await;
    }
    closes(&mut socket, 1000, "").await;
}

#[tokio::test]
async fn websocketd_greeter() {
    let folder = Folder::new("greeter");
    let greeter = program(&folder, "greeter.sh", "#!/bin/bash\n\nwhile read LINE\ndo\n  echo \"Hello $LINE!\"\ndone\n");
    let server = host_one("/greet", What::Exec(greeter)).await;
    let mut socket = open(&server, "/greet", &[]).await;
    for name in ["Ann", "Bob", "ünï"] {
        socket.send(name).await.unwrap();
        hears(&mut socket, &format!("Hello {name}!")).await;
    }
    // A program of its own for each.
    let mut other = open(&server, "/greet", &[]).await;
    other.send("Eve").await.unwrap();
    hears(&mut other, "Hello Eve!").await;
    socket.close(CloseCode::NORMAL, "").await.unwrap();
}

#[tokio::test]
async fn websocketd_dump_env() {
    let folder = Folder::new("env");
    let dump = program(&folder, "dump-env.sh", "#!/bin/bash\nenv | sort\n");
    let exec = Exec { environment: vec![("OWN".into(), "yes".into())], ..dump };
    let server = host_one("/env/{room}/{*rest}", What::Exec(exec)).await;
    let url = format!("ws://{}/env/a%20b/c/d?q=1&r=%20", server.address);
    let client = Client::new()
        .header("Proxy", "http://evil.example")
        .header("Authorization", "Basic c2VjcmV0")
        .header("Cookie", "a=b")
        .header("X-Real", "1")
        .header("X_Real", "2")
        .origin("http://localhost:5173");
    let (mut socket, _) = client.connect(&url).await.unwrap();
    let mut variables = std::collections::BTreeMap::new();
    while let Some(message) = hear(&mut socket).await {
        let line = message.as_text().unwrap().to_owned();
        let (name, value) = line.split_once('=').unwrap();
        variables.insert(name.to_owned(), value.to_owned());
    }
    let port = server.address.port().to_string();
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", port.as_str()),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/env/a%20b/c/d?q=1&r=%20"),
        ("SCRIPT_NAME", "/env"),
        ("PATH_INFO", "/a b/c/d"),
        ("QUERY_STRING", "q=1&r=%20"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_HOST", "127.0.0.1"),
        ("PATH_PARAM_ROOM", "a b"),
        ("PATH_PARAM_REST", "c/d"),
        ("HTTP_COOKIE", "a=b"),
        ("HTTP_X_REAL", "1"),
        ("HTTP_ORIGIN", "http://localhost:5173"),
        ("HTTP_SEC_WEBSOCKET_VERSION", "13"),
        ("CONTENT_LENGTH", ""),
        ("OWN", "yes"),
    ] {
        assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(
        !variables["REMOTE_PORT"].is_empty() && !variables["UNIQUE_ID"].is_empty() && !variables["PATH"].is_empty()
    );
    // Nothing else of ours, and nothing that turns its requests elsewhere or logs in for it.
    for name in ["HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTPS", "CARGO_MANIFEST_DIR", "CARGO", "USER"] {
        assert!(!variables.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn bytes_pass_as_they_are() {
    let server = host_one("/cat", What::Exec(Exec { frames: Frames::Binary, ..Exec::new("cat") })).await;
    let mut socket = open(&server, "/cat", &[]).await;
    let sent: Vec<u8> = (0..200_000_u32).map(|byte| byte as u8).collect();
    socket.send(&sent[..]).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < sent.len() {
        let message = hear(&mut socket).await.unwrap();
        assert!(matches!(message, Message::Binary(_)));
        heard.extend_from_slice(message.as_bytes());
    }
    assert_eq!(heard, sent);
}

#[tokio::test]
async fn the_end_of_a_program_closes_the_line() {
    for (script, code, reason) in [
        ("exit 0", 1000, ""),
        ("exit 3", 1011, "the program ended with status 3"),
        ("kill -9 $$", 1011, "the program was ended by signal 9"),
        ("exec >&-; exit 4", 1011, "the program ended with status 4"),
    ] {
        let server = host_one("/x", What::Exec(shell(script))).await;
        closes(&mut open(&server, "/x", &[]).await, code, reason).await;
    }
    let server = host_one("/x", What::Exec(shell("printf 'a\\nlast'; exit 1"))).await;
    let mut socket = open(&server, "/x", &[]).await;
    hears(&mut socket, "a").await;
    hears(&mut socket, "last").await;
    closes(&mut socket, 1011, "the program ended with status 1").await;
}

#[tokio::test]
async fn its_group_ends_with_the_line() {
    let stubborn = Exec {
        stdin_grace: Duration::from_millis(50),
        term_grace: Duration::from_millis(50),
        ..shell("trap '' TERM; sleep 1000 & echo $! $$; while :; do sleep 1000; done")
    };
    let server = host_one("/x", What::Exec(stubborn)).await;
    let mut socket = open(&server, "/x", &[]).await;
    let said = hear(&mut socket).await.unwrap();
    let ids: Vec<_> = said.as_text().unwrap().split(' ').map(str::to_owned).collect();
    assert!(ids.iter().all(|id| is_alive(id)));
    socket.close(CloseCode::NORMAL, "").await.unwrap();
    for id in ids {
        dies(&id).await;
    }
}

#[tokio::test]
async fn the_end_of_stdin_comes_first() {
    let folder = Folder::new("gentle");
    let note = folder.0.join("note");
    let script = format!("trap 'echo term > {0}' TERM; cat > /dev/null; echo gentle > {0}", note.display());
    let server = host_one("/x", What::Exec(Exec { stdin_grace: PATIENCE, ..shell(&script) })).await;
    let mut socket = open(&server, "/x", &[]).await;
    socket.send("a").await.unwrap();
    socket.close(CloseCode::NORMAL, "").await.unwrap();
    let written = async {
        while !std::fs::read_to_string(&note).is_ok_and(|note| note == "gentle\n") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, written).await.expect("it ends by itself");
}

#[tokio::test]
async fn programs_end_with_the_server() {
    for order in [Order::Close, Order::Drain] {
        let mut server = host_one("/x", What::Exec(shell("echo $$; exec cat"))).await;
        let mut socket = open(&server, "/x", &[]).await;
        let id = hear(&mut socket).await.unwrap().as_text().unwrap().to_owned();
        server.order(order);
        let code = if order == Order::Close { 1001 } else { 1012 };
        assert_eq!(hear(&mut socket).await, None);
        assert_eq!(socket.closed().unwrap().code(), code);
        assert_eq!(server.farewell().await.dropped, 0);
        // Not some time later: whoever waits for the server has waited for them.
        assert!(!is_alive(&id));
    }
}

#[tokio::test]
async fn over_the_fork_limit_nobody_else() {
    let server = host_one("/x", What::Exec(Exec { max_programs: 1, ..Exec::new("cat") })).await;
    let mut first = open(&server, "/x", &[]).await;
    match Client::new().connect(&format!("ws://{}/x", server.address)).await {
        Err(ConnectError::Refused(refused)) => {
            assert_eq!(refused.status, 503);
            assert_eq!(refused.headers["retry-after"], "5");
        }
        other => panic!("{other:?}"),
    }
    first.send("still there").await.unwrap();
    hears(&mut first, "still there").await;
}

#[tokio::test]
async fn a_program_that_is_gone_is_500_and_one_that_never_was_does_not_start() {
    let folder = Folder::new("missing");
    let exec = program(&folder, "x.sh", "#!/bin/sh\n");
    let server = host(vec![Route::new("/x", What::Exec(exec)), Route::new("/cat", What::Exec(Exec::new("cat")))]).await;
    std::fs::remove_file(folder.0.join("x.sh")).unwrap();
    match Client::new().connect(&format!("ws://{}/x", server.address)).await {
        Err(ConnectError::Refused(refused)) => assert_eq!(refused.status, 500),
        other => panic!("{other:?}"),
    }
    let mut socket = open(&server, "/cat", &[]).await;
    socket.send("others are well").await.unwrap();
    hears(&mut socket, "others are well").await;

    folder.put("text", "no program");
    for (program, says) in [
        (Exec::new("./none.sh"), "cannot find the program ./none.sh"),
        (Exec::new("no-such-program"), "there is no program no-such-program in PATH"),
        (Exec::new(folder.0.join("text")), "chmod +x"),
        (Exec::new(&folder.0), "is no program"),
        (Exec { folder: Some("/none".into()), ..Exec::new("cat") }, "there is no folder /none"),
    ] {
        let routes = vec![Route::new("/x", What::Exec(program))];
        let error = openline_server::Server::bind(Config { routes, ..Config::default() }).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn who_floods_waits_for_its_reader() {
    // A gigabyte would be there at once.
    let server = host_one("/yes", What::Exec(Exec::new("yes"))).await;
    let mut socket = open(&server, "/yes", &[]).await;
    for _ in 0..1000 {
        hears(&mut socket, "y").await;
    }
    // And a line that has no end is no message.
    let line = LineConfig { max_message_bytes: 1000, ..LineConfig::default() };
    let routes = vec![Route::new("/x", What::Exec(shell("yes | tr -d '\\n'")))];
    let server = start(Config { routes, line, ..Config::default() }).await;
    let mut socket = open(&server, "/x", &[]).await;
    closes(&mut socket, 1011, "the program printed a line of more than 1000 bytes").await;
}

#[tokio::test]
async fn who_never_reads_stalls_its_client_and_not_for_ever() {
    let line = LineConfig { write_timeout: Duration::from_secs(1), ..LineConfig::default() };
    let routes = vec![Route { line: Some(line), ..Route::new("/deaf", What::Exec(shell("exec sleep 1000"))) }];
    let server = start(Config { routes, ..Config::default() }).await;
    let mut socket = open(&server, "/deaf", &[]).await;
    let flood = async {
        let message = vec![b'x'; 64 << 10];
        while socket.send(&message[..]).await.is_ok() {}
    };
    timeout(PATIENCE, flood).await.expect("it is closed");
    while let Ok(Some(_)) = socket.recv().await {}
    let closed = socket.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (1011, "the program does not read"));
}

#[tokio::test]
async fn one_program_for_all() {
    let exec = Exec { sharing: Sharing::All, ..shell("echo $$; while read LINE; do echo \"[$LINE]\"; done; exit 7") };
    let server = host_one("/x", What::Exec(exec)).await;
    let mut ann = open(&server, "/x", &[]).await;
    let id = hear(&mut ann).await.unwrap().as_text().unwrap().to_owned();
    let mut bob = open(&server, "/x", &[]).await;
    bob.send("hi").await.unwrap();
    hears(&mut ann, "[hi]").await;
    hears(&mut bob, "[hi]").await;
    bob.close(CloseCode::NORMAL, "").await.unwrap();
    ann.send("ho").await.unwrap();
    hears(&mut ann, "[ho]").await;
    assert!(is_alive(&id));
    // It ends with the last, and starts again with the next.
    ann.close(CloseCode::NORMAL, "").await.unwrap();
    dies(&id).await;
    let mut eve = open(&server, "/x", &[]).await;
    assert_ne!(hear(&mut eve).await.unwrap().as_text(), Some(id.as_str()));

    let exec = Exec { sharing: Sharing::All, ..shell("read LINE; echo done; exit 7") };
    let server = host_one("/x", What::Exec(exec)).await;
    let (mut ann, mut bob) = (open(&server, "/x", &[]).await, open(&server, "/x", &[]).await);
    ann.send("now").await.unwrap();
    for socket in [&mut ann, &mut bob] {
        hears(socket, "done").await;
        closes(socket, 1011, "the program ended with status 7").await;
    }
}
