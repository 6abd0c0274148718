//! Chroma, a vector database (<https://docs.trychroma.com>), by its HTTP API of version 2.
//!
//! A vector's id is the key of its entry. Its metadata has its group, and when its entry ends. The most similar vector is
//! asked for with its numbers, so that the similarity does not depend on how the collection measures distances.

use std::fmt::Write;
use std::time::Duration;

use super::{Group, Similar};
use crate::cache::CacheKey;
use crate::callout::{Callout, Service};
use crate::embeddings::{read_vector, Vector};
use crate::json::{JsonError, Scanner, Value};

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;

/// A collection of a Chroma server.
#[derive(Clone, Debug)]
pub struct Chroma {
    /// The server; its path is that of the collection.
    pub service: Service,
}

/// The path of a collection, by its id.
pub fn path(tenant: &str, database: &str, collection: &str) -> String {
    format!("/api/v2/tenants/{tenant}/databases/{database}/collections/{collection}")
}

impl Chroma {
    fn call(&self, what: &str, body: String) -> Callout {
        self.service.post(&format!("{}/{what}", self.service.path), body)
    }

    /// Asks for the most similar request of a group whose entry has not ended at `now`.
    pub fn query(&self, group: Group, vector: &Vector, now: Duration) -> Callout {
        let mut body = String::from(r#"{"query_embeddings":["#);
        write_vector(&mut body, vector);
        // writing to a String cannot fail
        let _ = write!(
            body,
            r#"],"n_results":1,"where":{{"$and":[{{"group":"{}"}},{{"until":{{"$gt":{}}}}}]}},"include":["embeddings"]}}"#,
            group.hexadecimal(),
            now.as_secs()
        );
        self.call("query", body)
    }

    /// Adds a request whose entry ends at `until`.
    pub fn insert(&self, group: Group, key: &CacheKey, vector: &Vector, until: Duration) -> Callout {
        let mut body = format!(r#"{{"ids":["{}"],"embeddings":["#, key.hexadecimal());
        write_vector(&mut body, vector);
        let _ = write!(body, r#"],"metadatas":[{{"group":"{}","until":{}}}]}}"#, group.hexadecimal(), until.as_secs());
        self.call("upsert", body)
    }

    /// Removes all whose entries have ended at `now`.
    pub fn clean(&self, now: Duration) -> Callout {
        self.call("delete", format!(r#"{{"where":{{"until":{{"$lt":{}}}}}}}"#, now.as_secs()))
    }
}

/// Reads the answer to [`Chroma::query`]: the most similar request, if there is one with at least this similarity.
///
/// # Errors
/// It is something else.
pub fn read(body: &[u8], vector: &Vector, threshold: f32) -> Result<Option<Similar>, Malformed> {
    let mut scanner = Scanner::new(body);
    let (mut id, mut found) = (None, None);
    let mut has_ids = false;
    let scanned = scanner.object(|name, scanner| {
        if name.is("ids") {
            has_ids = true;
            each(scanner, &mut |scanner| {
                each(scanner, &mut |scanner| {
                    if let Value::String(text) = scanner.value()? {
                        id = CacheKey::of_hexadecimal(&text.decode());
                    }
                    Ok(())
                })
            })
        } else if name.is("embeddings") {
            each(scanner, &mut |scanner| {
                each(scanner, &mut |scanner| {
                    found = read_vector(scanner)?;
                    Ok(())
                })
            })
        } else {
            scanner.value().map(|_| ())
        }
    });
    if scanned != Ok(true) || scanner.end().is_err() || !has_ids {
        return Err(Malformed);
    }
    let Some(key) = id else {
        return Ok(None);
    };
    let other = found.ok_or(Malformed)?;
    let similarity = other.similarity(vector).ok_or(Malformed)?;
    Ok((similarity >= threshold).then_some(Similar { key, similarity }))
}

/// A database's answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Calls `item` for each item of an array, which must consume it; other values are skipped.
fn each<'a>(
    scanner: &mut Scanner<'a>,
    item: &mut dyn FnMut(&mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    scanner.array(|scanner| item(scanner)).map(|_| ())
}

fn write_vector(out: &mut String, vector: &Vector) {
    out.push('[');
    for (index, number) in vector.numbers().iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        let _ = write!(out, "{number}");
    }
    out.push(']');
}
