//! The rows of a batch: one statement a table, whatever the number of entries.
//! Here the two databases differ: SQLite takes rows of values, Postgres takes columns of arrays.

use std::collections::HashMap;

use countersign_core::ids::AccountId;
use countersign_core::ledger::{Hash, Kind};
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::draft::Draft;
use super::edge::{Edge, Grown};
use super::payload::word;
use super::tip::Link;
use crate::store::StoreError;
use crate::store::transaction::{Kind as On, Session, Transaction};

/// A draft with its place.
pub(super) struct Placed<'a> {
    pub(super) draft: &'a Draft,
    pub(super) index: i64,
    pub(super) leaf: Vec<u8>,
    pub(super) hash: Hash,
}

impl Placed<'_> {
    /// An account has one ruling of a ref, in whichever log, and any number of outcomes.
    fn part(&self, log: i64) -> i64 {
        match self.draft.leaf.kind {
            Kind::Ruling | Kind::Command => 0,
            Kind::Outcome => part_of_outcome(log, self.index),
        }
    }
}

/// Which part of its ref an outcome is: another one for each leaf of each log.
pub(super) fn part_of_outcome(log: i64, index: i64) -> i64 {
    (log << 40) | index
}

/// What one commit writes.
pub(super) struct Batch<'a> {
    pub(super) log: i64,
    pub(super) rows: &'a [Placed<'a>],
    /// The edge after them.
    pub(super) edge: &'a Edge,
    pub(super) grown: &'a Grown,
    pub(super) chains: &'a HashMap<AccountId, Link>,
    pub(super) time_us: i64,
}

/// Writes the rows of a batch, the ends of its chains, the tiles that it filled and its head.
pub(super) async fn insert(transaction: &mut Transaction, batch: &Batch<'_>) -> Result<(), StoreError> {
    match &mut transaction.on {
        On::Sqlite(transaction) => by_values(transaction, batch).await,
        On::Postgres(session) => by_arrays(session, batch).await,
    }
}

/// The statements are sent together: each hop to SQLite's thread and back costs more than a row.
/// INVARIANT: a batch has at most 4,096 rows of at most 7 values, and SQLite takes 32,766 values in one
/// statement. The placeholders have no numbers, so they count on from statement to statement.
async fn by_values(connection: &mut SqliteConnection, batch: &Batch<'_>) -> Result<(), StoreError> {
    let log = batch.log;
    let mut all = QueryBuilder::<Sqlite>::new("INSERT INTO leaves (log, idx, leaf, hash) ");
    all.push_values(batch.rows, |mut to, row| {
        to.push_bind(log).push_bind(row.index).push_bind(row.leaf.as_slice()).push_bind(row.hash.as_slice());
    });
    all.push("; INSERT INTO entries (account_id, log, idx, ref, part, kind, at_us) ");
    all.push_values(batch.rows, |mut to, row| {
        to.push_bind(row.draft.account.as_str()).push_bind(log).push_bind(row.index);
        to.push_bind(row.draft.reference.as_str()).push_bind(row.part(log));
        to.push_bind(word(row.draft.leaf.kind)).push_bind(batch.time_us);
    });
    all.push("; INSERT INTO payloads (account_id, log, idx, salt, sealed) ");
    all.push_values(batch.rows, |mut to, row| {
        to.push_bind(row.draft.account.as_str()).push_bind(log).push_bind(row.index);
        to.push_bind(row.draft.salt.as_slice()).push_bind(row.draft.sealed.as_slice());
    });
    all.push("; INSERT INTO chains (account_id, log, seq, hash) ");
    all.push_values(batch.chains, |mut to, (account, link)| {
        to.push_bind(account.as_str()).push_bind(log).push_bind(integer(link.seq));
        to.push_bind(link.hash.to_vec());
    });
    all.push(" ON CONFLICT (account_id, log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash");
    if !batch.grown.is_empty() {
        all.push("; INSERT INTO tiles (log, level, number, hashes) ");
        all.push_values(batch.grown, |mut to, ((level, number), hashes)| {
            to.push_bind(log)
                .push_bind(i64::from(*level))
                .push_bind(integer(*number))
                .push_bind(hashes.as_slice());
        });
        all.push(" ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes");
    }
    all.push("; INSERT INTO heads (log, size, leaves, root, at_us) ");
    all.push_values([batch.edge], |mut to, edge| {
        to.push_bind(log).push_bind(integer(edge.size())).push_bind(integer(batch.rows.len() as u64));
        to.push_bind(edge.root().to_vec()).push_bind(batch.time_us);
    });
    // Batches are of many sizes: small ones come again and are kept prepared, large ones would only push these out.
    all.build().persistent(batch.rows.len() <= PREPARED).execute(connection).await?;
    Ok(())
}

/// One statement for all tables: one round trip, whatever the number of entries.
async fn by_arrays(session: &mut Session, batch: &Batch<'_>) -> Result<(), StoreError> {
    let (rows, log) = (batch.rows, batch.log);
    let accounts: Vec<&str> = rows.iter().map(|row| row.draft.account.as_str()).collect();
    let refs: Vec<&str> = rows.iter().map(|row| row.draft.reference.as_str()).collect();
    let kinds: Vec<&str> = rows.iter().map(|row| word(row.draft.leaf.kind)).collect();
    let (chained, links): (Vec<&str>, Vec<&Link>) =
        batch.chains.iter().map(|(account, link)| (account.as_str(), link)).unzip();
    let query = sqlx::query(BY_ARRAYS)
        .bind(rows.iter().map(|row| row.index).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.leaf.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.hash.as_slice()).collect::<Vec<_>>())
        .bind(accounts)
        .bind(refs)
        .bind(rows.iter().map(|row| row.part(log)).collect::<Vec<_>>())
        .bind(kinds)
        .bind(rows.iter().map(|row| row.draft.salt.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.draft.sealed.as_slice()).collect::<Vec<_>>())
        .bind(chained)
        .bind(links.iter().map(|link| integer(link.seq)).collect::<Vec<_>>())
        .bind(links.iter().map(|link| link.hash.as_slice()).collect::<Vec<_>>())
        .bind(batch.grown.keys().map(|(level, _)| i64::from(*level)).collect::<Vec<_>>())
        .bind(batch.grown.keys().map(|(_, number)| integer(*number)).collect::<Vec<_>>())
        .bind(batch.grown.values().map(Vec::as_slice).collect::<Vec<_>>())
        .bind(batch.time_us)
        .bind(log)
        .bind(integer(batch.edge.size()))
        .bind(integer(rows.len() as u64))
        .bind(batch.edge.root().to_vec());
    let outage = session.outage.clone();
    outage.answer(query.execute(session.connection()?)).await.map(drop)
}

/// So many rows, of so many accounts at most, and a tile more or less: some hundred texts.
const PREPARED: usize = 12;

pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

const BY_ARRAYS: &str = "WITH \
    l AS (INSERT INTO leaves (log, idx, leaf, hash) \
        SELECT $17, i, l, h FROM UNNEST($1::bigint[], $2::bytea[], $3::bytea[]) AS t (i, l, h)), \
    e AS (INSERT INTO entries (account_id, log, idx, ref, part, kind, at_us) \
        SELECT a, $17, i, r, p, k, $16 FROM UNNEST($4::text[], $1::bigint[], $5::text[], $6::bigint[], $7::text[]) \
        AS t (a, i, r, p, k)), \
    p AS (INSERT INTO payloads (account_id, log, idx, salt, sealed) \
        SELECT a, $17, i, s, p FROM UNNEST($4::text[], $1::bigint[], $8::bytea[], $9::bytea[]) AS t (a, i, s, p)), \
    c AS (INSERT INTO chains (account_id, log, seq, hash) \
        SELECT a, $17, s, h FROM UNNEST($10::text[], $11::bigint[], $12::bytea[]) AS t (a, s, h) \
        ON CONFLICT (account_id, log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash), \
    t AS (INSERT INTO tiles (log, level, number, hashes) \
        SELECT $17, l, n, h FROM UNNEST($13::bigint[], $14::bigint[], $15::bytea[]) AS t (l, n, h) \
        ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes) \
    INSERT INTO heads (log, size, leaves, root, at_us) VALUES ($17, $18, $19, $20, $16)";
