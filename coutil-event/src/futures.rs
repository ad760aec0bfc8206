//! The futures of [`Events`](crate::Events) and [`QueuedEvents`](crate::QueuedEvents).
//!
//! All of them wait from the moment in which they were made. To drop one before it was ready is to give up: it leaves
//! all its queues at once, and what [`emit_one`](crate::Events::emit_one) gave it already goes to whoever waits longest
//! for the same key then. None of them may be polled after it was ready.

use crate::hub::Ticket;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

macro_rules! future {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[must_use = "it waits until it is dropped, which is now"]
        pub struct $name<K: Hash + Eq, T> {
            ticket: Ticket<K, T>,
        }

        impl<K: Hash + Eq, T> $name<K, T> {
            pub(crate) fn new(ticket: Ticket<K, T>) -> Self {
                Self { ticket }
            }

            /// Whether it has what it waits for, and is ready when polled.
            pub fn is_done(&self) -> bool {
                self.ticket.is_done()
            }
        }

        impl<K: Hash + Eq, T> fmt::Debug for $name<K, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("done", &self.is_done()).finish()
            }
        }
    };
}

future! {
    /// Waits for one key; the output is the value emitted.
    Wait
}

future! {
    /// Waits for the first of several keys; the output is that key and the value emitted.
    WaitAny
}

future! {
    /// Waits until each of several keys was emitted. The values are dropped.
    WaitAll
}

impl<K: Hash + Eq, T> Future for Wait<K, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let emission = ready!(self.ticket.poll(context));
        Poll::Ready(emission.expect("it waited for a key").value)
    }
}

impl<K: Hash + Eq + Clone, T> Future for WaitAny<K, T> {
    type Output = (K, T);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<(K, T)> {
        let emission = ready!(self.ticket.poll(context)).expect("it waited for some keys");
        Poll::Ready((Arc::unwrap_or_clone(emission.key), emission.value))
    }
}

impl<K: Hash + Eq, T> Future for WaitAll<K, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.ticket.poll(context).map(drop)
    }
}
