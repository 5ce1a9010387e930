//! What the benches work on: letters of three sizes, a request, a house with DNS in memory. All of it is made up here.
//! The benches take from it.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use countersign::accounts::{Account, OwnedDomain};
use countersign::boot::House;
use countersign::clock::Clock;
use countersign::config;
use countersign::probes::{Case, Way};
use countersign::sandbox::dns::{self, DnsServer, ZoneMap};
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::ids::{AccountId, Ref};
use countersign_core::message::Message;
use countersign_core::request::{Ask, Client, Envelope, Mode, Request, Submission};
use countersign_wire::limits::Limits;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Octets of the letters: a plain one, one with HTML, one with an attachment.
pub(crate) const SIZES: [usize; 3] = [4_000, 40_000, 400_000];

/// A letter of about so many octets.
pub(crate) fn letter(size: usize) -> Vec<u8> {
    let mut text = HEAD.replace('\n', "\r\n");
    let html = size.min(40_000);
    while text.len() < 3_000.min(size) {
        text.push_str("We bake at six, and what is left at seven in the evening goes for half.\r\n");
    }
    text.push_str("--part\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
    while text.len() < html {
        let number = text.len();
        let _ = write!(
            text,
            "<p><a href=3D\"https://shop.example/c/{number}?u=3Dana\">rye, {number}</a></p>\r\n"
        );
    }
    text.push_str("--part\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    while text.len() < size {
        text.push_str("JVBERi0xLjQKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZy9QYWdlcyAyIDAgUj4+ZW5kb2JqCjIgMCBvYm\r\n");
    }
    text.push_str("--part--\r\n");
    text.into_bytes()
}

/// What a client sends after 354 to submit these octets.
pub(crate) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    countersign_wire::smtp::data::dot_stuff(message, &mut out).unwrap();
    out
}

/// A request of the account `shop` to send a letter of about so many octets.
pub(crate) fn request(number: u64, size: usize) -> Request {
    let address = |text: &str| EmailAddress::parse(text).unwrap();
    let submission = Submission {
        credential: "shop-web".to_owned(),
        client: Client { ip: Some(Ipv4Addr::LOCALHOST.into()), helo: "shop.example".to_owned(), tls: true },
        envelope: Envelope {
            mail_from: Some(address("bounce@shop.example")),
            recipients: vec![address("bo@reader.example")],
        },
        message: Arc::new(Message::read(Bytes::from(letter(size)), &Limits::default())),
    };
    Request {
        reference: Ref::from_random(number),
        at: Timestamp::from_second(1_795_000_000).unwrap(),
        mode: Mode::Enforce,
        account: AccountId::parse("shop").unwrap(),
        ask: Ask::Send(Box::new(submission)),
    }
}

/// That request as probes see it: the account has proved the domain.
pub(crate) fn case(size: usize) -> Case {
    let request = request(1, size);
    let mut account = Account::unknown(request.account.clone());
    account.domains.push(OwnedDomain {
        domain: Domain::parse("shop.example").unwrap(),
        subdomains: true,
        from_local: None,
        from_name: None,
        proved: true,
    });
    let way = Way {
        pool: "default".to_owned(),
        egress: vec![Ipv4Addr::new(192, 0, 2, 25).into()],
        helo: "gate.esp.example".to_owned(),
        return_path_domains: vec![],
    };
    Case { request, account: Arc::new(account), way: Arc::new(way) }
}

/// A house in a directory of its own, that asks a name server in this process.
pub(crate) struct Stage {
    pub(crate) house: House,
    pub(crate) runtime: Runtime,
    _dns: DnsServer,
    _dir: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let dir = TempDir::new().unwrap();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let zones = ZoneMap::new()
            .ttl(3600)
            .mx("shop.example", 10, "mx.esp.example")
            .txt("shop.example", "v=spf1 include:spf.esp.example -all")
            .txt("spf.esp.example", "v=spf1 ip4:192.0.2.0/28 ip4:192.0.2.16/28 -all");
        let dns = runtime.block_on(dns::start(loopback, zones)).unwrap();
        let file = dir.path().join("countersign.toml");
        std::fs::write(&file, CONFIG.replace("{dns}", &dns.address().to_string())).unwrap();
        let loaded = config::load(Some(&file), std::iter::empty()).unwrap();
        let house = runtime.block_on(House::build(loaded.config, Clock::system())).unwrap();
        Self { house, runtime, _dns: dns, _dir: dir }
    }
}

const CONFIG: &str = r#"
[server]
hostname = "gate.esp.example"
data_dir = "data"
[dns]
resolvers = ["{dns}"]
[send]
mode = "enforce"
[[send.upstream]]
url = "smtp://127.0.0.1:9"
egress = ["192.0.2.25"]
"#;

const HEAD: &str = "Received: from shop.example by relay.shop.example; Tue, 24 Nov 2026 08:00:00 +0000
From: \"The Shop\" <news@shop.example>
To: Bo Reader <bo@reader.example>
Subject: =?utf-8?q?Brot_f=C3=BCr_morgen?=
Date: Tue, 24 Nov 2026 08:00:00 +0000
Message-ID: <20261124080000.1@shop.example>
List-Unsubscribe: <https://shop.example/u/1>,
 <mailto:leave@shop.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"part\"

--part
Content-Type: text/plain; charset=utf-8

";
