//! Exchanges between threads.

use coutil_channel::Channels;
use coutil_channel::core::Endpoint::{self, In, Out};
use futures_lite::future::{block_on, or};
use std::collections::BTreeSet;
use std::thread;

/// Each value given is got exactly once, and who is matched got what the other gave.
#[test]
fn nothing_is_lost_or_doubled() {
    const EACH: usize = 2000;
    for (mine, others) in [(In, Out), (Out, In)] {
        let channels = Channels::<u8, usize>::new();
        let run = |endpoint: Endpoint, first: usize| {
            let channel = channels.open(0);
            thread::spawn(move || {
                (first..first + EACH)
                    .map(|value| (value, block_on(channel.exchange(endpoint, value))))
                    .collect()
            })
        };
        let threads = [run(mine, 0), run(mine, EACH), run(others, 2 * EACH), run(others, 3 * EACH)];
        let pairs: Vec<Vec<(usize, usize)>> = threads.map(|thread| thread.join().unwrap()).into();
        let pairs = pairs.concat();
        let got: BTreeSet<_> = pairs.iter().map(|pair| pair.1).collect();
        assert_eq!(got.len(), 4 * EACH);
        let all: BTreeSet<_> = pairs.iter().copied().collect();
        assert!(pairs.iter().all(|(gave, got)| all.contains(&(*got, *gave))));
        assert!(channels.names().is_empty());
    }
}

/// Those who give up at the very moment in which they are matched lose what they got, and nobody else does.
#[test]
fn giving_up_in_a_race() {
    let channels = Channels::<u8, u32>::new();
    let quitter = {
        let channel = channels.open(0);
        thread::spawn(move || {
            let mut met = 0;
            for _ in 0..5000 {
                let exchange = async { Some(channel.exchange(In, 1).await) };
                let given_up = async {
                    futures_lite::future::yield_now().await;
                    None
                };
                met += u32::from(block_on(or(exchange, given_up)).is_some());
            }
            met
        })
    };
    let channel = channels.open(0);
    let mut met = 0;
    while !quitter.is_finished() {
        met += u32::from(channel.try_exchange(Out, 2).is_ok());
    }
    assert!(quitter.join().unwrap() <= met);
    assert_eq!(channel.try_exchange(Out, 2), Err(2), "nobody is left behind");
}
