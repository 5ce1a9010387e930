//! Smuggling: octets that one server takes for the end of a message and another does not.
//! Whatever is tried, no second message arrives, and the client hears a clear reply.

use tokio::task::JoinSet;

use crate::client::{Client, Reply};
use crate::letters::reasons;
use crate::world::{Arrival, Plan, World, letter};

/// The nine sequences that published servers were found to take for an end, and one more.
const ENDS: [&[u8]; 10] = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\n",
];

#[tokio::test]
async fn only_crlf_dot_crlf_ends_a_message() {
    let world = World::usual().await;
    for end in ENDS {
        for piecemeal in [false, true] {
            let mut client = world.client("acme").await;
            assert_eq!(client.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
            client.write(letter("news@acme.example").trim_ascii_end()).await;
            match piecemeal {
                false => client.write(end).await,
                true => {
                    for octet in end.chunks(1) {
                        client.write(octet).await;
                    }
                }
            }
            client.write(&second_letter()).await;
            client.write(b"QUIT\r\n").await;
            let replies = client.until_closed().await;
            let first = &replies[0];
            assert_eq!((first.code, first.enhanced()), (550, "5.6.11"), "{end:?}: {replies:?}");
            assert_eq!(reasons(&world, first).await, ["bare-line-ending"], "{end:?}");
            // After bare line ends the two sides may disagree, and we hang up; a NUL is no line end.
            let rest: Vec<u16> = replies[1..].iter().map(|reply| reply.code).collect();
            assert_eq!(rest, if end.contains(&0) { vec![221] } else { vec![] }, "{end:?}: {replies:?}");
        }
    }
    assert_eq!(world.sink.taken(), 0);
}

#[tokio::test]
async fn no_cut_between_two_segments_makes_an_end() {
    let world = World::of(many_at_once()).await;
    let honest = b"From: news@acme.example\r\n\r\nhi".as_slice();
    for end in ENDS {
        let octets = [honest, end, &smuggled(), b"QUIT\r\n"].concat();
        let mut sessions = JoinSet::new();
        for cut in 1..octets.len() {
            let (door, octets) = (world.door("send.0"), octets.clone());
            sessions.spawn(async move {
                let mut client = Client::sign_in(door, "acme").await;
                assert_eq!(client.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
                client.write_cut(&octets, cut).await;
                (cut, client.until_closed().await)
            });
            if sessions.len() == AT_ONCE {
                refused(end, sessions.join_next().await.unwrap().unwrap());
            }
        }
        while let Some(session) = sessions.join_next().await {
            refused(end, session.unwrap());
        }
    }
    assert_eq!(world.sink.taken(), 0);
}

/// The message is refused; what follows is at most a farewell.
fn refused(end: &[u8], (cut, replies): (usize, Vec<Reply>)) {
    let first = replies.first().unwrap_or_else(|| panic!("{end:?} cut at {cut}: no reply"));
    assert_eq!((first.code, first.enhanced()), (550, "5.6.11"), "{end:?} cut at {cut}: {replies:?}");
    assert!(replies[1..].iter().all(|reply| reply.code == 221), "{end:?} cut at {cut}: {replies:?}");
}

#[tokio::test]
async fn a_second_message_in_the_same_segments_is_judged_by_itself() {
    let world = World::of(many_at_once()).await;
    let honest = b"From: news@acme.example\r\n\r\nhi\r\n.\r\n".as_slice();
    let octets = [honest, &smuggled(), b"QUIT\r\n"].concat();
    for cut in 1..octets.len() {
        let mut client = world.client("acme").await;
        assert_eq!(client.envelope("news@acme.example", &["bo@reader.example"]).await.code, 354);
        client.write_cut(&octets, cut).await;
        let replies = client.until_closed().await;
        let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
        assert_eq!(codes, [250, 250, 250, 354, 550, 221], "cut at {cut}: {replies:?}");
    }
    assert_eq!(world.sink.taken(), octets.len() - 1, "the honest ones");
}

#[tokio::test]
async fn chunks_split_inside_an_end_are_data() {
    let world = World::of(many_at_once()).await;
    let honest = b"From: news@acme.example\r\n\r\nhi".as_slice();
    let message = [honest, b"\r\n.\r\n", &smuggled()].concat();
    for split in honest.len()..=honest.len() + 5 {
        let (one, two) = message.split_at(split);
        let chunks = [
            format!("BDAT {}\r\n", one.len()).as_bytes(),
            one,
            format!("BDAT {} LAST\r\n", two.len()).as_bytes(),
            two,
            b"QUIT\r\n",
        ]
        .concat();
        world.sink.forget_messages();
        for cut in split..split + 40 {
            let mut client = world.client("acme").await;
            for command in ["MAIL FROM:<news@acme.example>", "RCPT TO:<bo@reader.example>"] {
                assert_eq!(client.ask(command).await.code, 250, "{command}");
            }
            client.write_cut(&chunks, cut).await;
            let replies = client.until_closed().await;
            let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
            assert_eq!(codes, [250, 250, 221], "split at {split}, cut at {cut}: {replies:?}");
        }
        for received in world.sink.messages() {
            assert_eq!(Arrival::of(&received).message, message, "split at {split}");
        }
        assert_eq!(world.sink.messages().len(), 40, "split at {split}");
    }
}

#[tokio::test]
async fn a_dot_that_is_text_stays_text() {
    let world = World::usual().await;
    let mut message = letter("news@acme.example");
    message.extend_from_slice(b".\r\n..\r\n.MAIL FROM:<a@bank.example>\r\n. \r\n");
    assert_eq!(world.send("acme", "news@acme.example", &message).await.code, 250);
    assert_eq!(world.arrival(1).await.message, message);
}

/// What a smuggler hopes will be read as commands.
fn second_letter() -> Vec<u8> {
    let commands = b"MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<bo@reader.example>\r\nDATA\r\n".as_slice();
    [commands, &letter("ceo@bank.example"), b".\r\n"].concat()
}

/// The same, short, for what is tried at every octet.
fn smuggled() -> Vec<u8> {
    b"MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<bo@reader.example>\r\nDATA\r\nFrom: ceo@bank.example\r\n\r\nx\r\n.\r\n"
        .to_vec()
}

/// Room for sessions side by side.
fn many_at_once() -> Plan {
    Plan { more: "[limits]\nconnections_per_ip = 100\n".to_owned(), ..Plan::default() }
}

const AT_ONCE: usize = 16;
