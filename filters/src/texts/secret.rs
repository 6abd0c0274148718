//! The secret of this Envoy, with which workers sign requests of the gateway to itself.

use std::cell::RefCell;
use std::rc::Rc;

use sluice::keys::Identity;
use sluice::texts::{sign, verify};
use sluice::wire_names::TEXT_SECRET;

use crate::host::{self, shared_data};

thread_local! {
    static SECRET: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Uses the secret; the first worker makes it.
fn with_secret<T>(with: impl FnOnce(&[u8]) -> T) -> T {
    SECRET.with_borrow_mut(|secret| {
        if secret.is_empty() {
            *secret = find().unwrap_or_default();
        }
        with(secret)
    })
}

#[cold]
fn find() -> Option<Vec<u8>> {
    let new = host::random_bytes()?;
    let mut found = None;
    shared_data::swap(TEXT_SECRET, &mut |known| {
        let is_new = known.is_empty();
        found = Some(if is_new { new.to_vec() } else { known.to_vec() });
        is_new.then(|| new.to_vec())
    });
    found
}

/// A token for a caller; `None`: there can be none.
pub(super) fn token(caller: Option<&Identity>) -> Option<String> {
    with_secret(|secret| sign(secret, caller, host::now()))
}

/// The caller that a token stands for. `Some(None)`: there is no `auth`; `None`: the token is not valid.
pub fn caller(token: &str) -> Option<Option<Rc<Identity>>> {
    with_secret(|secret| verify(secret, token, host::now())).map(|caller| caller.map(Rc::new))
}
