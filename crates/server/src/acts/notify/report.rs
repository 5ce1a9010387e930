//! A delivery status notification (RFC 3464): what became of which recipients, in words for machines.
//! `notify` makes one when held mail is refused or expires.

use std::fmt::Write as _;

use countersign_core::address::EmailAddress;
use countersign_core::ids::Ref;
use jiff::Timestamp;

use super::letter::date;

/// What is reported.
pub(super) struct Report<'a> {
    pub(super) hostname: &'a str,
    pub(super) reference: Ref,
    pub(super) arrived: Timestamp,
    /// ENVID, as it came.
    pub(super) envelope_id: Option<&'a str>,
    /// Each with ORCPT, as it came.
    pub(super) recipients: Vec<(&'a EmailAddress, Option<&'a str>)>,
    /// RFC 3463.
    pub(super) status: &'a str,
    /// What the next server said.
    pub(super) diagnostic: Option<&'a str>,
}

impl Report<'_> {
    /// RFC 3464 2.1: fields about the message, an empty line, and fields about each recipient.
    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\nX-Countersign-Ref: {}\r\n",
            self.hostname,
            date(self.arrived),
            self.reference
        );
        // RFC 3464 2.2.1, and 2.3.1 below: what the sender named its envelope and its recipients.
        let named = |field: &str, value: &str| format!("{field}: {}\r\n", plain(value));
        out.push_str(&self.envelope_id.map(|id| named("Original-Envelope-Id", id)).unwrap_or_default());
        for (recipient, original) in &self.recipients {
            // Writing to a String does not fail.
            let _done = write!(
                out,
                "\r\n{}Final-Recipient: {}\r\nAction: failed\r\nStatus: {}\r\n",
                original.map(|original| named("Original-Recipient", original)).unwrap_or_default(),
                typed(&recipient.to_string()),
                self.status
            );
            // RFC 3464 2.3.6: "the diagnostic code issued by the mail transport", with its type.
            let said = self.diagnostic.map(|said| format!("Diagnostic-Code: smtp; {}\r\n", ascii(said)));
            out.push_str(&said.unwrap_or_default());
        }
        out
    }
}

/// RFC 3464 2.3.6 has ASCII there.
fn ascii(text: &str) -> String {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().map(plain).take(MOST_DIAGNOSTIC).collect()
}

/// What was in xtext (RFC 3461 4) in plain words; as it came, if those are not printable ASCII.
fn plain(xtext: &str) -> String {
    let mut pieces = xtext.split('+');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).unwrap_or(("", piece));
        match u8::from_str_radix(hex, 16) {
            Ok(octet) if octet == b' ' || octet.is_ascii_graphic() => out.push(char::from(octet)),
            _ => return xtext.to_owned(),
        }
        out.push_str(rest);
    }
    out
}

/// RFC 3464 2.3.2 and, for what is not ASCII, the `utf-8-addr-xtext` of RFC 6533 3.
fn typed(address: &str) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    let mut out = "utf-8; ".to_owned();
    for character in address.chars() {
        match character {
            '\\' | '+' | '=' => push_hex(&mut out, character),
            _ if character.is_ascii_graphic() => out.push(character),
            _ => push_hex(&mut out, character),
        }
    }
    out
}

fn push_hex(out: &mut String, character: char) {
    // Writing to a String does not fail.
    let _done = write!(out, "\\x{{{:X}}}", u32::from(character));
}

/// A line of a report; RFC 5322 2.1.1 allows 998.
const MOST_DIAGNOSTIC: usize = 900;
/// RFC 3463 3.8: "Delivery not authorized, message refused".
pub(super) const REFUSED: &str = "5.7.1";
/// RFC 3463 3.5: "The message was considered too old by the rejecting system".
pub(super) const EXPIRED: &str = "4.4.7";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3464_2_each_recipient_has_a_group_of_its_own() {
        let recipients =
            ["bo@reader.example", "käthe@reader.example"].map(|a| EmailAddress::parse(a).unwrap());
        let report = Report {
            hostname: "gate.esp.example",
            reference: Ref::parse("7Q2K3M9TBC").unwrap(),
            arrived: "2026-11-24T06:00:00Z".parse().unwrap(),
            envelope_id: Some("QQ+2B314+20159"),
            recipients: vec![
                (&recipients[0], Some("rfc822;Bo+2Bnews@reader.example")),
                (&recipients[1], None),
            ],
            status: REFUSED,
            diagnostic: Some("550 5.1.1 nob\u{f6}dy"),
        };
        assert_eq!(
            report.text(),
            "Reporting-MTA: dns; gate.esp.example\r\nArrival-Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n\
             X-Countersign-Ref: 7Q2K3M9TBC\r\nOriginal-Envelope-Id: QQ+314 159\r\n\r\n\
             Original-Recipient: rfc822;Bo+news@reader.example\r\n\
             Final-Recipient: rfc822; bo@reader.example\r\nAction: failed\r\n\
             Status: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.1.1 nob?dy\r\n\r\nFinal-Recipient: utf-8; k\\x{E4}the@reader.example\r\nAction: failed\r\n\
             Status: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.1.1 nob?dy\r\n"
        );
    }

    #[test]
    fn what_would_not_be_printable_stays_as_it_came() {
        for xtext in ["a+0Ab", "a+E4b", "a+2", "a+ä"] {
            assert_eq!(plain(xtext), xtext);
        }
    }
}
