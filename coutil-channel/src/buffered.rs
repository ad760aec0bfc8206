//! Channels with a buffer, many to many: those of `flume`, with blocking and asynchronous ends.
//!
//! ```
//! use coutil_channel::buffered;
//! use std::thread;
//!
//! let (sender, receiver) = buffered::bounded(4);
//! let producers: Vec<_> = (0..3)
//!     .map(|number| {
//!         let sender = sender.clone();
//!         thread::spawn(move || (0..10).for_each(|i| sender.send_blocking(number * 10 + i).unwrap()))
//!     })
//!     .collect();
//! drop(sender); // those of the producers are left
//! let mut numbers: Vec<i32> = std::iter::from_fn(|| receiver.receive_blocking().ok()).collect();
//! numbers.sort();
//! assert_eq!(numbers, Vec::from_iter(0..30));
//! producers.into_iter().for_each(|producer| producer.join().unwrap());
//! ```

use std::fmt;

/// A channel that holds at most `capacity` values; with 0 a sender waits until its value was received.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = flume::bounded(capacity);
    (Sender(sender), Receiver(receiver))
}

/// A channel that holds any number of values: to send never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = flume::unbounded();
    (Sender(sender), Receiver(receiver))
}

/// All receivers are gone; here is the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The value that was not sent.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all receivers of the channel are gone")
    }
}

impl<T> std::error::Error for SendError<T> {}

/// A value was not taken, here it is: there is no room now, or all receivers are gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room.
    Full(T),
    /// All receivers are gone.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }

    /// Whether there is no room now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether all receivers are gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => "all receivers of the channel are gone",
        })
    }
}

impl<T> std::error::Error for TrySendError<T> {}

/// The channel is empty, and all senders are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveError;

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all senders of the channel are gone")
    }
}

impl std::error::Error for ReceiveError {}

/// The end that values are sent to. A clone is another one of the same channel.
pub struct Sender<T>(flume::Sender<T>);

impl<T> Sender<T> {
    /// Sends a value, once there is room. Nothing is sent if the future is dropped before.
    ///
    /// # Errors
    ///
    /// When all receivers are gone.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send_async(value).await.map_err(|error| SendError(error.0))
    }

    /// As [`send`](Self::send), and blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// When all receivers are gone.
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).map_err(|error| SendError(error.0))
    }

    /// Sends a value if there is room now.
    ///
    /// # Errors
    ///
    /// When there is none, or all receivers are gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(value).map_err(|error| match error {
            flume::TrySendError::Full(value) => TrySendError::Full(value),
            flume::TrySendError::Disconnected(value) => TrySendError::Closed(value),
        })
    }

    /// How many values are in the channel.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The end that values are received from. A clone is another one of the same channel; each value goes to one of them.
pub struct Receiver<T>(flume::Receiver<T>);

impl<T> Receiver<T> {
    /// Receives the oldest value, once there is one. Nothing is taken if the future is dropped before.
    ///
    /// # Errors
    ///
    /// When there is none, and all senders are gone.
    pub async fn receive(&self) -> Result<T, ReceiveError> {
        self.0.recv_async().await.map_err(|_| ReceiveError)
    }

    /// As [`receive`](Self::receive), and blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// When there is none, and all senders are gone.
    pub fn receive_blocking(&self) -> Result<T, ReceiveError> {
        self.0.recv().map_err(|_| ReceiveError)
    }

    /// The oldest value, if there is one now. `Ok(None)` if there is none.
    ///
    /// # Errors
    ///
    /// When there is none, and all senders are gone.
    pub fn try_receive(&self) -> Result<Option<T>, ReceiveError> {
        match self.0.try_recv() {
            Ok(value) => Ok(Some(value)),
            Err(flume::TryRecvError::Empty) => Ok(None),
            Err(flume::TryRecvError::Disconnected) => Err(ReceiveError),
        }
    }

    /// How many values are in the channel.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
