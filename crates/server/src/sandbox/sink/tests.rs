//! The sink keeps exactly what was sent, and fails exactly when told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn sink() -> Sink {
    start("127.0.0.1:0".parse().unwrap(), SinkSettings::default()).await.unwrap()
}

/// Writes everything at once and returns all that is said until the sink closes.
async fn talk(sink: &Sink, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    stream.write_all(text).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

async fn deliver(sink: &Sink, body: &[u8]) -> Vec<u8> {
    let start = b"EHLO a.example\r\nMAIL FROM:<> SIZE=9\r\nRCPT TO:<b@b.example>\r\nDATA\r\n";
    talk(sink, &[start, body, b"\r\n.\r\nQUIT\r\n"].concat()).await;
    sink.messages().last().unwrap().message.clone()
}

#[tokio::test]
async fn rfc5321_4_5_2_only_a_dot_between_two_crlf_ends_a_message() {
    let sink = sink().await;
    for (sent, kept) in [
        (&b"a\r\n..\r\n..b\r\n.c"[..], &b"a\r\n.\r\n.b\r\nc\r\n"[..]),
        (b"a\n.\nb\n.\r\nc", b"a\n.\nb\n.\r\nc\r\n"),
        (b"a\r\n.\nb", b"a\r\n\nb\r\n"),
        (b"a\r\n.\r\r\nb\r.\r\n", b"a\r\n\r\r\nb\r.\r\n\r\n"),
        (b"", b"\r\n"),
    ] {
        assert_eq!(deliver(&sink, sent).await.escape_ascii().to_string(), kept.escape_ascii().to_string());
    }
}

#[tokio::test]
async fn the_envelope_is_kept_with_the_message() {
    let sink = sink().await;
    deliver(&sink, b"Subject: x\r\n\r\nhello").await;
    let [message] = sink.wait_for(1, Duration::from_secs(5)).await.try_into().unwrap();
    assert_eq!((message.helo.as_str(), message.mail_from.as_str()), ("a.example", ""));
    assert_eq!((message.mail_parameters.as_str(), message.connection), ("SIZE=9", 1));
    assert_eq!(message.recipients, ["b@b.example"]);
}

#[tokio::test]
async fn faults_strike_where_they_are_set() {
    let sink = sink().await;
    sink.once(On::Rcpt("bob@".to_owned()), Act::Reply("550 5.1.1 no".to_owned()));
    sink.once(On::End, Act::Reply("451 4.3.0 later".to_owned()));
    let start =
        "HELO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<ann@b.example>\r\nRCPT TO:<bob@b.example>\r\n";
    let said = talk(&sink, format!("{start}DATA\r\nx\r\n.\r\nQUIT\r\n").as_bytes()).await;
    let codes: Vec<_> = said.lines().filter_map(|line| line.get(..3)).collect();
    assert_eq!(codes, ["220", "250", "250", "250", "550", "354", "451", "221"]);
    assert_eq!(sink.taken(), 0);
    sink.once(On::End, Act::KeepThenClose);
    let said = talk(&sink, format!("{start}DATA\r\nx\r\n.\r\nQUIT\r\n").as_bytes()).await;
    assert!(said.ends_with("354 go ahead\r\n"), "{said}");
    assert_eq!(sink.messages()[0].recipients, ["ann@b.example", "bob@b.example"]);
}

#[tokio::test]
async fn connections_are_closed_on_demand() {
    let sink = sink().await;
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    let mut greeting = [0; 24];
    stream.read_exact(&mut greeting).await.unwrap();
    sink.close_connections();
    assert_eq!(stream.read(&mut greeting).await.unwrap_or(0), 0);
    assert_eq!(sink.connections(), 1);
}
