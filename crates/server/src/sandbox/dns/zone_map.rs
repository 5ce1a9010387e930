//! A map of names to records that plays all of DNS, and the names at which it fails.
//! Called by `dns`, and by everybody who sets up a world in a box.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record as WireRecord};
use thiserror::Error;

use crate::net::record::{Record, RecordKind, wire_name};

/// Records under names. Made in one chain: `ZoneMap::new().a("acme.example", "192.0.2.1")`; what is
/// wrong in the chain is said by [`ZoneMap::checked`].
#[derive(Debug, Clone)]
pub struct ZoneMap {
    records: BTreeMap<String, Vec<Entry>>,
    aliases: BTreeMap<String, Alias>,
    faults: BTreeMap<String, Fault>,
    ttl: u32,
    negative_ttl: u32,
    mistake: Option<ZoneError>,
}

/// How a name, or the whole server, misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Never answers.
    Silent,
    ServFail,
    Refused,
    /// Answers with the right id and nothing else that makes sense.
    Garbage,
    /// Answers, but only after this many milliseconds.
    Slow(u64),
}

/// What is wrong with a zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ZoneError {
    #[error("`{0}` is not a domain name")]
    Name(String),
    #[error("`{0}` is not an address of the kind that is asked for")]
    Address(String),
}

#[derive(Debug, Clone)]
struct Entry {
    record: Record,
    ttl: u32,
}

#[derive(Debug, Clone)]
struct Alias {
    target: String,
    ttl: u32,
}

/// What the map says about a question.
pub(super) struct Found {
    pub(super) answers: Vec<WireRecord>,
    /// For an answer without a record of the kind: who says so.
    pub(super) negative: Option<WireRecord>,
    pub(super) exists: bool,
}

impl ZoneMap {
    pub const fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            aliases: BTreeMap::new(),
            faults: BTreeMap::new(),
            ttl: 300,
            negative_ttl: 60,
            mistake: None,
        }
    }

    /// The time to live, in seconds, of everything that is added after this.
    pub const fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// How long, in seconds, it stays true that something is not there.
    pub const fn negative_ttl(mut self, seconds: u32) -> Self {
        self.negative_ttl = seconds;
        self
    }

    pub fn a(self, name: &str, address: &str) -> Self {
        match address.parse::<Ipv4Addr>() {
            Ok(parsed) => self.record(name, Record::A(parsed)),
            Err(_) => self.wrong(ZoneError::Address(address.to_owned())),
        }
    }

    pub fn aaaa(self, name: &str, address: &str) -> Self {
        match address.parse::<Ipv6Addr>() {
            Ok(parsed) => self.record(name, Record::Aaaa(parsed)),
            Err(_) => self.wrong(ZoneError::Address(address.to_owned())),
        }
    }

    pub fn mx(self, name: &str, preference: u16, exchange: &str) -> Self {
        self.record(name, Record::Mx { preference, exchange: exchange.to_owned() })
    }

    /// A text of any length; it is cut into strings of 255 octets.
    pub fn txt(self, name: &str, text: &str) -> Self {
        self.record(name, Record::Txt(text.as_bytes().to_vec()))
    }

    pub fn ns(self, name: &str, host: &str) -> Self {
        self.record(name, Record::Ns(host.to_owned()))
    }

    pub fn soa(self, name: &str, mname: &str) -> Self {
        let soa = soa_of(mname, self.negative_ttl);
        self.record(name, soa)
    }

    /// The name of an address, under `in-addr.arpa` or `ip6.arpa`.
    pub fn ptr(self, address: &str, host: &str) -> Self {
        match address.parse::<IpAddr>() {
            Ok(parsed) => self.record(&Name::from(parsed).to_ascii(), Record::Ptr(host.to_owned())),
            Err(_) => self.wrong(ZoneError::Address(address.to_owned())),
        }
    }

    pub fn cname(mut self, name: &str, target: &str) -> Self {
        let alias = Alias { target: target.to_owned(), ttl: self.ttl };
        self.aliases.insert(key(name), alias);
        self
    }

    /// Never answers for this name and the names below it.
    pub fn silent(self, name: &str) -> Self {
        self.fault(name, Fault::Silent)
    }

    pub fn servfail(self, name: &str) -> Self {
        self.fault(name, Fault::ServFail)
    }

    /// Misbehaves for this name and the names below it, or no more with [`Fault::None`].
    pub fn fault(mut self, name: &str, fault: Fault) -> Self {
        self.faults.insert(key(name), fault);
        self
    }

    /// Adds one record.
    pub fn record(mut self, name: &str, record: Record) -> Self {
        let ttl = self.ttl;
        self.records.entry(key(name)).or_default().push(Entry { record, ttl });
        self
    }

    /// Replaces all records of one kind at a name.
    pub fn set(&mut self, name: &str, kind: RecordKind, records: Vec<Record>) {
        self.remove(name, kind);
        let ttl = self.ttl;
        let entries = records.into_iter().map(|record| Entry { record, ttl });
        self.records.entry(key(name)).or_default().extend(entries);
    }

    /// Takes all records of one kind away from a name. The name itself stays until
    /// [`ZoneMap::remove_name`].
    pub fn remove(&mut self, name: &str, kind: RecordKind) {
        if let Some(entries) = self.records.get_mut(&key(name)) {
            entries.retain(|entry| entry.record.kind() != kind);
        }
    }

    /// Takes a name and everything below it away: it then does not exist.
    pub fn remove_name(&mut self, name: &str) {
        let gone = key(name);
        self.records.retain(|name, _| !is_within(name, &gone));
        self.aliases.retain(|name, _| !is_within(name, &gone));
    }

    pub fn set_fault(&mut self, name: &str, fault: Fault) {
        self.faults.insert(key(name), fault);
    }

    /// The map, if every name and address in it is one.
    pub fn checked(self) -> Result<Self, ZoneError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        for (name, entries) in &self.records {
            absolute(name)?;
            entries.iter().try_for_each(|entry| wire_data(&entry.record).map(drop))?;
        }
        for (name, alias) in &self.aliases {
            absolute(name)?;
            absolute(&alias.target)?;
        }
        Ok(self)
    }

    /// The fault of the closest name at or above this one.
    pub(super) fn fault_at(&self, name: &str) -> Fault {
        let mut rest = name;
        loop {
            if let Some(fault) = self.faults.get(rest) {
                return *fault;
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => return self.faults.get("").copied().unwrap_or_default(),
            }
        }
    }

    /// Follows aliases as a recursive server does, and says whether the last name exists.
    pub(super) fn find(&self, name: &str, kind: Option<RecordKind>) -> Result<Found, ZoneError> {
        let mut owner = key(name);
        let mut answers = Vec::new();
        while let Some(alias) = self.aliases.get(&owner) {
            let target = RData::CNAME(CNAME(absolute(&alias.target)?));
            answers.push(WireRecord::from_rdata(absolute(&owner)?, alias.ttl, target));
            if answers.len() > LONGEST_CHAIN {
                break;
            }
            owner = key(&alias.target);
        }
        let entries = self.records.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let wanted = entries.iter().filter(|entry| Some(entry.record.kind()) == kind);
        let aliases = answers.len();
        for entry in wanted {
            answers.push(WireRecord::from_rdata(absolute(&owner)?, entry.ttl, wire_data(&entry.record)?));
        }
        let negative = if answers.len() == aliases { Some(self.authority()?) } else { None };
        let exists = negative.is_none() || self.exists(&owner);
        Ok(Found { answers, negative, exists })
    }

    /// A name exists when it or a name below it holds anything (RFC 8020). The root always does.
    fn exists(&self, name: &str) -> bool {
        name.is_empty() || self.records.keys().chain(self.aliases.keys()).any(|other| is_within(other, name))
    }

    /// One SOA for everything: the map plays the root zone, so nothing is outside of it.
    fn authority(&self) -> Result<WireRecord, ZoneError> {
        let soa = wire_data(&soa_of("ns.sandbox.example", self.negative_ttl))?;
        Ok(WireRecord::from_rdata(Name::root(), self.negative_ttl, soa))
    }

    fn wrong(mut self, mistake: ZoneError) -> Self {
        self.mistake.get_or_insert(mistake);
        self
    }
}

impl Default for ZoneMap {
    fn default() -> Self {
        Self::new()
    }
}

/// A name as the map keeps it: lower case, no final dot, the root empty.
pub(super) fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_within(name: &str, parent: &str) -> bool {
    match name.strip_suffix(parent) {
        Some(rest) => rest.is_empty() || parent.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

fn absolute(name: &str) -> Result<Name, ZoneError> {
    wire_name(name).ok_or_else(|| ZoneError::Name(name.to_owned()))
}

fn soa_of(mname: &str, minimum: u32) -> Record {
    let rname = "hostmaster.sandbox.example".to_owned();
    Record::Soa { mname: mname.to_owned(), rname, serial: 1, minimum }
}

fn wire_data(record: &Record) -> Result<RData, ZoneError> {
    Ok(match record {
        Record::A(address) => RData::A(A(*address)),
        Record::Aaaa(address) => RData::AAAA(AAAA(*address)),
        Record::Mx { preference, exchange } => RData::MX(MX::new(*preference, absolute(exchange)?)),
        Record::Txt(text) if text.is_empty() => RData::TXT(TXT::from_bytes(vec![b""])),
        Record::Txt(text) => RData::TXT(TXT::from_bytes(text.chunks(255).collect())),
        Record::Ptr(host) => RData::PTR(PTR(absolute(host)?)),
        Record::Ns(host) => RData::NS(NS(absolute(host)?)),
        Record::Soa { mname, rname, serial, minimum } => RData::SOA(SOA::new(
            absolute(mname)?,
            absolute(rname)?,
            *serial,
            REFRESH,
            RETRY,
            EXPIRE,
            *minimum,
        )),
    })
}

const LONGEST_CHAIN: usize = 16;
const REFRESH: i32 = 3600;
const RETRY: i32 = 600;
const EXPIRE: i32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_the_chain_are_said_once_it_is_checked() {
        let address = ZoneMap::new().a("acme.example", "192.0.2.256").checked().unwrap_err();
        assert_eq!(address, ZoneError::Address("192.0.2.256".to_owned()));
        let name = ZoneMap::new().mx("acme.example", 10, "mx..example").checked().unwrap_err();
        assert_eq!(name, ZoneError::Name("mx..example".to_owned()));
    }

    #[test]
    fn the_closest_fault_counts() {
        let zones = ZoneMap::new().silent("slow.example").fault("quick.slow.example", Fault::None);
        assert_eq!(zones.fault_at("a.slow.example"), Fault::Silent);
        assert_eq!(zones.fault_at("a.quick.slow.example"), Fault::None);
        assert_eq!(zones.fault_at("notslow.example"), Fault::None);
    }

    #[test]
    fn rfc8020_a_name_with_names_below_it_exists() {
        let zones = ZoneMap::new().txt("_dmarc.acme.example", "v=DMARC1; p=none");
        assert!(zones.find("acme.example", Some(RecordKind::A)).unwrap().exists);
        assert!(!zones.find("cme.example", Some(RecordKind::A)).unwrap().exists);
    }
}
