//! The author of a message, in the eyes of three parsers: where we accept one, the others see the same.
//! The fuzz target `address`.

use bytes::Bytes;
use countersign_core::address::{Domain, EmailAddress};
use countersign_core::message::Message;
use countersign_wire::limits::Limits;

/// The octets are what follows `From:` in a message. They may bring more fields of their own.
pub(crate) fn address(octets: &[u8]) {
    let bytes = [b"From:", octets, b"\r\n\r\nbody\r\n"].concat();
    let message = Message::read(Bytes::from(bytes.clone()), &Limits::default());
    let Ok(author) = message.from() else { return };
    let printed = author.address.to_string();
    assert_eq!(EmailAddress::parse(&printed).as_ref(), Ok(&author.address), "{printed}");
    assert!(printed.is_ascii(), "{printed}");
    assert!(contains(&bytes, &printed), "the author `{printed}` is not in the text of the field");
    for shown in [&author.display, &author.comment].into_iter().flatten() {
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }

    let expected = normal(&printed);
    let is_quoted = contains_exactly(&bytes, b"\"@");
    for (reader, seen) in [("mail-parser", by_mail_parser(&bytes)), ("mailparse", by_mailparse(&bytes))] {
        let seen: Vec<String> = seen.iter().map(|address| normal(address)).collect();
        assert!(
            seen == [expected.as_str()] || is_harmless(reader, &seen, &author.address, is_quoted),
            "{reader} sees {seen:?} and we see `{expected}`"
        );
    }
}

/// Where another reader fails without seeing anybody else's address.
fn is_harmless(reader: &str, seen: &[String], author: &EmailAddress, is_quoted: bool) -> bool {
    match (reader, seen) {
        // It takes a quoted local part for a display name: `"ana doe"@shop.example` is `@shop.example` to it.
        ("mail-parser", [seen]) => is_quoted && *seen == format!("@{}", author.domain()),
        // It does not nest comments, gives up at quoted local parts, and after a bare word it does not know
        // quotes. What it then sees is nobody's address (`b) ana@shop.example`), or one of the author's domain.
        ("mailparse", seen) => seen.iter().all(|address| {
            EmailAddress::parse(address).map_or(true, |other| is_related(other.domain(), author.domain()))
        }),
        _ => false,
    }
}

fn is_related(other: &Domain, author: &Domain) -> bool {
    other == author || other.is_subdomain_of(author) || author.is_subdomain_of(other)
}

fn by_mail_parser(bytes: &[u8]) -> Vec<String> {
    let message = mail_parser::MessageParser::default().parse(bytes);
    let from = message.as_ref().and_then(mail_parser::Message::from);
    let addresses = from.into_iter().flat_map(mail_parser::Address::iter);
    addresses.map(|address| address.address().unwrap_or_default().to_owned()).collect()
}

fn by_mailparse(bytes: &[u8]) -> Vec<String> {
    let Ok((fields, _)) = mailparse::parse_headers(bytes) else { return Vec::new() };
    let lists = fields.iter().filter(|field| field.get_key_ref().eq_ignore_ascii_case("from"));
    let mut seen = Vec::new();
    for address in
        lists.filter_map(|field| mailparse::addrparse_header(field).ok()).flat_map(|list| list.into_inner())
    {
        match address {
            mailparse::MailAddr::Single(single) => seen.push(single.addr),
            mailparse::MailAddr::Group(group) => {
                seen.extend(group.addrs.into_iter().map(|single| single.addr))
            }
        }
    }
    seen
}

/// Domains have no case, and quotes around a local part say nothing.
fn normal(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local = local.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(local);
    format!("{local}@{}", domain.to_ascii_lowercase())
}

/// Whether the text says the address, in any case and with or without quotes, folded or not.
fn contains(bytes: &[u8], printed: &str) -> bool {
    let text: String =
        String::from_utf8_lossy(bytes).chars().filter(|c| !matches!(c, '"' | '\r' | '\n')).collect();
    let address: String = printed.chars().filter(|c| *c != '"').collect();
    text.to_ascii_lowercase().contains(&address.to_ascii_lowercase())
}

fn contains_exactly(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
