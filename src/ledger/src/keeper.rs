//! The thread that the store belongs to: it does one thing after the other, and nobody waits for it but who asked.

use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::store::{Failed, Store};

type Task = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// Hands tasks to the thread.
#[derive(Clone)]
pub struct Keeper(mpsc::Sender<Task>);

impl Keeper {
    /// Starts the thread. It ends with the last of those who hand tasks to it.
    pub fn start(mut store: Box<dyn Store>) -> Self {
        let (sender, tasks) = mpsc::channel::<Task>();
        std::thread::spawn(move || {
            for task in tasks {
                task(store.as_mut());
            }
        });
        Keeper(sender)
    }

    /// Does something with the store.
    ///
    /// # Errors
    /// It has failed.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut dyn Store) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let (sender, result) = oneshot::channel();
        let task: Task = Box::new(move |store| {
            // who has asked may have left
            let _ = sender.send(task(store));
        });
        let gone = || Failed("the store's thread has ended".to_owned());
        self.0.send(task).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
