//! The resolver against the sandbox's name server, whole and broken.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use hickory_proto::op::OpCode;
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::*;
use crate::net::DomainFacts;
use crate::sandbox::dns::{self, DnsServer, Fault, ZoneMap};

async fn serve(zones: ZoneMap) -> DnsServer {
    dns::start("127.0.0.1:0".parse().unwrap(), zones).await.unwrap()
}

fn asking(servers: &[SocketAddr], timeout: u64) -> Resolver {
    let servers = Servers::These(servers.to_vec());
    Resolver::new(&DnsSettings { servers, timeout: Duration::from_millis(timeout), attempts: 2 }).unwrap()
}

fn address(text: &str) -> Record {
    Record::A(text.parse().unwrap())
}

#[tokio::test]
async fn every_kind_of_record_comes_back() {
    let zones = ZoneMap::new()
        .a("acme.example", "192.0.2.1")
        .ttl(77)
        .aaaa("acme.example", "2001:db8::1")
        .mx("acme.example", 10, "MX.acme.example")
        .txt("acme.example", "v=spf1 -all")
        .ns("acme.example", "ns1.acme.example")
        .soa("acme.example", "ns1.acme.example")
        .ptr("192.0.2.1", "mail.acme.example");
    let server = serve(zones).await;
    let resolver = asking(&[server.address()], 2000);
    let one = |record, ttl| Answer::Records { records: vec![record], ttl };
    let look_up = |kind| resolver.look_up("Acme.Example.", kind);
    assert_eq!(look_up(RecordKind::A).await, one(address("192.0.2.1"), 300));
    assert_eq!(look_up(RecordKind::Aaaa).await, one(Record::Aaaa("2001:db8::1".parse().unwrap()), 77));
    let mx = Record::Mx { preference: 10, exchange: "mx.acme.example".to_owned() };
    assert_eq!(look_up(RecordKind::Mx).await, one(mx, 77));
    assert_eq!(look_up(RecordKind::Txt).await, one(Record::Txt(b"v=spf1 -all".to_vec()), 77));
    assert_eq!(look_up(RecordKind::Ns).await, one(Record::Ns("ns1.acme.example".to_owned()), 77));
    assert!(matches!(look_up(RecordKind::Soa).await, Answer::Records { .. }));
    let name = resolver.look_up("1.2.0.192.in-addr.arpa", RecordKind::Ptr).await;
    assert_eq!(name, one(Record::Ptr("mail.acme.example".to_owned()), 77));
}

#[tokio::test]
async fn nxdomain_nodata_servfail_and_silence_differ() {
    let zones = ZoneMap::new()
        .negative_ttl(33)
        .a("acme.example", "192.0.2.1")
        .servfail("broken.example")
        .fault("shut.example", Fault::Refused)
        .fault("garbage.example", Fault::Garbage)
        .silent("silent.example");
    let server = serve(zones).await;
    let resolver = asking(&[server.address()], 300);
    let look_up = |name| resolver.look_up(name, RecordKind::Txt);
    assert_eq!(look_up("nobody.example").await, Answer::NxDomain { ttl: 33 });
    assert_eq!(look_up("acme.example").await, Answer::NoData { ttl: 33 });
    for name in ["a.broken.example", "shut.example", "garbage.example"] {
        assert!(matches!(look_up(name).await, Answer::Unavailable(_)), "{name}");
    }
    let asked = Instant::now();
    assert_eq!(look_up("silent.example").await, Answer::Timeout);
    assert!(asked.elapsed() >= Duration::from_millis(250), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn names_that_cannot_exist_are_not_asked() {
    let server = serve(ZoneMap::new()).await;
    let resolver = asking(&[server.address()], 2000);
    assert_eq!(resolver.look_up("a..example", RecordKind::A).await, Answer::NxDomain { ttl: 0 });
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn special_names_are_asked_like_any_other() {
    let zones = ZoneMap::new().a("localhost", "192.0.2.9").txt("acme.invalid", "here");
    let server = serve(zones).await;
    let resolver = asking(&[server.address()], 2000);
    let found = resolver.look_up("localhost", RecordKind::A).await;
    assert_eq!(found, Answer::Records { records: vec![address("192.0.2.9")], ttl: 300 });
    assert!(matches!(resolver.look_up("acme.invalid", RecordKind::Txt).await, Answer::Records { .. }));
    let loopback = resolver.look_up("1.0.0.127.in-addr.arpa", RecordKind::Ptr).await;
    assert!(matches!(loopback, Answer::NxDomain { .. }));
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn rfc7766_5_a_cut_answer_is_asked_again_over_tcp() {
    let long = "v=spf1 ".to_owned() + &"ip4:192.0.2.1 ".repeat(200) + "-all";
    let server = serve(ZoneMap::new().txt("long.example", &long)).await;
    let found = asking(&[server.address()], 2000).look_up("long.example", RecordKind::Txt).await;
    assert_eq!(found, Answer::Records { records: vec![Record::Txt(long.into_bytes())], ttl: 300 });
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn aliases_are_followed_and_their_ttl_counts() {
    let zones = ZoneMap::new()
        .ttl(20)
        .cname("key._domainkey.acme.example", "key.esp.example")
        .cname("lost.acme.example", "nobody.example")
        .cname("round.example", "square.example")
        .cname("square.example", "round.example")
        .ttl(500)
        .txt("key.esp.example", "v=DKIM1; p=");
    let server = serve(zones).await;
    let resolver = asking(&[server.address()], 2000);
    let found = resolver.look_up("key._domainkey.acme.example", RecordKind::Txt).await;
    assert_eq!(found, Answer::Records { records: vec![Record::Txt(b"v=DKIM1; p=".to_vec())], ttl: 20 });
    let lost = resolver.look_up("lost.acme.example", RecordKind::Txt).await;
    assert_eq!(lost, Answer::NxDomain { ttl: 20 });
    let round = resolver.look_up("round.example", RecordKind::Txt).await;
    assert!(!matches!(round, Answer::Records { .. } | Answer::Timeout), "{round:?}");
}

/// An authoritative server gives the alias only; a recursive one gives its end too.
#[tokio::test]
async fn an_alias_without_its_end_is_asked_again() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = asking(&[socket.local_addr().unwrap()], 2000);
    let serve = async {
        let mut buffer = [0; 1024];
        for (owner, data, ttl) in [
            ("www.example", RData::CNAME(CNAME(wire_name("web.example").unwrap())), 20),
            ("web.example", RData::A(A::new(192, 0, 2, 7)), 300),
        ] {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let owner = wire_name(owner).unwrap();
            assert_eq!(query.queries[0].name(), &owner);
            let mut answer = Message::response(query.metadata.id, OpCode::Query);
            answer.add_queries(query.queries);
            answer.add_answer(WireRecord::from_rdata(owner, ttl, data));
            socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
        }
    };
    let (found, ()) = tokio::join!(resolver.look_up("www.example", RecordKind::A), serve);
    assert_eq!(found, Answer::Records { records: vec![address("192.0.2.7")], ttl: 20 });
}

#[tokio::test]
async fn a_silent_server_is_passed_over_and_a_closed_port_fails_at_once() {
    let closed: SocketAddr = (Ipv4Addr::LOCALHOST, closed_port().await).into();
    let asked = Instant::now();
    let answer = asking(&[closed], 3000).look_up("acme.example", RecordKind::A).await;
    assert!(matches!(answer, Answer::Unavailable(_)), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(10));

    let silent = serve(ZoneMap::new().silent("")).await;
    let good = serve(ZoneMap::new().a("acme.example", "192.0.2.1")).await;
    let resolver = asking(&[closed, silent.address(), good.address()], 1200);
    let answer = resolver.look_up("acme.example", RecordKind::A).await;
    assert!(matches!(answer, Answer::Records { .. }), "{answer:?}");
}

async fn closed_port() -> u16 {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_slow_answer_counts_as_long_as_the_deadline_lasts() {
    let server = serve(ZoneMap::new().a("acme.example", "192.0.2.1")).await;
    server.set_fault(Fault::Slow(700));
    let resolver = asking(&[server.address()], 1000);
    assert!(matches!(resolver.look_up("acme.example", RecordKind::A).await, Answer::Records { .. }));
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_at_once() {
    let server = serve(ZoneMap::new().a("acme.example", "192.0.2.1")).await;
    let resolver = asking(&[server.address()], 150);
    for fault in [Fault::Silent, Fault::ServFail, Fault::Garbage] {
        server.set_fault(fault);
        for _ in 0..5 {
            let answer = resolver.look_up("acme.example", RecordKind::A).await;
            assert!(!matches!(answer, Answer::Records { .. }), "{fault:?}");
        }
        server.set_fault(Fault::None);
        let asked = Instant::now();
        let answer = resolver.look_up("acme.example", RecordKind::A).await;
        assert!(matches!(answer, Answer::Records { .. }), "{fault:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{fault:?}: {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn a_record_that_is_taken_away_is_gone_with_the_next_lookup() {
    let server = serve(ZoneMap::new().txt("acme.example", "v=spf1 -all")).await;
    let resolver = asking(&[server.address()], 2000);
    assert!(matches!(resolver.look_up("acme.example", RecordKind::Txt).await, Answer::Records { .. }));
    server.change(|zones| zones.remove_name("acme.example"));
    assert!(matches!(resolver.look_up("acme.example", RecordKind::Txt).await, Answer::NxDomain { .. }));
    server.set_txt("acme.example", "v=spf1 ~all");
    assert!(matches!(resolver.look_up("acme.example", RecordKind::Txt).await, Answer::Records { .. }));
}

#[tokio::test]
async fn many_lookups_run_side_by_side() {
    let long = "x".repeat(3000);
    let mut zones = ZoneMap::new();
    for number in 0..300 {
        zones = zones.a(&format!("n{number}.example"), "192.0.2.1").txt(&format!("n{number}.example"), &long);
    }
    let server = serve(zones).await;
    let resolver = std::sync::Arc::new(asking(&[server.address()], 5000));
    let mut lookups = JoinSet::new();
    for number in 0..300 {
        let resolver = std::sync::Arc::clone(&resolver);
        let kind = if number % 3 == 0 { RecordKind::Txt } else { RecordKind::A };
        lookups.spawn(async move { resolver.look_up(&format!("n{number}.example"), kind).await });
    }
    while let Some(answer) = lookups.join_next().await {
        let answer = answer.unwrap();
        assert!(matches!(answer, Answer::Records { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn rfc5321_5_1_and_rfc7505_what_a_domain_is_for_mail() {
    let zones = ZoneMap::new()
        .mx("mail.example", 10, "mx.mail.example")
        .a("address.example", "192.0.2.1")
        .aaaa("six.example", "2001:db8::1")
        .mx("null.example", 0, ".")
        .txt("text.example", "nothing else")
        .servfail("broken.example")
        .silent("silent.example");
    let server = serve(zones).await;
    let resolver = asking(&[server.address()], 300);
    let facts = |name| resolver.domain_facts(name);
    assert_eq!(facts("mail.example").await, DomainFacts::Mail { ttl: 300 });
    assert_eq!(facts("address.example").await, DomainFacts::AddressOnly { ttl: 60 });
    assert_eq!(facts("six.example").await, DomainFacts::AddressOnly { ttl: 60 });
    assert_eq!(facts("null.example").await, DomainFacts::NullMx { ttl: 300 });
    assert_eq!(facts("text.example").await, DomainFacts::NoData { ttl: 60 });
    assert_eq!(facts("nobody.example").await, DomainFacts::NxDomain { ttl: 60 });
    assert!(matches!(facts("broken.example").await, DomainFacts::Unavailable(_)));
    assert_eq!(facts("silent.example").await, DomainFacts::Timeout);
}

/// The name server is ours and so is the resolver: somebody else's resolver has to agree with it.
#[tokio::test]
async fn the_sandbox_satisfies_another_resolver_too() {
    let long = "x".repeat(3000);
    let zones = ZoneMap::new()
        .mx("acme.example", 10, "mx.acme.example")
        .txt("acme.example", &long)
        .cname("www.acme.example", "web.example")
        .a("web.example", "192.0.2.7");
    let server = serve(zones).await;
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.address().port();
    }
    let name_server = NameServerConfig::new(server.address().ip(), true, connections);
    let config = ResolverConfig::from_parts(None, vec![], vec![name_server]);
    let other = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    assert_eq!(other.mx_lookup("acme.example.").await.unwrap().answers().len(), 1);
    let text = other.txt_lookup("acme.example.").await.unwrap();
    assert_eq!(Record::from_wire(&text.answers()[0].data), Some(Record::Txt(long.into_bytes())));
    assert_eq!(other.lookup_ip("www.acme.example.").await.unwrap().iter().count(), 1);
    assert!(other.ipv4_lookup("nobody.example.").await.unwrap_err().is_nx_domain());
}
