//! Appending: one transaction for the writes, leaves and payloads of many entries.
//! The committer calls it; either all of it is durable when it returns, or it did not happen.

use std::collections::{BTreeSet, HashMap, HashSet};

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Hash, Kind, leaf_hash};

use super::draft::Draft;
use super::edge::{Edge, Grown};
use super::handle::RecordError;
use super::insert::{Batch, Placed, insert, integer};
use super::tip::{Link, Tip};
use crate::store::{Store, StoreError, Transaction, Value, Write};

/// What is durable now.
pub(super) struct Appended {
    /// For each draft, whether it is recorded.
    pub(super) results: Vec<Result<(), RecordError>>,
    /// How many leaves were added.
    pub(super) leaves: usize,
    edge: Edge,
    time_us: i64,
    chains: HashMap<AccountId, Link>,
}

impl Appended {
    /// Takes over what became durable.
    pub(super) fn settle(self, tip: &mut Tip) -> Vec<Result<(), RecordError>> {
        tip.edge = self.edge;
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
    let mut care = Care::default();
    loop {
        match attempt(store, tip, drafts, loose, now_us, &care).await {
            Err(Failed::Write) => care.marks = true,
            Err(Failed::Store(error)) if error.is_collision() && care.collisions < COLLISIONS => {
                care.collisions += 1;
            }
            Err(Failed::Store(error)) if error.is_unique_violation() && care.twice.is_empty() => {
                // One of them is recorded already, or somebody else wrote: find out which, once.
                care.twice = recorded_already(store, drafts).await?;
                if care.twice.is_empty() {
                    return Err(error);
                }
            }
            Err(Failed::Store(error)) => return Err(error),
            Ok(appended) => return Ok(appended),
        }
    }
}

/// What earlier attempts have taught.
#[derive(Default)]
struct Care {
    /// Whether the writes of a draft may fail, so that there must be a mark to come back to.
    marks: bool,
    /// Which drafts are recorded already.
    twice: HashSet<usize>,
    /// How often other transactions stood in the way.
    collisions: u32,
}

/// Why an attempt came to nothing.
enum Failed {
    /// A write failed on its own and took the transaction with it.
    Write,
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn attempt(
    store: &Store,
    tip: &Tip,
    drafts: &[Draft],
    loose: &[Write],
    now_us: i64,
    care: &Care,
) -> Result<Appended, Failed> {
    let mut transaction = store.begin().await?;
    transaction.records_in(tip.log);
    let results = match care.marks {
        true => one_by_one(&mut transaction, drafts, loose, care).await?,
        false => together(&mut transaction, drafts, loose, care).await?,
    };
    let going: Vec<&Draft> =
        drafts.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(draft, _)| draft).collect();
    let mut chains = chains_of(&mut transaction, tip, &going).await?;
    let mut edge = tip.edge.clone();
    let mut grown = Grown::new();
    // The time of a leaf never decreases, whatever the clock does.
    let time_us = now_us.max(tip.time_us);
    let rows = place(&going, time_us, (&mut edge, &mut grown), &mut chains);
    if !rows.is_empty() {
        let batch = Batch { log: tip.log, rows: &rows, edge: &edge, grown: &grown, chains: &chains, time_us };
        insert(&mut transaction, &batch).await?;
    }
    transaction.commit().await?;
    Ok(Appended { results, leaves: rows.len(), edge, time_us, chains })
}

fn place<'a>(
    drafts: &[&'a Draft],
    time_us: i64,
    (edge, grown): (&mut Edge, &mut Grown),
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
        rows.push(Placed { draft, index: integer(edge.size()), leaf: octets, hash });
        edge.push(hash, grown);
    }
    rows
}

/// The ends of the chains of these drafts' accounts, as far as there are any.
async fn chains_of(
    transaction: &mut Transaction,
    tip: &Tip,
    drafts: &[&Draft],
) -> Result<HashMap<AccountId, Link>, StoreError> {
    let accounts: BTreeSet<&AccountId> = drafts.iter().map(|draft| &draft.account).collect();
    let mut chains = HashMap::with_capacity(accounts.len());
    for account in accounts {
        let link = match tip.chains.get(account) {
            Some(link) => Some(*link),
            None => read_link(transaction, tip.log, account).await?,
        };
        chains.extend(link.map(|link| (account.clone(), link)));
    }
    Ok(chains)
}

async fn read_link(
    transaction: &mut Transaction,
    log: i64,
    account: &AccountId,
) -> Result<Option<Link>, StoreError> {
    let link = "SELECT seq, hash FROM chains WHERE account_id = $1 AND log = $2";
    let Some(row) = transaction.row(link, vec![Value::text(account.as_str()), Value::Int(log)]).await? else {
        return Ok(None);
    };
    let wrong = || StoreError::Ledger(format!("the end of the chain of account `{account}` is damaged"));
    let seq = u64::try_from(row.get::<i64>("seq")?).map_err(|_| wrong())?;
    let hash = Hash::try_from(row.get::<Vec<u8>>("hash")?).map_err(|_| wrong())?;
    Ok(Some(Link { seq, hash }))
}

/// Runs all writes in one go. When one does not do what it should and something is to be undone, the attempt has
/// failed: the next one runs them one by one.
async fn together(
    transaction: &mut Transaction,
    drafts: &[Draft],
    loose: &[Write],
    care: &Care,
) -> Result<Vec<Result<(), RecordError>>, Failed> {
    let twice = |number: &usize| care.twice.contains(number);
    let going = drafts.iter().enumerate().filter(|(number, _)| !twice(number));
    let writes: Vec<&Write> = loose.iter().chain(going.flat_map(|(_, draft)| &draft.writes)).collect();
    let changed = match transaction.execute_all(&writes).await {
        Ok(changed) => changed,
        Err(error) if error.is_its_own() => return Err(Failed::Write),
        Err(error) => return Err(error.into()),
    };
    let mut changed = changed.into_iter().skip(loose.len());
    let outcome = |(number, draft): (usize, &Draft)| {
        if twice(&number) {
            return Ok(Err(RecordError::Duplicate(draft.reference)));
        }
        let rows: Vec<u64> = changed.by_ref().take(draft.writes.len()).collect();
        let met = |(write, rows): (&Write, &u64)| write.rows.is_none_or(|demanded| demanded == *rows);
        match rows.len() == draft.writes.len() && draft.writes.iter().zip(&rows).all(met) {
            true => Ok(Ok(())),
            false if rows.iter().all(|rows| *rows == 0) => Ok(Err(RecordError::Conflict)),
            false => Err(Failed::Write),
        }
    };
    drafts.iter().enumerate().map(outcome).collect()
}

async fn one_by_one(
    transaction: &mut Transaction,
    drafts: &[Draft],
    loose: &[Write],
    care: &Care,
) -> Result<Vec<Result<(), RecordError>>, Failed> {
    along(transaction, loose, care).await?;
    let mut results = Vec::with_capacity(drafts.len());
    for (number, draft) in drafts.iter().enumerate() {
        results.push(match care.twice.contains(&number) {
            true => Err(RecordError::Duplicate(draft.reference)),
            false => write_all(transaction, &draft.writes, care).await?,
        });
    }
    Ok(results)
}

/// Runs the writes that only ride along; one that is wrong in itself is logged, and nobody's commit fails.
async fn along(transaction: &mut Transaction, loose: &[Write], care: &Care) -> Result<(), Failed> {
    for write in loose {
        if let Err(error) = write_all(transaction, std::slice::from_ref(write), care).await? {
            tracing::error!(statement = write.statement, %error, "a row that rides along is not written");
        }
    }
    Ok(())
}

/// Runs the writes of one draft: all of them or none. The inner result is its own, the outer everybody's.
/// Nearly always they go well, so marks to come back to are only set once they did not.
async fn write_all(
    transaction: &mut Transaction,
    writes: &[Write],
    care: &Care,
) -> Result<Result<(), RecordError>, Failed> {
    // A single statement that finds no row, or that fails where failing does no harm, has changed nothing.
    let marks = care.marks && (writes.len() > 1 || !transaction.survives());
    if marks && !writes.is_empty() {
        transaction.mark().await?;
    }
    for (number, write) in writes.iter().enumerate() {
        let (done, harm) = match transaction.execute(write).await {
            Ok(rows) if write.rows.is_none_or(|demanded| demanded == rows) => continue,
            Ok(rows) => (RecordError::Conflict, number > 0 || rows > 0),
            Err(error) if error.is_its_own() => {
                let own = RecordError::Write { statement: write.statement, cause: error.to_string() };
                (own, number > 0 || !transaction.survives())
            }
            Err(error) => return Err(error.into()),
        };
        match (marks, harm) {
            (true, _) => transaction.undo().await?,
            (false, true) => return Err(Failed::Write),
            (false, false) => {}
        }
        return Ok(Err(done));
    }
    if marks && !writes.is_empty() {
        transaction.forget_mark().await?;
    }
    Ok(Ok(()))
}

/// Which drafts have a ruling in the store, or before them in the batch, already.
async fn recorded_already(store: &Store, drafts: &[Draft]) -> Result<HashSet<usize>, StoreError> {
    let mut found = HashSet::new();
    let mut before = HashSet::new();
    for (number, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.leaf.kind != Kind::Outcome) {
        let known = "SELECT idx FROM entries WHERE ref = $1 AND account_id = $2 AND part = 0";
        let values = vec![Value::text(draft.reference.as_str()), Value::text(draft.account.as_str())];
        let stored = store.row(known, values).await?.is_some();
        if !before.insert((&draft.account, draft.reference)) || stored {
            found.insert(number);
        }
    }
    Ok(found)
}

/// So often a batch is tried again at once when transactions of other nodes stand in its way.
const COLLISIONS: u32 = 5;
