//! Stand-in.
use crate::address::EmailAddress;
use bytes::Bytes;
use countersign_wire::limits::Limits;
/// m
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    from: Option<Mailbox>,
}
/// m
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// d
    pub display: Option<String>,
    /// a
    pub address: EmailAddress,
}
/// a
#[derive(Debug, Clone)]
pub enum Ambiguity {
    /// n
    NoFrom,
}
impl Message {
    /// r
    #[must_use]
    pub fn read(bytes: Bytes, _: &Limits) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let from =
            text.lines().find_map(|l| l.strip_prefix("From: ")).and_then(|a| EmailAddress::parse(a).ok());
        Self { bytes, from: from.map(|address| Mailbox { display: None, address }) }
    }
    /// b
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// f
    /// # Errors
    /// e
    pub fn from(&self) -> Result<&Mailbox, &Ambiguity> {
        self.from.as_ref().ok_or(&Ambiguity::NoFrom)
    }
}
