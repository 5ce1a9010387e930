//! The service: how it says that it is ready, how it answers for its health, how it ends.
//! What supervisors and monitoring rely on.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::stuffed;
use crate::world::{KEPT, World, letter, within};

#[tokio::test]
async fn the_ready_line_says_where_the_doors_are() {
    let mut world = World::usual().await;
    let ready = world.ready().as_object().unwrap().clone();
    assert_eq!(ready["ready"], true);
    assert!(ready["pid"].as_u64().unwrap() > 1);
    assert_eq!(ready["console_url"], Value::Null);
    let listeners = ready["listeners"].as_object().unwrap();
    let names: Vec<&String> = listeners.keys().collect();
    assert_eq!(names, ["api", "metrics", "send.0", "send.1"]);
    for address in listeners.values() {
        let address: SocketAddr = address.as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_loopback() && address.port() != 0, "{address}");
    }
    assert_eq!(world.terminate().await, (Some(0), String::new()), "one line, then nothing");
}

#[tokio::test]
async fn data_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::usual().await;
    let mode = |name: &str| std::fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for name in ["data/root.key", "data/control.sock", "data/tls-key.pem"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let world = World::usual().await;
    let mut client = world.client("acme").await;
    assert_eq!(client.send("news@acme.example", &letter("news@acme.example")).await.code, 250);
    let door = world.door("metrics");
    assert_eq!(get(door, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get(door, "/readyz").await;
    let ready: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &ready["ready"], &ready["owed"]), (200, &true.into(), &0.into()));
    let (status, metrics) = get(door, "/metrics").await;
    assert_eq!(status, 200);
    let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let missing: Vec<&str> =
        METRICS.into_iter().filter(|name| !samples.iter().any(|line| line.starts_with(name))).collect();
    assert!(missing.is_empty(), "missing: {missing:?}\n{metrics}");
    assert!(samples.contains(&"countersign_sessions 1"), "{metrics}");
    let ruling = r#"countersign_rulings_total{gate="send",decision="allow",reason="none"} 1"#;
    assert!(samples.contains(&ruling), "{metrics}");
}

#[tokio::test]
async fn what_is_held_is_counted() {
    let world = World::usual().await;
    let reply = world.send("acme", "news@acme.example", &letter("ana@kept.example")).await;
    assert!(reply.text().contains("held"), "{reply:?}");
    let (_, metrics) = get(world.door("metrics"), "/metrics").await;
    assert!(metrics.contains(r#"countersign_held{gate="send",how="custody"} 1"#), "{metrics}");
}

#[tokio::test]
async fn sigterm_lets_transactions_end_and_exits_0() {
    let mut world = World::usual().await;
    let (mut busy, idle) = (world.client("acme").await, world.client("acme").await);
    assert_eq!(busy.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
    let door = world.door("send.0");
    let clients = async move {
        let goodbye = idle.until_closed().await;
        assert_eq!(goodbye.iter().map(|reply| reply.code).collect::<Vec<_>>(), [421], "{goodbye:?}");
        let refused = within(10, "the closed door", closed(door)).await;
        busy.write(&stuffed(&letter("news@acme.example"))).await;
        let rest = busy.until_closed().await;
        (refused, rest.iter().map(|reply| reply.code).collect::<Vec<_>>())
    };
    let ((code, _), (refused, rest)) = tokio::join!(world.terminate(), clients);
    assert_eq!((code, refused, rest), (Some(0), true, vec![250, 421]));
    assert_eq!(world.arrival(1).await.message, letter("news@acme.example"));
    assert!(!world.path("data/control.sock").exists());
    world.cli(&["ledger", "verify"]).await.expect_code(0);
}

/// Whether nobody listens there any more.
async fn closed(door: SocketAddr) -> bool {
    loop {
        match TcpStream::connect(door).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(_) => return true,
        }
    }
}

/// Status and body of a page.
pub(crate) async fn get(door: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(door).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(10, path, stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The metrics that others rely on.
const METRICS: [&str; 5] = [
    "countersign_rulings_total",
    "countersign_held",
    "countersign_probe_seconds",
    "countersign_ledger_leaves_total",
    "countersign_sessions",
];

#[tokio::test]
async fn a_hangup_takes_another_configuration_for_what_begins_after_it() {
    let mut world = World::usual().await;
    let mut standing = world.client("acme").await;
    let kept = format!("ana@{KEPT}");
    assert!(standing.send("news@acme.example", &letter(&kept)).await.text().contains("held"));
    assert_eq!(standing.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);

    // The operator's policy that keeps mail goes away; the message that is under way is judged by it still.
    std::fs::remove_file(world.path("policies/keep.cedar")).unwrap();
    world.hang_up("the configuration is read again").await;
    standing.write(&stuffed(&letter(&kept))).await;
    assert!(standing.hear().await.text().contains("held"));
    assert_eq!(standing.send("news@acme.example", &letter(&kept)).await.code, 250);
    world.arrival(1).await;

    // One that is wrong changes nothing, and what takes a restart is named.
    let before = std::fs::read_to_string(world.path("countersign.toml")).unwrap();
    world.write("countersign.toml", &before.replace("[policy]", "[polciy]"));
    world.hang_up("the old one counts").await;
    world.write("countersign.toml", &before.replace("data_dir = \"data\"", "data_dir = \"elsewhere\""));
    world.hang_up("[server] data_dir").await;
    assert_eq!(standing.send("news@acme.example", &letter(&kept)).await.code, 250);
    assert_eq!(world.terminate().await.0, Some(0));
}
