//! `openline bench`, the real program: what it counts, what it says of servers that misbehave, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![cfg(unix)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use openline::{CloseCode, Listener, Message, StatusCode, WebSocket, handshake::ServerHandshake};
use openline_server::Config;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{PATIENCE, Program, Running, openline, start};

/// Runs to the end: exit code, stdout, stderr.
async fn run(args: &[&str]) -> (i32, String, String) {
    Program::start(openline(&[&["bench"], args].concat())).end().await
}

/// Runs to the end: exit code, and its report, which keeps to its schema.
async fn report(args: &[&str]) -> (i32, Value) {
    let (code, out, err) = run(&[args, &["--json"]].concat()).await;
    (code, parse(&out, &err))
}

fn parse(out: &str, err: &str) -> Value {
    let report = serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}:\n{out}\n{err}"));
    let schema = serde_json::from_str(include_str!("../../../docs/bench.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{out}");
    report
}

fn url(server: &Running, path: &str) -> String {
    format!("ws://{}{path}", server.address)
}

/// A server that does the same with every line.
async fn serve<F>(serve: impl Fn(WebSocket) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await.unwrap();
            let serve = serve.clone();
            tokio::spawn(async move {
                let opening = incoming.request().await.unwrap();
                serve(opening.accept(&ServerHandshake::default()).await.unwrap()).await;
            });
        }
    });
    url
}

/// Echoes until the end.
async fn echo(mut socket: WebSocket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.feed(message).await.is_err() {
            return;
        }
    }
}

fn sum(reasons: &Value) -> u64 {
    reasons.as_array().unwrap().iter().map(|reason| reason["count"].as_u64().unwrap()).sum()
}

mod counts {
    use super::*;

    #[tokio::test]
    async fn every_message_is_sent_answered_and_timed() {
        let server = start(Config::default()).await;
        let (code, report) =
            report(&[&url(&server, "/test"), "-c", "7", "-i", "3", "-n", "1k", "--max-errors", "0"]).await;
        assert_eq!(code, 0, "{report:#}");
        let (lines, messages) = (&report["lines"], &report["messages"]);
        assert_eq!([&lines["opened"], &lines["closed"]], [7, 7]);
        assert_eq!(lines["handshake"]["count"], 7);
        for (field, count) in [("sent", 1_000), ("received", 1_000), ("sent_bytes", 64_000), ("received_bytes", 64_000)]
        {
            assert_eq!(messages[field], count, "{field}");
        }
        assert_eq!(report["latency"]["count"], 1_000);
        assert_eq!(report["errors"], 0);
        assert!(report["lateness"].is_null() && report["completion"].is_null());
        let percentiles = ["min_us", "p50_us", "p75_us", "p90_us", "p95_us", "p99_us", "p999_us", "p9999_us", "max_us"]
            .map(|field| report["latency"][field].as_f64().unwrap());
        assert!(percentiles.is_sorted() && percentiles[0] > 0.0, "{percentiles:?}");
    }

    #[tokio::test]
    async fn every_size_and_kind() {
        let url = serve(echo).await;
        for size in ["1", "8", "125", "126", "65536", "300KiB"] {
            for kind in ["--text", "--binary"] {
                let (code, report) = report(&[&url, "-c", "2", "-i", "4", "-n", "40", "--size", size, kind]).await;
                assert_eq!((code, &report["messages"]["received"]), (0, &Value::from(40)), "{size} {kind} {report:#}");
                assert_eq!(report["errors"], 0);
            }
        }
    }

    #[tokio::test]
    async fn templates_are_filled_in() {
        let (seen, mut sent) = mpsc::unbounded_channel();
        let url = serve(move |mut socket| {
            let seen = seen.clone();
            async move {
                while let Ok(Some(message)) = socket.recv().await {
                    seen.send(message.as_text().unwrap().to_owned()).unwrap();
                    let _ = socket.send(message).await;
                }
            }
        })
        .await;
        let template = "{\"line\":{line},\"seq\":{seq},\"random\":\"{random}\",\"at\":{time}}";
        let (code, _) = report(&[&url, "-c", "2", "-n", "6", "--payload", template]).await;
        assert_eq!(code, 0);
        let mut messages = Vec::new();
        while let Ok(message) = sent.try_recv() {
            messages.push(serde_json::from_str::<Value>(&message).unwrap());
        }
        assert_eq!(messages.len(), 6);
        for message in &messages {
            assert!(message["at"].as_u64().unwrap() > 1_700_000_000_000);
            assert_eq!(messages.iter().filter(|other| other["random"] == message["random"]).count(), 1);
        }
        let mut numbers: Vec<String> = messages.iter().map(|m| format!("{} {}", m["line"], m["seq"])).collect();
        numbers.sort();
        assert_eq!(numbers, ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"]);
    }

    #[tokio::test]
    async fn files_are_sent_as_they_are() {
        let file = std::env::temp_dir().join(format!("openline-bench-{}", std::process::id()));
        std::fs::write(&file, b"\xff\x00data").unwrap();
        let url = serve(|mut socket| async move {
            while let Ok(Some(message)) = socket.recv().await {
                assert_eq!(message, Message::Binary(b"\xff\x00data".to_vec().into()));
                let _ = socket.send(message).await;
            }
        })
        .await;
        let path = file.to_str().unwrap();
        let (code, report) = report(&[&url, "-c", "1", "-n", "3", "--payload-file", path]).await;
        assert_eq!((code, &report["messages"]["received"]), (0, &Value::from(3)));
        let (code, _, err) = run(&[&url, "--payload-file", path, "--text"]).await;
        assert!(code == 2 && err.contains("is not UTF-8"), "{err}");
        std::fs::remove_file(&file).unwrap();
    }

    #[tokio::test]
    async fn what_is_sent_first_is_not_counted() {
        let url = serve(|mut socket| async move {
            assert_eq!(socket.recv().await.unwrap().unwrap().as_text(), Some("subscribe"));
            socket.send("welcome").await.unwrap();
            echo(socket).await;
        })
        .await;
        let (code, report) = report(&[&url, "-c", "3", "-n", "30", "--first", "subscribe"]).await;
        // The welcome may come behind the first message that counts; then it is a wrong reply. It came before, or it did not.
        assert_eq!(code, 0);
        assert_eq!(report["messages"]["sent"], 30);
    }

    #[tokio::test]
    async fn at_a_rate_messages_leave_when_they_are_due() {
        let server = start(Config::default()).await;
        let (code, report) = report(&[&url(&server, "/test"), "-c", "3", "-r", "2000", "-n", "100"]).await;
        assert_eq!(code, 0);
        assert_eq!(report["messages"]["received"], 100);
        assert_eq!(report["lateness"]["count"], 100);
        // The last of them is due after 99 of 2,000 parts of a second; no clock runs faster.
        assert!(report["measured_s"].as_f64().unwrap() >= 0.049, "{report:#}");
    }

    #[tokio::test]
    async fn a_warm_up_is_not_counted() {
        let server = start(Config::default()).await;
        let (code, report) =
            report(&[&url(&server, "/test"), "-c", "1", "-r", "1000", "-d", "100ms", "--warm-up", "300ms"]).await;
        assert_eq!(code, 0);
        let sent = report["messages"]["sent"].as_u64().unwrap();
        assert!(sent > 0 && sent < 250, "{report:#}");
        assert_eq!(report["asked"]["warm_up_s"], 0.3);
    }

    #[tokio::test]
    async fn idle_lines_say_nothing_and_stay() {
        let server = start(Config::default()).await;
        let (code, report) = report(&[&url(&server, "/test"), "-c", "20", "--idle", "-d", "50ms"]).await;
        assert_eq!((code, &report["mode"]), (0, &Value::from("idle")));
        assert_eq!([&report["lines"]["opened"], &report["lines"]["closed"]], [20, 20]);
        assert!(report.get("messages").is_none() && report["latency"].is_null());
    }

    #[tokio::test]
    async fn any_reply_will_do_if_that_is_asked_for() {
        let url = serve(|mut socket| async move {
            while let Ok(Some(_)) = socket.recv().await {
                let _ = socket.send("pong").await;
            }
        })
        .await;
        let (code, report) = report(&[&url, "-c", "2", "-n", "20", "--expect", "any", "--max-errors", "0"]).await;
        assert_eq!((code, &report["messages"]["received"]), (0, &Value::from(20)));
    }
}

mod lines {
    use super::*;

    #[tokio::test]
    async fn over_tls_to_those_it_trusts() {
        let mut server = Program::start(openline(&["serve", "--listen", "127.0.0.1:0", "--tls-self-signed"]));
        let line = server.line().await;
        let address = line.strip_prefix("listening on https://").unwrap_or_else(|| panic!("{line:?}"));
        let url = format!("wss://{address}/test");
        let (code, report) =
            report(&[&url, "-c", "3", "-n", "60", "-k", "--size", "100KiB", "--max-errors", "0"]).await;
        assert_eq!((code, &report["messages"]["received"]), (0, &Value::from(60)), "{report:#}");
        let (code, out, _) = run(&[&url, "-c", "3", "-n", "60"]).await;
        assert_eq!(code, 4, "{out}");
        assert!(out.contains("opened          0 of 3"), "{out}");
        drop(server);
    }

    #[tokio::test]
    async fn compressed_only_if_that_is_asked_for() {
        let server = start(Config::default()).await;
        let url = url(&server, "/test");
        let payload = "{\"a\":1}".repeat(200);
        for (how, lines) in [("off", 0), ("on", 3), ("takeover", 3)] {
            let args = [&url, "-c", "3", "-n", "60", "--payload", &payload, "--compression", how, "--max-errors", "0"];
            let (code, report) = report(&args).await;
            assert_eq!((code, &report["lines"]["compressed"]), (0, &Value::from(lines)), "{how} {report:#}");
            assert_eq!(report["messages"]["received"], 60);
        }
    }
}

mod fan_out {
    use super::*;

    #[tokio::test]
    async fn everyone_gets_everything() {
        let server = start(Config::default()).await;
        for (in_flight, size) in [("1", "64"), ("8", "1KiB")] {
            let url = url(&server, "/chat");
            let args = [&url, "-c", "9", "--fan-out", "-n", "20", "-i", in_flight, "--size", size, "--max-errors", "0"];
            let (code, report) = report(&args).await;
            assert_eq!(code, 0, "{report:#}");
            assert_eq!([&report["messages"]["sent"], &report["messages"]["received"]], [20, 180]);
            assert_eq!(report["latency"]["count"], 180);
            assert_eq!(report["completion"]["count"], 20);
        }
    }

    #[tokio::test]
    async fn at_a_rate_and_from_another_url() {
        let server = start(Config::default()).await;
        let (here, there) = (url(&server, "/chat"), url(&server, "/chat?publisher"));
        let args = [&here, "-c", "4", "--fan-out", "--publish-url", &there, "-r", "500", "-n", "20", "--text"];
        let (code, report) = report(&args).await;
        assert_eq!((code, &report["messages"]["received"]), (0, &Value::from(80)), "{report:#}");
        assert_eq!(report["lateness"]["count"], 20);
        assert_eq!(report["asked"]["publish_url"], there);
    }

    #[tokio::test]
    async fn deliveries_that_never_come_are_missed() {
        // An echo is no chat: nobody hears the publisher.
        let server = start(Config::default()).await;
        let args = [&url(&server, "/test"), "-c", "3", "--fan-out", "-n", "5", "--reply-timeout", "200ms"];
        let (code, report) = report(&args).await;
        assert_eq!(code, 1, "{report:#}");
        assert_eq!([&report["messages"]["received"], &report["messages"]["undelivered"]], [0, 3]);
    }

    #[tokio::test]
    async fn without_a_publisher_there_is_nothing_to_measure() {
        let server = start(Config::default()).await;
        let (here, there) = (url(&server, "/chat"), url(&server, "/nothing-here"));
        let (code, _, err) = run(&[&here, "-c", "3", "--fan-out", "--publish-url", &there, "-n", "5"]).await;
        assert!(code == 5 && err.contains("there is no publisher: the server answered 404"), "{code} {err}");
    }
}

mod servers_that_misbehave {
    use super::*;

    #[tokio::test]
    async fn one_that_is_not_there() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let (code, out, err) = run(&[&format!("ws://{address}/"), "-c", "3", "-n", "10"]).await;
        assert_eq!(code, 4, "{out}{err}");
        assert!(out.contains("opened          0 of 3"), "{out}");
        assert!(out.contains(&format!("failed          3: cannot connect to {address}: Connection refused")), "{out}");
    }

    #[tokio::test]
    async fn one_that_refuses() {
        let server = start(Config::default()).await;
        let (code, report) = report(&[&url(&server, "/nothing-here"), "-c", "3", "-n", "10"]).await;
        assert_eq!(code, 5);
        assert_eq!(report["lines"]["opened"], 0);
        let failed = report["lines"]["failed"][0]["reason"].as_str().unwrap();
        assert!(failed.starts_with("the server answered 404"), "{failed}");
        assert_eq!(report["errors"], 3);
    }

    #[tokio::test]
    async fn one_that_refuses_some() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for number in 0.. {
                let opening = listener.accept().await.unwrap().request().await.unwrap();
                if number < 3 {
                    tokio::spawn(async { echo(opening.accept(&ServerHandshake::default()).await.unwrap()).await });
                } else {
                    opening.reject(StatusCode::SERVICE_UNAVAILABLE).await.unwrap();
                }
            }
        });
        let args = [&url, "-c", "5", "-n", "50", "--max-errors", "1"];
        let (code, out, err) = run(&args).await;
        assert_eq!(code, 8, "{out}{err}");
        assert!(out.contains("opened          3 of 5"), "{out}");
        assert!(out.contains("failed          2: the server answered 503"), "{out}");
        assert!(out.contains("--max-errors 1: missed, 2"), "{out}");
    }

    #[tokio::test]
    async fn one_that_closes_midway() {
        let url = serve(|mut socket| async move {
            for _ in 0..5 {
                let message = socket.recv().await.unwrap().unwrap();
                socket.send(message).await.unwrap();
            }
            let _ = socket.close(CloseCode::GOING_AWAY, "enough").await;
        })
        .await;
        let (code, report) = report(&[&url, "-c", "2", "-n", "1k"]).await;
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(report["lines"]["close_codes"]["1001"], 2);
        let lost = &report["lines"]["lost"][0];
        assert_eq!(lost["reason"], "the server closed it with 1001 Going Away");
        assert_eq!([&lost["count"], &lost["example"]], [&Value::from(2), &Value::from("enough")]);
        assert_eq!([&report["messages"]["received"], &report["messages"]["sent"]], [10, 12]);
        assert_eq!(report["messages"]["unanswered"], 2);
        assert_eq!(report["errors"], 4);
    }

    #[tokio::test]
    async fn one_that_breaks_off() {
        let url = serve(|mut socket| async move {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            socket.recv().await.unwrap();
        })
        .await;
        let (_, report) = report(&[&url, "-c", "1", "-n", "10"]).await;
        assert_eq!(report["lines"]["close_codes"]["1006"], 1, "{report:#}");
        assert_eq!([sum(&report["lines"]["lost"]), report["messages"]["unanswered"].as_u64().unwrap()], [1, 1]);
    }

    #[tokio::test]
    async fn one_that_echoes_wrong_bytes() {
        let url = serve(|mut socket| async move {
            for number in 0.. {
                let Ok(Some(message)) = socket.recv().await else { return };
                let mut bytes = message.into_bytes().to_vec();
                let answer = match number % 4 {
                    0 => Message::from(bytes),
                    1 => {
                        bytes[63] ^= 1;
                        Message::from(bytes)
                    }
                    2 => Message::from(bytes[1..].to_vec()),
                    _ => Message::from("text"),
                };
                let _ = socket.send(answer).await;
            }
        })
        .await;
        let (code, report) = report(&[&url, "-c", "1", "-n", "40", "--max-errors", "29"]).await;
        assert_eq!(code, 8);
        assert_eq!([&report["messages"]["received"], &report["latency"]["count"]], [10, 10]);
        let wrong = &report["messages"]["wrong"];
        assert_eq!((sum(wrong), &report["errors"]), (30, &Value::from(30)), "{report:#}");
        assert_eq!(wrong[0]["reason"], "another length than was sent");
        assert_eq!(wrong[0]["example"], "63 bytes instead of 64");
        assert_eq!(wrong[1]["reason"], "other bytes than were sent");
        assert!(wrong[1]["example"].as_str().unwrap().starts_with("at byte 63: "));
    }

    #[tokio::test]
    async fn one_that_never_answers() {
        let url = serve(|mut socket| async move { while let Ok(Some(_)) = socket.recv().await {} }).await;
        let (code, out, err) = run(&[&url, "-c", "2", "-n", "10", "--reply-timeout", "200ms"]).await;
        assert_eq!(code, 1, "{out}{err}");
        assert!(out.contains("lost            2: no reply within 200ms"), "{out}");
        assert!(out.contains("unanswered      2:"), "{out}");
        assert!(err.contains("not one message came back as it should"), "{err}");
    }

    #[tokio::test]
    async fn one_that_answers_no_handshake() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
            }
        });
        let (code, out, _) = run(&[&url, "-c", "2", "-n", "10", "--connect-timeout", "100ms"]).await;
        assert_eq!(code, 4, "{out}");
        assert!(out.contains("failed          2: no WebSocket after 100ms"), "{out}");
    }

    #[tokio::test]
    async fn one_that_speaks_unasked() {
        let url = serve(|mut socket| async move {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            socket.send("and another thing").await.unwrap();
            echo(socket).await;
        })
        .await;
        let (_, report) = report(&[&url, "-c", "1", "-n", "1"]).await;
        assert_eq!([&report["messages"]["received"], &report["errors"]], [1, 0], "{report:#}");
    }

    /// A stall holds up every message that was due meanwhile, and all of them say so.
    #[tokio::test]
    async fn one_that_stalls_hides_nothing() {
        const STALL: Duration = Duration::from_millis(400);
        let url = serve(|mut socket| async move {
            for number in 0.. {
                let Ok(Some(message)) = socket.recv().await else { return };
                if number == 10 {
                    tokio::time::sleep(STALL).await; // the stall itself
                }
                let _ = socket.send(message).await;
            }
        })
        .await;
        for in_flight in [&[][..], &["-i", "1"]] {
            let args = [&[url.as_str(), "-c", "1", "-r", "200", "-n", "120"], in_flight].concat();
            let (code, report) = report(&args).await;
            assert_eq!(code, 0);
            // 80 were due during the stall, and a half of them waited for half of it or more.
            let slow: u64 = report["latency"]["histogram"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|bucket| bucket["up_to_us"].as_f64().unwrap() > 200_000.0)
                .map(|bucket| bucket["count"].as_u64().unwrap())
                .sum();
            assert!(slow >= 30, "{slow} {report:#}");
            assert!(report["latency"]["max_us"].as_f64().unwrap() >= 390_000.0);
        }
    }
}

mod endings {
    use super::*;

    #[tokio::test]
    async fn ctrl_c_ends_with_a_report() {
        let received = Arc::new(AtomicUsize::new(0));
        let (enough, mut seen) = mpsc::unbounded_channel();
        let counter = received.clone();
        let url = serve(move |mut socket| {
            let (counter, enough) = (counter.clone(), enough.clone());
            async move {
                while let Ok(Some(message)) = socket.recv().await {
                    let _ = socket.feed(message).await;
                    if counter.fetch_add(1, Ordering::Relaxed) == 100 {
                        enough.send(()).unwrap();
                    }
                }
            }
        })
        .await;
        let program = Program::start(openline(&["bench", &url, "-c", "3", "-d", "10m", "--json"]));
        timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
        program.signal(SIGINT);
        let (code, out, err) = program.end().await;
        let report = parse(&out, &err);
        assert_eq!((code, &report["interrupted"]), (0, &Value::from(true)), "{err}");
        assert!(report["messages"]["received"].as_u64().unwrap() >= 90, "{report:#}");
        assert_eq!([&report["errors"], &report["lines"]["closed"]], [0, 3]);
    }

    #[tokio::test]
    async fn ctrl_c_waits_neither_for_replies_nor_for_handshakes() {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let told = arrived.clone();
        let silent = serve(move |mut socket| {
            let told = told.clone();
            async move {
                while let Ok(Some(_)) = socket.recv().await {
                    let _ = told.send(());
                }
            }
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let deaf = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let accepted = listener.accept().await;
            arrived.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(accepted);
        });
        for (url, field) in [(silent, "abandoned"), (deaf, "not_tried")] {
            let program = Program::start(openline(&[
                "bench",
                &url,
                "-c",
                "1",
                "-n",
                "10",
                "--json",
                "--reply-timeout",
                "10m",
                "--connect-timeout",
                "10m",
            ]));
            timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
            program.signal(SIGINT);
            let (code, out, err) = program.end().await;
            let report = parse(&out, &err);
            assert_eq!((code, &report["interrupted"]), (0, &Value::from(true)), "{out}{err}");
            let count = if field == "abandoned" { &report["messages"][field] } else { &report["lines"][field] };
            assert_eq!(count, 1, "{out}");
        }
    }

    #[tokio::test]
    async fn limits_set_the_exit_code() {
        let server = start(Config::default()).await;
        let url = url(&server, "/test");
        let met = ["--max-p50", "1m", "--max-p90", "1m", "--max-p99", "1m", "--max-p999", "1m", "--max-latency", "1m"];
        let run =
            async |limits: &[&str]| report(&[&[url.as_str(), "-n", "100", "--max-errors", "0"], limits].concat()).await;
        let (code, report) = run(&met).await;
        assert_eq!((code, &report["met"]), (0, &Value::from(true)));
        assert_eq!(report["limits"].as_array().unwrap().len(), 6);
        for missed in [["--max-p50", "1us"], ["--max-p999", "1us"], ["--max-latency", "1us"], ["--min-rate", "900M"]] {
            let (code, report) = run(&missed).await;
            assert_eq!((code, &report["met"]), (8, &Value::from(false)), "{missed:?}");
            let limits = report["limits"].as_array().unwrap();
            assert_eq!(limits.iter().filter(|limit| limit["met"] == false).count(), 1);
        }
    }

    #[tokio::test]
    async fn a_limit_on_what_was_not_measured_is_missed() {
        let server = start(Config::default()).await;
        let args = [&url(&server, "/test"), "--idle", "-d", "10ms", "--max-p99", "1m"];
        let (code, report) = report(&args).await;
        assert_eq!((code, &report["limits"][0]["measured"]), (8, &Value::Null));
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_said_before_anything_is_opened() {
        for (args, why) in [
            (&["-n", "5", "-d", "5s"][..], "cannot be used with"),
            (&["--idle", "--rate", "5"], "cannot be used with"),
            (&["--text", "--binary"], "cannot be used with"),
            (&["--publish-url", ":1/"], "--fan-out"),
            (&["--fan-out", "--payload", "x"], "use --size"),
            (&["--fan-out", "--size", "10"], "use --size 43"),
            (&["--rate", "0"], "more than 0"),
            (&["-c", "none"], "a number is like 500, 10k or 1M"),
            (&["--payload-file", "/does/not/exist"], "cannot read"),
        ] {
            let (code, out, err) = run(&[&[":1/"], args].concat()).await;
            assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
            assert!(err.contains(why), "{args:?}: {err}");
        }
    }
}

mod reports {
    use super::*;

    #[tokio::test]
    async fn a_pipe_gets_plain_text_and_nothing_else() {
        let server = start(Config::default()).await;
        let (code, out, err) = run(&[&url(&server, "/test"), "-c", "2", "-n", "200"]).await;
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(!out.contains('\u{1b}'), "{out}");
        for what in ["2 lines, 1 message of 64 B", "opened          2 of 2", "replies         200 in", "p99.9", "█"] {
            assert!(out.contains(what), "{what:?} is not in\n{out}");
        }
    }

    #[tokio::test]
    async fn the_help_teaches() {
        let (code, out, _) = run(&["--help"]).await;
        assert_eq!(code, 0);
        for what in ["Examples:", "coordinated omission", "--fan-out", "--max-p99", "Ctrl-C"] {
            assert!(out.contains(what), "{what:?} is not in\n{out}");
        }
    }
}
