//! Who wrote a message, as we and as another parser read it, in forms that can be compared.
//! Called by the differential test and by the example that `tools/differential` drives.

use std::panic::catch_unwind;

use bytes::Bytes;
use countersign_core::message::{Message, Sender};
use countersign_wire::limits::Limits;
use countersign_wire::smtp::data::dot_stuff;
use mail_parser::MessageParser;

/// Two readings of one message.
pub(crate) struct Readings {
    /// The author that we pass, or the word for why we do not.
    pub(crate) ours: Result<String, String>,
    /// What mail-parser finds in From; `None` if our limits keep it from reading the message, or if it
    /// panicked (0.11.9 does when a multipart in an attached message never ends).
    pub(crate) mail_parser: Option<Vec<String>>,
}

/// Reads a message twice.
pub(crate) fn read(message: &[u8]) -> Readings {
    let limits = Limits::default();
    let read = Message::read(Bytes::copy_from_slice(message), &limits);
    let readable = read.structure().is_ok() && !exceeds(&read);
    Readings {
        ours: ours(message, &read, &limits),
        mail_parser: readable.then(|| catch_unwind(|| mail_parser(message)).ok()).flatten(),
    }
}

/// What the message alone would be refused for, else its author.
fn ours(octets: &[u8], message: &Message, limits: &Limits) -> Result<String, String> {
    dot_stuff(octets, &mut Vec::new()).map_err(|fault| format!("{fault:?}"))?;
    let from = message.from().map_err(|ambiguity| ambiguity.code().to_owned())?;
    if let Sender::Ambiguous(ambiguity) = message.sender() {
        return Err(format!("sender-{}", ambiguity.code()));
    }
    if let Some(name) = message.duplicates().first() {
        return Err(format!("two-{}", name.to_lowercase()));
    }
    if message.resent().next().is_some() {
        return Err("resent".to_owned());
    }
    let structure = message.structure().map_err(ToString::to_string)?;
    if let Some(ambiguity) = structure.ambiguities.first() {
        return Err(ambiguity.code().to_owned());
    }
    if structure.longest_line > limits.line_hard {
        return Err("line-too-long".to_owned());
    }
    Ok(comparable(&from.address.to_string()))
}

fn exceeds(message: &Message) -> bool {
    use countersign_wire::header::HeaderError::{TooBig, TooManyFields};
    matches!(message.header_fault(), Some(TooBig { .. } | TooManyFields { .. }))
}

fn mail_parser(message: &[u8]) -> Vec<String> {
    let parsed = MessageParser::default().parse(message);
    let Some(from) = parsed.as_ref().and_then(|message| message.from()) else { return Vec::new() };
    from.iter().map(|one| comparable(one.address().unwrap_or_default())).collect()
}

/// Whether a reading names this author and nobody else.
///
/// mail-parser 0.11.9 loses a quoted local part without angle brackets (`"a b"@shop.example` becomes
/// `@shop.example`). That shows nobody, not another author, and the address is legal.
pub(crate) fn agrees(reading: &[String], author: &str) -> bool {
    let domain = author.rsplit_once('@').map_or(author, |(_, domain)| domain);
    matches!(reading, [one] if one == author || one.strip_prefix('@') == Some(domain))
}

/// The domain in small letters, the local part without quotes.
fn comparable(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_owned() };
    let inside = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let local = inside.map_or_else(|| local.to_owned(), |quoted| quoted.replace('\\', ""));
    format!("{local}@{}", domain.to_lowercase())
}
