//! Exchanges on one thread.

use coutil_channel::core::Endpoint::{Any, In, Out};
use coutil_channel::{Channels, Exchange};
use futures_lite::future::{block_on, poll_once};
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_with<K: Hash + Eq, T>(exchange: &mut Exchange<K, T>, waker: &Waker) -> Poll<T> {
    Pin::new(exchange).poll(&mut Context::from_waker(waker))
}

/// [20 5.6] [20 5.11]
#[test]
fn both_sides_get_what_the_other_gives() {
    let channels = Channels::new();
    let channel = channels.open("c");
    let mut first = channel.exchange(In, 1);
    assert!(first.is_waiting());
    assert_eq!(block_on(poll_once(&mut first)), None);
    let second = channel.exchange(Out, 2);
    assert!(!second.is_waiting() && !first.is_waiting());
    assert_eq!(block_on(second), 1);
    assert_eq!(block_on(first), 2);
}

/// [20 5.8] The oldest first, over all kinds of handles; who gives up keeps nobody from his place.
#[test]
fn in_the_order_in_which_they_came() {
    let channels = Channels::new();
    let mut waiting: Vec<_> = (0..5).map(|number| Some(channels.open("c").exchange(In, number))).collect();
    waiting[1] = None;
    let channel = channels.open("c");
    for expected in [0, 2, 3, 4] {
        assert_eq!(channel.try_exchange(if expected == 3 { Any } else { Out }, 10 + expected), Ok(expected));
    }
    assert_eq!(channel.try_exchange(Out, 9), Err(9));
    for number in [0, 2, 3, 4] {
        assert_eq!(block_on(waiting[number].take().expect("it waited")), 10 + number);
    }
}

/// [20 5.2] [20 5.3]
#[test]
fn a_name_exists_while_somebody_has_it_or_waits() {
    let channels = Channels::<&str, u32>::new();
    let waiting = channels.open("waits").exchange(Any, 1);
    let handle = channels.open("has");
    let other = handle.clone();
    let mut names = channels.names();
    names.sort_unstable();
    assert_eq!(names, ["has", "waits"]);
    drop(handle);
    assert!(channels.exists(&"has"));
    drop(other);
    drop(waiting);
    assert!(channels.names().is_empty());
    // Who was matched waits no more.
    let waiting = channels.open("c").exchange(In, 1);
    assert_eq!(channels.open("c").try_exchange(Out, 2), Ok(1));
    assert!(!channels.exists(&"c"));
    assert_eq!(block_on(waiting), 2);
    assert_eq!(format!("{channels:?}"), "Channels { channels: 0, parties: 0, .. }");
}

/// Without a handle a name exists no longer than somebody waits.
#[test]
fn by_name_alone() {
    let channels = Channels::new();
    let waiting = channels.exchange("c", In, 1);
    assert!(channels.exists(&"c"));
    let second = channels.exchange("c", In, 2);
    assert_eq!(block_on(channels.exchange("c", Out, 3)), 1);
    assert_eq!(block_on(waiting), 3);
    assert!(channels.exists(&"c"));
    let watcher = Arc::new(Count::default());
    let mut second = second;
    assert!(poll_with(&mut second, &Waker::from(Arc::clone(&watcher))).is_pending());
    drop(channels.exchange("c", Any, 4));
    assert_eq!(watcher.0.load(Ordering::SeqCst), 1);
    assert!(!channels.exists(&"c"));
    assert_eq!(block_on(second), 4);
    drop(channels.exchange("d", In, 5));
    assert!(channels.names().is_empty());
}

#[test]
fn the_last_waker_is_woken_once() {
    let channels = Channels::new();
    let channel = channels.open(0);
    let mut waiting = channel.exchange(In, ());
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    for count in &counts {
        assert!(poll_with(&mut waiting, &Waker::from(Arc::clone(count))).is_pending());
    }
    assert_eq!(Arc::strong_count(&counts[0]), 1, "the former waker is not kept");
    assert_eq!(channel.try_exchange(Out, ()), Ok(()));
    assert_eq!(counts.each_ref().map(|count| count.0.load(Ordering::SeqCst)), [0, 1]);
    assert!(poll_with(&mut waiting, Waker::noop()).is_ready());
}

/// What was exchanged and not taken is dropped with the future, and not before.
#[test]
fn a_value_that_nobody_takes_is_dropped() {
    let value = Arc::new(());
    let channels = Channels::new();
    let channel = channels.open(0);
    let waiting = channel.exchange(In, Arc::clone(&value));
    drop(waiting);
    assert_eq!(Arc::strong_count(&value), 1);
    let waiting = channel.exchange(In, Arc::default());
    channel.try_exchange(Out, Arc::clone(&value)).expect("it waits");
    assert_eq!(Arc::strong_count(&value), 2);
    drop(waiting);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(format!("{channels:?}"), "Channels { channels: 1, parties: 0, .. }");
}

/// No lock is held while a waker is woken or a value dropped.
#[test]
fn wakers_and_values_may_use_the_channels() {
    struct Again(Channels<u8, Option<Value>>, Mutex<Vec<bool>>);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0.exists(&0));
        }
    }
    struct Value(Channels<u8, Option<Value>>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.names();
        }
    }
    let channels = Channels::new();
    let channel = channels.open(0);
    let mut waiting = channel.exchange(In, Some(Value(channels.clone())));
    let again = Arc::new(Again(channels.clone(), Mutex::default()));
    assert!(poll_with(&mut waiting, &Waker::from(Arc::clone(&again))).is_pending());
    assert!(channel.try_exchange(Out, Some(Value(channels.clone()))).is_ok());
    assert_eq!(*again.1.lock().unwrap(), [true]);
    drop(waiting);
    drop(channel.exchange(In, Some(Value(channels.clone()))));
    let forgotten = channel.exchange(In, Some(Value(channels.clone())));
    channels.forget();
    assert!(!forgotten.is_waiting());
}

/// A task that waits is kept by its waker alone, and keeps the channels.
#[test]
fn forgetting_ends_those_who_keep_each_other() {
    struct Task(Mutex<Option<Exchange<u8, u32>>>, #[allow(dead_code)] Arc<()>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let alive = Arc::new(());
    let channels = Channels::new();
    for endpoint in [In, Out, Any] {
        let name = endpoint as u8;
        let task = Arc::new(Task(Mutex::default(), Arc::clone(&alive)));
        let mut exchange = channels.open(name).exchange(endpoint, 0);
        assert!(poll_with(&mut exchange, &Waker::from(Arc::clone(&task))).is_pending());
        *task.0.lock().unwrap() = Some(exchange);
    }
    assert_eq!(Arc::strong_count(&alive), 4);
    channels.forget();
    assert_eq!(Arc::strong_count(&alive), 1);
    assert!(channels.names().is_empty());
}

#[test]
fn two_thousand_of_one_name() {
    let channels = Channels::new();
    let waiting: Vec<_> = (0..2000).map(|number| channels.open("c").exchange(In, number)).collect();
    let channel = channels.open("c");
    for number in 0..2000 {
        assert_eq!(channel.try_exchange(Any, number), Ok(number));
    }
    for (number, exchange) in waiting.into_iter().enumerate() {
        assert_eq!(block_on(exchange), number);
    }
}
