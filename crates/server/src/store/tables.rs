//! The tables as the database itself lists them, in the same words for SQLite and Postgres.
//! `copy` moves what they name; a test holds the two folders of migrations against each other.

use super::{Row, StoreError, Transaction};

/// A table of ours; that in which the driver keeps the numbers of migrations is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// In the order of their names.
    pub(super) columns: Vec<Field>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    /// Its place in the primary key, from 1; 0 is none.
    pub(super) place: i64,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Blob,
}

impl Table {
    /// The columns of the primary key, in its order.
    pub(super) fn key(&self) -> Vec<&str> {
        let mut key: Vec<&Field> = self.columns.iter().filter(|field| field.place > 0).collect();
        key.sort_by_key(|field| field.place);
        key.iter().map(|field| field.name.as_str()).collect()
    }

    /// Whether rows of one are rows of the other. Keys may be in another order.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |table: &Self| -> Vec<(String, Kind, bool, bool)> {
            let fields = table.columns.iter();
            fields.map(|field| (field.name.clone(), field.kind, field.nullable, field.place > 0)).collect()
        };
        self.name == other.name && shape(self) == shape(other)
    }
}

/// Every table of ours, in the order of their names.
pub(super) async fn tables(transaction: &mut Transaction) -> Result<Vec<Table>, StoreError> {
    let statement = if transaction.is_sqlite() { SQLITE } else { POSTGRES };
    let mut tables: Vec<Table> = Vec::new();
    for row in transaction.rows(statement, vec![]).await? {
        let name: String = row.get("table_name")?;
        let field = field(&name, &row)?;
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => table.columns.push(field),
            None => tables.push(Table { name, columns: vec![field] }),
        }
    }
    Ok(tables)
}

fn field(table: &str, row: &Row) -> Result<Field, StoreError> {
    let name: String = row.get("column_name")?;
    let kind: String = row.get("kind")?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "text" => Kind::Text,
        "bigint" => Kind::Int,
        "blob" | "bytea" => Kind::Blob,
        other => return Err(StoreError::Damaged(format!("`{table}.{name}` is of the type `{other}`"))),
    };
    Ok(Field { name, kind, nullable: row.get::<i64>("required")? == 0, place: row.get("place")? })
}

const SQLITE: &str = "SELECT t.name AS table_name, c.name AS column_name, c.type AS kind, \
    c.\"notnull\" AS required, c.pk AS place \
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> '_sqlx_migrations' \
    ORDER BY t.name, c.name";
const POSTGRES: &str = "SELECT t.relname::text AS table_name, c.attname::text AS column_name, \
    format_type(c.atttypid, c.atttypmod) AS kind, c.attnotnull::int::bigint AS required, \
    COALESCE(array_position(k.indkey::int2[], c.attnum) + 1 - array_lower(k.indkey::int2[], 1), 0)::bigint AS place \
    FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped \
    LEFT JOIN pg_index k ON k.indrelid = t.oid AND k.indisprimary \
    WHERE t.relkind IN ('r', 'p') AND t.relnamespace = current_schema()::regnamespace \
    AND t.relname <> '_sqlx_migrations' \
    ORDER BY t.relname::text COLLATE \"C\", c.attname::text COLLATE \"C\"";

#[cfg(test)]
mod tests;
