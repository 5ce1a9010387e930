//! Budgets of reading: a message that exceeds one was not read to its end, so nobody judges it.
//! The gate asks before it opens a dossier.

use countersign_wire::header::HeaderError;
use countersign_wire::mime::MimeFault;

use crate::reason::{self, Reason};
use crate::request::Request;

/// The reason for which a request's message cannot be judged, and what exactly was exceeded.
#[must_use]
pub fn exceeded(request: &Request) -> Option<(&'static Reason, String)> {
    let message = &request.submission()?.message;
    if let Some(fault @ (HeaderError::TooManyFields { .. } | HeaderError::TooBig { .. })) =
        message.header_fault()
    {
        return Some((reason::known("limit-headers"), fault.to_string()));
    }
    let fault = message.structure().err()?;
    let code = match fault {
        MimeFault::Depth { .. } => "limit-mime-depth",
        MimeFault::Parts { .. } => "limit-mime-parts",
        MimeFault::Parameters { .. } => "limit-mime-parameters",
        MimeFault::HeaderFields { .. } | MimeFault::HeaderBytes { .. } => "limit-headers",
    };
    Some((reason::known(code), fault.to_string()))
}
