//! Three workers, each a thread, look for the longest run of the Collatz sequence; another thread watches.
//!
//! Jobs and results are exchanged at one rendezvous: a worker gives what it has found, and gets the next range, in one
//! step. Events tell the watcher how far it is. Run it with `cargo run`.

use coutil_channel::Channels;
use coutil_channel::core::Endpoint::{In, Out};
use coutil_event::Events;
use futures_lite::future::block_on;
use std::ops::Range;
use std::thread;

/// What goes through the channel, either way.
enum Message {
    /// From a worker: the best of its last range, if it has done one.
    Found(Option<Run>),
    /// To a worker.
    Search(Range<u64>),
    /// To a worker: there is no more.
    Stop,
}

/// A number, and how many steps lead from it to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    steps: u32,
    start: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    /// A better run was found: how long it is.
    Better,
    Finished,
}

const END: u64 = 200_000;
const RANGE: u64 = 10_000;
const WORKERS: usize = 3;

fn main() {
    let best = search(&Events::new());
    println!("{} needs {} steps", best.start, best.steps);
    assert_eq!(best, Run { steps: 382, start: 156_159 });
}

fn search(events: &Events<Event, u32>) -> Run {
    let channels = Channels::<&str, Message>::new();
    // It waits from here on, so it misses nothing, however late its thread is.
    let (first, finished) = (events.wait(Event::Better), events.wait(Event::Finished));

    thread::scope(|scope| {
        scope.spawn(|| {
            println!("the first worker has found a run of {} steps", block_on(first));
            println!("the longest has {}", block_on(finished));
        });
        for _ in 0..WORKERS {
            let desk = channels.open("desk");
            scope.spawn(move || {
                let mut found = None;
                while let Message::Search(range) = block_on(desk.exchange(In, Message::Found(found))) {
                    found = range.map(|start| Run { steps: steps(start), start }).max();
                }
            });
        }

        let desk = channels.open("desk");
        let mut best = Run { steps: 0, start: 1 };
        let ranges = (1..END).step_by(RANGE as usize).map(|start| start..END.min(start + RANGE));
        let jobs = ranges.map(Message::Search).chain((0..WORKERS).map(|_| Message::Stop));
        for job in jobs {
            // Whoever comes to the other end: a worker that has something to tell, or a new one.
            if let Message::Found(Some(found)) = block_on(desk.exchange(Out, job))
                && found > best
            {
                best = found;
                events.emit_all(&Event::Better, best.steps);
            }
        }
        events.emit_all(&Event::Finished, best.steps);
        best
    })
}

fn steps(mut number: u64) -> u32 {
    let mut steps = 0;
    while number != 1 {
        number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}
