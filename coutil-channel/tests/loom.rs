//! Where threads meet, in all orders: `RUSTFLAGS="--cfg loom" cargo test --package coutil-channel --test loom --release`.
#![cfg(loom)]

use coutil_channel::Channels;
use coutil_channel::core::Endpoint::{In, Out};
use loom::future::block_on;
use loom::thread;

#[test]
fn two_meet() {
    loom::model(|| {
        let channels = Channels::<u8, u32>::new();
        let channel = channels.open(0);
        let other = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.exchange(In, 1)))
        };
        assert_eq!(block_on(channel.exchange(Out, 2)), 1);
        assert_eq!(other.join().unwrap(), 2);
    });
}

#[test]
fn the_one_who_gives_up_is_matched_or_not() {
    loom::model(|| {
        let channels = Channels::<u8, u32>::new();
        let channel = channels.open(0);
        let other = {
            let channel = channel.clone();
            thread::spawn(move || drop(channel.exchange(In, 1)))
        };
        let met = channel.try_exchange(Out, 2);
        assert!(met == Ok(1) || met == Err(2));
        other.join().unwrap();
        assert_eq!(channel.try_exchange(Out, 3), Err(3));
    });
}

#[test]
fn a_name_goes_with_the_last_who_has_it() {
    loom::model(|| {
        let channels = Channels::<u8, u32>::new();
        let other = {
            let channels = channels.clone();
            thread::spawn(move || drop(channels.open(0)))
        };
        let waiting = channels.open(0).exchange(In, 1);
        assert!(channels.exists(&0));
        drop(waiting);
        other.join().unwrap();
        assert!(!channels.exists(&0));
    });
}
