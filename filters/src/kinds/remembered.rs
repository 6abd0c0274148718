//! Choices that need not be made again: this worker's for the same prompt, and all workers' for the same conversation.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::codec::Changed;
use sluice::kinds::{bucket_of, Choose, ConversationKey, Conversations};
use sluice::wire_names::conversations;

use crate::host::{self, shared_data};

thread_local! {
    static CHOICES: RefCell<Choices> = RefCell::default();
}

/// The choices by configuration and prompt, the oldest first out.
#[derive(Default)]
struct Choices {
    by_prompt: HashMap<[u8; 16], (Option<usize>, Duration)>,
    order: VecDeque<[u8; 16]>,
}

/// The key of a prompt for this configuration, whoever asks.
fn key(choose: &Choose, text: &str) -> [u8; 16] {
    sluice::cache::config_digest(&[&choose.digest, text.as_bytes()])
}

/// The choice for a prompt: its kind, or none.
pub fn find(choose: &Choose, text: &str) -> Option<Option<usize>> {
    let (entries, time) = choose.cache;
    if entries == 0 {
        return None;
    }
    CHOICES.with_borrow(|choices| {
        let (kind, at) = choices.by_prompt.get(&key(choose, text))?;
        (host::recent().saturating_sub(*at) <= time).then_some(*kind)
    })
}

/// Remembers a choice.
pub fn remember(choose: &Choose, text: &str, kind: Option<usize>) {
    let (entries, _) = choose.cache;
    if entries == 0 {
        return;
    }
    let key = key(choose, text);
    CHOICES.with_borrow_mut(|choices| {
        if choices.by_prompt.insert(key, (kind, host::recent())).is_none() {
            choices.order.push_back(key);
        }
        while choices.order.len() > entries {
            if let Some(oldest) = choices.order.pop_front() {
                choices.by_prompt.remove(&oldest);
            }
        }
    });
}

/// The kind of a conversation: its index, or the number of kinds for none of them.
pub fn kept(choose: &Choose, key: &ConversationKey) -> Option<usize> {
    let record = shared_data::record::<Conversations>(&conversations(bucket_of(key)));
    record.find(key, choose.keep, host::now()).filter(|kind| *kind <= choose.kinds.len())
}

/// Keeps the kind of a conversation.
pub fn keep(choose: &Choose, key: &ConversationKey, kind: Option<usize>) {
    let (kind, now) = (kind.unwrap_or(choose.kinds.len()), host::now());
    shared_data::update(&conversations(bucket_of(key)), |record: &mut Conversations| {
        Changed::when(record.keep(key, kind, now))
    });
}
