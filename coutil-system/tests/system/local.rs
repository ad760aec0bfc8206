//! Unix stream sockets for futures.

use coutil_system::{Error, EventLoop, LocalListener, LocalStream};
use futures_lite::future::{block_on, poll_once, zip};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};

const CANCELED: Error = Error::from_code(libc::ECANCELED);

fn new() -> EventLoop {
    EventLoop::new().expect("descriptors")
}

/// A path that nobody has.
fn path() -> PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("coutil-local-{}-{number}", std::process::id()))
}

fn code<T>(result: coutil_system::Result<T>) -> i32 {
    result.err().map_or(0, Error::code)
}

#[test]
fn a_file_is_there_as_long_as_somebody_listens() {
    let events = new();
    let path = path();
    assert_eq!(code(events.block_on(LocalStream::connect(&events, &path)).unwrap()), libc::ENOENT);
    let listener = LocalListener::bind(&events, &path).unwrap();
    assert_eq!(listener.path(), Ok(path.clone()));
    assert_eq!(code(LocalListener::bind(&events, &path)), libc::EADDRINUSE);
    assert!(path.exists());
    drop(listener);
    assert!(!path.exists());
    assert_eq!(code(LocalListener::bind(&events, "x".repeat(108))), libc::ENAMETOOLONG);
    assert_eq!(
        code(events.block_on(LocalStream::connect(&events, "x".repeat(108))).unwrap()),
        libc::ENAMETOOLONG
    );
    assert_eq!(code(LocalListener::bind(&events, "/no such folder/socket")), libc::EACCES);
    assert_eq!(events.pending(), 0);
}

#[test]
fn bytes_go_both_ways() {
    let events = new();
    let path = path();
    let listener = LocalListener::bind(&events, &path).unwrap();
    let sent: Vec<u8> = (0..2_000_000).map(|at: u32| (at / 251) as u8 ^ at as u8).collect();
    let server = events.spawn(async move {
        let stream = listener.accept().await?;
        assert_eq!(stream.peer_path(), Ok(PathBuf::new()));
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
        stream.write_all(&all).await
    });
    let received = events.block_on(async {
        let stream = LocalStream::connect(&events, &path).await.unwrap();
        assert_eq!(stream.peer_path(), Ok(path.clone()));
        let write = async {
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let read = async {
            let mut all = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => break all,
                    count => all.extend_from_slice(&buffer[..count]),
                }
            }
        };
        zip(write, read).await.1
    });
    assert!(received.unwrap() == sent);
    events.block_on(server).unwrap().unwrap();
    assert_eq!(events.pending(), 0);
}

#[test]
fn an_accept_or_a_read_that_is_dropped_has_taken_nothing() {
    let events = new();
    let path = path();
    let listener = LocalListener::bind(&events, &path).unwrap();
    let mut peer;
    {
        let mut given_up = pin!(listener.accept());
        assert!(block_on(poll_once(&mut given_up)).is_none());
        peer = UnixStream::connect(&path).unwrap();
        events.run().unwrap();
    }
    let stream = events.block_on(listener.accept()).unwrap().unwrap();
    let mut buffer = [0; 8];
    {
        let mut given_up = pin!(stream.read(&mut buffer));
        assert!(block_on(poll_once(&mut given_up)).is_none());
        peer.write_all(b"hello").unwrap();
        events.run().unwrap();
    }
    assert_eq!(events.block_on(stream.read(&mut buffer)).unwrap(), Ok(5));
    assert_eq!(&buffer[..5], b"hello");

    let mut waits = pin!(listener.accept());
    assert!(block_on(poll_once(&mut waits)).is_none());
    listener.close();
    assert_eq!(events.block_on(waits).unwrap().unwrap_err(), CANCELED);
}

#[test]
fn one_of_a_pair_is_for_somebody_else() {
    let events = new();
    let (stream, other) = LocalStream::pair(&events).unwrap();
    let mut other = UnixStream::from(other);
    events.block_on(stream.write_all(b"ping")).unwrap().unwrap();
    let mut buffer = [0; 4];
    other.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"ping");
    drop(stream);
    // It blocks until there is something: the end.
    assert_eq!(other.read(&mut buffer).unwrap(), 0);
}
