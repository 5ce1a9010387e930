//! The MIME pre-scan.
