//! Changes that the ledger does not know yet.

use std::time::Duration;

use serde_json::json;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::keys::Revocation;
use crate::uri::percent_encode;

/// A change that was made at this Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationChange {
    /// The id of the keys.
    pub id: String,
    /// What is revoked; `None`: the id was restored.
    pub revocation: Option<Revocation>,
    /// When the change was made, since the epoch, in whole milliseconds.
    pub at: Duration,
}

impl RevocationChange {
    /// A change that is made now.
    pub fn new(id: &str, revocation: Option<Revocation>, now: Duration) -> Self {
        RevocationChange { id: id.to_owned(), revocation, at: Duration::from_millis(millis(now)) }
    }

    /// The method, path and body that tell the ledger.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::fleet::RevocationChange;
    /// use sluice::keys::Revocation;
    ///
    /// let at = Duration::from_millis;
    /// let revoked = RevocationChange::new("a/b", Some(Revocation { before: Some(at(9)), until: None }), at(8));
    /// let (method, path, body) = revoked.call();
    /// assert_eq!((method, path.as_str()), ("PUT", "/revocations/a%2Fb"));
    /// assert_eq!(body, r#"{"at":8,"before":9,"until":null}"#);
    /// assert_eq!(RevocationChange::new("b", None, at(8)).call().1, "/revocations/b?at=8");
    /// ```
    pub fn call(&self) -> (&'static str, String, String) {
        let (path, at) = (format!("/revocations/{}", percent_encode(&self.id)), millis(self.at));
        match self.revocation {
            Some(Revocation { before, until }) => {
                let body = json!({"at": at, "before": before.map(millis), "until": until.map(millis)});
                ("PUT", path, body.to_string())
            }
            None => ("DELETE", format!("{path}?at={at}"), String::new()),
        }
    }
}

/// The changes in order, each id once: of two changes of an id, the later one says what holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    changes: Vec<RevocationChange>,
}

impl Unsent {
    /// The maximum number of changes.
    pub const MAX: usize = 1_000;

    /// Adds a change; `false`: there is no room.
    pub fn add(&mut self, change: RevocationChange) -> bool {
        if let Some(known) = self.changes.iter_mut().find(|known| known.id == change.id) {
            *known = change;
            return true;
        }
        let has_room = self.changes.len() < Self::MAX;
        if has_room {
            self.changes.push(change);
        }
        has_room
    }

    /// The first change that is older than this.
    pub fn due(&self, age: Duration, now: Duration) -> Option<&RevocationChange> {
        self.changes.iter().find(|change| now.abs_diff(change.at) >= age)
    }

    /// Removes a change. One that was made later stays.
    pub fn remove(&mut self, sent: &RevocationChange) {
        self.changes.retain(|known| known.id != sent.id || known.at != sent.at);
    }

    /// Whether this id waits to be revoked at the ledger.
    pub fn revokes(&self, id: &str) -> bool {
        self.changes.iter().any(|known| known.id == id && known.revocation.is_some())
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl SharedRecord for Unsent {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        for RevocationChange { id, revocation, at } in &self.changes {
            out.text(id);
            out.number(millis(*at));
            out.u8(u8::from(revocation.is_some()));
            for time in revocation.iter().flat_map(|known| [known.before, known.until]) {
                out.u8(u8::from(time.is_some()));
                out.number(time.map_or(0, millis));
            }
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let time = |input: &mut Reader<'_>| {
            let (is_some, millis) = (input.u8()?, input.number()?);
            Some((is_some == 1).then_some(Duration::from_millis(millis)))
        };
        let changes = input.list_to_end(Self::MAX, |input| {
            let (id, at) = (input.text()?.to_owned(), Duration::from_millis(input.number()?));
            let revocation = match input.u8()? {
                0 => None,
                1 => Some(Revocation { before: time(input)?, until: time(input)? }),
                _ => return None,
            };
            Some(RevocationChange { id, revocation, at })
        })?;
        Some(Unsent { changes })
    }
}

/// What is revoked here stays revoked here; only the other Envoys do not learn of it.
impl Forgettable for Unsent {}

/// Rounded up, so that nothing ends too early.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
