//! The thread that owns the store: it runs one task at a time, and only the caller of a task waits for it.

use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::store::{Failed, Store};

type Task = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// Sends tasks to the thread.
#[derive(Clone)]
pub struct StoreThread(mpsc::Sender<Task>);

impl StoreThread {
    /// Starts the thread. It ends when the last sender is dropped.
    pub fn start(mut store: Box<dyn Store>) -> Self {
        let (sender, tasks) = mpsc::channel::<Task>();
        std::thread::spawn(move || {
            for task in tasks {
                task(store.as_mut());
            }
        });
        StoreThread(sender)
    }

    /// Runs a task on the store.
    ///
    /// # Errors
    /// The task failed.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut dyn Store) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let (sender, result) = oneshot::channel();
        let task: Task = Box::new(move |store| {
            // the caller may have left
            let _ = sender.send(task(store));
        });
        let gone = || Failed("the store's thread has ended".to_owned());
        self.0.send(task).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
