//! What is written can be read in one way only, whatever it is filled with.

use countersign_core::message::Message;
use countersign_wire::limits::Limits;
use proptest::prelude::*;

use super::super::text::{Words, fill, word};
use super::*;

fn header<'a>(subject: &'a str) -> Header<'a> {
    Header {
        to: "owner@acme.example",
        subject,
        at: "2026-11-24T06:00:00Z".parse().unwrap(),
        name: "0123456789abcdef0123456789abcdef",
        hostname: "gate.esp.example",
        automatic: "auto-generated",
    }
}

fn sent(stored: &[u8]) -> Message {
    let mut octets = b"From: <notices@esp.example>\r\n".to_vec();
    octets.extend_from_slice(stored);
    Message::read(octets.into(), &Limits::default())
}

fn is_clean(octets: &[u8]) {
    assert!(octets.is_ascii());
    let text = std::str::from_utf8(octets).unwrap();
    assert!(text.ends_with("\r\n"));
    let lines: Vec<&str> = text.split("\r\n").collect();
    let long = lines.iter().find(|line| line.len() > 998);
    assert!(long.is_none(), "{long:?}");
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])), "{text:?}");
}

fn names(message: &Message) -> Vec<String> {
    message.fields().map(|field| String::from_utf8_lossy(field.name).to_lowercase()).collect()
}

const PLAIN: [&str; 9] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

#[test]
fn a_plain_notice_reads_as_it_was_written() {
    let octets = plain(&header("Account acme is blocked"), "Käse = 1\n.\nFrom here\n");
    is_clean(&octets);
    let text = String::from_utf8(octets).unwrap();
    assert!(text.starts_with(
        "To: <owner@acme.example>\r\nSubject: Account acme is blocked\r\nDate: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
    ));
    assert!(text.ends_with("\r\n\r\nK=C3=A4se =3D 1\r\n=2E\r\n=46rom here\r\n"), "{text}");
}

#[test]
fn rfc6522_3_a_report_has_three_parts() {
    let about = b"From: <news@acme.example>\r\nSubject: K\xc3\xa4se\r\n";
    let octets = report(&header("Undelivered"), "text\n", "Reporting-MTA: dns; gate.esp.example\r\n", about);
    is_clean(&octets);
    let message = sent(&octets);
    assert_eq!(message.structure().unwrap().ambiguities, vec![]);
    let text = String::from_utf8(octets).unwrap();
    let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Content-Type: ")).collect();
    assert_eq!(
        kinds,
        [
            "multipart/report; report-type=delivery-status;",
            "text/plain; charset=utf-8",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    assert!(text.contains("Subject: K=C3=A4se\r\n"), "{text}");
}

#[test]
fn a_header_that_looks_like_a_boundary_ends_no_part() {
    let about = b"Subject: x\r\n--=_0123456789abcdef0123456789abcdef--\r\n";
    let text = String::from_utf8(report(&header("x"), "t\n", "Reporting-MTA: dns; g\r\n", about)).unwrap();
    assert_eq!(text.matches("\r\n--=_0123456789abcdef0123456789abcdef--").count(), 1, "{text}");
}

proptest! {
    #[test]
    fn nothing_that_is_filled_in_adds_a_field_or_breaks_a_line(
        reason in "[\\PC\r\n\0\t:<>=?.{}-]{0,600}", about in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let words = Words::from([("account", word(&reason)), ("reason", word(&reason))]);
        for template in [include_str!("../../notices/blocked.txt"), include_str!("../../notices/network.txt")] {
            let text = fill(template, &words);
            let octets = plain(&header(&text.subject), &text.body);
            is_clean(&octets);
            let message = sent(&octets);
            prop_assert_eq!(names(&message), PLAIN);
            prop_assert!(message.header_fault().is_none() && message.duplicates().is_empty());
            prop_assert!(message.from().is_ok());

            // Octets that came over the wire end their lines with CRLF and have no NUL.
            let about: Vec<u8> = about.iter().filter(|o| !b"\r\n\0".contains(o)).copied().collect();
            let octets = report(&header(&text.subject), &text.body, "Reporting-MTA: dns; g\r\n", &about);
            is_clean(&octets);
            prop_assert_eq!(sent(&octets).structure().unwrap().ambiguities.len(), 0);
        }
    }
}
