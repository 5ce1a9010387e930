use proptest::prelude::*;

use super::*;
use crate::ledger::Kind;
use crate::ledger::leaf_hash;

fn leaf() -> [u8; Leaf::LENGTH] {
    let leaf = Leaf {
        kind: Kind::Ruling,
        time_us: 1,
        account: [1; 16],
        account_seq: 1,
        previous: [0; 32],
        actor: [3; 16],
        decision: 4,
        policy: [5; 32],
        commitment: [6; 32],
        key_id: [7; 16],
    };
    leaf.encode().try_into().unwrap()
}

fn printed(line: &Line<'_>) -> String {
    let mut out = Vec::new();
    line.print(&mut out);
    String::from_utf8(out).unwrap()
}

fn leaf_line(payload: Payload<'_>) -> Line<'_> {
    Line::Leaf(LeafLine { index: 7, hash: leaf_hash(&leaf()), leaf: leaf(), payload })
}

#[test]
fn a_line_is_written_as_the_reference_says() {
    let (hash, leaf, salt) =
        (STANDARD.encode(leaf_hash(&leaf())), STANDARD.encode(leaf()), STANDARD.encode([9; 32]));
    let text = Cow::Borrowed("{\"a\":\"\u{fc}/\"}");
    for (payload, expected) in [
        (Payload::Erased, "\"erased\"".to_owned()),
        (Payload::Withheld, "\"withheld\"".to_owned()),
        (
            Payload::Opened { salt: [9; 32], text },
            format!("{{\"opened\":{{\"salt\":\"{salt}\",\"text\":\"{{\\\"a\\\":\\\"\u{fc}/\\\"}}\"}}}}"),
        ),
    ] {
        let expected =
            format!("{{\"idx\":7,\"hash\":\"{hash}\",\"leaf\":\"{leaf}\",\"payload\":{expected}}}\n");
        assert_eq!(printed(&leaf_line(payload)), expected);
    }
    let header = Header { v: 1, origin: "a".into(), key: "b".into(), from: 0, continues: None };
    let expected = "{\"v\":1,\"origin\":\"a\",\"key\":\"b\",\"from\":0,\"continues\":null}\n";
    assert_eq!(printed(&Line::Header(header.clone())), expected);
    let expected = expected.replace("\"v\"", "\"sink\"");
    assert_eq!(printed(&Line::Sink(header.clone())), expected);
    assert_eq!(Line::parse(expected.as_bytes()), Ok(Line::Sink(header)));
    assert_eq!(printed(&Line::Closing("a\n".into())), "{\"closing\":\"a\\n\"}\n");
}

#[test]
fn the_same_in_another_form_is_refused() {
    let line = printed(&leaf_line(Payload::Erased));
    assert!(Line::parse(line.as_bytes()).is_ok());
    for (other, why) in [
        (line.trim_end().to_owned(), LineError::Short),
        (line.replace(':', ": "), LineError::Other),
        (line.replacen("\"idx\":7", "\"idx\":07", 1), LineError::Form),
        (line.replacen("\"idx\":7", "\"idx\":7.0", 1), LineError::Form),
        (line.replacen("\"idx\":7", "\"idx\":-7", 1), LineError::Form),
        (line.replacen("\"idx\":7,", "\"idx\":7,\"idx\":7,", 1), LineError::Form),
        (line.replacen("\"idx\":7,", "\"idx\":7,\"more\":7,", 1), LineError::Form),
        (line.replacen("\"idx\":7,", "\"idx\":7, ", 1), LineError::Other),
        (line.replacen("erased", "er\\u0061sed", 1), LineError::Other),
        (line.replacen("\"payload\":\"erased\"", "\"payload\":{\"erased\":null}", 1), LineError::Other),
        (line.replacen("erased", "Erased", 1), LineError::Form),
        (line.replacen("}\n", "}\r\n", 1), LineError::Other),
        (line.replacen("}\n", "}}\n", 1), LineError::Form),
        (format!(" {line}"), LineError::Form),
        (format!("{line}\n"), LineError::Other),
        ("\n".to_owned(), LineError::Form),
        ("[]\n".to_owned(), LineError::Form),
        ("{\"closing\":1}\n".to_owned(), LineError::Form),
    ] {
        assert_eq!(Line::parse(other.as_bytes()), Err(why), "{other}");
    }
    let short = line.replacen(&STANDARD.encode(leaf()), &STANDARD.encode(&leaf()[1..]), 1);
    assert_eq!(Line::parse(short.as_bytes()), Err(LineError::Leaf));
    assert_eq!(Line::parse(b"\xff\n"), Err(LineError::Form));
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(index: u64, salt: [u8; 32], text in "(.|\n|[\u{0}-\u{20}\"\\\\/\u{7f}\u{2028}])*") {
        let payload = Payload::Opened { salt, text: Cow::Owned(text) };
        let line = Line::Leaf(LeafLine { index, hash: salt, leaf: leaf(), payload });
        let printed = printed(&line);
        prop_assert_eq!(Line::parse(printed.as_bytes()), Ok(line));
    }

    #[test]
    fn what_is_read_prints_the_same(place: prop::sample::Index, octet: u8, insert: bool) {
        let text = Cow::Borrowed("{\"a\":\"\u{fc}/\"}");
        let mut octets = printed(&leaf_line(Payload::Opened { salt: [9; 32], text })).into_bytes();
        let place = place.index(octets.len());
        match insert {
            true => octets.insert(place, octet),
            false => octets[place] = octet,
        }
        if let Ok(line) = Line::parse(&octets) {
            let mut again = Vec::new();
            line.print(&mut again);
            prop_assert_eq!(again, octets);
        }
    }

    #[test]
    fn any_octets_are_a_line_or_not(octets: Vec<u8>) {
        let _ = Line::parse(&octets);
    }
}
