//! SMTP (RFC 5321) as bytes and words.
