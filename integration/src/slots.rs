//! Limits how many requests are answered at the same time, like a server with one GPU.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The free slots; requests without one queue, and are served in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    places: Option<Arc<Semaphore>>,
}

/// A taken slot. Dropping it frees it: after the answer's last byte, or when the client has left.
#[derive(Debug, Default)]
pub struct Slot {
    _place: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// This many slots; 0: no limit.
    pub fn new(places: u32) -> Self {
        let places = usize::try_from(places).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { places: (places > 0).then(|| Arc::new(Semaphore::new(places))) }
    }

    /// Waits for a slot.
    pub async fn take(&self) -> Slot {
        match &self.places {
            None => Slot::default(),
            // The semaphore is never closed, so this always returns a slot.
            Some(places) => Slot { _place: Arc::clone(places).acquire_owned().await.ok() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    /// The order of admission when each request takes a while and the second one gives up.
    #[tokio::test(start_paused = true)]
    async fn first_come_first_served() {
        let slots = Slots::new(1);
        let served = Arc::new(Mutex::new(Vec::new()));
        let visits: Vec<_> = (0..4)
            .map(|number| {
                let (slots, served) = (slots.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let _slot = slots.take().await;
                    served.lock().expect("not poisoned").push(number);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(*served.lock().expect("not poisoned"), [0]);
        visits[1].abort();
        for visit in visits {
            drop(visit.await);
        }
        assert_eq!(*served.lock().expect("not poisoned"), [0, 2, 3]);
    }

    #[tokio::test]
    async fn without_a_bound_nobody_waits() {
        let slots = Slots::new(0);
        let _first = slots.take().await;
        let _second = slots.take().await;
    }
}
