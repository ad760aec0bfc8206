//! What can be sent, shared, cloned and printed, of values that can be sent.

use coutil_channel::core::{ChannelId, Endpoint, PartyId, Rendezvous};
use coutil_channel::{Channel, Channels, Exchange};
use std::cell::Cell;
use std::fmt::Debug;

fn send<T: Send + Debug>() {}
fn shared<T: Send + Sync + Debug>() {}
fn clone<T: Send + Sync + Debug + Clone>() {}
fn future<T: Future + Send + Unpin + Debug>() {}

/// Values are handed over, not shared: they need not be `Sync`.
type Value = Cell<u8>;

#[test]
fn handles_and_futures_go_to_other_threads() {
    clone::<Channels<String, Value>>();
    clone::<Channel<String, Value>>();
    future::<Exchange<String, Value>>();
}

#[test]
fn the_core_is_plain_data() {
    shared::<Rendezvous<u8, u8>>();
    send::<Rendezvous<Value, Value>>();
    clone::<(ChannelId, PartyId, Endpoint)>();
}

#[cfg(feature = "buffered")]
#[test]
fn so_do_the_ends_of_buffered_channels_and_their_futures() {
    use coutil_channel::buffered::{self, ReceiveError, Receiver, SendError, Sender, TrySendError};
    use std::error::Error;

    fn error<T: Error + Send>() {}
    fn sent<T: Send>(_: &T) {}

    clone::<(Sender<Value>, Receiver<Value>)>();
    error::<SendError<Value>>();
    error::<TrySendError<Value>>();
    error::<ReceiveError>();
    let (sender, receiver) = buffered::bounded::<Value>(0);
    sent(&sender.send(Cell::new(1)));
    sent(&receiver.receive());
}
