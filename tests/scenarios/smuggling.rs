//! Smuggling: octets that one server takes for the end of a message and another does not.
//! Whatever is tried, no second message arrives, and the client hears a clear reply.

use crate::letters::reasons;
use crate::world::{World, letter};

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
