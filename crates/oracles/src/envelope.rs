//! Envelope addresses and parameters: kept as they came, printed as they were read, and the two grammars of
//! addresses that we have agree.
//! So are the attributes of XCLIENT.
//! The fuzz targets `path`, `parameters` and `xclient`.

use countersign_core::address::EmailAddress;
use countersign_wire::smtp::parameters::{MailParameters, RcptParameters};
use countersign_wire::smtp::path::{Path, PathError};
use countersign_wire::smtp::xclient::{ATTRIBUTES, Xclient};

/// The octets are an address without brackets.
pub(crate) fn path(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let path = Path::parse(text);
    if let Ok(path) = &path {
        assert_eq!(path.to_string(), text, "the path is not the text that was sent");
        assert!(path.local().len() <= 64 && path.domain().len() <= 255 && text.len() <= 254);
        assert!(!text.chars().any(char::is_control));
        assert!(!path.domain().contains(['@', '>', ' ']), "{text}");
    }
    if let Ok(address) = EmailAddress::parse(text) {
        let printed = address.to_string();
        assert_eq!(EmailAddress::parse(&printed).as_ref(), Ok(&address), "{printed}");
        // Escapes that nobody needs make the text longer than what is printed, and sent, without them.
        let fits = path.is_ok() || matches!(path, Err(PathError::LocalTooLong | PathError::TooLong));
        assert!(!text.is_ascii() || fits, "an address of a field is no address of an envelope");
        assert!(!printed.is_ascii() || Path::parse(&printed).is_ok(), "{printed}");
    }
}

/// The octets are what follows the path.
pub(crate) fn parameters(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(read) = MailParameters::parse(text) {
        assert_eq!(MailParameters::parse(&read.to_string()).as_ref(), Ok(&read), "{read}");
        assert_eq!(read.is_empty(), read.to_string().is_empty());
        check_printed(&read.to_string(), text);
    }
    if let Ok(read) = RcptParameters::parse(text) {
        assert_eq!(RcptParameters::parse(&read.to_string()).as_ref(), Ok(&read), "{read}");
        assert_eq!(read.is_empty(), read.to_string().is_empty());
        check_printed(&read.to_string(), text);
    }
}

/// The octets are what follows `XCLIENT `.
pub(crate) fn xclient(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(read) = Xclient::parse(text) else { return };
    let printed = read.to_string();
    assert_eq!(printed.strip_prefix("XCLIENT ").map(Xclient::parse), Some(Ok(read.clone())), "{printed}");
    check_printed(&printed, &format!("XCLIENT {text}"));
    assert_eq!(read.limited_to(&ATTRIBUTES.map(str::to_owned)), read);
    assert!(read.limited_to(&[]).is_empty() && !read.is_empty());
    let login = read.login.as_ref().and_then(|login| login.value());
    assert!(login.is_none_or(|login| !login.is_empty() && !login.contains(char::is_control)), "{login:?}");
}

/// What goes to an upstream has as many words as came, and nothing that ends a line.
fn check_printed(printed: &str, text: &str) {
    assert_eq!(printed.matches(' ').count(), text.matches(' ').count(), "`{printed}` of `{text}`");
    assert!(printed.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{printed}");
}
