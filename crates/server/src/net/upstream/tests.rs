//! The upstream client against the sandbox's sink, whole and broken.

use std::net::SocketAddr;
use std::time::Instant;

use countersign_wire::smtp::command::{Command, Mail, Rcpt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::net::tls;
use crate::sandbox::sink::{self, Act, On, Sink, SinkSettings, SinkTls};

const SOON: Duration = Duration::from_secs(5);

async fn start(settings: SinkSettings) -> Sink {
    sink::start("127.0.0.1:0".parse().unwrap(), settings).await.unwrap()
}

fn settings(address: SocketAddr) -> UpstreamSettings {
    UpstreamSettings {
        name: "mta".to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
        scheme: Scheme::Smtp,
        starttls: true,
        tls_required: false,
        helo: "gate.example".to_owned(),
        tls: Arc::new(tls::unverified_client_config().unwrap()),
        auth: None,
        xclient: false,
        pool: 4,
        timeouts: UpstreamTimeouts { command: Duration::from_millis(500), ..UpstreamTimeouts::default() },
        limits: Limits::default(),
    }
}

async fn plain() -> (Sink, Upstream) {
    let sink = start(SinkSettings::default()).await;
    let upstream = Upstream::new(settings(sink.address()));
    (sink, upstream)
}

fn mail(line: &str) -> Mail {
    match Command::parse(line.as_bytes()).unwrap() {
        Command::Mail(mail) => mail,
        other => panic!("{other:?}"),
    }
}

fn rcpt(line: &str) -> Rcpt {
    match Command::parse(line.as_bytes()).unwrap() {
        Command::Rcpt(rcpt) => rcpt,
        other => panic!("{other:?}"),
    }
}

fn from() -> Mail {
    mail("MAIL FROM:<ann@acme.example> BODY=8BITMIME")
}

async fn send(upstream: &Upstream, message: &[u8]) -> Result<u16, UpstreamError> {
    let mut transaction = upstream.begin().await?;
    transaction.mail(&from()).await?;
    transaction.rcpt(&rcpt("RCPT TO:<bob@b.example>")).await?;
    Ok(transaction.data(message).await?.code())
}

async fn send_pipelined(upstream: &Upstream) -> Result<u16, UpstreamError> {
    let mut transaction = upstream.begin().await?;
    let (mail, first) = transaction.mail_and_rcpt(&from(), &rcpt("RCPT TO:<bob@b.example>")).await?;
    assert!(mail.is_positive() && first.is_some_and(|reply| reply.is_positive()));
    transaction.rcpt(&rcpt("RCPT TO:<cid@b.example>")).await?;
    Ok(transaction.data(b"x\r\n").await?.code())
}

#[tokio::test]
async fn rfc2920_3_1_mail_and_the_first_rcpt_leave_together_where_that_is_offered() {
    // The second reply is written together with the first: it would be a reply nobody asked for yet, had RCPT not
    // been sent.
    const HELLO: &str = "250-mta\r\n250 PIPELINING\r\n";
    const BOTH: &str = "250 ok\r\n550 5.1.1 no\r\n";
    let upstream = scripted(&["220 hi\r\n", HELLO, BOTH], 0).await;
    let mut transaction = upstream.begin().await.unwrap();
    let (mail, first) = transaction.mail_and_rcpt(&from(), &rcpt("RCPT TO:<bob@b.example>")).await.unwrap();
    assert_eq!((mail.code(), first.unwrap().to_string()), (250, "550 5.1.1 no".to_owned()));
    // Where it is not offered, RCPT waits.
    let upstream = scripted(&["220 hi\r\n", OK, BOTH], 0).await;
    let mut transaction = upstream.begin().await.unwrap();
    assert!(transaction.mail_and_rcpt(&from(), &rcpt("RCPT TO:<bob@b.example>")).await.is_err());
}

#[tokio::test]
async fn what_pipelined_commands_hear_is_what_single_ones_hear() {
    let (sink, upstream) = plain().await;
    assert_eq!(send_pipelined(&upstream).await.unwrap(), 250);
    assert_eq!(sink.messages()[0].recipients, ["bob@b.example", "cid@b.example"]);
    // MAIL is refused: the reply to RCPT says nothing more, and the connection is of use.
    sink.once(On::Mail, Act::Reply("550 5.7.1 not you".to_owned()));
    let mut transaction = upstream.begin().await.unwrap();
    let (mail, first) = transaction.mail_and_rcpt(&from(), &rcpt("RCPT TO:<bob@b.example>")).await.unwrap();
    assert_eq!((mail.code(), first.is_none()), (550, true));
    transaction.abandon().await;
    assert_eq!((send_pipelined(&upstream).await.unwrap(), sink.connections()), (250, 1));
    // A stale connection is replaced unseen, whichever way it ends.
    for (act, connections) in [(Act::Close, 2), (Act::Reply("421 4.4.2 idle too long".to_owned()), 3)] {
        sink.once(On::Mail, act);
        assert_eq!((send_pipelined(&upstream).await.unwrap(), sink.connections()), (250, connections));
    }
    assert_eq!(sink.taken(), 4);
}

#[tokio::test]
async fn a_message_arrives_as_it_is_and_connections_are_used_again() {
    let (sink, upstream) = plain().await;
    let message = b"Subject: x\r\n\r\n.\r\n..\r\n.dot\r\n \xff\xfe\r\n\r\n.".as_slice();
    for _ in 0..10 {
        assert_eq!(send(&upstream, message).await.unwrap(), 250);
    }
    let messages = sink.messages();
    assert_eq!((messages.len(), sink.connections(), upstream.idle()), (10, 1, 1));
    let received = &messages[9];
    assert_eq!(received.message, [message, b"\r\n"].concat());
    assert_eq!((received.helo.as_str(), received.mail_from.as_str()), ("gate.example", "ann@acme.example"));
    assert_eq!(received.mail_parameters, "BODY=8BITMIME");
    assert_eq!(received.recipients, ["bob@b.example"]);
    assert!(upstream.capabilities().unwrap().eight_bit);
}

#[tokio::test]
async fn a_connection_serves_100_transactions() {
    let (sink, upstream) = plain().await;
    for _ in 0..101 {
        send(&upstream, b"x\r\n").await.unwrap();
    }
    let on = |number| sink.messages().iter().filter(|message| message.connection == number).count();
    assert_eq!((on(1), on(2), sink.connections()), (100, 1, 2));
}

#[tokio::test]
async fn replies_are_the_upstreams_own() {
    let sink = start(SinkSettings::default()).await;
    let upstream = Upstream::new(UpstreamSettings { pool: 1, ..settings(sink.address()) });
    sink.once(On::Rcpt("bob".to_owned()), Act::Reply("550-5.1.1 no such\r\n550 5.1.1 user".to_owned()));
    let mut transaction = upstream.begin().await.unwrap();
    transaction.mail(&from()).await.unwrap();
    let refused = transaction.rcpt(&rcpt("RCPT TO:<bob@b.example>")).await.unwrap();
    assert_eq!(refused.to_string(), "550 5.1.1 no such / user");
    transaction.rcpt(&rcpt("RCPT TO:<cid@b.example>")).await.unwrap();
    assert_eq!(transaction.data(b"x\r\n").await.unwrap().code(), 250);
    assert_eq!(sink.messages()[0].recipients, ["cid@b.example"]);
    sink.once(On::End, Act::Reply("451 4.3.0 later".to_owned()));
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 451);
    sink.once(On::Data, Act::Reply("554 5.5.0 no".to_owned()));
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 554);
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    assert_eq!(sink.connections(), 1);
}

/// Some servers forget the sender only when they are told to.
#[tokio::test]
async fn after_a_refusal_the_envelope_is_reset() {
    let replies = &["220 hi\r\n", OK, OK, OK, READY, "451 later\r\n", "250 reset\r\n", OK];
    let upstream = scripted(replies, 0).await;
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 451);
    let waited = Instant::now();
    while upstream.idle() == 0 && waited.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut transaction = upstream.begin().await.unwrap();
    assert_eq!(transaction.mail(&from()).await.unwrap().to_string(), "250 ok");
}

#[tokio::test]
async fn abandoned_goes_back_and_dropped_is_closed() {
    let (sink, upstream) = plain().await;
    let mut transaction = upstream.begin().await.unwrap();
    transaction.mail(&from()).await.unwrap();
    transaction.abandon().await;
    assert_eq!(upstream.idle(), 1);
    let mut transaction = upstream.begin().await.unwrap();
    transaction.mail(&from()).await.unwrap();
    drop(transaction);
    assert_eq!(upstream.idle(), 0);
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_unseen() {
    let (sink, upstream) = plain().await;
    send(&upstream, b"x\r\n").await.unwrap();
    // Closed while it waits: seen when it is taken.
    sink.close_connections();
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    // Closed, or refused with 421, in place of the reply to MAIL.
    for (act, connections) in [(Act::Close, 3), (Act::Reply("421 4.4.2 idle too long".to_owned()), 4)] {
        sink.once(On::Mail, act);
        assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
        assert_eq!(sink.connections(), connections);
    }
    assert_eq!(sink.taken(), 4);
}

#[tokio::test]
async fn a_fresh_connection_is_not_tried_twice() {
    let (sink, upstream) = plain().await;
    sink.always(On::Mail, Act::Close);
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { in_doubt: false, .. }), "{error}");
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn lost_before_the_end_mark_is_certain_and_after_it_in_doubt() {
    let (sink, upstream) = plain().await;
    sink.once(On::Rcpt(String::new()), Act::Close);
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { in_doubt: false, .. }), "{error}");
    sink.once(On::Data, Act::Close);
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { in_doubt: false, .. }), "{error}");
    for (act, taken) in [(Act::Close, 0), (Act::KeepThenClose, 1), (Act::Reply("nonsense".to_owned()), 1)] {
        sink.once(On::End, act);
        let error = send(&upstream, b"x\r\n").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Closed { in_doubt: true, .. }), "{error}");
        assert_eq!(sink.taken(), taken);
    }
}

#[tokio::test]
async fn silence_has_a_deadline_in_every_phase() {
    let sink = start(SinkSettings::default()).await;
    let short = Duration::from_millis(100);
    let timeouts = UpstreamTimeouts { command: short, end: short, ..UpstreamTimeouts::default() };
    let upstream = Upstream::new(UpstreamSettings { timeouts, ..settings(sink.address()) });
    for on in [On::Connect, On::Ehlo, On::Mail, On::Rcpt(String::new()), On::Data] {
        sink.once(on.clone(), Act::Silence);
        let asked = Instant::now();
        let error = send(&upstream, b"x\r\n").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Unreachable(_)), "{on:?}: {error}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{on:?}");
    }
    sink.once(On::End, Act::Silence);
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { in_doubt: true, .. }), "{error}");
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
}

#[tokio::test]
async fn an_upstream_that_is_down_is_used_again_when_it_is_up() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let upstream = Upstream::new(settings(closed));
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error}");
    let sink = sink::start(closed, SinkSettings::default()).await.unwrap();
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    sink.once(On::Connect, Act::Reply("554 5.3.2 not today".to_owned()));
    sink.close_connections();
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Unreachable(cause) if cause.contains("not today")), "{error}");
}

#[tokio::test]
async fn a_hundred_transactions_share_four_connections() {
    let (sink, upstream) = plain().await;
    let upstream = Arc::new(upstream);
    sink.always(On::Data, Act::Late(5));
    let mut senders = JoinSet::new();
    for number in 0..100 {
        let upstream = Arc::clone(&upstream);
        senders.spawn(async move { send(&upstream, format!("Subject: {number}\r\n").as_bytes()).await });
    }
    while let Some(sent) = senders.join_next().await {
        assert_eq!(sent.unwrap().unwrap(), 250);
    }
    let mut subjects: Vec<_> = sink.messages().iter().map(|message| message.message.clone()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 100);
    assert!(sink.connections() <= 4, "{}", sink.connections());
}

#[tokio::test]
async fn a_full_pool_is_busy_after_a_while() {
    let sink = start(SinkSettings::default()).await;
    let timeouts = UpstreamTimeouts { place: Duration::from_millis(50), ..UpstreamTimeouts::default() };
    let upstream = Upstream::new(UpstreamSettings { pool: 1, timeouts, ..settings(sink.address()) });
    let held = upstream.begin().await.unwrap();
    assert!(matches!(upstream.begin().await, Err(UpstreamError::Busy)));
    held.abandon().await;
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
}

#[tokio::test]
async fn idle_connections_are_parted_with() {
    let sink = start(SinkSettings::default()).await;
    let timeouts = UpstreamTimeouts { idle: Duration::from_millis(100), ..UpstreamTimeouts::default() };
    let upstream = Upstream::new(UpstreamSettings { timeouts, ..settings(sink.address()) });
    send(&upstream, b"x\r\n").await.unwrap();
    let waited = Instant::now();
    while upstream.idle() > 0 && waited.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(upstream.idle(), 0);
}

#[tokio::test]
async fn large_messages_pass_whole() {
    let (sink, upstream) = plain().await;
    let message = b".line with a dot first and some more text behind it\r\n".repeat(200_000);
    assert_eq!(send(&upstream, &message).await.unwrap(), 250);
    assert!(sink.messages()[0].message == message);
}

#[tokio::test]
async fn a_message_with_a_bare_line_end_is_not_sent() {
    let (sink, upstream) = plain().await;
    let asked = Instant::now();
    let error = send(&upstream, b"a\n.\nMAIL FROM:<>\r\n").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Message(DataFault::BareLf)), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    assert_eq!(sink.taken(), 1);
}

/// An upstream in one function: on every connection it says its replies in turn, each after
/// something has come, then floods, then waits.
async fn scripted(replies: &'static [&'static str], flood: usize) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |mut stream: TcpStream| async move {
        let mut buffer = [0; 1024];
        for reply in replies {
            stream.write_all(reply.as_bytes()).await?;
            if stream.read(&mut buffer).await? == 0 {
                break;
            }
        }
        stream.write_all(&b"250-more\r\n".repeat(flood)).await?;
        tokio::time::sleep(SOON).await;
        std::io::Result::Ok(())
    };
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    Upstream::new(settings(address))
}

const READY: &str = "354 go\r\n";
const OK: &str = "250 ok\r\n";

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_message_is_heard() {
    // What comes after the refusal must not be taken for the reply to a command.
    let replies = &["220 hi\r\n", OK, OK, OK, READY, "552 5.3.4 too big\r\n", OK];
    let upstream = scripted(replies, 0).await;
    assert_eq!(send(&upstream, &b"0123456789\r\n".repeat(2_000_000)).await.unwrap(), 552);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(upstream.idle(), 0);
}

#[tokio::test]
async fn an_upstream_that_talks_and_does_not_listen_is_left() {
    let upstream = scripted(&["220 hi\r\n", OK, OK, OK, READY], 100_000).await;
    let asked = Instant::now();
    let error = send(&upstream, &b"0123456789\r\n".repeat(2_000_000)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Protocol(_)), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn replies_that_nobody_asked_for_end_the_connection() {
    let upstream = scripted(&["220 hi\r\n", OK, "250 ok\r\n250 ok\r\n", OK], 0).await;
    let mut transaction = upstream.begin().await.unwrap();
    transaction.mail(&from()).await.unwrap();
    let error = transaction.rcpt(&rcpt("RCPT TO:<bob@b.example>")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Protocol(_)), "{error}");
    let error = transaction.rcpt(&rcpt("RCPT TO:<bob@b.example>")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { in_doubt: false, .. }), "{error}");
}

/// The connection that waits has been sent `250 unasked`: to a MAIL on it, that would be the reply.
#[tokio::test]
async fn a_connection_that_spoke_while_it_waited_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::new(settings(listener.local_addr().unwrap()));
    let mut buffer = [0; 1024];
    let check = tokio::spawn(async move { (upstream.check().await, upstream) });
    let (mut first, _) = listener.accept().await.unwrap();
    first.write_all(b"220 hi\r\n").await.unwrap();
    assert_ne!(first.read(&mut buffer).await.unwrap(), 0);
    first.write_all(OK.as_bytes()).await.unwrap();
    let (checked, upstream) = check.await.unwrap();
    checked.unwrap();
    first.write_all(b"250 unasked\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = tokio::spawn(async move { upstream.begin().await });
    let second = tokio::time::timeout(SOON, listener.accept()).await;
    let (mut second, _) = second.unwrap().unwrap();
    second.write_all(b"220 hi\r\n").await.unwrap();
    assert_ne!(second.read(&mut buffer).await.unwrap(), 0);
    second.write_all(OK.as_bytes()).await.unwrap();
    begun.await.unwrap().unwrap();
}

#[tokio::test]
async fn rfc5321_3_2_an_upstream_without_ehlo_is_greeted_with_helo() {
    let (sink, upstream) = plain().await;
    sink.once(On::Ehlo, Act::Reply("502 5.5.1 what?".to_owned()));
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    assert_eq!(upstream.capabilities(), Some(Capabilities::default()));
}

#[tokio::test]
async fn rfc3207_tls_is_used_where_it_is_offered_and_verified_when_asked() {
    let data = tempfile::tempdir().unwrap();
    let server = Arc::new(tls::own_server_config(data.path(), "localhost").unwrap());
    let trusted = Arc::new(tls::client_config(Some(&data.path().join("tls-cert.pem"))).unwrap());
    let login = ("gate".to_owned(), "secret".to_owned());
    let modes =
        [(SinkTls::StartTls(server.clone()), Scheme::Smtp), (SinkTls::FromTheStart(server), Scheme::Smtps)];
    for (tls, scheme) in modes {
        let sink = start(SinkSettings { tls, auth: Some(login.clone()), ..SinkSettings::default() }).await;
        let host = "localhost".to_owned();
        let auth = Some(Credentials::new("gate", "secret").unwrap());
        let base = UpstreamSettings { host, auth, scheme, tls: trusted.clone(), ..settings(sink.address()) };
        let upstream = Upstream::new(base.clone());
        assert_eq!(send(&upstream, &b"hello\r\n".repeat(100_000)).await.unwrap(), 250);
        assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
        assert!(sink.messages()[0].tls);
        assert_eq!(sink.connections(), 1);
        sink.once(On::End, Act::KeepThenClose);
        let error = send(&upstream, b"x\r\n").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Closed { in_doubt: true, .. }), "{error}");

        let other_name = UpstreamSettings { host: "127.0.0.1".to_owned(), ..base.clone() };
        let error = send(&Upstream::new(other_name), b"x\r\n").await.unwrap_err();
        assert!(
            matches!(&error, UpstreamError::Unfit(cause) if cause.contains("name it in `url`")),
            "{error}"
        );
        let wrong = Some(Credentials::new("gate", "guess").unwrap());
        let error =
            send(&Upstream::new(UpstreamSettings { auth: wrong, ..base }), b"x\r\n").await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Unfit(cause) if cause.contains("535")), "{error}");
    }
}

#[tokio::test]
async fn starttls_that_is_not_wanted_is_not_used() {
    let data = tempfile::tempdir().unwrap();
    let server = Arc::new(tls::own_server_config(data.path(), "mta.example").unwrap());
    let sink = start(SinkSettings { tls: SinkTls::StartTls(server), ..SinkSettings::default() }).await;
    let upstream = Upstream::new(UpstreamSettings { starttls: false, ..settings(sink.address()) });
    assert_eq!(send(&upstream, b"x\r\n").await.unwrap(), 250);
    assert!(!sink.messages()[0].tls);
}

#[tokio::test]
async fn a_check_says_what_is_offered() {
    let (_sink, upstream) = plain().await;
    assert_eq!(upstream.capabilities(), None);
    assert!(upstream.check().await.unwrap().pipelining);
    assert!(upstream.capabilities().unwrap().enhanced);
    assert_eq!(upstream.idle(), 1);
}

/// The hint was to remove `auth_file`.
#[tokio::test]
async fn auth_behind_starttls_on_loopback_asks_for_an_issuer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mta\r\n").await.unwrap();
        let _hello = stream.read(&mut [0; 200]).await.unwrap();
        stream.write_all(b"250-mta\r\n250 STARTTLS\r\n").await.unwrap();
        let _end = stream.read(&mut [0; 200]).await;
    });
    let auth = Some(Credentials::new("gate", "secret").unwrap());
    let upstream = Upstream::new(UpstreamSettings { starttls: false, auth, ..settings(address) });
    let error = send(&upstream, b"x\r\n").await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Unfit(cause) if cause.contains("set `ca_file`")), "{error}");
}
