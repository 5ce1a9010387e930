//! Appending: one transaction for the writes, leaves and payloads of many entries.
//! The committer calls it; either all of it is durable when it returns, or it did not happen.

use std::collections::{BTreeSet, HashMap, HashSet};

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Frontier, Hash, Kind, leaf_hash};
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Acquire, QueryBuilder, Row};

use super::draft::Draft;
use super::handle::RecordError;
use super::payload::word;
use super::tip::{Link, Tip};
use crate::store::{Store, StoreError, Write};

/// What is durable now.
pub(super) struct Appended {
    /// For each draft, whether it is recorded.
    pub(super) results: Vec<Result<(), RecordError>>,
    /// How many leaves were added.
    pub(super) leaves: usize,
    frontier: Frontier,
    time_us: i64,
    chains: HashMap<AccountId, Link>,
}

impl Appended {
    /// Takes over what became durable.
    pub(super) fn settle(self, tip: &mut Tip) -> Vec<Result<(), RecordError>> {
        tip.frontier = self.frontier;
        tip.time_us = self.time_us;
        tip.chains.extend(self.chains);
        tip.trim();
        self.results
    }
}

/// Appends the drafts after `tip`, which is not touched. An error means that nothing was recorded.
pub(super) async fn append(
    store: &Store,
    tip: &Tip,
    drafts: &[Draft],
    loose: &[Write],
    now_us: i64,
) -> Result<Appended, StoreError> {
    let none = HashSet::new();
    match attempt(store, tip, drafts, loose, now_us, &none).await {
        Err(StoreError::Statement(error)) if is_unique_violation(&error) => {
            // One of them is recorded already, or somebody else wrote: find out which, once.
            let twice = recorded_already(store, drafts).await?;
            match twice.is_empty() {
                true => Err(error.into()),
                false => attempt(store, tip, drafts, loose, now_us, &twice).await,
            }
        }
        other => other,
    }
}

async fn attempt(
    store: &Store,
    tip: &Tip,
    drafts: &[Draft],
    loose: &[Write],
    now_us: i64,
    twice: &HashSet<usize>,
) -> Result<Appended, StoreError> {
    let mut transaction = store.begin().await?;
    along(&mut transaction, loose).await?;
    let mut results = Vec::with_capacity(drafts.len());
    for (number, draft) in drafts.iter().enumerate() {
        results.push(match twice.contains(&number) {
            true => Err(RecordError::Duplicate(draft.reference)),
            false => write_all(&mut transaction, &draft.writes).await?,
        });
    }
    let going: Vec<&Draft> =
        drafts.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(draft, _)| draft).collect();
    let mut chains = chains_of(&mut transaction, tip, &going).await?;
    let mut frontier = tip.frontier.clone();
    // The time of a leaf never decreases, whatever the clock does.
    let time_us = now_us.max(tip.time_us);
    let rows = place(&going, time_us, &mut frontier, &mut chains);
    if !rows.is_empty() {
        insert(&mut transaction, &rows, &frontier, time_us, &chains).await?;
    }
    transaction.commit().await?;
    Ok(Appended { results, leaves: rows.len(), frontier, time_us, chains })
}

/// A draft with its place.
struct Placed<'a> {
    draft: &'a Draft,
    index: i64,
    leaf: Vec<u8>,
    hash: Hash,
}

fn place<'a>(
    drafts: &[&'a Draft],
    time_us: i64,
    frontier: &mut Frontier,
    chains: &mut HashMap<AccountId, Link>,
) -> Vec<Placed<'a>> {
    let mut rows = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut leaf = draft.leaf.clone();
        let link = chains.entry(draft.account.clone()).or_default();
        leaf.time_us = time_us;
        leaf.account_seq = link.seq + 1;
        leaf.previous = link.hash;
        let octets = leaf.encode();
        let hash = leaf_hash(&octets);
        *link = Link { seq: leaf.account_seq, hash };
        rows.push(Placed { draft, index: integer(frontier.size()), leaf: octets, hash });
        frontier.push(hash);
    }
    rows
}

/// One statement a table, sent together: each hop to SQLite's thread and back costs more than a row.
/// INVARIANT: a batch has at most 4,096 rows of at most 6 values, and SQLite takes 32,766 values in one
/// statement. The placeholders have no numbers, so they count on from statement to statement.
async fn insert(
    connection: &mut SqliteConnection,
    rows: &[Placed<'_>],
    frontier: &Frontier,
    time_us: i64,
    chains: &HashMap<AccountId, Link>,
) -> Result<(), StoreError> {
    let mut all = QueryBuilder::<Sqlite>::new("INSERT INTO leaves (idx, leaf, hash) ");
    all.push_values(rows, |mut to, row| {
        to.push_bind(row.index).push_bind(row.leaf.as_slice()).push_bind(row.hash.as_slice());
    });
    all.push("; INSERT INTO entries (account_id, idx, ref, part, kind, at_us) ");
    all.push_values(rows, |mut to, row| {
        to.push_bind(row.draft.account.as_str()).push_bind(row.index);
        to.push_bind(row.draft.reference.as_str()).push_bind(part(row.draft.leaf.kind, row.index));
        to.push_bind(word(row.draft.leaf.kind)).push_bind(time_us);
    });
    all.push("; INSERT INTO payloads (account_id, idx, salt, sealed) ");
    all.push_values(rows, |mut to, row| {
        to.push_bind(row.draft.account.as_str()).push_bind(row.index);
        to.push_bind(row.draft.salt.as_slice()).push_bind(row.draft.sealed.as_slice());
    });
    all.push("; INSERT INTO chains (account_id, seq, hash) ");
    all.push_values(chains, |mut to, (account, link)| {
        to.push_bind(account.as_str()).push_bind(integer(link.seq)).push_bind(link.hash.to_vec());
    });
    all.push(" ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash");
    all.push("; INSERT INTO heads (size, leaves, root, at_us) ");
    all.push_values([frontier], |mut to, frontier| {
        to.push_bind(integer(frontier.size())).push_bind(integer(rows.len() as u64));
        to.push_bind(frontier.root().to_vec()).push_bind(time_us);
    });
    // Batches are of many sizes: keeping each as a prepared statement would keep none that comes again.
    all.build().persistent(false).execute(connection).await?;
    Ok(())
}

/// The ends of the chains of these drafts' accounts, as far as there are any.
async fn chains_of(
    connection: &mut SqliteConnection,
    tip: &Tip,
    drafts: &[&Draft],
) -> Result<HashMap<AccountId, Link>, StoreError> {
    let accounts: BTreeSet<&AccountId> = drafts.iter().map(|draft| &draft.account).collect();
    let mut chains = HashMap::with_capacity(accounts.len());
    for account in accounts {
        let link = match tip.chains.get(account) {
            Some(link) => Some(*link),
            None => read_link(connection, account).await?,
        };
        chains.extend(link.map(|link| (account.clone(), link)));
    }
    Ok(chains)
}

async fn read_link(
    connection: &mut SqliteConnection,
    account: &AccountId,
) -> Result<Option<Link>, StoreError> {
    let row = sqlx::query("SELECT seq, hash FROM chains WHERE account_id = $1").bind(account.as_str());
    let Some(row) = row.fetch_optional(connection).await? else { return Ok(None) };
    let wrong = || StoreError::Ledger(format!("the end of the chain of account `{account}` is damaged"));
    let seq = u64::try_from(row.try_get::<i64, _>(0)?).map_err(|_| wrong())?;
    let hash = Hash::try_from(row.try_get::<Vec<u8>, _>(1)?).map_err(|_| wrong())?;
    Ok(Some(Link { seq, hash }))
}

/// Runs the writes that only ride along; one that is wrong in itself is logged, and nobody's commit fails.
async fn along(connection: &mut SqliteConnection, loose: &[Write]) -> Result<(), StoreError> {
    for write in loose {
        match write.query().execute(&mut *connection).await {
            Ok(_) => {}
            Err(error) if is_its_own(&error) => {
                tracing::error!(statement = write.statement, %error, "a row that rides along is not written");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Runs the writes of one draft: all of them or none. The inner result is its own, the outer everybody's.
async fn write_all(
    connection: &mut SqliteConnection,
    writes: &[Write],
) -> Result<Result<(), RecordError>, StoreError> {
    match writes {
        [] => Ok(Ok(())),
        // A statement that fails, or that finds no row, has changed nothing: it needs no savepoint.
        [write] if write.rows.is_none_or(|rows| rows == 1) => write_one(connection, write).await,
        writes => {
            let mut savepoint = connection.begin().await?;
            for write in writes {
                if let Err(error) = write_one(&mut savepoint, write).await? {
                    savepoint.rollback().await?;
                    return Ok(Err(error));
                }
            }
            savepoint.commit().await?;
            Ok(Ok(()))
        }
    }
}

async fn write_one(
    connection: &mut SqliteConnection,
    write: &Write,
) -> Result<Result<(), RecordError>, StoreError> {
    match write.query().execute(connection).await {
        Ok(done) if write.rows.is_none_or(|rows| rows == done.rows_affected()) => Ok(Ok(())),
        Ok(_) => Ok(Err(RecordError::Conflict)),
        Err(error) if is_its_own(&error) => {
            Ok(Err(RecordError::Write { statement: write.statement, cause: error.to_string() }))
        }
        Err(error) => Err(error.into()),
    }
}

/// Which drafts have a ruling in the store, or before them in the batch, already.
async fn recorded_already(store: &Store, drafts: &[Draft]) -> Result<HashSet<usize>, StoreError> {
    let mut found = HashSet::new();
    let mut before = HashSet::new();
    for (number, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.leaf.kind != Kind::Outcome) {
        let known = "SELECT 1 FROM entries WHERE ref = $1 AND account_id = $2 AND part = 0";
        let known = sqlx::query(known).bind(draft.reference.as_str()).bind(draft.account.as_str());
        let stored = known.fetch_optional(store.readers()).await?.is_some();
        if !before.insert((&draft.account, draft.reference)) || stored {
            found.insert(number);
        }
    }
    Ok(found)
}

/// An account has one ruling of a ref and any number of outcomes.
fn part(kind: Kind, index: i64) -> i64 {
    match kind {
        Kind::Ruling | Kind::Command => 0,
        Kind::Outcome => index,
    }
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Whether an error lies in the statement and its values, not in the store: an SQL error, a constraint, a
/// value that is too long, of the wrong type or out of range. Anything else, a full disk above all, is
/// everybody's.
fn is_its_own(error: &sqlx::Error) -> bool {
    const ERROR: i32 = 1;
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    const RANGE: i32 = 25;
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
    // The low octet of an extended result code is the primary one.
    code.is_some_and(|code| matches!(code & 0xff, ERROR | TOO_BIG | CONSTRAINT | MISMATCH | RANGE))
}
