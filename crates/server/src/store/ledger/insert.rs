//! The rows of a batch: one statement a table, whatever the number of entries.
//! Here the two databases differ: SQLite takes rows of values, Postgres takes columns of arrays.

use std::collections::HashMap;

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Frontier, Hash, Kind};
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::draft::Draft;
use super::payload::word;
use super::tip::Link;
use crate::store::StoreError;
use crate::store::db::answer;
use crate::store::transaction::{Kind as On, Session, Transaction};

/// A draft with its place.
pub(super) struct Placed<'a> {
    pub(super) draft: &'a Draft,
    pub(super) index: i64,
    pub(super) leaf: Vec<u8>,
    pub(super) hash: Hash,
}

impl Placed<'_> {
    /// An account has one ruling of a ref and any number of outcomes.
    fn part(&self) -> i64 {
        match self.draft.leaf.kind {
            Kind::Ruling | Kind::Command => 0,
            Kind::Outcome => self.index,
        }
    }
}

/// Writes the rows of a batch, the ends of its chains and its head.
pub(super) async fn insert(
    transaction: &mut Transaction,
    rows: &[Placed<'_>],
    frontier: &Frontier,
    time_us: i64,
    chains: &HashMap<AccountId, Link>,
) -> Result<(), StoreError> {
    match &mut transaction.0 {
        On::Sqlite(transaction) => by_values(transaction, rows, frontier, time_us, chains).await,
        On::Postgres(session) => by_arrays(session, rows, frontier, time_us, chains).await,
    }
}

/// The statements are sent together: each hop to SQLite's thread and back costs more than a row.
/// INVARIANT: a batch has at most 4,096 rows of at most 6 values, and SQLite takes 32,766 values in one
/// statement. The placeholders have no numbers, so they count on from statement to statement.
async fn by_values(
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
        to.push_bind(row.draft.reference.as_str()).push_bind(row.part());
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

/// One statement for all tables: one round trip, whatever the number of entries.
async fn by_arrays(
    session: &mut Session,
    rows: &[Placed<'_>],
    frontier: &Frontier,
    time_us: i64,
    chains: &HashMap<AccountId, Link>,
) -> Result<(), StoreError> {
    let accounts: Vec<&str> = rows.iter().map(|row| row.draft.account.as_str()).collect();
    let refs: Vec<&str> = rows.iter().map(|row| row.draft.reference.as_str()).collect();
    let kinds: Vec<&str> = rows.iter().map(|row| word(row.draft.leaf.kind)).collect();
    let (chained, links): (Vec<&str>, Vec<&Link>) =
        chains.iter().map(|(account, link)| (account.as_str(), link)).unzip();
    let query = sqlx::query(BY_ARRAYS)
        .bind(rows.iter().map(|row| row.index).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.leaf.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.hash.as_slice()).collect::<Vec<_>>())
        .bind(accounts)
        .bind(refs)
        .bind(rows.iter().map(Placed::part).collect::<Vec<_>>())
        .bind(kinds)
        .bind(rows.iter().map(|row| row.draft.salt.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.draft.sealed.as_slice()).collect::<Vec<_>>())
        .bind(chained)
        .bind(links.iter().map(|link| integer(link.seq)).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.hash.as_slice()).collect::<Vec<_>>())
        .bind(time_us)
        .bind(integer(frontier.size()))
        .bind(integer(rows.len() as u64))
        .bind(frontier.root().to_vec());
    answer(query.execute(session.connection()?)).await.map(drop)
}

pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

const BY_ARRAYS: &str = "WITH \
    l AS (INSERT INTO leaves (idx, leaf, hash) SELECT * FROM UNNEST($1::bigint[], $2::bytea[], $3::bytea[])), \
    e AS (INSERT INTO entries (account_id, idx, ref, part, kind, at_us) \
        SELECT a, i, r, p, k, $13 FROM UNNEST($4::text[], $1::bigint[], $5::text[], $6::bigint[], $7::text[]) \
        AS t (a, i, r, p, k)), \
    p AS (INSERT INTO payloads (account_id, idx, salt, sealed) \
        SELECT * FROM UNNEST($4::text[], $1::bigint[], $8::bytea[], $9::bytea[])), \
    c AS (INSERT INTO chains (account_id, seq, hash) \
        SELECT * FROM UNNEST($10::text[], $11::bigint[], $12::bytea[]) \
        ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash) \
    INSERT INTO heads (size, leaves, root, at_us) VALUES ($14, $15, $16, $13)";
