//! `[limits]`: how much anybody may ask of us.
//! `checked` reads it; doors and the sign-in counters are built from it.

use std::time::Duration;

use super::notes::Noted;
use super::reader::Reader;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one credential in a day.
    pub per_credential_day: Option<u64>,
    /// Recipients in a day to whom an account never sent before.
    pub new_recipients_day: Option<u64>,
    /// Sessions from one address.
    pub connections_per_ip: usize,
    /// Sessions from one /24 or /64.
    pub connections_per_net: usize,
    /// Sessions altogether.
    pub connections: usize,
    /// Commands of a session between two messages; RCPT does not count.
    pub commands: usize,
    /// Recipients of one transaction.
    pub rcpts: usize,
    /// Octets of one message.
    pub message_bytes: usize,
    /// Octets a second below which a message is given up; 0 is never.
    pub min_data_rate: u64,
    /// Octets of all messages that are being received.
    pub bytes_in_flight: u64,
    /// Failed sign-ins.
    pub auth_failures: AuthFailures,
}

/// How many sign-ins may fail within the window before no more are listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailures {
    /// Of one account.
    pub account: u32,
    /// From one /24 or /48.
    pub net: u32,
    /// Altogether.
    pub all: u32,
    /// The window.
    pub window: Duration,
}

impl Limits {
    pub(super) fn read(limits: Reader<'_>) -> Result<Self, Noted> {
        let read = Self {
            per_credential_day: some_number(limits.count("per_credential_day")?),
            new_recipients_day: some_number(limits.count("new_recipients_day")?),
            connections_per_ip: limits.count("connections_per_ip")?,
            connections_per_net: limits.count("connections_per_net")?,
            connections: limits.count("connections")?,
            commands: limits.count("commands")?,
            rcpts: limits.count("rcpts")?,
            message_bytes: limits.count("message_bytes")?,
            min_data_rate: limits.count("min_data_rate")?,
            bytes_in_flight: limits.count("bytes_in_flight")?,
            auth_failures: AuthFailures::read(limits.section("auth_failures")?)?,
        };
        if read.bytes_in_flight < read.message_bytes as u64 {
            let why = format!(
                "is `{}`, less than `message_bytes` (`{}`): a message of that size could never arrive",
                read.bytes_in_flight, read.message_bytes
            );
            return Err(limits.wrong("bytes_in_flight", &why));
        }
        Ok(read)
    }

    /// The limits that the parsers of the wire ask for.
    #[must_use]
    pub fn wire(&self) -> countersign_wire::limits::Limits {
        countersign_wire::limits::Limits {
            message_bytes: self.message_bytes,
            recipients: self.rcpts,
            commands: self.commands,
            ..Default::default()
        }
    }
}

impl AuthFailures {
    fn read(failures: Reader<'_>) -> Result<Self, Noted> {
        Ok(Self {
            account: failures.count("account")?,
            net: failures.count("net")?,
            all: failures.count("all")?,
            window: Duration::from_secs(failures.count("window_s")?),
        })
    }
}

/// 0 is no limit.
fn some_number(count: u64) -> Option<u64> {
    Some(count).filter(|count| *count > 0)
}
