// SPDX-License-Identifier: Apache-2.0
//! A thread beside the event loop, for what may wait. It must not touch anything of nginx's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, panic};

use super::system;

/// How long the event loop waits for threads that are told to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// A thread, which goes on until [`Thread::end`].
pub struct Thread {
    stop: Arc<Stop>,
    handle: JoinHandle<()>,
}

/// Whether a thread has to end.
#[derive(Default)]
pub struct Stop {
    is_set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stop {
    /// Waits, and returns whether the thread has to end.
    pub fn wait(&self, time: Duration) -> bool {
        let held = locked(&self.lock);
        if !self.is_set() {
            drop(self.changed.wait_timeout(held, time));
        }
        self.is_set()
    }

    /// Whether the thread has to end.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }
}

impl Thread {
    /// Starts one, which gives way to others.
    pub fn start(run: impl FnOnce(&Stop) + Send + 'static) -> io::Result<Thread> {
        let stop = Arc::new(Stop::default());
        let its = stop.clone();
        // What a panic leaves behind is dropped; the hook has noted where it was.
        let handle = system::start_thread(move || {
            system::give_way();
            let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| run(&its)));
        })?;
        Ok(Thread { stop, handle })
    }

    /// Ends threads. Those that do not end soon go on by themselves until the process ends.
    pub fn end(threads: Vec<Thread>) {
        for Thread { stop, .. } in &threads {
            let _held = locked(&stop.lock);
            stop.is_set.store(true, Ordering::Relaxed);
            stop.changed.notify_all();
        }
        let start = Instant::now();
        while !threads.iter().all(|thread| thread.handle.is_finished()) && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        for Thread { handle, .. } in threads {
            if handle.is_finished() {
                let _ = handle.join();
            }
        }
    }
}
