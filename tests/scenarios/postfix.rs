//! Postfix as the mail server behind us and swaks as the client: programs of others, which know nothing of us.
//! What swaks sends arrives octet by octet, or is refused with its reason. Missing programs are skipped aloud.

mod letters;
pub(crate) mod mta;
mod swaks;
mod ways;

use crate::client::Reply;
use crate::extensions::rich;
use crate::letters::reasons;
use crate::world::{Plan, World, account, within};

use letters::{AUTHOR, FOREIGN, Odd, odd};
use mta::Postfix;

#[tokio::test]
async fn what_swaks_sends_arrives_behind_postfix_octet_by_octet() {
    let Some(road) = Road::open().await else { return };
    let letters = odd(AUTHOR);
    for letter in &letters {
        let reply = road.send("news@acme.example", letter).await;
        assert_eq!(reply.code, 250, "{}: {reply:?}", letter.name);
        assert!(reply.text().contains("queued as"), "the reply is Postfix's: {reply:?}");
    }
    let arrived = road.arrived(letters.len()).await;
    for letter in &letters {
        let [message] = arrived.of(letter) else { panic!("{}: not exactly one copy", letter.name) };
        let added = message.strip_suffix(letter.as_ended().as_slice());
        let added = String::from_utf8_lossy(added.unwrap_or_else(|| panic!("{}: changed", letter.name)));
        let names: Vec<_> = added.lines().filter(|line| !line.starts_with([' ', '\t'])).collect();
        let [received, trace] = names.as_slice() else { panic!("{}: {added}", letter.name) };
        assert!(received.starts_with("Received: from "), "{received}");
        assert!(
            trace.starts_with("Countersign-Trace: v=1; ref=") && trace.contains("decision=allow"),
            "{trace}"
        );
    }
    road.close().await;
}

#[tokio::test]
async fn a_foreign_sender_never_reaches_postfix() {
    let Some(road) = Road::open().await else { return };
    for letter in odd(&format!("{AUTHOR}Sender: Bank <service@bank.example>\r\n")) {
        road.refused("news@acme.example", &letter, "sender-not-yours").await;
    }
    assert_eq!(road.world.sink.taken(), 0);
    let log = road.postfix.log();
    // One of the scenario itself, to see that Postfix is up, and ours, used again after each refusal.
    assert!(log.matches(": connect from").count() <= 4, "a connection for each refusal:\n{log}");
    road.close().await;
}

#[tokio::test]
async fn a_foreign_author_never_reaches_postfix() {
    let Some(road) = Road::open().await else { return };
    for letter in odd(FOREIGN) {
        road.refused("news@acme.example", &letter, "from-not-yours").await;
    }
    for letter in odd(FOREIGN).iter().take(2) {
        let reasons = road.refused("service@bank.example", letter, "from-not-yours").await;
        assert!(reasons.iter().any(|code| code == "mail-from-not-yours"), "{reasons:?}");
    }
    assert_eq!(road.world.sink.taken(), 0);
    road.close().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_postfix_goes_on() {
    let Some(road) = Road::open().await else { return };
    let letter = Odd::new("too long", AUTHOR, format!("{}\r\n", "x".repeat(2049)));
    let reply = road.send("news@acme.example", &letter).await;
    assert_eq!((reply.code, reply.enhanced()), (550, "5.6.0"), "{reply:?}");
    assert_eq!(reasons(&road.world, &reply).await, ["line-too-long"]);
    let letter = Odd::new("as long as may be", AUTHOR, format!("{}\r\n", "x".repeat(2048)));
    assert_eq!(road.send("news@acme.example", &letter).await.code, 250);
    let arrived = road.arrived(1).await;
    assert!(matches!(arrived.of(&letter), [message] if message.ends_with(&letter.as_ended())));
    road.close().await;
}

#[tokio::test]
async fn chunks_and_parameters_reach_what_is_behind_postfix() {
    let Some(road) = Road::open().await else { return };
    let mut client = road.world.client("acme").await;
    let offer = client.ask("EHLO client.example").await.lines;
    assert!(["CHUNKING", "DSN"].iter().all(|name| offer.contains(&(*name).to_owned())), "{offer:?}");
    let utf8 = offer.contains(&"SMTPUTF8".to_owned());
    if !utf8 {
        eprintln!("skipped: this Postfix offers no SMTPUTF8");
    }
    let (sender, recipient) = match utf8 {
        true => ("b\u{e4}cker@acme.example> SMTPUTF8", "b\u{f6}@reader.example"),
        false => ("news@acme.example>", "bo@reader.example"),
    };
    let letter = Odd::new("in chunks", AUTHOR, ".\r\n..\r\n.one\r\nBr\u{f6}tchen\r\n.\r\nQUIT\r\n");
    for command in [
        format!("MAIL FROM:<{sender} RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME"),
        format!("RCPT TO:<{recipient}> NOTIFY=FAILURE,DELAY"),
    ] {
        let reply = client.ask(&command).await;
        assert_eq!(reply.code, 250, "{command}: {reply:?}");
    }
    for piece in letter.octets.chunks(50) {
        client.write(&[format!("BDAT {}\r\n", piece.len()).as_bytes(), piece].concat()).await;
        assert_eq!(client.hear().await.code, 250);
    }
    let reply = client.ask("BDAT 0 LAST").await;
    assert!(reply.code == 250 && reply.text().contains("queued as"), "{reply:?}");
    road.arrived(1).await;
    let [received] = &road.world.sink.messages()[..] else { panic!("not one") };
    assert!(received.message.ends_with(&letter.octets));
    assert_eq!(received.recipients, [recipient]);
    for part in ["RET=HDRS", "ENVID=QQ+2B314159"] {
        assert!(received.mail_parameters.contains(part), "{}", received.mail_parameters);
    }
    assert!(received.recipient_parameters[0].contains("NOTIFY=FAILURE,DELAY"), "{received:?}");
    road.close().await;
}

/// The way from swaks through the server and Postfix to the sink.
struct Road {
    world: World,
    postfix: Postfix,
}

/// What the sink has, by recipient.
struct Arrived(std::collections::HashMap<String, Vec<Vec<u8>>>);

impl Road {
    /// Everything started; None where something is missing, after saying so.
    async fn open() -> Option<Self> {
        if !mta::is_here() || !swaks::is_here() {
            return None;
        }
        let port = mta::free_port();
        let acme = account("acme", &["acme.example"]).replacen(
            "id = \"acme\"",
            "id = \"acme\"\nupstream = \"postfix\"",
            1,
        );
        let upstream = format!(
            "[[send.upstream]]\nname = \"postfix\"\nurl = \"smtp://127.0.0.1:{port}\"\negress = [\"192.0.2.0/28\"]"
        );
        let mut world = World::without_server(Plan { accounts: acme, more: upstream, ..rich() }).await;
        let postfix = Postfix::start(port, world.sink.address()).await;
        world.start().await;
        Some(Self { world, postfix })
    }

    async fn send(&self, mail_from: &str, letter: &Odd) -> Reply {
        swaks::send(self.world.door("send.0"), "acme", mail_from, &letter.recipient(), &letter.octets).await
    }

    /// Sends what must be refused for this reason; all its reasons.
    async fn refused(&self, mail_from: &str, letter: &Odd, reason: &str) -> Vec<String> {
        let reply = self.send(mail_from, letter).await;
        assert_eq!((reply.code, reply.enhanced()), (550, "5.7.1"), "{}: {reply:?}", letter.name);
        let reasons = reasons(&self.world, &reply).await;
        assert!(reasons.iter().any(|code| code == reason), "{}: {reasons:?}", letter.name);
        reasons
    }

    async fn arrived(&self, count: usize) -> Arrived {
        let mut by_recipient = std::collections::HashMap::<_, Vec<_>>::new();
        let taken = self.world.sink.wait_for(count, std::time::Duration::from_secs(20)).await;
        assert_eq!(taken.len(), count, "Postfix says:\n{}", self.postfix.log());
        for received in taken {
            by_recipient.entry(received.recipients.join(",")).or_default().push(received.message.clone());
        }
        Arrived(by_recipient)
    }

    async fn close(mut self) {
        assert_eq!(self.world.terminate().await.0, Some(0));
        within(10, "the end of Postfix", self.postfix.stop()).await;
    }
}

impl Arrived {
    fn of(&self, letter: &Odd) -> &[Vec<u8>] {
        self.0.get(&letter.recipient()).map(Vec::as_slice).unwrap_or_default()
    }
}
