//! A second opinion on the order of SMTP commands, from the RFCs, written as facts and questions
//! and not as states. It knows nothing of the table it checks and works on the text of the lines.
//! Called by `walk`, and by the scenario that walks over the wire.

use countersign_wire::smtp::session::Rules;

/// What has happened on a connection.
#[derive(Debug)]
pub struct Model {
    must_log_in: bool,
    log_in_in_the_clear: bool,
    offered: Vec<&'static str>,
    encrypted: bool,
    greeting: Option<&'static str>,
    logged_in: bool,
    sender: Option<&'static str>,
    recipients: u32,
    chunks: u32,
    reading_message: bool,
    over: bool,
}

impl Model {
    /// Before the first greeting.
    #[must_use]
    pub fn new(rules: &Rules, encrypted: bool) -> Self {
        let offer = &rules.offer;
        let offered = [
            (offer.starttls, "STARTTLS"),
            (!offer.auth.is_empty(), "AUTH"),
            (offer.chunking, "CHUNKING"),
            (offer.eight_bit, "BODY=8BITMIME"),
            (offer.smtputf8, "SMTPUTF8"),
            (offer.dsn, "RET=FULL"),
            (offer.dsn, "NOTIFY=NEVER"),
            (offer.size.is_some(), "SIZE=5"),
            (!offer.xclient.is_empty(), "XCLIENT"),
        ];
        Self {
            must_log_in: rules.auth_required,
            log_in_in_the_clear: rules.plaintext_auth,
            offered: offered.iter().filter(|(yes, _)| *yes).map(|(_, name)| *name).collect(),
            encrypted,
            greeting: None,
            logged_in: false,
            sender: None,
            recipients: 0,
            chunks: 0,
            reading_message: false,
            over: false,
        }
    }

    /// MAIL was accepted, and its transaction has not ended.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        self.sender.is_some() && !self.over
    }

    /// DATA was answered with 354, and the message has not ended.
    #[must_use]
    pub const fn is_reading_message(&self) -> bool {
        self.reading_message
    }

    /// The code of the refusal, or 250. The line is one of [`LINES`](crate::walk::LINES).
    #[must_use]
    pub fn answer(&self, line: &str) -> u16 {
        let verb = line.split(' ').next().unwrap_or_default();
        let extended = self.greeting == Some("EHLO");
        if self.over || self.reading_message {
            return 503;
        }
        match verb {
            "EHLO" | "HELO" | "RSET" | "NOOP" | "QUIT" => 250,
            "XCLIENT" if !self.offered.contains(&"XCLIENT") => 500,
            "EXPN" => 502,
            _ if self.greeting.is_none() => 503,
            "XCLIENT" if self.sender.is_some() || !extended => 503,
            "XCLIENT" => 250,
            "VRFY" => self.needs_log_in(),
            "STARTTLS" if self.sender.is_some() || !extended || self.encrypted => 503,
            "STARTTLS" => self.needs_offer("STARTTLS"),
            "AUTH" if self.sender.is_some() || self.logged_in || !extended => 503,
            "AUTH" if !self.offered.contains(&"AUTH") => 502,
            "AUTH" if !self.encrypted && !self.log_in_in_the_clear => 538,
            "AUTH" if line == "AUTH LOGIN" => 504,
            "AUTH" => 250,
            "MAIL" if self.sender.is_some() => 503,
            "MAIL" if self.needs_log_in() != 250 => 530,
            "MAIL" => self.parameters(line, extended),
            "RCPT" if self.sender.is_none() || self.chunks > 0 => 503,
            "RCPT" if self.parameters(line, extended) != 250 => 555,
            "RCPT" if !line.is_ascii() && !self.sender.is_some_and(|line| line.contains("SMTPUTF8")) => 553,
            "RCPT" => 250,
            "DATA" if self.recipients == 0 || self.chunks > 0 => 503,
            "DATA" => 250,
            "BDAT" if self.recipients == 0 || !extended => 503,
            "BDAT" => self.needs_offer("CHUNKING"),
            _ => 0,
        }
    }

    /// A command was allowed; policy accepted it or not.
    pub fn happened(&mut self, line: &'static str, accepted: bool) {
        let verb = line.split(' ').next().unwrap_or_default();
        match verb {
            "QUIT" => self.over = true,
            "RSET" => self.message_ended(),
            "EHLO" | "HELO" if accepted => {
                self.greeting = Some(verb);
                self.message_ended();
            }
            "STARTTLS" if accepted => {
                self.encrypted = true;
                self.greeting = None;
                self.logged_in = false;
                self.message_ended();
            }
            "XCLIENT" if accepted => {
                self.greeting = None;
                self.logged_in = false;
                self.message_ended();
            }
            "AUTH" if accepted => self.logged_in = true,
            "MAIL" if accepted => self.sender = Some(line),
            "RCPT" if accepted => self.recipients += 1,
            "DATA" if accepted => self.reading_message = true,
            "BDAT" if accepted && !line.ends_with("LAST") => self.chunks += 1,
            "DATA" | "BDAT" => self.message_ended(),
            _ => {}
        }
    }

    /// A command was refused by its place. RFC 3030 2: the chunks that a client sends ahead come all the same, and
    /// what is left of a message must not pass for a whole one: a refused chunk ends the transaction.
    pub fn refused(&mut self, line: &str) {
        if line.starts_with("BDAT") {
            self.message_ended();
        }
    }

    /// The transaction is over, one way or the other.
    pub fn message_ended(&mut self) {
        self.sender = None;
        self.recipients = 0;
        self.chunks = 0;
        self.reading_message = false;
    }

    const fn needs_log_in(&self) -> u16 {
        if self.must_log_in && !self.logged_in { 530 } else { 250 }
    }

    fn needs_offer(&self, name: &str) -> u16 {
        if self.offered.contains(&name) { 250 } else { 502 }
    }

    fn parameters(&self, line: &str, extended: bool) -> u16 {
        let (_, path) = line.split_once('<').unwrap_or_default();
        let mut given = path.split(' ').skip(1);
        if given.all(|parameter| extended && self.offered.contains(&parameter)) { 250 } else { 555 }
    }
}
