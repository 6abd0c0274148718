//! A store in one file.

use std::time::Duration;

use rusqlite::{params, Connection, OptionalExtension, TransactionBehavior};

use super::{first_hour, sums_of, Counter, Failed, Revocation, RevocationEdit, Rollup, Span, Store, ADDED_COLUMNS};
use crate::record::{Record, Sums, UsageKey, NUMBERS};

/// How long a writer waits for another one, such as an import.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS records (
  id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, status INTEGER NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  errors INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL, cache_write_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, cost_microusd INTEGER NOT NULL, cache_hits INTEGER NOT NULL DEFAULT 0,
  saved_input_tokens INTEGER NOT NULL DEFAULT 0, saved_output_tokens INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rollups (
  span TEXT NOT NULL, first INTEGER NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  requests INTEGER NOT NULL, errors INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL, cache_write_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, cost_microusd INTEGER NOT NULL, cache_hits INTEGER NOT NULL DEFAULT 0,
  saved_input_tokens INTEGER NOT NULL DEFAULT 0, saved_output_tokens INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (span, first, key, model, cluster, upstream_model, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
  name TEXT PRIMARY KEY, window_start INTEGER NOT NULL, ends INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revocations (id TEXT PRIMARY KEY, value TEXT, change INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
";

/// SQLite. The file is in WAL mode, so readers do not wait for writers.
pub struct Sqlite(Connection);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Failed(format!("SQLite: {error}"))
    }
}

impl Sqlite {
    /// Opens a file, and creates it if it is missing.
    pub fn open(path: &str) -> Result<Self, Failed> {
        let connection = Connection::open(path).map_err(|error| Failed(format!("SQLite: {path}: {error}")))?;
        connection.busy_timeout(PATIENCE)?;
        // commits survive the end of this process; only a crash of the machine may lose the last ones
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        connection.execute_batch(TABLES)?;
        add_columns(&connection)?;
        Ok(Sqlite(connection))
    }
}

/// Adds the columns that a file of an earlier version does not have.
fn add_columns(connection: &Connection) -> Result<(), Failed> {
    for table in ["records", "rollups"] {
        for column in ADDED_COLUMNS {
            let known = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
            let is_there = || connection.query_row(known, [table, column], |row| Ok(row.get::<_, i64>(0)? > 0));
            if is_there()? {
                continue;
            }
            let added =
                connection.execute_batch(&format!("ALTER TABLE {table} ADD {column} INTEGER NOT NULL DEFAULT 0"));
            // another process may have been faster
            if !is_there()? {
                added?;
            }
        }
    }
    Ok(())
}

impl Store for Sqlite {
    fn add(&mut self, records: &[Record]) -> Result<usize, Failed> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new = Vec::with_capacity(records.len());
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO records VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)
                 ON CONFLICT DO NOTHING",
            )?;
            for record in records {
                let UsageKey { key, model, cluster, upstream_model, labels } = &record.subject;
                let [_, errors, input, output, cached, cache_write, reasoning, cost, hits, saved @ ..] =
                    record.sums.numbers();
                let values = params![
                    record.id,
                    record.at,
                    record.status,
                    key,
                    model,
                    cluster,
                    upstream_model,
                    labels,
                    errors,
                    input,
                    output,
                    cached,
                    cache_write,
                    reasoning,
                    cost,
                    hits,
                    saved[0],
                    saved[1]
                ];
                if insert.execute(values)? > 0 {
                    new.push(record);
                }
            }
            let mut upsert = transaction.prepare_cached(
                "INSERT INTO rollups VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)
                 ON CONFLICT (span, first, key, model, cluster, upstream_model, labels) DO UPDATE SET
                 requests = requests + ?8, errors = errors + ?9, input_tokens = input_tokens + ?10,
                 output_tokens = output_tokens + ?11, cached_input_tokens = cached_input_tokens + ?12,
                 cache_write_input_tokens = cache_write_input_tokens + ?13,
                 reasoning_output_tokens = reasoning_output_tokens + ?14, cost_microusd = cost_microusd + ?15,
                 cache_hits = cache_hits + ?16, saved_input_tokens = saved_input_tokens + ?17,
                 saved_output_tokens = saved_output_tokens + ?18",
            )?;
            let first_hour = first_hour();
            for ((period, subject), sums) in sums_of(new.iter().copied(), first_hour) {
                let UsageKey { key, model, cluster, upstream_model, labels } = subject;
                let [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10] = sums.numbers();
                upsert.execute(params![
                    period.span.code(),
                    period.first,
                    key,
                    model,
                    cluster,
                    upstream_model,
                    labels,
                    n0,
                    n1,
                    n2,
                    n3,
                    n4,
                    n5,
                    n6,
                    n7,
                    n8,
                    n9,
                    n10
                ])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM rollups WHERE span = 'h' AND first < ?1")?;
            delete.execute([first_hour])?;
        }
        transaction.commit()?;
        Ok(new.len())
    }

    fn rollups(&mut self, span: Span, from: i64, to: i64) -> Result<Vec<Rollup>, Failed> {
        let mut select = self.0.prepare_cached(
            "SELECT first, key, model, cluster, upstream_model, labels, requests, errors, input_tokens, output_tokens,
             cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens, cost_microusd, cache_hits,
             saved_input_tokens, saved_output_tokens
             FROM rollups WHERE span = ?1 AND first >= ?2 AND first < ?3",
        )?;
        let rows = select.query_map(params![span.code(), from, to], |row| {
            let subject = UsageKey {
                key: row.get(1)?,
                model: row.get(2)?,
                cluster: row.get(3)?,
                upstream_model: row.get(4)?,
                labels: row.get(5)?,
            };
            let mut numbers = [0; NUMBERS];
            for (place, number) in numbers.iter_mut().enumerate() {
                *number = row.get(6 + place)?;
            }
            Ok(Rollup { first: row.get(0)?, subject, sums: Sums::of_numbers(numbers) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn put_counters(&mut self, counters: &[Counter], now: i64) -> Result<(), Failed> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO counters VALUES (?1, ?2, ?3, ?4)")?;
            for Counter { name, window, ends, used } in counters {
                put.execute(params![name, window, ends, used])?;
            }
            transaction.prepare_cached("DELETE FROM counters WHERE ends < ?1")?.execute([now])?;
        }
        Ok(transaction.commit()?)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Failed> {
        let mut select = self.0.prepare_cached("SELECT name, window_start, ends, used FROM counters")?;
        let rows = select.query_map([], |row| {
            Ok(Counter { name: row.get(0)?, window: row.get(1)?, ends: row.get(2)?, used: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn revoke(&mut self, id: &str, change: RevocationEdit<'_>) -> Result<i64, Failed> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = "SELECT value FROM revocations WHERE id = ?1";
        let known: Option<String> = transaction.query_row(known, [id], |row| row.get(0)).optional()?.flatten();
        let value = change(known.as_deref());
        let last: Option<i64> =
            transaction.query_row("SELECT max(change) FROM revocations", [], |row| row.get(0)).optional()?.flatten();
        if value == known {
            return Ok(last.unwrap_or(0));
        }
        let change = last.unwrap_or(0) + 1;
        transaction.execute("INSERT OR REPLACE INTO revocations VALUES (?1, ?2, ?3)", params![id, value, change])?;
        transaction.commit()?;
        Ok(change)
    }

    fn revoked(&mut self) -> Result<i64, Failed> {
        Ok(self.0.query_row("SELECT count(*) FROM revocations", [], |row| row.get(0))?)
    }

    fn prune_revoked(&mut self, now: i64) -> Result<(), Failed> {
        // the last change stays, so that its number is not given again
        self.0.execute(
            "DELETE FROM revocations WHERE (value IS NULL OR json_extract(value, '$.until') < ?1)
             AND change < (SELECT max(change) FROM revocations)",
            [now],
        )?;
        Ok(())
    }

    fn revocations(&mut self, after: i64, most: usize) -> Result<Vec<Revocation>, Failed> {
        let mut select = self
            .0
            .prepare_cached("SELECT id, value, change FROM revocations WHERE change > ?1 ORDER BY change LIMIT ?2")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = select.query_map([after, most], |row| {
            Ok(Revocation { id: row.get(0)?, value: row.get(1)?, change: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
