//! Tests of the header splitter.

use proptest::prelude::*;

use super::*;

fn read(message: &[u8]) -> Result<Section<'_>, HeaderError> {
    split(message, &Limits::default())
}

fn error(message: &[u8]) -> HeaderError {
    read(message).unwrap_err()
}

#[test]
fn fields_are_cut_as_written() {
    let message = b"From: ana@shop.example\r\nsubject:\tone\r\n two\r\n\r\nbody\r\n";
    let section = read(message).unwrap();
    let [from, subject] = section.fields.as_slice() else { panic!("two fields") };
    assert!(from.is("FROM") && from.name == b"From" && from.offset == 0);
    assert_eq!(from.raw_value, b" ana@shop.example");
    assert_eq!(subject.raw, b"subject:\tone\r\n two\r\n");
    assert_eq!(subject.raw_value, b"\tone\r\n two");
    assert_eq!(subject.unfolded().as_ref(), b"one two");
    assert_eq!((section.body, section.body_offset), (b"body\r\n".as_slice(), 46));
}

#[test]
fn a_message_may_be_all_header_or_all_body() {
    assert_eq!(read(b"").unwrap().fields.len(), 0);
    assert_eq!(read(b"\r\nbody").unwrap().body, b"body");
    assert_eq!(read(b"A: b\r\n").unwrap().body_offset, 6);
    assert_eq!(read(b"A: b").unwrap().fields.first().unwrap().raw_value, b" b");
}

#[test]
fn rfc5322_2_2_names_are_printable_ascii() {
    assert_eq!(
        error(b"To: a\r\nFrom : b\r\n\r\n"),
        HeaderError::SpaceBeforeColon { line: 2, name: "From".to_owned() }
    );
    assert!(matches!(error(b"From\t: b\r\n"), HeaderError::SpaceBeforeColon { .. }));
    assert!(matches!(error(b"X From: b\r\n"), HeaderError::SpaceInName { .. }));
    assert!(matches!(
        error(b"From ana@shop.example Mon Jan 1 10:00:00\r\n"),
        HeaderError::SpaceInName { .. }
    ));
    assert!(matches!(error("From\u{a0}: b\r\n".as_bytes()), HeaderError::NonAsciiName { .. }));
    assert!(matches!(error(b"Fr\x01om: b\r\n"), HeaderError::ControlInName { .. }));
    assert!(matches!(error(b": b\r\n"), HeaderError::EmptyName { line: 1 }));
    assert!(matches!(error(b"A: b\r\nno colon here\r\n\r\n"), HeaderError::NoColon { line: 2, .. }));
}

#[test]
fn rfc5322_2_2_3_folding_continues_something_and_says_something() {
    assert_eq!(error(b" From: a\r\n"), HeaderError::ContinuationFirst { line: 1 });
    assert_eq!(error(b"A: b\r\n \t\r\nFrom: c\r\n"), HeaderError::BlankContinuation { line: 2 });
    assert_eq!(error(b"From\r\n : a\r\n"), HeaderError::NoColon { line: 1, text: "From".to_owned() });
}

#[test]
fn line_ends_are_crlf() {
    assert_eq!(error(b"A: b\nFrom: c\r\n\r\n"), HeaderError::BareLf { line: 1 });
    assert_eq!(error(b"A: b\rFrom: c\r\n\r\n"), HeaderError::BareCr { line: 1 });
    assert_eq!(error(b"A: b\r\r\n\r\n"), HeaderError::BareCr { line: 1 });
    assert_eq!(error(b"From\0: c\r\n\r\n"), HeaderError::Nul { line: 1 });
    assert!(read(b"A: b\r\n\r\nthe body\nmay have\0 them").is_ok());
}

#[test]
fn limits_hold() {
    let many = b"A: b\r\n".repeat(1001);
    assert_eq!(error(&many), HeaderError::TooManyFields { limit: 1000 });
    assert!(read(&b"A: b\r\n".repeat(1000)).is_ok());
    let big = [b"A: ".as_slice(), &vec![b'x'; 102_400], b"\r\n\r\n"].concat();
    assert_eq!(error(&big), HeaderError::TooBig { limit: 102_400 });
}

#[test]
fn an_error_reads_as_a_sentence() {
    assert_eq!(
        error(b"From : b\r\n").to_string(),
        "line 1 of the header has white space between the field name `From` and its colon: remove it"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_an_answer(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&message);
    }

    #[test]
    fn what_is_cut_is_the_message(
        message in "([A-Za-z-]{1,8}: ?[ -~]{0,20}(\r\n[ \t][!-~]{1,9}){0,2}\r\n){0,6}(\r\n[ -~\r\n]{0,40})?"
    ) {
        let section = read(message.as_bytes()).unwrap();
        let mut again: Vec<u8> = section.fields.iter().flat_map(|f| f.raw.to_vec()).collect();
        let gap = message.as_bytes().get(again.len()..section.body_offset).unwrap();
        prop_assert!(gap.is_empty() || gap == b"\r\n");
        again.extend_from_slice(gap);
        again.extend_from_slice(section.body);
        prop_assert_eq!(again, message.as_bytes());
        for field in &section.fields {
            prop_assert!(field.raw.starts_with(field.name));
            prop_assert_eq!(field.name.len() + 1 + field.raw_value.len() + 2, field.raw.len());
        }
    }
}

#[test]
fn a_form_feed_beside_a_value_is_no_white_space() {
    assert_eq!(unfold(b" \r\n\x0ca\x0b\t").as_ref(), b"\x0ca\x0b");
}
