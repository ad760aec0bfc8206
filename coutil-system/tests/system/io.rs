//! `AsyncRead` and `AsyncWrite` of the streams.

use coutil_system::{Error, EventLoop, LocalStream, TcpListener, TcpStream};
use futures_lite::future::{block_on, poll_once, zip};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt, copy};
use futures_lite::{AsyncRead, AsyncWrite};
use std::io::{ErrorKind, Read, Write};
use std::thread;

use crate::util::LOCAL;

fn new() -> EventLoop {
    EventLoop::new().expect("descriptors")
}

/// A stream of the loop, and its peer.
fn pair(events: &EventLoop) -> (TcpStream, std::net::TcpStream) {
    let server = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let connect = TcpStream::connect(events, server.local_addr().expect("it is bound"));
    let stream = events.block_on(connect).expect("it runs").expect("it listens");
    (stream, server.accept().expect("a connection").0)
}

/// Bytes that tell where they are.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at / 251) as u8 ^ at as u8).collect()
}

fn code(error: &std::io::Error) -> i32 {
    error.raw_os_error().expect("an error of the system")
}

#[test]
fn local_streams_too() {
    let events = new();
    let (mut stream, other) = LocalStream::pair(&events).unwrap();
    let mut peer = std::os::unix::net::UnixStream::from(other);
    let sent = bytes(3_000_000);
    let echo = thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        peer.write_all(&received).unwrap();
    });
    let mut received = Vec::new();
    events
        .block_on(async {
            AsyncWriteExt::write_all(&mut stream, &sent).await.unwrap();
            AsyncWriteExt::close(&mut stream).await.unwrap();
            stream.read_to_end(&mut received).await.unwrap();
        })
        .unwrap();
    echo.join().unwrap();
    assert!(received == sent);
}

#[test]
fn it_is_what_others_expect() {
    fn stream<T: AsyncRead + AsyncWrite + Clone + Send + Sync + Unpin + 'static>() {}
    stream::<TcpStream>();
    stream::<LocalStream>();
}

#[test]
fn more_than_fits_goes_both_ways_at_once() {
    let events = new();
    let listener = TcpListener::bind(&events, LOCAL.parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = events.spawn(async move {
        let stream = listener.accept().await?;
        let (reader, mut writer) = (stream.clone(), stream);
        let count = copy(reader, &mut writer).await?;
        AsyncWriteExt::close(&mut writer).await?;
        // Again, as `AsyncWrite` allows.
        AsyncWriteExt::close(&mut writer).await?;
        Ok::<_, std::io::Error>(count)
    });
    let sent = bytes(4_000_000);
    let received = events
        .block_on(async {
            let mut reader = TcpStream::connect(&events, address).await.unwrap();
            let mut writer = reader.clone();
            let write = async {
                AsyncWriteExt::write_all(&mut writer, &sent).await.unwrap();
                writer.flush().await.unwrap();
                AsyncWriteExt::close(&mut writer).await.unwrap();
                writer.write(b"more").await.unwrap_err()
            };
            let read = async {
                let mut received = Vec::new();
                reader.read_to_end(&mut received).await.unwrap();
                received
            };
            let (error, received) = zip(write, read).await;
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            received
        })
        .unwrap();
    assert!(received == sent);
    assert_eq!(events.block_on(server).unwrap().unwrap(), 4_000_000);
    assert_eq!(events.pending(), 0);
}

#[test]
fn a_read_that_is_given_up_has_taken_nothing() {
    let events = new();
    let (mut stream, mut peer) = pair(&events);
    let mut other = stream.clone();
    let mut buffer = [0; 16];
    assert!(block_on(poll_once(AsyncReadExt::read(&mut stream, &mut buffer))).is_none());
    // It waits on, for this handle.
    let busy = block_on(poll_once(AsyncReadExt::read(&mut other, &mut buffer))).expect("at once");
    assert_eq!(code(&busy.unwrap_err()), libc::EBUSY);
    assert_eq!(block_on(TcpStream::read(&other, &mut buffer)), Err(Error::from_code(libc::EBUSY)));

    peer.write_all(b"hello").unwrap();
    // It is delivered, and nobody takes it.
    events.run().expect("it runs");
    let count = events.block_on(AsyncReadExt::read(&mut stream, &mut buffer[..3])).unwrap().unwrap();
    assert_eq!(&buffer[..count], b"hel");

    // Without the handle nobody waits.
    assert!(block_on(poll_once(AsyncReadExt::read(&mut stream, &mut buffer[..0]))).is_some());
    assert!(block_on(poll_once(AsyncReadExt::read(&mut stream, &mut buffer))).is_none());
    drop(stream);
    let count = events.block_on(AsyncReadExt::read(&mut other, &mut buffer)).unwrap().unwrap();
    assert_eq!(&buffer[..count], b"lo");
    assert_eq!(events.pending(), 0);
}

/// What a write has returned is sent, also if the connection is closed then; what it has not returned is not.
#[test]
fn what_was_taken_is_sent() {
    let events = new();
    let (mut stream, mut peer) = pair(&events);
    let data = bytes(100_000);
    let mut taken = 0;
    while let Some(count) = block_on(poll_once(stream.write(&data[taken % data.len()..]))) {
        taken += count.unwrap();
    }
    assert!(taken > 0);
    // It waits for room: given up with the handle.
    assert_eq!(events.pending(), 1);
    drop(stream);
    assert_eq!(events.pending(), 0);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), taken);
    assert!(received.iter().enumerate().all(|(at, byte)| *byte == data[at % data.len()]));
}

/// Those that wait for room take their turn among those that write as futures.
#[test]
fn writes_of_both_kinds_are_in_order() {
    let events = new();
    let (stream, mut peer) = pair(&events);
    let first = bytes(4_000_000);
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        received
    });
    events
        .block_on(async {
            let mut polled = stream.clone();
            let both = zip(stream.write_all(&first), AsyncWriteExt::write_all(&mut polled, b"second")).await;
            both.0.unwrap();
            both.1.unwrap();
            AsyncWriteExt::close(&mut polled).await.unwrap();
        })
        .unwrap();
    let received = reader.join().unwrap();
    assert!(received[..first.len()] == first[..]);
    assert_eq!(&received[first.len()..], b"second");
}

#[test]
fn the_peer_or_the_loop_is_gone() {
    let events = new();
    let (mut stream, peer) = pair(&events);
    drop(peer);
    let mut buffer = [0; 16];
    let end = events.block_on(AsyncReadExt::read(&mut stream, &mut buffer)).unwrap();
    assert_eq!(end.unwrap(), 0);
    let failed = events.block_on(async {
        loop {
            if let Err(error) = stream.write(b"nobody reads this").await {
                break error;
            }
            events.yield_now().await;
        }
    });
    let failed = failed.unwrap().kind();
    assert!(matches!(failed, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{failed}");

    let (mut stream, _peer) = pair(&events);
    assert!(block_on(poll_once(AsyncReadExt::read(&mut stream, &mut buffer))).is_none());
    drop(events);
    let gone = block_on(AsyncReadExt::read(&mut stream, &mut buffer)).unwrap_err();
    assert_eq!(code(&gone), libc::ECANCELED);
    assert_eq!(code(&block_on(stream.write(b"x")).unwrap_err()), libc::ECANCELED);
    assert_eq!(code(&block_on(AsyncWriteExt::close(&mut stream)).unwrap_err()), libc::ECANCELED);
}

/// Closed by another handle.
#[test]
fn a_stream_that_is_closed_fails() {
    let events = new();
    let (mut stream, _peer) = pair(&events);
    let mut buffer = [0; 16];
    assert!(block_on(poll_once(AsyncReadExt::read(&mut stream, &mut buffer))).is_none());
    stream.clone().close();
    let closed = events.block_on(AsyncReadExt::read(&mut stream, &mut buffer)).unwrap().unwrap_err();
    assert_eq!(code(&closed), libc::ECANCELED);
    let closed = block_on(stream.write(b"x")).unwrap_err();
    assert_eq!(code(&closed), libc::EBADF);
}
