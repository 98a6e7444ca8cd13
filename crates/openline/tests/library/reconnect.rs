//! A client that comes back, and servers that give it reason to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use openline::{
    Attempt, Backoff, Client, CloseCode, ConnectError, End, Event, Listener, Lost, Message, Reconnecting, StatusCode,
    Verdict, WebSocket,
};
use tokio::time::timeout;

use crate::poll::once;

/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backoff that no test has to wait for.
fn soon() -> Backoff {
    let short = Duration::from_millis(1);
    Backoff { first: short, max: short, later: short, ..Backoff::default() }
}

struct Server {
    listener: Listener,
    url: String,
}

impl Server {
    async fn new() -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        Self { listener, url }
    }

    fn client(&self) -> Reconnecting {
        Reconnecting::new(Client::new(), &self.url).backoff(soon())
    }

    async fn accept(&self) -> WebSocket {
        let opening = self.listener.accept().await.unwrap().request().await.unwrap();
        opening.accept(&Default::default()).await.unwrap()
    }

    /// Refuses once; gives the `Authorization` that was sent.
    async fn refuse(&self, status: u16, retry_after: &str) -> Option<String> {
        let opening = self.listener.accept().await.unwrap().request().await.unwrap();
        let sent = opening.request().headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let mut response = http::Response::new("no\n");
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("retry-after", retry_after.parse().unwrap());
        opening.reject(response).await.unwrap();
        sent
    }
}

async fn event(line: &mut Reconnecting) -> Event {
    timeout(PATIENCE, line.next()).await.expect("something happens").expect("it has not stopped")
}

async fn lost(line: &mut Reconnecting) -> Lost {
    match event(line).await {
        Event::Lost(lost) => lost,
        event => panic!("{event:?}"),
    }
}

async fn opened(line: &mut Reconnecting) -> u32 {
    match event(line).await {
        Event::Opened(opened) => opened.attempts,
        event => panic!("{event:?}"),
    }
}

async fn said(socket: &mut WebSocket) -> String {
    match timeout(PATIENCE, socket.recv()).await.expect("something is said").unwrap() {
        Some(Message::Text(text)) => text.to_string(),
        message => panic!("{message:?}"),
    }
}

#[tokio::test]
async fn what_is_queued_goes_to_one_line_in_order_behind_what_goes_first() {
    let server = Server::new().await;
    let mut lines = 0;
    let mut line = server.client().after(move |_| {
        lines += 1;
        vec![format!("subscribe {lines}").into(), "from 0".into()]
    });
    line.send("one").unwrap();
    line.send("two").unwrap();
    let serving = tokio::spawn(async move {
        let mut socket = server.accept().await;
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(said(&mut socket).await);
        }
        socket.send("welcome").await.unwrap();
        socket.close(CloseCode::RESTART, "back soon").await.unwrap();
        let mut socket = server.accept().await;
        for _ in 0..3 {
            heard.push(said(&mut socket).await);
        }
        socket.close(CloseCode::NORMAL, "").await.unwrap();
        heard
    });
    assert_eq!(opened(&mut line).await, 1);
    assert!(matches!(event(&mut line).await, Event::Message(Message::Text(text)) if &*text == "welcome"));
    let first = lost(&mut line).await;
    assert!(matches!(&first.end, End::Closed(closed) if closed.code() == 1012), "{first:?}");
    assert_eq!((first.handed, line.queued()), (2, 0));
    line.send("three").unwrap(); // while there is no line
    assert_eq!(line.queued(), 1);
    opened(&mut line).await;
    let second = lost(&mut line).await;
    assert_eq!((second.end.to_string().as_str(), second.retry_in), ("the line was closed with 1000", None));
    assert_eq!(second.handed, 1);
    assert!(timeout(PATIENCE, line.next()).await.unwrap().is_none() && line.next().await.is_none());
    assert_eq!(line.send("four").unwrap_err().0, Message::Text("four".into()));
    assert_eq!(serving.await.unwrap(), ["subscribe 1", "from 0", "one", "two", "subscribe 2", "from 0", "three"]);
}

#[tokio::test]
async fn credentials_are_fetched_before_each_attempt_and_refreshed_once() {
    let server = Server::new().await;
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = attempts.clone();
    let mut line = server.client().before(move |attempt: Attempt| {
        seen.lock().unwrap().push((attempt.number, attempt.refresh));
        async move { Ok(attempt.client.bearer(if attempt.refresh { "new" } else { "old" })) }
    });
    let serving = tokio::spawn(async move {
        let mut sent = vec![server.refuse(401, "").await];
        let mut socket = server.accept().await;
        socket.close(CloseCode::POLICY, "your session has ended").await.unwrap();
        sent.push(None);
        sent
    });
    assert_eq!(lost(&mut line).await.retry_in.map(|wait| wait <= Duration::from_millis(1)), Some(true));
    opened(&mut line).await;
    // The new ones are no better, so soon: nothing is tried any more.
    let end = lost(&mut line).await;
    assert_eq!(end.retry_in, None, "{end:?}");
    assert!(line.next().await.is_none());
    assert_eq!(serving.await.unwrap()[0].as_deref(), Some("Bearer old"));
    assert_eq!(*attempts.lock().unwrap(), [(1, false), (2, true)]);
}

#[tokio::test]
async fn an_error_before_an_attempt_is_told_and_tried_again() {
    let server = Server::new().await;
    let mut failures = 2;
    let mut line = server.client().before(move |attempt| {
        failures -= 1;
        async move { if failures >= 0 { Err("the token server is away".into()) } else { Ok(attempt.client) } }
    });
    for _ in 0..2 {
        let lost = lost(&mut line).await;
        assert!(matches!(lost.end, End::NoClient(_)) && lost.retry_in.is_some(), "{lost:?}");
        assert_eq!(lost.end.to_string(), "the token server is away");
    }
    let (_socket, attempts) = tokio::join!(server.accept(), opened(&mut line));
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn retry_after_is_heeded_and_bounded() {
    let server = Server::new().await;
    let mut line = server.client();
    for (status, retry_after, least, most) in
        [(503, "7", 7, 8), (429, "100000", 300, 301), (502, "3", 3, 4), (503, "", 0, 1)]
    {
        let (_, lost) = tokio::join!(server.refuse(status, retry_after), lost(&mut line));
        let wait = lost.retry_in.unwrap();
        assert!((least..most).contains(&wait.as_secs()), "{status} {retry_after}: {wait:?}");
        assert!(once(line.next()).is_pending(), "it waits");
        line.retry_now();
    }
    let (_socket, attempts) = tokio::join!(server.accept(), opened(&mut line));
    assert_eq!(attempts, 5);
}

#[tokio::test]
async fn what_will_not_change_is_not_tried_again() {
    let server = Server::new().await;
    let mut line = server.client();
    let (_, gone) = tokio::join!(server.refuse(404, ""), lost(&mut line));
    assert!(matches!(gone.end, End::NotOpened(ConnectError::Refused(_))) && gone.retry_in.is_none());
    // Unless the application knows better.
    let mut line = server.client().judge(|end| matches!(end, End::NotOpened(_)).then_some(Verdict::Retry));
    let (_, gone) = tokio::join!(server.refuse(404, ""), lost(&mut line));
    assert!(gone.retry_in.is_some());
    let mut wrong = Reconnecting::new(Client::new(), "ftp://user:secret@example.com/");
    assert!(!format!("{wrong:?}").contains("secret"), "{wrong:?}");
    assert_eq!(lost(&mut wrong).await.retry_in, None);
}

#[tokio::test]
async fn a_queue_has_an_end() {
    let server = Server::new().await;
    let mut line = server.client().max_queued_bytes(10);
    line.send("12345").unwrap();
    line.send("12345").unwrap();
    assert_eq!(line.send("6").unwrap_err().0, Message::Text("6".into()));
    assert_eq!(line.queued(), 2);
    let mut line = server.client().max_queued_bytes(1);
    line.send("one message always fits").unwrap();
    assert!(line.send("x").is_err());
}

#[tokio::test]
async fn closing_is_for_good() {
    let server = Server::new().await;
    let mut line = server.client();
    let (mut socket, _) = tokio::join!(server.accept(), opened(&mut line));
    let peer = tokio::spawn(async move { socket.recv().await.map(|end| end.is_none()) });
    // Dropped half-way, it is still the end.
    let _ = once(line.close(CloseCode::NORMAL, "bye"));
    assert!(line.send("too late").is_err());
    let end = lost(&mut line).await;
    assert!(matches!(&end.end, End::Closed(closed) if closed.code() == 1000) && end.retry_in.is_none(), "{end:?}");
    assert!(line.next().await.is_none() && peer.await.unwrap().unwrap());
    let mut never = server.client();
    never.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(never.next().await.is_none());
}

/// `next` is dropped again and again, wherever it is: nothing is lost, nothing comes twice.
#[tokio::test]
async fn no_event_is_lost_or_doubled_however_often_it_is_cancelled() {
    const LINES: usize = 20;
    const MESSAGES: usize = 50;
    let server = Server::new().await;
    let mut line = server.client().before(|attempt| async move {
        tokio::task::yield_now().await;
        Ok(attempt.client)
    });
    let serving = tokio::spawn(async move {
        let mut heard = Vec::new();
        for round in 0..LINES {
            let mut socket = server.accept().await;
            for number in 0..MESSAGES {
                socket.feed(format!("{round}.{number}")).await.unwrap();
            }
            heard.push(said(&mut socket).await);
            // By turns closed and cut off.
            if round % 2 == 0 {
                socket.close(CloseCode::RESTART, "").await.unwrap();
            }
        }
        heard
    });
    let (mut rounds, mut number, mut cancelled) = (0, 0, 0u32);
    while rounds < LINES {
        // Polled once and dropped, most of the time; whatever is ready then, is.
        let event = match once(line.next()) {
            std::task::Poll::Ready(event) => event,
            std::task::Poll::Pending => {
                cancelled += 1;
                match timeout(Duration::from_micros(u64::from(cancelled % 300)), line.next()).await {
                    Ok(event) => event,
                    Err(_) => continue,
                }
            }
        };
        match event.expect("it goes on") {
            Event::Opened(_) => {
                number = 0;
                line.send(format!("round {rounds}")).unwrap();
            }
            Event::Message(message) => {
                assert_eq!(message, Message::Text(format!("{rounds}.{number}").into()));
                number += 1;
            }
            Event::Lost(lost) => {
                assert_eq!((number, lost.handed), (MESSAGES, 1), "{lost:?}");
                rounds += 1;
            }
            event => panic!("{event:?}"),
        }
    }
    let expected: Vec<String> = (0..LINES).map(|round| format!("round {round}")).collect();
    assert_eq!(serving.await.unwrap(), expected);
    assert!(cancelled > 50, "{cancelled}");
}
