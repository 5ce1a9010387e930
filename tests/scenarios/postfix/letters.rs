//! Letters that are legal and odd, each in the way that its name says.
//! The scenarios of Postfix send all of them, under an author of ours and under others.

/// A letter and its name.
pub(super) struct Odd {
    pub(super) name: &'static str,
    /// As the client has them: without stuffed dots, perhaps without a last line end.
    pub(super) octets: Vec<u8>,
}

/// Fields that name an author of the account.
pub(super) const AUTHOR: &str = "From: Ana <news@acme.example>\r\n";
/// Fields that name another.
pub(super) const FOREIGN: &str = "From: Your Bank <service@bank.example>\r\n";

impl Odd {
    /// A letter with these author fields, a few plain ones and this body.
    pub(super) fn new(name: &'static str, author: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::with_fields(name, author, "Subject: odd\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n", body)
    }

    fn with_fields(name: &'static str, author: &str, fields: &str, body: impl Into<Vec<u8>>) -> Self {
        let head = format!("{author}{fields}\r\n");
        Self { name, octets: [head.into_bytes(), body.into()].concat() }
    }

    /// Each letter has a recipient of its own.
    pub(super) fn recipient(&self) -> String {
        format!("{}@reader.example", self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }

    /// As it arrives: SMTP gives every last line its end.
    pub(super) fn as_ended(&self) -> Vec<u8> {
        match self.octets.ends_with(b"\r\n") {
            true => self.octets.clone(),
            false => [self.octets.as_slice(), b"\r\n"].concat(),
        }
    }
}

/// All letters, with these fields on top.
pub(super) fn odd(author: &str) -> Vec<Odd> {
    let line = |length: usize| format!("{}\r\n", "x".repeat(length));
    vec![
        Odd::new("plain", author, "Fresh bread.\r\n"),
        Odd::new("no body", author, ""),
        Odd::new("no last line end", author, "Fresh bread.\r\nAnd no line end"),
        Odd::new("utf-8", author, "Brötchen, naïve café, 麵包, 🥐\r\n"),
        Odd::new(
            "latin-1 and worse",
            author,
            b"B\xe4ckerei \xff\xfe\x80\r\n\x01\x02\x1b[1m\x7f\r\n".as_slice(),
        ),
        Odd::new("dots", author, ".\r\n..\r\n.one\r\n...three\r\n \r\n.\r\n"),
        Odd::new("a line of dots", author, format!("{}\r\n.\r\n", ".".repeat(2047))),
        Odd::new("long lines", author, [998, 999, 1500, 2047, 2048].map(line).concat()),
        Odd::new("blanks at ends", author, "one \t\r\n \r\n\t\r\ntwo   \r\n\r\n\r\n"),
        Odd::new("commands", author, "From nobody\r\nQUIT\r\nDATA\r\nRSET\r\n>From Ana\r\n"),
        Odd::new("large", author, line(76).repeat(20_000)),
        Odd::with_fields("headers", author, ODD_FIELDS, "Fresh bread.\r\n"),
        Odd::with_fields("multipart", author, MULTIPART_FIELDS, MULTIPART),
        Odd::with_fields("declared 8-bit", author, EIGHT_BIT_FIELDS, b"\xe9t\xe9 \xa0\xad\r\n".as_slice()),
    ]
}

const ODD_FIELDS: &str = "subject:no space, =?utf-8?Q?Br=C3=B6tchen?=\r\n\
    TO: \"Reader, Bo\" <bo@reader.example>,\r\n\tCy <cy@reader.example>,\r\n   dee@reader.example\r\n\
    Message-ID:\r\n <a-very-long-one.20261124080000.0123456789@client.example>\r\n\
    References: <1@client.example>\r\n  <2@client.example>\r\n\t<3@client.example>\r\n\
    X-Empty:\r\nX-Blank: \r\nX-Raw: Brötchen\r\n";

const EIGHT_BIT_FIELDS: &str = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: 8bit\r\n";

const MULTIPART_FIELDS: &str = "Subject: parts\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed;\r\n\tboundary=\"=_outer\"\r\n";

const MULTIPART: &str = "A preamble.\r\n--=_outer\r\n\
    Content-Type: multipart/alternative; boundary=inner\r\n\r\n\
    --inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nBrötchen\r\n\
    --inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    <p>Br=C3=B6tchen=\r\n</p>\r\n--inner--\r\n\
    --=_outer\r\nContent-Type: message/rfc822\r\n\r\n\
    From: Cy <cy@reader.example>\r\nSubject: a letter within\r\n\r\nHello.\r\n\
    --=_outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=\"bread.bin\"\r\n\r\nAAECAwQFBgcICQ==\r\n--=_outer--\r\nAn epilogue.\r\n";
