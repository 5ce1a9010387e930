//! The names that terms speak of, and the text of an explanation: macros filled in for one check.
//! The walk in `evaluation` calls it.

use super::answers::{Answer, Entry, Query, Record, RecordKind};
use super::evaluation::{Evaluation, is_domain};
use super::expand::{self, Values};
use super::macro_string::{DomainSpec, Letter, MacroString};
use super::stop::Stop;

impl Evaluation<'_> {
    /// The `<target-name>` of a term: its domain-spec expanded, or the domain itself (RFC 7208 4.8). It may
    /// turn out to be no proper name: addresses are then not found, `include` and `redirect` fail.
    pub(super) fn target(&mut self, spec: Option<&DomainSpec>, domain: &str) -> Result<String, Stop> {
        let Some(spec) = spec else { return Ok(domain.to_owned()) };
        let mut validated = None;
        for letter in spec.letters() {
            match letter {
                Letter::Sender | Letter::Local | Letter::SenderDomain => self.per_sender = true,
                Letter::Address | Letter::Family | Letter::Helo => self.per_address = true,
                Letter::Domain | Letter::ReadableAddress | Letter::Receiver | Letter::Now => {}
                Letter::ValidatedName => {
                    self.per_address = true;
                    // RFC 7208 4.6.4: "When evaluating the "ptr" mechanism or the %{p} macro, the number of
                    // "PTR" resource records queried is included in the overall limit of 10"
                    self.take_lookup()?;
                    validated = self.validated_name(domain)?;
                }
            }
        }
        Ok(expand::name(spec, &self.values(domain, validated.as_deref())))
    }

    /// The text of `exp=` (RFC 7208 6.2). It counts toward no limit and changes nothing but itself; errors
    /// leave none.
    pub(super) fn explanation(&mut self, spec: &DomainSpec, domain: &str) -> Result<Option<String>, Stop> {
        let good_for = self.good_for;
        let text = self.fetch_explanation(spec, domain);
        self.good_for = good_for;
        text
    }

    fn fetch_explanation(&mut self, spec: &DomainSpec, domain: &str) -> Result<Option<String>, Stop> {
        let needs_name = |letter| letter == Letter::ValidatedName;
        let mut validated = None;
        if spec.letters().any(needs_name) {
            validated = self.validated_name(domain)?;
        }
        let name = expand::name(spec, &self.values(domain, validated.as_deref()));
        if !is_domain(&name) {
            return Ok(None);
        }
        let Some(string) = explanation_in(self.entry(&Query::new(&name, RecordKind::Txt))?) else {
            return Ok(None);
        };
        if string.letters().any(needs_name) {
            validated = self.validated_name(domain)?;
        }
        Ok(expand::explanation(&string, &self.values(domain, validated.as_deref())))
    }

    fn values<'v>(&'v self, domain: &'v str, validated: Option<&'v str>) -> Values<'v> {
        let (local, sender_domain) = self.identity.sender();
        let receiver = self.identity.receiver;
        Values {
            ip: self.ip,
            local,
            sender_domain,
            domain,
            helo: self.identity.helo,
            // RFC 7208 7.3: "If there are no validated domain names or if a DNS error occurs, the string
            // "unknown" is used."
            validated_name: validated.unwrap_or(UNKNOWN),
            // "if policy restrictions dictate otherwise, the word "unknown" SHOULD be substituted"
            receiver: if receiver.is_empty() { UNKNOWN } else { receiver },
            now: self.identity.now,
        }
    }
}

/// RFC 7208 6.2: "If there are any DNS processing errors (any RCODE other than 0), or if no records are
/// returned, or if more than one record is returned, or if there are syntax errors in the explanation string,
/// then proceed as if no "exp" modifier was given."
fn explanation_in(entry: &Entry) -> Option<MacroString> {
    let Answer::Records { records, .. } = &entry.answer else { return None };
    let mut texts = records.iter().filter_map(Record::text);
    let (Some(text), None) = (texts.next(), texts.next()) else { return None };
    MacroString::parse_explanation(std::str::from_utf8(&text).ok()?).ok()
}

const UNKNOWN: &str = "unknown";
