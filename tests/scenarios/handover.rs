//! The handover: another program takes over, the server stops and starts, the configuration is read again, and
//! nobody who sends meanwhile is refused or loses a message. What systemd and whoever upgrades rely on.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, Reply, password, plain, stuffed};
use crate::service::get;
use crate::world::{Arrival, PROGRAM, Plan, World, letter};

#[tokio::test]
async fn nobody_is_refused_and_nothing_lost_over_restarts_and_reloads() {
    let mut world = World::without_server(crowded()).await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    world.start_on(&socket).await;
    let door = world.door("send.0");
    assert_eq!(door, socket.local_addr().unwrap(), "the socket that was handed over");
    let (rounds, seen) = watch::channel(Some(0));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(keep_sending(door, sender, seen.clone()));
    }
    for round in 1..=ROUNDS {
        world.sink.wait_for(round * SENDERS, Duration::from_secs(30)).await;
        match round % 3 {
            0 => world.hang_up("the configuration is read again").await,
            1 => world.succeed().await,
            _ => {
                assert_eq!(world.terminate().await.0, Some(0));
                world.start_on(&socket).await;
            }
        }
        rounds.send(Some(round)).unwrap();
    }
    rounds.send(None).unwrap();
    let mut sent = Sent::default();
    while let Some(of_one) = senders.join_next().await {
        let of_one = of_one.unwrap();
        sent.accepted.extend(of_one.accepted);
        sent.put_off += of_one.put_off;
    }
    let mut arrived = BTreeMap::new();
    for received in world.sink.messages() {
        *arrived.entry(Arrival::of(&received).message).or_insert(0) += 1;
    }
    println!("{} accepted, {} put off with 421 or 451", sent.accepted.len(), sent.put_off);
    for message in &sent.accepted {
        assert_eq!(arrived.get(message), Some(&1), "{}", String::from_utf8_lossy(message));
    }
    assert_eq!(arrived.len(), sent.accepted.len(), "nothing came that was not accepted");
    assert!(sent.put_off > 0, "some session met the end of a server");
    assert_eq!(world.terminate().await.0, Some(0));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[derive(Default)]
struct Sent {
    accepted: Vec<Vec<u8>>,
    put_off: usize,
}

/// Sends letters, a few in a session, until the rounds end; each until it is accepted. A connection that is refused
/// or ends without a word fails the scenario.
async fn keep_sending(door: SocketAddr, sender: usize, rounds: watch::Receiver<Option<usize>>) -> Sent {
    let mut sent = Sent::default();
    let login = ["acme", "globex"][sender % 2];
    let from = format!("news@{login}.example");
    let mut number = 0;
    while rounds.borrow().is_some() {
        let Some(mut client) = signed_in(door, login).await else {
            sent.put_off += 1;
            continue;
        };
        for _ in 0..5 {
            let mut message = letter(&from);
            message.extend_from_slice(format!("number {sender}-{number}\r\n").as_bytes());
            let reply = client.send(&from, &message).await;
            if put_off(&reply) {
                sent.put_off += 1;
                break;
            }
            assert_eq!(reply.code, 250, "{reply:?}");
            sent.accepted.push(message);
            number += 1;
        }
    }
    sent
}

/// A session that has signed in; nothing when the server ends first, and says so.
async fn signed_in(door: SocketAddr, login: &str) -> Option<Client> {
    let stream = TcpStream::connect(door).await.expect("a connection was refused");
    let mut client = Client::over(stream);
    let auth = format!("AUTH PLAIN {}\r\n", plain(login, &password(login)));
    for (command, code) in [("", 220), ("EHLO client.example\r\n", 250), (auth.as_str(), 235)] {
        client.write(command.as_bytes()).await;
        let reply = client.hear().await;
        if put_off(&reply) {
            return None;
        }
        assert_eq!(reply.code, code, "{reply:?}");
    }
    Some(client)
}

fn put_off(reply: &Reply) -> bool {
    [421, 451].contains(&reply.code)
}

#[tokio::test]
async fn another_program_takes_over_in_the_same_process_with_every_socket() {
    let mut world = World::usual().await;
    let before = world.ready().clone();
    let (mut busy, idle) = (world.client("acme").await, world.client("acme").await);
    assert_eq!(busy.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
    let (door, metrics) = (world.door("send.0"), world.door("metrics"));
    let clients = async move {
        let goodbye = idle.until_closed().await;
        assert_eq!(goodbye.iter().map(|reply| reply.code).collect::<Vec<_>>(), [421], "{goodbye:?}");
        // Nobody listens now, and nobody is turned away.
        let mut waiting = Client::over(TcpStream::connect(door).await.unwrap());
        let page = tokio::spawn(get(metrics, "/healthz"));
        busy.write(&stuffed(&letter("news@acme.example"))).await;
        let rest = busy.until_closed().await;
        assert_eq!(rest.iter().map(|reply| reply.code).collect::<Vec<_>>(), [250, 421], "{rest:?}");
        assert_eq!(waiting.hear().await.code, 220);
        assert_eq!(page.await.unwrap(), (200, "ok\n".to_owned()));
    };
    tokio::join!(world.succeed(), clients);
    assert_eq!(world.ready(), &before, "the same process on the same sockets");
    world.arrival(1).await;
    world.cli(&["account", "block", "acme", "--reason", "test"]).await.expect_code(0);
    // What takes the place of the configuration is read by who takes over.
    let configuration = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &configuration.replace("gate.esp.example", "mx.esp.example"));
    world.succeed().await;
    let mut client = Client::over(TcpStream::connect(door).await.unwrap());
    assert!(client.hear().await.text().starts_with("mx.esp.example"));
    assert_eq!(world.terminate().await, (Some(0), String::new()));
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

#[tokio::test]
async fn a_program_that_would_not_start_does_not_take_over() {
    let mut world = World::usual().await;
    let mut standing = world.client("acme").await;
    let configuration = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &configuration.replace("[policy]", "[polciy]"));
    world.signalled(Signal::USR2, "no other program takes over").await;
    assert!(world.log().contains("polciy"), "the reason is in the log: {}", world.log());
    assert_eq!(standing.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    world.write("countersign.toml", &configuration);
    world.succeed().await;
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.terminate().await.0, Some(0));
}

/// The new program ended at once, and with it the server.
#[tokio::test]
async fn a_new_address_that_somebody_else_has_keeps_the_old_program_in_service() {
    let mut world = World::usual().await;
    let mut standing = world.client("acme").await;
    let others = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = others.local_addr().unwrap();
    let configuration = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &format!("{configuration}[api]\nlisten = \"{address}\"\n"));
    world.signalled(Signal::USR2, "no other program takes over").await;
    assert!(world.log().contains(&format!("cannot listen on api `{address}`")), "{}", world.log());
    assert_eq!(standing.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    drop(others);
    world.succeed().await;
    assert_eq!(world.door("api"), address);
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.terminate().await.0, Some(0));
}

/// The file is there when it is asked whether it would start, and gone when its turn comes.
#[tokio::test]
async fn a_program_that_vanishes_leaves_the_old_one_in_service() {
    let mut world = World::without_server(Plan::default()).await;
    let program = world.path("countersign");
    std::fs::copy(PROGRAM, &program).unwrap();
    world.start_program(&program).await;
    // A session in a transaction keeps the server waiting while the file goes away.
    let mut busy = world.client("acme").await;
    assert_eq!(busy.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
    world.signalled(Signal::USR2, "another program takes over").await;
    std::fs::remove_file(&program).unwrap();
    busy.write(&stuffed(&letter("news@acme.example"))).await;
    assert_eq!(busy.hear().await.code, 250);
    world.next_ready().await;
    assert!(world.log().contains("this one opens its doors again"), "{}", world.log());
    assert_eq!(world.send("acme", "news@acme.example", &letter("news@acme.example")).await.code, 250);
    assert_eq!(world.terminate().await.0, Some(0));
}

#[tokio::test]
async fn a_supervisor_keeps_the_door_open_and_hears_what_happens() {
    let mut world = World::without_server(Plan::default()).await;
    let notify = Notify::at(world.path("notify"));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    world.start_on(&socket).await;
    assert_eq!(notify.heard(), ["READY=1"]);
    world.hang_up("the configuration is read again").await;
    assert_eq!(notify.heard(), ["RELOADING=1", "READY=1"]);
    world.succeed().await;
    assert_eq!(notify.heard(), ["RELOADING=1", "READY=1"]);
    assert_eq!(world.terminate().await.0, Some(0));
    assert_eq!(notify.heard(), ["STOPPING=1"]);
    let mut early = Client::over(TcpStream::connect(socket.local_addr().unwrap()).await.unwrap());
    world.start_on(&socket).await;
    assert_eq!(early.hear().await.code, 220, "who came while no server ran is served");
    assert_eq!(world.terminate().await.0, Some(0));
}

/// What a supervisor hears.
struct Notify(UnixDatagram);

impl Notify {
    fn at(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(socket)
    }

    /// The first line of each datagram until it is ready or stops.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.iter().any(|line| line == "READY=1" || line == "STOPPING=1") {
            let mut octets = [0; 200];
            let length = self.0.recv(&mut octets).unwrap();
            let text = String::from_utf8(octets[..length].to_vec()).unwrap();
            heard.push(text.lines().next().unwrap().to_owned());
        }
        heard
    }
}

/// Room for all senders from one address.
fn crowded() -> Plan {
    let more = "[limits]\nconnections_per_ip = 1000\nconnections_per_net = 1000".to_owned();
    Plan { more, ..Plan::default() }
}

const SENDERS: usize = 20;
const ROUNDS: usize = 6;
