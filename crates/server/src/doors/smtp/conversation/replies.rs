//! The replies of the protocol that are always the same: no ruling, no ref.
//! The conversation says them.

use countersign_wire::smtp::reply::FixedReply;

pub(super) static OK: FixedReply = FixedReply::new(250, (2, 0, 0), "OK");
pub(super) static SENDER_OK: FixedReply = FixedReply::new(250, (2, 1, 0), "sender OK");
pub(super) static HELP: FixedReply = FixedReply::new(
    214,
    (2, 0, 0),
    "see RFC 5321; refusals carry a ref, and `countersign explain REF` explains it",
);
pub(super) static BYE: FixedReply = FixedReply::new(221, (2, 0, 0), "goodbye");
pub(super) static READY_FOR_TLS: FixedReply = FixedReply::new(220, (2, 0, 0), "ready to start TLS");
pub(super) static SIGNED_IN: FixedReply = FixedReply::new(235, (2, 7, 0), "authentication succeeded");
pub(super) static WRONG: FixedReply = FixedReply::new(535, (5, 7, 8), "authentication credentials invalid");
pub(super) static TOO_MANY_FAILURES: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many failed authentications; goodbye");
pub(super) static TOO_MANY_GUESSES: FixedReply =
    FixedReply::new(454, (4, 7, 0), "too many authentications have failed; try again later");
pub(super) static TRY_LATER: FixedReply =
    FixedReply::new(454, (4, 7, 0), "authentication cannot be checked now; try again later");
pub(super) static AUTH_FIRST: FixedReply =
    FixedReply::new(530, (5, 7, 0), "authentication required; send AUTH first");
pub(super) static MAIL_FIRST: FixedReply = FixedReply::new(503, (5, 5, 1), "send MAIL first");
pub(super) static NOT_OFFERED: FixedReply = FixedReply::new(502, (5, 5, 1), "command not offered here");
pub(super) static LINE_TOO_LONG: FixedReply = FixedReply::new(500, (5, 5, 2), "command line is too long");
pub(super) static TOO_MANY_COMMANDS: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many commands without a message");
pub(super) static TOO_MANY_RECIPIENTS: FixedReply =
    FixedReply::new(421, (4, 7, 0), "too many recipients were tried in one transaction; goodbye");
pub(super) static BARE_LF: FixedReply =
    FixedReply::new(500, (5, 5, 2), "a line ended without CR; lines end with CRLF; goodbye");
pub(super) static LATE: FixedReply =
    FixedReply::new(421, (4, 4, 2), "nothing that could be answered came for too long; goodbye");
pub(super) static SHUTTING_DOWN: FixedReply =
    FixedReply::new(421, (4, 3, 2), "this server is shutting down; try again");
pub(super) static NO_ROOM: FixedReply =
    FixedReply::new(452, (4, 3, 1), "too many messages are being received at once; try again later");
pub(super) static NO_SPACE: FixedReply =
    FixedReply::new(452, (4, 3, 1), "too little disk space is free on this server; try again later");
pub(super) static CHUNK_TOO_BIG: FixedReply =
    FixedReply::new(421, (4, 5, 0), "a chunk out of order is too large to be read and dropped; goodbye");
