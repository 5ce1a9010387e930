//! Random walks over the wire: each command gets the code that the model of a session says, in the clear and
//! inside TLS, and whatever ended a transaction, the next DATA is 503.
//! The same walks without sockets, ten million of them, are in `crates/oracles`.

use std::net::SocketAddr;

use countersign_oracles::model::Model;
use countersign_oracles::mutation::Dice;
use countersign_oracles::walk::LINES;
use countersign_wire::smtp::capabilities::Capabilities;
use countersign_wire::smtp::reply;
use countersign_wire::smtp::session::Rules;

use crate::client::{Client, Reply, password, plain, stuffed};
use crate::world::{World, letter};

const WALKS: u64 = 300;

/// The last first.
const TOWARDS_A_LETTER: [&str; 5] = ["DATA", "RCPT TO:<a@b.example>", "MAIL FROM:<>", "AUTH PLAIN", "EHLO a"];

#[tokio::test]
async fn random_walks_over_the_wire_agree_with_the_model() {
    let world = World::usual().await;
    let door = world.door("send.0");
    let rules = rules(door).await;
    let mut told = Told::default();
    for number in 0..WALKS {
        let mut walk = Walk::begin(door, &rules, number).await;
        for _ in 0..1 + walk.dice.below(40) {
            if !walk.step(&mut told).await {
                break;
            }
        }
    }
    println!("{WALKS} walks, {told:?}");
    // Walks that reach nothing show nothing.
    assert!(told.messages > 100 && told.handshakes > 5 && told.ends > 100, "{told:?}");
}

/// How far the walks came.
#[derive(Debug, Default)]
struct Told {
    commands: usize,
    refusals: usize,
    messages: usize,
    handshakes: usize,
    /// After how many ends of a transaction DATA was tried.
    ends: usize,
}

struct Walk {
    /// `None` once the server has closed.
    client: Option<Client>,
    model: Model,
    dice: Dice,
    number: u64,
    said: Vec<&'static str>,
    offers_login: bool,
}

impl Walk {
    async fn begin(door: SocketAddr, rules: &Rules, number: u64) -> Self {
        Self {
            client: Some(Client::connect(door).await),
            model: Model::new(rules, false),
            dice: Dice::new(number),
            number,
            said: Vec::new(),
            offers_login: rules.offer.auth.iter().any(|mechanism| mechanism == "LOGIN"),
        }
    }

    /// One command and what belongs to it; false once the server has closed.
    async fn step(&mut self, told: &mut Told) -> bool {
        let line = self.draw();
        let (expected, was_inside) = (self.model.answer(line), self.model.in_transaction());
        self.said.push(line);
        told.commands += 1;
        let reply = if line.starts_with("BDAT") { self.chunk(line).await } else { self.ask(line).await };
        let verb = line.split(' ').next().unwrap();
        if expected != 250 {
            assert_eq!(reply.code, expected, "{}: {reply:?}", self.story());
            told.refusals += 1;
            self.model.refused(line);
            // Whoever refuses a chunk reads its octets and goes on, or closes.
            return (verb != "BDAT" || self.goes_on().await) && self.stays_ended(was_inside, told).await;
        }
        match (verb, reply.code) {
            ("DATA", 354) => told.messages += 1,
            ("STARTTLS", 220) => told.handshakes += 1,
            ("VRFY", 252) | ("QUIT", 221) | ("AUTH", 334) | ("BDAT", 400..=599) => {}
            (verb, code) => assert_eq!(code, 250, "`{verb}`, {}: {reply:?}", self.story()),
        }
        self.follow(line, verb, reply.code).await && self.stays_ended(was_inside, told).await
    }

    /// After a transaction has ended, DATA is 503.
    async fn stays_ended(&mut self, was_inside: bool, told: &mut Told) -> bool {
        if was_inside && !self.model.in_transaction() {
            told.ends += 1;
            let reply = self.ask("DATA").await;
            assert_eq!(reply.code, 503, "DATA after the end of a transaction, {}: {reply:?}", self.story());
        }
        true
    }

    /// What follows a command that was allowed; false when the connection is over.
    async fn follow(&mut self, line: &'static str, verb: &str, code: u16) -> bool {
        match verb {
            "STARTTLS" => {
                let client = self.client.take().unwrap();
                self.client = Some(client.handshake().await);
                self.model.happened(line, true);
                true
            }
            "AUTH" => {
                let accepted = self.dice.below(8) > 0;
                let response = if accepted { plain("acme", &password("acme")) } else { "*".to_owned() };
                let reply = self.ask(&response).await;
                assert_eq!(reply.code, if accepted { 235 } else { 501 }, "{}: {reply:?}", self.story());
                self.model.happened(line, accepted);
                true
            }
            "DATA" => {
                self.model.happened(line, true);
                self.message().await;
                self.model.message_ended();
                true
            }
            "BDAT" => {
                self.model.happened(line, code == 250);
                self.goes_on().await
            }
            "QUIT" => {
                let replies = self.client.take().unwrap().until_closed().await;
                assert_eq!(replies, [], "{}", self.story());
                false
            }
            _ => {
                self.model.happened(line, true);
                true
            }
        }
    }

    /// A letter that is taken, one that policy refuses, or one that is none.
    async fn message(&mut self) {
        let mut message = letter("a@b.example");
        match self.dice.below(3) {
            0 => message = letter("news@acme.example"),
            1 => message.extend_from_slice(b"\0\r\n"),
            _ => {}
        }
        self.client.as_mut().unwrap().write(&stuffed(&message)).await;
        let reply = self.client.as_mut().unwrap().hear().await;
        assert!([250, 451, 550, 552, 554].contains(&reply.code), "{}: {reply:?}", self.story());
    }

    /// BDAT with its octets, which are sent whatever the answer will be.
    async fn chunk(&mut self, line: &str) -> Reply {
        let octets = if line.contains('5') { "hello" } else { "" };
        let client = self.client.as_mut().unwrap();
        client.write(format!("{line}\r\n{octets}").as_bytes()).await;
        client.hear().await
    }

    /// Whether the server still listens, and to the beginning of a command.
    async fn goes_on(&mut self) -> bool {
        let client = self.client.as_mut().unwrap();
        client.write(b"NOOP\r\n").await;
        match client.try_hear().await {
            Some(reply) => {
                assert_eq!(
                    reply.code,
                    250,
                    "octets of a chunk are taken for commands, {}: {reply:?}",
                    self.story()
                );
                true
            }
            None => false,
        }
    }

    async fn ask(&mut self, line: &str) -> Reply {
        self.client.as_mut().unwrap().ask(line).await
    }

    /// Half of the commands bring a letter further, the others are any.
    fn draw(&mut self) -> &'static str {
        let further = TOWARDS_A_LETTER.iter().find(|line| self.model.answer(line) == 250);
        if let Some(line) = further.filter(|_| self.dice.below(2) == 0) {
            return line;
        }
        let line = LINES[self.dice.below(LINES.len())];
        match line {
            "QUIT" if self.dice.below(4) > 0 => "NOOP",
            // The model does not know this mechanism.
            "AUTH LOGIN" if self.offers_login => "NOOP",
            line => line,
        }
    }

    fn story(&self) -> String {
        format!("walk {}: {:?}", self.number, self.said)
    }
}

/// The rules of the door, as it tells them itself.
async fn rules(door: SocketAddr) -> Rules {
    let greeting = Client::connect(door).await.ask("EHLO client.example").await;
    let first = reply::Reply::new(greeting.code, None, &greeting.lines[0]);
    let whole = greeting.lines[1..].iter().fold(first, |reply, line| reply.with_line(line));
    Rules { auth_required: true, plaintext_auth: true, offer: Capabilities::from_reply(&whole) }
}
