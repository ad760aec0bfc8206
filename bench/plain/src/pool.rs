//! Threads with a queue of states, and one place where two of them meet to exchange numbers.

use crate::state::{State, Stop};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

#[derive(Default)]
struct Queue {
    pending: VecDeque<State>,
    /// How many have not ended.
    tasks: usize,
    /// Who waits to exchange a number, and which.
    waiting: Option<(State, f64)>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    done: Condvar,
}

pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let start = |_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.serve())
        };
        let threads = (0..threads).map(start).collect();
        Self { shared, threads }
    }

    pub(crate) fn add(&self, state: State) {
        let mut queue = self.shared.queue.lock().expect("nothing panics");
        queue.tasks += 1;
        queue.pending.push_back(state);
        drop(queue);
        self.shared.work.notify_one();
    }

    /// Waits until all have ended.
    pub(crate) fn close(self) {
        let mut queue = self.shared.queue.lock().expect("nothing panics");
        while queue.tasks > 0 {
            queue = self.shared.done.wait(queue).expect("nothing panics");
        }
        queue.closed = true;
        drop(queue);
        self.shared.work.notify_all();
        for thread in self.threads {
            thread.join().expect("nothing panics");
        }
    }
}

impl Shared {
    fn serve(&self) {
        let mut queue = self.queue.lock().expect("nothing panics");
        while !queue.closed {
            let Some(mut state) = queue.pending.pop_front() else {
                queue = self.work.wait(queue).expect("nothing panics");
                continue;
            };
            drop(queue);
            match state.resume() {
                Stop::Yielded => {
                    let value = state.pop();
                    queue = self.queue.lock().expect("nothing panics");
                    match (value, queue.waiting.take()) {
                        (None, waiting) => {
                            queue.waiting = waiting;
                            queue.pending.push_back(state);
                        }
                        (Some(value), None) => queue.waiting = Some((state, value)),
                        (Some(value), Some((mut other, got))) => {
                            state.push(got);
                            other.push(value);
                            queue.pending.push_back(other);
                            queue.pending.push_back(state);
                            // This thread takes one of them.
                            self.work.notify_one();
                        }
                    }
                }
                Stop::Returned => {
                    drop(state);
                    queue = self.queue.lock().expect("nothing panics");
                    queue.tasks -= 1;
                    if queue.tasks == 0 {
                        self.done.notify_all();
                    }
                }
            }
        }
    }
}
