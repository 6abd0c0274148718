//! What all workers of this Envoy share: records under a key, which the host swaps only if nobody else did meanwhile.

use std::cell::RefCell;

use sluice::codec::{Changed, Forgettable};
use sluice::guard::checks::Failures;

use super::handed::{received, OK};
use super::recent;

/// How often a change is tried that other workers are faster than. Each of them has changed the record meanwhile, and
/// there are not so many.
const MAX_TRIES: usize = 100;
/// The version that no value has: what is set with it is set only if there is nothing yet. (The host compares
/// versions where there is a value, and counts them from 1.)
const ABSENT: u32 = u32::MAX;
/// The version of whatever is there: what is set with it is set in any case.
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

/// The bytes under a key. `None` if nobody has set them yet.
pub fn read(key: &str) -> Option<Vec<u8>> {
    get(key).map(|(bytes, _)| bytes)
}

/// The record under a key; an empty one if there is none.
pub fn record<T: Forgettable>(key: &str) -> T {
    read(key).map(|bytes| T::decode(&bytes)).unwrap_or_default()
}

/// Puts bytes under a key, whatever is there.
pub fn put(key: &str, bytes: &[u8]) {
    set(key, bytes, WHATEVER);
}

/// Changes the record under a key. `change` is called again, with the record as it is then, each time that another worker
/// was faster; only what its last call did counts. Returns the record as it is now; `None` if all tries were lost, so that
/// nothing has changed.
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

/// Changes the bytes under a key, which are empty if there are none: `change` says what takes their place; `None` leaves
/// them. It may be called several times. `false` if all tries were lost.
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

/// Logs, once a minute, that a change was lost. (No part of a key is secret: it names a cluster, a model, or a key's id.)
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

/// `false` if what is there has another version.
fn set(key: &str, value: &[u8], version: u32) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) == OK }
}
