//! The data that all workers of this Envoy share: records with keys, which the host swaps only if no other worker has
//! changed them.

use std::cell::RefCell;

use sluice::codec::{Changed, Forgettable};
use sluice::guard::checks::Failures;

use super::handed::{received, OK};
use super::recent;

/// The number of tries for a change when other workers are faster. Each of those has changed the record in between, and
/// there are not that many workers.
const MAX_TRIES: usize = 100;
/// A version that no value has: with it, a value is only set if there is none. (The host compares versions only if
/// there is a value, and counts them from 1.)
const ABSENT: u32 = u32::MAX;
/// Matches any version: with it, a value is always set.
const WHATEVER: u32 = 0;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32) -> u32;
}

thread_local! {
    static GIVEN_UP: RefCell<Failures> = RefCell::default();
}

/// The bytes of a key. `None` if they have not been set.
pub fn read(key: &str) -> Option<Vec<u8>> {
    get(key).map(|(bytes, _)| bytes)
}

/// The record of a key; an empty one if there is none.
pub fn record<T: Forgettable>(key: &str) -> T {
    read(key).map(|bytes| T::decode(&bytes)).unwrap_or_default()
}

/// Sets the bytes of a key unconditionally.
pub fn put(key: &str, bytes: &[u8]) {
    set(key, bytes, WHATEVER);
}

/// Changes the record of a key. `change` is called again with the current record each time another worker was faster;
/// only its last call counts. Returns the record after the change; `None` if all tries were lost, so that nothing has
/// changed.
pub fn update<T: Forgettable>(key: &str, mut change: impl FnMut(&mut T) -> Changed) -> Option<T> {
    let mut last = None;
    let done = swap(key, &mut |bytes| {
        let mut record = T::decode(bytes);
        let bytes = match change(&mut record) {
            Changed::Keep => None,
            Changed::Write => Some(record.encode()),
        };
        last = Some(record);
        bytes
    });
    last.filter(|_| done)
}

/// Changes the bytes of a key, which are empty if there are none: `change` returns the replacement; `None` leaves them.
/// It may be called several times. `false` if all tries were lost.
pub fn swap(key: &str, change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> bool {
    for _ in 0..MAX_TRIES {
        let (known, version) = get(key).unwrap_or((Vec::new(), ABSENT));
        let Some(bytes) = change(&known) else {
            return true;
        };
        if set(key, &bytes, version) {
            return true;
        }
    }
    give_up(key);
    false
}

/// Logs, once a minute, that a change was lost. (Keys contain no secrets, only names of clusters and models, and ids of
/// keys.)
#[cold]
fn give_up(key: &str) {
    if let Some(untold) = GIVEN_UP.with_borrow_mut(|known| known.note("", "given_up", recent())) {
        log::warn!(
            "sluice: shared data: {key:?} could not be changed, since other workers changed it {MAX_TRIES} times \
             meanwhile; and {untold} times since this was logged last"
        );
    }
}

fn get(key: &str) -> Option<(Vec<u8>, u32)> {
    let mut version = 0;
    // SAFETY: the pointers are valid for the duration of the call.
    let value =
        received(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version) })?;
    Some((value, version))
}

/// `false` if the value has another version.
fn set(key: &str, value: &[u8], version: u32) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) == OK }
}
