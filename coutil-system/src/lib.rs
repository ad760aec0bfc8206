//! An event loop that delivers operations one at a time, in order: timers, sockets, processes, signals, futures.
//!
//! - [`EventLoop`]: runs tasks, and the futures of timers and sockets, on the thread of whoever calls it.
//! - [`TcpListener`], [`TcpStream`], [`UdpSocket`], [`LocalListener`], [`LocalStream`]: sockets for futures.
//! - [`core`]: the loop without futures, generic over who waits, for hosts of another kind: an interpreter with coroutines.
//! - [`process`], [`signal`]: programs that are started and waited for, and signals, for futures.
//! - [`net`], [`time`], [`environment`], [`info`]: addresses, names and clocks; variables; what the system tells about itself.
//!   [`Error`]: the same texts on every system.
//! - [`fs`]: files. [`random`]: random bytes. [`unblock`]: calls that block, as those for names and files do.
//!
//! ```
//! use coutil_system::{EventLoop, Result, TcpListener, TcpStream};
//!
//! fn main() -> Result<()> {
//!     let events = EventLoop::new()?;
//!     let listener = TcpListener::bind(&events, "127.0.0.1:0".parse().unwrap())?;
//!     let address = listener.local_addr()?;
//!
//!     // An echo server, for one client,
//!     let server = events.spawn(async move {
//!         let stream = listener.accept().await?;
//!         let mut buffer = [0; 1024];
//!         loop {
//!             match stream.read(&mut buffer).await? {
//!                 0 => break stream.shutdown().await,
//!                 count => stream.write_all(&buffer[..count]).await?,
//!             }
//!         }
//!     });
//!
//!     // and the client.
//!     events.block_on(async {
//!         let stream = TcpStream::connect(&events, address).await?;
//!         stream.write_all(b"hello").await?;
//!         stream.shutdown().await?;
//!         let mut buffer = [0; 1024];
//!         let count = stream.read(&mut buffer).await?;
//!         assert_eq!(&buffer[..count], b"hello");
//!         assert_eq!(stream.read(&mut buffer).await?, 0); // the end
//!         server.await
//!     })?
//! }
//! ```
//!
//! # How it works
//!
//! There is no thread (but for what is [unblocked](unblock)), and nothing global but the signals that are
//! [watched](signal): a loop makes progress while somebody [runs](EventLoop::run) it. It goes in *passes*. A pass delivers the
//! timers that have expired, by deadline; then those who [yielded](EventLoop::yield_now), newest first; then it looks at the
//! descriptors, or waits for them if there is nothing else to do; then it runs the tasks that were woken, and delivers what
//! has become ready: connections accepted first, the rest, ends of processes too, in the order in which it was started, and
//! signals last. While there is something to deliver, descriptors are looked at not in each pass but after some dozens of
//! operations, or a few milliseconds.
//!
//! Descriptors are registered once, edge-triggered: epoll(7). To read is to wait until there is something, and to take it
//! at the moment of delivery, so that a read that is cancelled has taken nothing. To write is to send at once what the system
//! takes; the rest is queued.
//!
//! The loop is behind one mutex. Under it runs no foreign code, so wakers, destructors and tasks may use the loop
//! themselves. A thread that needs it while it waits for descriptors ends that wait.
//!
//! In a child of fork(2) a loop of the parent is not to be run: that gives [`Error::FOREIGN_LOOP`]. It can be dropped there,
//! which leaves the parent's alone.
//!
//! # Limitations
//!
//! - Tested on Linux. Elsewhere the poller of `polling` is used as it is: untested. Not for Windows.
//! - One thread at a time runs a loop, and its tasks on that thread. For parallel work there are other executors; the
//!   futures of this crate run on any of them.
//!
//! # Features
//!
//! `futures-io`, which is off by default: [`TcpStream`] and [`LocalStream`] have `AsyncRead` and `AsyncWrite` of the crate of that name.
#![deny(unsafe_code)]
#![deny(missing_docs)]

#[cfg(windows)]
compile_error!("coutil-system does not support Windows yet: nobody could test it");

pub mod core;
pub mod environment;
mod error;
mod event_loop;
pub mod fs;
pub mod futures;
pub mod info;
#[cfg(feature = "futures-io")]
mod io;
mod local;
pub mod net;
mod operation;
mod plain;
mod pool;
pub mod process;
mod random;
mod remote;
mod schedule;
pub mod signal;
mod socket;
mod source;
pub mod standard;
mod stream;
mod sys;
mod table;
mod tcp;
pub mod terminal;
pub mod time;
mod udp;

pub use async_task::Task;
pub use error::{Error, Result};
pub use event_loop::EventLoop;
pub use local::{LocalListener, LocalStream};
pub use pool::{thread_limit, try_unblock, unblock};
pub use random::random;
pub use source::Kind;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
