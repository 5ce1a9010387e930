//! Hostile requests: bodies too big, too slow, of bad chunks, two readings, floods. Each hears what is wrong with it,
//! or is cut off, and who behaves is served all the while.

use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::password;
use crate::http::{Http, plan_without_staff, world};
use crate::service::get;
use crate::world::{Plan, World, letter, within};

/// What a server says to these octets until it closes.
async fn raw(world: &World, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.door("api")).await.unwrap();
    let _gone = stream.write_all(octets).await;
    heard(&mut stream).await
}

async fn heard(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that was reset is closed, too.
    let _end = within(60, "the end of a connection", stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

fn statuses(said: &str) -> Vec<u16> {
    said.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

/// A request that is the last one of its connection.
fn last(line: &str) -> String {
    head(line, "Connection: close\r\n")
}

fn head(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{more}\r\n", password("acme-key"))
}

#[tokio::test]
async fn a_body_that_is_too_big_hears_413_with_the_limit_and_costs_nothing() {
    let world = small().await;
    let acme = Http::of(&world, "acme-key").await;
    let just = [letter("news@acme.example"), "x".repeat(60).into_bytes(), b"\r\n".repeat(400)].concat();
    acme.evaluate("", &just).await.expect(200);
    let announced = raw(&world, head("POST /v1/evaluate", "Content-Length: 104857600\r\n").as_bytes()).await;
    assert_eq!(statuses(&announced), [413]);
    assert!(announced.contains("4096 octets") && announced.contains("connection: close"), "{announced}");
    // 100 MB in chunks that announce nothing: the server stops listening long before.
    let mut stream = TcpStream::connect(world.door("api")).await.unwrap();
    stream.write_all(head("POST /v1/evaluate", "Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
    let (chunk, mut sent) = (format!("10000\r\n{}\r\n", "x".repeat(65_536)), 0_usize);
    while sent < 100 << 20 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 65_536;
    }
    assert!(sent < 100 << 20, "all of it was taken");
    let small = acme.ask(Method::POST, "/v1/accounts/acme/block", &[], &vec![b' '; 70_000]).await.expect(413);
    assert!(small.detail().contains("65536 octets"));
    // Without a key not even the first octet is read.
    let stranger =
        "POST /v1/evaluate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4000\r\n\r\n";
    assert_eq!(statuses(&raw(&world, stranger.as_bytes()).await), [401]);
    acme.evaluate("", &letter("news@acme.example")).await.expect(200);
}

#[tokio::test]
async fn octets_in_flight_are_shared_with_smtp() {
    let more = "[limits]\nmessage_bytes = 4096\nbytes_in_flight = 6000\nmin_data_rate = 0\n".to_owned();
    let world = World::of(Plan { more, ..plan_without_staff() }).await;
    let acme = Http::of(&world, "acme-key").await;
    let mut slow = TcpStream::connect(world.door("api")).await.unwrap();
    slow.write_all(head("POST /v1/evaluate", "Content-Length: 4000\r\n").as_bytes()).await.unwrap();
    // Not before its octets are counted: else it is this one that finds no room.
    within(60, "its share", async {
        let taken = |text: &str| text.lines().any(|line| line == "countersign_bytes_in_flight 4000");
        while !taken(&get(world.door("metrics"), "/metrics").await.1) {}
    })
    .await;
    let full = acme.evaluate("", &letter("news@acme.example").repeat(20)).await.expect(503);
    assert_eq!((full.code().as_str(), full.field("retry-after")), ("no-room", Some("5")));
    drop(slow);
    within(60, "room", async {
        while acme.evaluate("", &letter("news@acme.example").repeat(20)).await.status != 200 {}
    })
    .await;
}

#[tokio::test]
async fn who_is_slow_is_cut_off() {
    let world = world().await;
    let mut dribble = TcpStream::connect(world.door("api")).await.unwrap();
    let mut body = TcpStream::connect(world.door("api")).await.unwrap();
    body.write_all(head("POST /v1/evaluate", "Content-Length: 4000\r\n").as_bytes()).await.unwrap();
    let header = async {
        let request = head("GET /v1/held", "");
        for octet in request.bytes() {
            if dribble.write_all(&[octet]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut one = [0];
            if let Ok(Ok(0) | Err(_)) =
                tokio::time::timeout(Duration::from_millis(1), dribble.read(&mut one)).await
            {
                break;
            }
        }
    };
    let late = async {
        let mut said = String::new();
        body.read_to_string(&mut said).await.unwrap();
        said
    };
    let ((), said) = within(120, "the end of both", async { tokio::join!(header, late) }).await;
    assert_eq!(statuses(&said), [408], "{said}");
    Http::of(&world, "acme-key").await.get("/v1/held").await.expect(200);
}

#[tokio::test]
async fn chunks_that_are_none_and_frames_with_two_readings_end_the_connection() {
    let world = world().await;
    let evaluate = |more: &str, body: &str| format!("{}{body}", head("POST /v1/evaluate", more));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let next = last("GET /v1/held");
    for body in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "ffffffffffffffff1\r\nabc\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n",
    ] {
        let said = raw(&world, format!("{}{next}", evaluate(chunked, body)).as_bytes()).await;
        assert!(!statuses(&said).contains(&200), "{body:?}: {said}");
        assert!(statuses(&said).len() <= 1, "{body:?}: what follows is no request: {said}");
    }
    for more in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 4\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let said = raw(&world, format!("{}{next}", evaluate(more, "abc")).as_bytes()).await;
        assert!(statuses(&said).iter().all(|status| *status == 400), "{more:?}: {said}");
        assert!(statuses(&said).len() <= 1, "{more:?}: {said}");
    }
    for line in ["GET  /v1/held", "GET /v1/held HTTP/1.1\r\nHost : x", "\u{0}", "GET /v1/held HTTP/3.0"] {
        let said = raw(&world, last(line).as_bytes()).await;
        assert!(!statuses(&said).contains(&200), "{line:?}: {said}");
    }
    let many: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(statuses(&raw(&world, head("GET /v1/held", &many).as_bytes()).await), [431]);
    let long = format!("X-Long: {}\r\n", "y".repeat(100_000));
    assert_eq!(statuses(&raw(&world, head("GET /v1/held", &long).as_bytes()).await), [431]);
    let huge = head(&format!("GET /v1/held?after={}", "9".repeat(30_000)), "");
    assert!([400, 414].contains(&statuses(&raw(&world, huge.as_bytes()).await)[0]));
    // RFC 9112 3.2: HTTP/1.1 names the host, once.
    for hosts in ["", "Host: x\r\nHost: y\r\n"] {
        let said = raw(&world, format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n{next}").as_bytes()).await;
        assert_eq!(statuses(&said), [400], "{hosts:?}: {said}");
    }
    assert!(raw(&world, b"GET /healthz HTTP/1.0\r\n\r\n").await.contains(" 200 "));
    // RFC 9112 6.1: with both framings the chunks count, and nothing may follow on that connection. Where it does,
    // it is the octets after the last chunk, and no other reading of them.
    let both = evaluate("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let said = raw(&world, format!("{both}{next}").as_bytes()).await;
    assert!(statuses(&said).iter().all(|status| *status == 200) && statuses(&said).len() <= 2, "{said}");
    Http::of(&world, "acme-key").await.get("/v1/held").await.expect(200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order_each_for_its_own_key() {
    let world = world().await;
    let stranger = "GET /v1/held HTTP/1.1\r\nHost: x\r\n\r\n";
    let all =
        [&head("GET /v1/held", ""), stranger, &head("GET /v1/rulings/nothing", ""), &last("GET /healthz")];
    let said = raw(&world, all.concat().as_bytes()).await;
    assert_eq!(statuses(&said), [200, 401, 400, 200], "{said}");
    let flood = head("GET /healthz", "").repeat(499) + &last("GET /healthz");
    assert_eq!(statuses(&raw(&world, flood.as_bytes()).await).len(), 500);
}

#[tokio::test]
async fn what_is_not_known_or_there_twice_is_named() {
    let world = world().await;
    let acme = Http::of(&world, "acme-key").await;
    let message = letter("news@acme.example");
    for (query, says) in [
        ("acount=acme", "unknown query parameter `acount`: did you mean `account`?"),
        ("account=acme&account=globex", "query parameter `account` is there twice"),
        (
            "mail_from=a%40acme.example&mail_from=b%40acme.example",
            "query parameter `mail_from` is there twice",
        ),
        ("rcpt=a+b%40reader.example", "`a+b%40reader.example` in the query cannot be read"),
        ("rcpt=nobody", "query parameter `rcpt` is `nobody`"),
        ("gate=receive", "query parameter `gate` is `receive`"),
        ("record=no", "query parameter `record` is `no`: `true` or `false` is allowed"),
        ("ip=999.1.1.1", "query parameter `ip` is `999.1.1.1`"),
        ("rcpt=%zz", "two hexadecimal digits"),
    ] {
        let answer = acme.evaluate(query, &message).await.expect(400);
        assert!(answer.detail().contains(says), "{query}: {}", answer.detail());
    }
    for (target, body, says) in [
        ("/v1/accounts/acme/block", r#"{"reson": "x"}"#, "unknown field `reson`: did you mean `reason`?"),
        ("/v1/accounts/acme/block", r#"{"reason": "x", "reason": "y"}"#, "duplicate field `reason`"),
        ("/v1/accounts/acme/block", "[1]", "the body is no such JSON"),
        ("/v1/accounts/acme/block", "{}", "a block needs a reason"),
        ("/v1/modes", r#"{"gate": "send", "mode": "off"}"#, "unknown variant `off`"),
    ] {
        let answer = acme.post(target, body).await.expect(400);
        assert!(answer.detail().contains(says), "{body}: {}", answer.detail());
    }
    for target in [
        "/v1/held?limit=0",
        "/v1/held?after=x",
        "/v1/ledger/entries?after=x",
        "/v1/accounts?all=true",
        "/v1/rulings/x",
    ] {
        acme.get(target).await.expect(400);
    }
    let typed = [("content-type", "text/html")];
    let wrong = acme.ask(Method::POST, "/v1/evaluate", &typed, &message).await.expect(415);
    assert!(wrong.detail().contains("`Content-Type: message/rfc822`"));
    assert_eq!(acme.get("/v1/nothing").await.expect(404).code(), "not-found");
    let method = acme.ask(Method::DELETE, "/v1/held", &[], b"").await.expect(405);
    assert_eq!((method.code().as_str(), method.field("allow")), ("no-such-method", Some("GET,HEAD")));
}

#[tokio::test]
async fn connections_are_counted_with_those_of_smtp_and_the_door_closes_gently() {
    let more = "[limits]\nconnections_per_ip = 3\n".to_owned();
    let mut world = World::of(Plan { more, ..plan_without_staff() }).await;
    let standing = world.client("acme").await;
    let idle = [
        TcpStream::connect(world.door("api")).await.unwrap(),
        TcpStream::connect(world.door("api")).await.unwrap(),
    ];
    let said = within(60, "a full house", async {
        loop {
            let said = raw(&world, last("GET /healthz").as_bytes()).await;
            if !said.contains(" 200 ") {
                return said;
            }
        }
    });
    assert_eq!(statuses(&said.await), [503]);
    drop(idle);
    let door = world.door("api");
    within(60, "a free place", async {
        while !raw(&world, last("GET /healthz").as_bytes()).await.contains(" 200 ") {}
    })
    .await;
    drop(standing);
    let mut kept = TcpStream::connect(door).await.unwrap();
    kept.write_all(head("GET /healthz", "").as_bytes()).await.unwrap();
    let mut some = [0; 1024];
    assert!(kept.read(&mut some).await.unwrap() > 0);
    assert_eq!(world.terminate().await.0, Some(0), "an idle connection stops nobody from closing");
    assert!(TcpStream::connect(door).await.is_err());
}

async fn small() -> World {
    let more = "[limits]\nmessage_bytes = 4096\n".to_owned();
    World::of(Plan { more, ..plan_without_staff() }).await
}
