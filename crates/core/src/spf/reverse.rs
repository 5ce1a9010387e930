//! Validated names of an address: its PTR records, each checked forward (RFC 7208 5.5).
//! The walk in `evaluation` calls it for `ptr`, `naming` for `%{p}`.

use super::answers::{Answer, Entry, Query, Record, RecordKind};
use super::evaluation::{Evaluation, is_domain};
use super::expand::reverse_name;
use super::stop::Stop;

impl Evaluation<'_> {
    /// Whether a validated name is the target or lies below it.
    pub(super) fn has_name_within(&mut self, target: &str) -> Result<bool, Stop> {
        let names = self.reverse_names(true)?;
        let names = names.into_iter().filter(|name| is_within(name, target)).collect();
        Ok(!self.validated(names)?.is_empty())
    }

    /// The value of `%{p}`, if the address has a validated name.
    pub(super) fn validated_name(&mut self, domain: &str) -> Result<Option<String>, Stop> {
        let names = self.reverse_names(false)?;
        let names = self.validated(names)?;
        // RFC 7208 7.3: "If the <domain> is present in the list of validated domains, it SHOULD be used.
        // Otherwise, if a subdomain of the <domain> is present, it SHOULD be used. Otherwise, any name from
        // the list can be used."
        let same = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        Ok(same
            .or_else(|| names.iter().find(|name| is_within(name, domain)))
            .or_else(|| names.first())
            .cloned())
    }

    /// The names in the PTR records of the address, not yet validated.
    fn reverse_names(&mut self, counted: bool) -> Result<Vec<String>, Stop> {
        let entry = self.entry(&Query::new(&reverse_name(self.ip), RecordKind::Ptr))?;
        let records: &[Record] = match &entry.answer {
            Answer::Records { records, .. } => records,
            Answer::NxDomain { .. } | Answer::NoData { .. } => &[],
            // RFC 7208 5.5: "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails
            // to match."
            Answer::Failed(_) => return Ok(Vec::new()),
        };
        let names = records.iter().filter_map(Record::pointed_name);
        // RFC 7208 4.6.4: "If this limit is exceeded, all records other than the first 10 MUST be ignored."
        let names: Vec<String> = names.take(MAX_NAMES).map(str::to_ascii_lowercase).collect();
        if names.is_empty() && counted {
            self.take_void()?;
        }
        Ok(names)
    }

    /// RFC 7208 5.5: "If <ip> is among the returned IP addresses, then that domain name is validated."
    fn validated(&mut self, names: Vec<String>) -> Result<Vec<String>, Stop> {
        let mut names = names;
        names.retain(|name| is_domain(name));
        self.need_addresses(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut validated = Vec::new();
        for name in names {
            let entry = self.entry(&Query::new(&name, self.address_kind()))?;
            if self.is_listed_in(entry) {
                validated.push(name);
            }
        }
        Ok(validated)
    }

    /// "If a DNS error occurs while doing an A RR lookup, then that domain name is skipped and the search
    /// continues."
    fn is_listed_in(&self, entry: &Entry) -> bool {
        match &entry.answer {
            Answer::Records { records, .. } => records.iter().any(|record| record.address() == Some(self.ip)),
            _ => false,
        }
    }
}

/// Whether a name is a domain or lies below it.
fn is_within(name: &str, domain: &str) -> bool {
    let Some((front, tail)) = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at))
    else {
        return false;
    };
    tail.eq_ignore_ascii_case(domain) && (front.is_empty() || front.ends_with('.'))
}

/// RFC 7208 4.6.4: address records looked up for one `mx`, `ptr` or `%{p}`.
pub(super) const MAX_NAMES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7208_5_5_within() {
        assert!(is_within("mail.acme.example", "acme.example"));
        assert!(is_within("mail.acme.example", "ACME.example"));
        assert!(is_within("acme.example", "acme.example"));
        assert!(!is_within("mail.bad-acme.example", "acme.example"));
        assert!(!is_within("acme.example", "mail.acme.example"));
    }
}
