//! A store in PostgreSQL.

use std::time::Duration;

use ::postgres::{Client, Config, NoTls};

use super::{first_hour, sums_of, Counter, Failed, Revocation, RevocationEdit, Rollup, Span, Store, ADDED_COLUMNS};
use crate::record::{Record, Sums, UsageKey};

/// How long a server that does not answer at all is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS records (
  id TEXT PRIMARY KEY, at_ms BIGINT NOT NULL, status BIGINT NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  errors BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
  cached_input_tokens BIGINT NOT NULL, cache_write_input_tokens BIGINT NOT NULL,
  reasoning_output_tokens BIGINT NOT NULL, cost_microusd BIGINT NOT NULL, cache_hits BIGINT NOT NULL DEFAULT 0,
  saved_input_tokens BIGINT NOT NULL DEFAULT 0, saved_output_tokens BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS rollups (
  span TEXT NOT NULL, first BIGINT NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  requests BIGINT NOT NULL, errors BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
  cached_input_tokens BIGINT NOT NULL, cache_write_input_tokens BIGINT NOT NULL,
  reasoning_output_tokens BIGINT NOT NULL, cost_microusd BIGINT NOT NULL, cache_hits BIGINT NOT NULL DEFAULT 0,
  saved_input_tokens BIGINT NOT NULL DEFAULT 0, saved_output_tokens BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (span, first, key, model, cluster, upstream_model, labels)
);
CREATE TABLE IF NOT EXISTS counters (
  name TEXT PRIMARY KEY, window_start BIGINT NOT NULL, ends BIGINT NOT NULL, used BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS revocations (id TEXT PRIMARY KEY, value TEXT, change BIGINT NOT NULL);
CREATE SEQUENCE IF NOT EXISTS revocation_changes;
";

/// Adds the columns that a database of an earlier version does not have.
fn add_columns() -> String {
    let add = |table: &str| {
        let columns = ADDED_COLUMNS.map(|name| format!("ADD COLUMN IF NOT EXISTS {name} BIGINT NOT NULL DEFAULT 0"));
        format!("ALTER TABLE {table} {};", columns.join(", "))
    };
    ["records", "rollups"].map(add).concat()
}

/// PostgreSQL. A broken connection is opened again by the next call.
pub struct Postgres {
    url: String,
    client: Client,
}

impl From<::postgres::Error> for Failed {
    fn from(error: ::postgres::Error) -> Self {
        // the error's own text omits the server's message
        match error.as_db_error() {
            Some(said) => Failed(format!("PostgreSQL: {}", said.message())),
            None => Failed(format!("PostgreSQL: {error}")),
        }
    }
}

impl Postgres {
    /// Connects, and creates the tables if they are missing.
    pub fn open(url: &str) -> Result<Self, Failed> {
        Ok(Postgres { url: url.to_owned(), client: connect(url)? })
    }

    fn client(&mut self) -> Result<&mut Client, Failed> {
        if self.client.is_closed() {
            self.client = connect(&self.url)?;
        }
        Ok(&mut self.client)
    }
}

fn connect(url: &str) -> Result<Client, Failed> {
    let mut config: Config = url.parse()?;
    // a server that is not there any more must not hold up everything else; the URL may say otherwise
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(PATIENCE);
    }
    let mut client = config.connect(NoTls)?;
    // two processes that create the tables at the same time would conflict
    client.batch_execute("SET client_min_messages = warning; SELECT pg_advisory_lock(5417);")?;
    let made = client.batch_execute(TABLES).and_then(|()| client.batch_execute(&add_columns()));
    client.batch_execute("SELECT pg_advisory_unlock(5417)")?;
    made?;
    Ok(client)
}

/// One column of many records.
fn column<'a, T>(records: &[&'a Record], value: impl Fn(&'a Record) -> T) -> Vec<T> {
    records.iter().map(|record| value(record)).collect()
}

impl Store for Postgres {
    fn add(&mut self, records: &[Record]) -> Result<usize, Failed> {
        let mut transaction = self.client()?.transaction()?;
        // in the same order for all writers, so that they cannot deadlock; each id once
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_by(|one, other| one.id.cmp(&other.id));
        sorted.dedup_by(|one, other| one.id == other.id);
        let number = |place: usize| column(&sorted, |record| record.sums.numbers()[place]);
        let rows = transaction.query(
            "INSERT INTO records SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
             $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
             $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
             ON CONFLICT DO NOTHING RETURNING id",
            &[
                &column(&sorted, |record| record.id.as_str()),
                &column(&sorted, |record| record.at),
                &column(&sorted, |record| i64::from(record.status)),
                &column(&sorted, |record| record.subject.key.as_str()),
                &column(&sorted, |record| record.subject.model.as_str()),
                &column(&sorted, |record| record.subject.cluster.as_str()),
                &column(&sorted, |record| record.subject.upstream_model.as_str()),
                &column(&sorted, |record| record.subject.labels.as_str()),
                &number(1),
                &number(2),
                &number(3),
                &number(4),
                &number(5),
                &number(6),
                &number(7),
                &number(8),
                &number(9),
                &number(10),
            ],
        )?;
        let ids: std::collections::HashSet<&str> = rows.iter().map(|row| row.get(0)).collect();
        let new: Vec<&Record> = sorted.iter().filter(|record| ids.contains(record.id.as_str())).copied().collect();
        let first_hour = first_hour();
        let sums: Vec<_> = sums_of(new.iter().copied(), first_hour).into_iter().collect();
        let text = |of: fn(&UsageKey) -> &str| sums.iter().map(|((_, subject), _)| of(subject)).collect::<Vec<_>>();
        let number = |place: usize| sums.iter().map(|(_, sums)| sums.numbers()[place]).collect::<Vec<_>>();
        transaction.execute(
            "INSERT INTO rollups SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],
             $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
             $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
             ON CONFLICT (span, first, key, model, cluster, upstream_model, labels) DO UPDATE SET
             requests = rollups.requests + EXCLUDED.requests, errors = rollups.errors + EXCLUDED.errors,
             input_tokens = rollups.input_tokens + EXCLUDED.input_tokens,
             output_tokens = rollups.output_tokens + EXCLUDED.output_tokens,
             cached_input_tokens = rollups.cached_input_tokens + EXCLUDED.cached_input_tokens,
             cache_write_input_tokens = rollups.cache_write_input_tokens + EXCLUDED.cache_write_input_tokens,
             reasoning_output_tokens = rollups.reasoning_output_tokens + EXCLUDED.reasoning_output_tokens,
             cost_microusd = rollups.cost_microusd + EXCLUDED.cost_microusd,
             cache_hits = rollups.cache_hits + EXCLUDED.cache_hits,
             saved_input_tokens = rollups.saved_input_tokens + EXCLUDED.saved_input_tokens,
             saved_output_tokens = rollups.saved_output_tokens + EXCLUDED.saved_output_tokens",
            &[
                &sums.iter().map(|((period, _), _)| period.span.code()).collect::<Vec<_>>(),
                &sums.iter().map(|((period, _), _)| period.first).collect::<Vec<_>>(),
                &text(|subject| &subject.key),
                &text(|subject| &subject.model),
                &text(|subject| &subject.cluster),
                &text(|subject| &subject.upstream_model),
                &text(|subject| &subject.labels),
                &number(0),
                &number(1),
                &number(2),
                &number(3),
                &number(4),
                &number(5),
                &number(6),
                &number(7),
                &number(8),
                &number(9),
                &number(10),
            ],
        )?;
        transaction.execute("DELETE FROM rollups WHERE span = 'h' AND first < $1", &[&first_hour])?;
        let count = new.len();
        transaction.commit()?;
        Ok(count)
    }

    fn rollups(&mut self, span: Span, from: i64, to: i64) -> Result<Vec<Rollup>, Failed> {
        let rows = self.client()?.query(
            "SELECT first, key, model, cluster, upstream_model, labels, requests, errors, input_tokens, output_tokens,
             cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens, cost_microusd, cache_hits,
             saved_input_tokens, saved_output_tokens
             FROM rollups WHERE span = $1 AND first >= $2 AND first < $3",
            &[&span.code(), &from, &to],
        )?;
        let rollup = |row: &::postgres::Row| Rollup {
            first: row.get(0),
            subject: UsageKey {
                key: row.get(1),
                model: row.get(2),
                cluster: row.get(3),
                upstream_model: row.get(4),
                labels: row.get(5),
            },
            sums: Sums::of_numbers(std::array::from_fn(|place| row.get(6 + place))),
        };
        Ok(rows.iter().map(rollup).collect())
    }

    fn put_counters(&mut self, counters: &[Counter], now: i64) -> Result<(), Failed> {
        let mut transaction = self.client()?.transaction()?;
        // they are written repeatedly; the last write may be lost if the server's machine crashes
        transaction.batch_execute("SET LOCAL synchronous_commit = off")?;
        let number = |value: fn(&Counter) -> i64| counters.iter().map(value).collect::<Vec<_>>();
        let names: Vec<&str> = counters.iter().map(|counter| counter.name.as_str()).collect();
        transaction.execute(
            "INSERT INTO counters SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
             ON CONFLICT (name) DO UPDATE SET window_start = EXCLUDED.window_start, ends = EXCLUDED.ends,
             used = EXCLUDED.used",
            &[
                &names,
                &number(|counter| counter.window),
                &number(|counter| counter.ends),
                &number(|counter| counter.used),
            ],
        )?;
        transaction.execute("DELETE FROM counters WHERE ends < $1", &[&now])?;
        Ok(transaction.commit()?)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Failed> {
        let rows = self.client()?.query("SELECT name, window_start, ends, used FROM counters", &[])?;
        let counter = |row: &::postgres::Row| Counter {
            name: row.get(0),
            window: row.get(1),
            ends: row.get(2),
            used: row.get(3),
        };
        Ok(rows.iter().map(counter).collect())
    }

    fn revoke(&mut self, id: &str, change: RevocationEdit<'_>) -> Result<i64, Failed> {
        // under a lock: a reader of change 7 must have seen change 6
        let mut transaction = self.client()?.transaction()?;
        transaction.batch_execute("LOCK TABLE revocations IN EXCLUSIVE MODE")?;
        let known = transaction.query_opt("SELECT value FROM revocations WHERE id = $1", &[&id])?;
        let known: Option<String> = known.and_then(|row| row.get(0));
        let value = change(known.as_deref());
        if value == known {
            let row = transaction.query_one("SELECT coalesce(max(change), 0) FROM revocations", &[])?;
            return Ok(row.get(0));
        }
        let row = transaction.query_one(
            "INSERT INTO revocations VALUES ($1, $2, nextval('revocation_changes')) ON CONFLICT (id) DO UPDATE SET
             value = EXCLUDED.value, change = EXCLUDED.change RETURNING change",
            &[&id, &value],
        )?;
        let change = row.get(0);
        transaction.commit()?;
        Ok(change)
    }

    fn revoked(&mut self) -> Result<i64, Failed> {
        Ok(self.client()?.query_one("SELECT count(*) FROM revocations", &[])?.get(0))
    }

    fn prune_revoked(&mut self, now: i64) -> Result<(), Failed> {
        self.client()?
            .execute("DELETE FROM revocations WHERE value IS NULL OR (value::json->>'until')::bigint < $1", &[&now])?;
        Ok(())
    }

    fn revocations(&mut self, after: i64, most: usize) -> Result<Vec<Revocation>, Failed> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.client()?.query(
            "SELECT id, value, change FROM revocations WHERE change > $1 ORDER BY change LIMIT $2",
            &[&after, &most],
        )?;
        let revocation = |row: &::postgres::Row| Revocation { id: row.get(0), value: row.get(1), change: row.get(2) };
        Ok(rows.iter().map(revocation).collect())
    }
}
