//! What an EHLO reply offers (RFC 5321 4.1.1.1), written to clients and read from upstreams.
//! Called by `session` and the SMTP doors, and by the upstream client.

use super::reply::Reply;

/// The service extensions that this program knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 1870 `SIZE`: the largest message in octets; `Some(0)` says that there is no fixed limit.
    pub size: Option<u64>,
    /// RFC 3207 `STARTTLS`
    pub starttls: bool,
    /// RFC 4954 `AUTH`: the mechanisms in capitals; empty when AUTH is not offered.
    pub auth: Vec<String>,
    /// RFC 6152 `8BITMIME`
    pub eight_bit: bool,
    /// RFC 6531 `SMTPUTF8`
    pub smtputf8: bool,
    /// RFC 3030 `CHUNKING`
    pub chunking: bool,
    /// RFC 3461 `DSN`
    pub dsn: bool,
    /// RFC 2920 `PIPELINING`
    pub pipelining: bool,
    /// RFC 2034 `ENHANCEDSTATUSCODES`
    pub enhanced: bool,
    /// `XCLIENT` of Postfix: its attributes in capitals; empty when it is not offered.
    pub xclient: Vec<String>,
}

impl Capabilities {
    /// The reply to EHLO. `host` is our name, the first word of the reply.
    pub fn reply(&self, host: &str) -> Reply {
        let size = match self.size {
            None => String::new(),
            Some(0) => "SIZE".to_owned(),
            Some(size) => format!("SIZE {size}"),
        };
        let auth = format!("AUTH {}", self.auth.join(" "));
        let xclient = format!("XCLIENT {}", self.xclient.join(" "));
        let offers = [
            (self.pipelining, "PIPELINING"),
            (self.size.is_some(), size.as_str()),
            (self.starttls, "STARTTLS"),
            (!self.auth.is_empty(), auth.as_str()),
            (self.enhanced, "ENHANCEDSTATUSCODES"),
            (self.eight_bit, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.dsn, "DSN"),
            (self.chunking, "CHUNKING"),
            (!self.xclient.is_empty(), xclient.as_str()),
        ];
        let lines = offers.iter().filter(|(offered, _)| *offered);
        lines.fold(Reply::new(250, None, host), |reply, (_, line)| reply.with_line(line))
    }

    /// Reads the reply of an upstream to EHLO. Its first line is its name; what is unknown or
    /// malformed is ignored, and so is all of a reply that is not positive.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        let lines = if reply.is_positive() { reply.lines() } else { &[] };
        for line in lines.iter().skip(1) {
            capabilities.read_line(line);
        }
        capabilities
    }

    /// What can be offered to a client whose mail goes to `upstream`: of the extensions that pass
    /// through, those that both have; of the others (TLS, AUTH, chunking, pipelining, enhanced
    /// codes, XCLIENT) ours.
    #[must_use]
    pub fn limited_to(self, upstream: &Self) -> Self {
        Self {
            size: smaller_size(self.size, upstream.size),
            eight_bit: self.eight_bit && upstream.eight_bit,
            smtputf8: self.smtputf8 && upstream.smtputf8,
            dsn: self.dsn && upstream.dsn,
            ..self
        }
    }

    /// `ehlo-line = ehlo-keyword *( SP ehlo-param )`
    fn read_line(&mut self, line: &str) {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => self.size = read_size(words.next()),
            "STARTTLS" => self.starttls = true,
            "AUTH" => words.for_each(|mechanism| add(&mut self.auth, mechanism)),
            "XCLIENT" => words.for_each(|attribute| add(&mut self.xclient, attribute)),
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "PIPELINING" => self.pipelining = true,
            "ENHANCEDSTATUSCODES" => self.enhanced = true,
            _ => {}
        }
    }
}

fn add(words: &mut Vec<String>, word: &str) {
    let word = word.to_ascii_uppercase();
    if !words.contains(&word) {
        words.push(word);
    }
}

/// RFC 1870 4: no number and 0 both say that there is no fixed limit. A malformed number is no
/// offer.
fn read_size(word: Option<&str>) -> Option<u64> {
    let Some(word) = word else { return Some(0) };
    let digits = word.bytes().all(|octet| octet.is_ascii_digit());
    if digits { word.parse().ok() } else { None }
}

/// 0 is no limit. An upstream that says nothing about sizes does not take away our limit.
fn smaller_size(ours: Option<u64>, theirs: Option<u64>) -> Option<u64> {
    match (ours?, theirs.unwrap_or(0)) {
        (0, size) | (size, 0) => Some(size),
        (ours, theirs) => Some(ours.min(theirs)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&str]) -> Capabilities {
        let greeting = Reply::new(250, None, "mx.a.example");
        Capabilities::from_reply(&lines.iter().fold(greeting, |reply, line| reply.with_line(line)))
    }

    #[test]
    fn rfc5321_4_1_1_1_offers_are_lines() {
        let capabilities = Capabilities {
            size: Some(1000),
            auth: vec!["PLAIN".to_owned(), "LOGIN".to_owned()],
            dsn: true,
            ..Capabilities::default()
        };
        let lines = ["gate.example", "SIZE 1000", "AUTH PLAIN LOGIN", "DSN"];
        assert_eq!(capabilities.reply("gate.example").lines(), lines);
    }

    #[test]
    fn offers_of_an_upstream_are_read_in_any_case() {
        let capabilities =
            read(&["pipelining", "auth plain", "AUTH PLAIN XOAUTH2", "Size 5", "X-FOO bar", ""]);
        let expected = Capabilities {
            size: Some(5),
            pipelining: true,
            auth: vec!["PLAIN".to_owned(), "XOAUTH2".to_owned()],
            ..Capabilities::default()
        };
        assert_eq!(capabilities, expected);
    }

    #[test]
    fn name_of_the_upstream_is_not_an_offer() {
        let reply = Reply::new(250, None, "STARTTLS");
        assert_eq!(Capabilities::from_reply(&reply), Capabilities::default());
    }

    #[test]
    fn refused_ehlo_offers_nothing() {
        let reply = Reply::new(502, None, "no").with_line("STARTTLS");
        assert_eq!(Capabilities::from_reply(&reply), Capabilities::default());
    }

    #[test]
    fn rfc1870_4_sizes() {
        assert_eq!(read(&["SIZE"]).size, Some(0));
        assert_eq!(read(&["SIZE 0"]).size, Some(0));
        assert_eq!(read(&["SIZE +1"]).size, None);
        assert_eq!(read(&["SIZE 99999999999999999999"]).size, None);
    }

    #[test]
    fn what_the_upstream_lacks_is_not_offered() {
        let ours = Capabilities {
            size: Some(100),
            eight_bit: true,
            dsn: true,
            chunking: true,
            ..read(&["AUTH PLAIN"])
        };
        let theirs = read(&["SIZE 50", "8BITMIME", "SMTPUTF8"]);
        let both = ours.clone().limited_to(&theirs);
        assert_eq!(both, Capabilities { size: Some(50), dsn: false, ..ours.clone() });
        let size =
            |theirs| ours.clone().limited_to(&Capabilities { size: theirs, ..Capabilities::default() }).size;
        assert_eq!([size(None), size(Some(0)), size(Some(500))], [Some(100); 3]);
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(
            flags in any::<[bool; 7]>(),
            size in prop::option::of(any::<u64>()),
            auth in prop::collection::btree_set("[A-Z0-9-]{1,10}", 0..4),
            xclient in prop::collection::btree_set("[A-Z]{1,10}", 0..4),
        ) {
            let [starttls, eight_bit, smtputf8, chunking, dsn, pipelining, enhanced] = flags;
            let auth = auth.into_iter().collect();
            let xclient = xclient.into_iter().collect();
            let capabilities = Capabilities {
                size, starttls, auth, eight_bit, smtputf8, chunking, dsn, pipelining, enhanced, xclient,
            };
            prop_assert_eq!(Capabilities::from_reply(&capabilities.reply("mx.a.example")), capabilities);
        }

        #[test]
        fn reading_never_panics(lines in prop::collection::vec(any::<String>(), 0..5)) {
            read(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
