//! Header fields of RFC 5322 as bytes.
