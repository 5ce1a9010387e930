//! The shapes of what the API takes and gives, for the OpenAPI document. Handlers answer with values of the rooms;
//! scenarios hold real answers against these.

#![expect(dead_code, reason = "they are described, not made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

/// What was decided about a message or a command.
#[derive(ToSchema)]
struct Ruling {
    /// The version of this shape: 1.
    v: u32,
    /// Under which it is found again; null when it was not recorded.
    #[schema(required = true)]
    r#ref: Option<String>,
    #[schema(value_type = GateName)]
    gate: GateName,
    account: String,
    decision: Decision,
    #[schema(required = true)]
    how: Option<How>,
    mode: Mode,
    #[schema(format = DateTime)]
    at: String,
    /// Worst first.
    reasons: Vec<Reason>,
    /// What would change it.
    missing: Vec<Missing>,
    evidence: Vec<Evidence>,
    /// Codes among the reasons that only mark; they stop nothing.
    marks: Vec<String>,
    /// SHA-256 over the policies.
    policy_digest: String,
    /// What judging took, in microseconds.
    cost_us: u64,
}

/// A ruling as it was recorded, and every entry of its ref.
#[derive(ToSchema)]
struct RulingFound {
    #[serde(flatten)]
    ruling: Ruling,
    entries: Vec<Entry>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Decision {
    Allow,
    Ask,
    Hold,
    Refuse,
}

/// How something is held: with us, or by the client, who tries again.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum How {
    Custody,
    Defer,
}

/// Whether rulings bind.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Mode {
    Observe,
    Enforce,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum GateName {
    Send,
    Receive,
    Lists,
    Signin,
    Desk,
}

/// Why it was decided so.
#[derive(ToSchema)]
struct Reason {
    /// A code of the list in `docs/reference/reasons.json`.
    code: String,
    policy: String,
    /// What SMTP says.
    smtp: String,
    sentence: String,
    remedy: String,
    #[schema(required = true)]
    link: Option<String>,
}

/// Evidence that would change a ruling.
#[derive(ToSchema)]
struct Missing {
    kind: String,
    r#for: String,
    how: String,
}

/// One fact that was looked at.
#[derive(ToSchema)]
struct Evidence {
    kind: String,
    finding: Finding,
    /// Why it is not known.
    #[schema(required = true)]
    why: Option<String>,
    value: BTreeMap<String, Value>,
    source: String,
    #[schema(format = DateTime)]
    observed_at: String,
    #[schema(format = DateTime, required = true)]
    good_until: Option<String>,
    strength: Strength,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Finding {
    Pass,
    Fail,
    Warn,
    Unknown,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Strength {
    Proved,
    Observed,
    Claimed,
}

/// Held mail, without what is inside.
#[derive(ToSchema)]
struct Held {
    r#ref: String,
    gate: GateName,
    account: String,
    how: How,
    state: State,
    mail_from: String,
    /// How many recipients it has.
    rcpts: u64,
    /// In octets.
    size: u64,
    #[schema(format = DateTime)]
    at: String,
    #[schema(format = DateTime)]
    until: String,
    reasons: Vec<String>,
    /// A release was interrupted: it may have been sent.
    in_doubt: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum State {
    Held,
    Released,
    Refused,
    Expired,
}

#[derive(ToSchema)]
struct HeldPage {
    held: Vec<Held>,
    /// `after` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// One entry of the ledger.
#[derive(ToSchema)]
struct Entry {
    r#ref: String,
    account: String,
    kind: EntryKind,
    /// The number of its log: each node has one.
    log: u64,
    /// Its place in the log.
    idx: u64,
    #[schema(format = DateTime)]
    at: String,
    /// What it says; null when it was erased.
    #[schema(required = true)]
    payload: Option<BTreeMap<String, Value>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum EntryKind {
    Ruling,
    Outcome,
    Command,
}

#[derive(ToSchema)]
struct Entries {
    entries: Vec<Entry>,
}

#[derive(ToSchema)]
struct EntryPage {
    entries: Vec<Entry>,
    /// `after` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// What the logs have signed.
#[derive(ToSchema)]
struct Heads {
    logs: Vec<Head>,
}

#[derive(ToSchema)]
struct Head {
    /// The name of the log.
    origin: String,
    /// What its checkpoints are verified with: NAME+ID+BASE64.
    key: String,
    /// How many leaves it counts.
    size: u64,
    /// The root over them, in base64.
    root: String,
    /// The signed note.
    checkpoint: String,
}

#[derive(ToSchema)]
struct Proofs {
    /// One for each entry, oldest first.
    proofs: Vec<Proof>,
}

/// That an entry is in a log.
#[derive(ToSchema)]
struct Proof {
    v: u32,
    r#ref: String,
    kind: EntryKind,
    origin: String,
    key: String,
    idx: u64,
    /// In base64.
    leaf: String,
    size: u64,
    /// The hashes beside the way to the root, in base64.
    path: Vec<String>,
    checkpoint: String,
    /// The whole as one text (C2SP tlog-proof).
    proof: String,
}

#[derive(ToSchema)]
struct Account {
    id: String,
    name: String,
    #[schema(required = true)]
    tier: Option<String>,
    #[schema(required = true)]
    mode: Option<Mode>,
    #[schema(required = true)]
    upstream: Option<String>,
    networks: Vec<String>,
    #[schema(required = true)]
    owner_email: Option<String>,
    domains: Vec<OwnedDomain>,
    #[schema(required = true)]
    blocked: Option<Blocked>,
    blocked_parts: Vec<BlockedPart>,
}

#[derive(ToSchema)]
struct OwnedDomain {
    name: String,
    subdomains: bool,
    proved: bool,
}

#[derive(ToSchema)]
struct Blocked {
    reason: String,
    #[schema(format = DateTime)]
    at: String,
}

#[derive(ToSchema)]
struct BlockedPart {
    scope: BlockedScope,
    subject: String,
    reason: String,
    #[schema(format = DateTime)]
    at: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum BlockedScope {
    Account,
    Domain,
    Credential,
}

#[derive(ToSchema)]
struct Accounts {
    accounts: Vec<Account>,
}

/// What is stopped: with neither a domain nor a login the whole account.
#[derive(ToSchema)]
struct Block {
    /// Why; it is recorded.
    reason: String,
    #[schema(nullable = true, required = false)]
    domain: Option<String>,
    #[schema(nullable = true, required = false)]
    credential: Option<String>,
}

/// What acts again.
#[derive(ToSchema)]
struct Unblock {
    #[schema(nullable = true, required = false)]
    domain: Option<String>,
    #[schema(nullable = true, required = false)]
    credential: Option<String>,
}

#[derive(ToSchema)]
struct SetMode {
    gate: GateName,
    mode: Mode,
    /// The whole gate when absent.
    #[schema(nullable = true, required = false)]
    account: Option<String>,
}

/// An accounts file, and the secrets that it names.
#[derive(ToSchema)]
struct Apply {
    file: String,
    text: String,
    /// By login.
    secrets: BTreeMap<String, String>,
    /// By address.
    #[schema(required = false)]
    staff_secrets: BTreeMap<String, String>,
    trust_proof: bool,
    prune: bool,
}

/// What is erased: one of the two.
#[derive(ToSchema)]
struct Erase {
    #[schema(nullable = true, required = false)]
    r#ref: Option<String>,
    #[schema(nullable = true, required = false)]
    account: Option<String>,
}

/// What was said is gone; the ruling that records it.
#[derive(ToSchema)]
struct Erased {
    done: bool,
    /// How many payloads.
    payloads: u64,
    /// Of an account: whether its key was destroyed with them, or is kept because other nodes may seal with it.
    #[schema(required = false)]
    key: KeyFate,
    ruling: Ruling,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum KeyFate {
    Destroyed,
    Kept,
}

/// Whose login is lent.
#[derive(ToSchema)]
struct Probe {
    account: String,
}

/// A login that ends by itself.
#[derive(ToSchema)]
struct Lent {
    login: String,
    secret: String,
    until: String,
}

/// What was asked is done, and recorded as this ruling.
#[derive(ToSchema)]
struct Done {
    done: bool,
    /// The ledger could not write; it is owed the entry.
    #[schema(required = false)]
    owed: bool,
    ruling: Ruling,
}

/// An error (RFC 9457).
#[derive(ToSchema)]
struct Problem {
    /// Where it is explained.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// The word for programs: of the problem, or of the reason when policy did not permit it.
    code: String,
    /// The ruling that did not permit it.
    #[schema(required = false)]
    r#ref: String,
    #[schema(required = false)]
    missing: Vec<Missing>,
}

/// All of them.
#[derive(OpenApi)]
#[openapi(components(schemas(
    Ruling,
    RulingFound,
    Decision,
    How,
    Mode,
    GateName,
    Reason,
    Missing,
    Evidence,
    Finding,
    Strength,
    Held,
    State,
    HeldPage,
    Entry,
    EntryKind,
    Entries,
    EntryPage,
    Account,
    OwnedDomain,
    Blocked,
    BlockedPart,
    BlockedScope,
    Accounts,
    Block,
    Unblock,
    SetMode,
    Apply,
    Erase,
    Erased,
    KeyFate,
    Probe,
    Lent,
    Done,
    Problem,
    Heads,
    Head,
    Proofs,
    Proof
)))]
pub(super) struct Shapes;
