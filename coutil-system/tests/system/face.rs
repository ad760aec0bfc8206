//! The futures.

use crate::util::{LOCAL, arrived, this_thread, until_asleep};
use coutil_system::{
    Error, EventLoop, LocalListener, LocalStream, Result, TcpListener, TcpStream, UdpSocket, futures,
};
use futures_lite::future::{self, poll_once};
use std::future::Future;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const CANCELED: Error = Error::from_code(libc::ECANCELED);
const BUSY: Error = Error::from_code(libc::EBUSY);

fn new() -> EventLoop {
    EventLoop::new().expect("descriptors")
}

fn listener(events: &EventLoop) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(events, LOCAL.parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// A stream of the loop, and its peer.
fn pair(events: &EventLoop) -> (TcpStream, std::net::TcpStream) {
    let server = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let connect = TcpStream::connect(events, server.local_addr().expect("it is bound"));
    let stream = events.block_on(connect).expect("it runs").expect("it listens");
    (stream, server.accept().expect("a connection").0)
}

#[test]
fn all_can_be_sent_to_other_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<futures::Sleep>();
    send::<futures::YieldNow>();
    send::<futures::Accept<'_>>();
    send::<futures::Connect>();
    send::<futures::Read<'_>>();
    send::<futures::WriteAll<'_>>();
    send::<futures::Shutdown<'_>>();
    send::<futures::AcceptLocal<'_>>();
    send::<futures::ConnectLocal>();
    send::<futures::Receive<'_>>();
    send::<futures::Send<'_>>();
    send::<EventLoop>();
    sync::<EventLoop>();
    sync::<TcpStream>();
    sync::<TcpListener>();
    sync::<LocalStream>();
    sync::<LocalListener>();
    sync::<UdpSocket>();
}

#[test]
fn the_future_need_not_be_of_the_loop() {
    let events = new();
    assert_eq!(events.block_on(async { 42 }), Ok(42));
    for _ in 0..20 {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let looping = this_thread();
        let thread = thread::spawn(move || {
            let waker = receiver.recv().expect("it is sent");
            until_asleep(looping);
            waker.wake_by_ref();
            waker.wake();
        });
        let mut polls = 0;
        let waiting = future::poll_fn(|context| {
            polls += 1;
            let _ = sender.send(context.waker().clone());
            if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
        });
        events.block_on(waiting).expect("it runs");
        thread.join().expect("no panic");
        assert_eq!(events.pending(), 0);
    }
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    let events = new();
    let mut polls = 0;
    let count = events.block_on(future::poll_fn(|context| {
        polls += 1;
        context.waker().wake_by_ref();
        context.waker().wake_by_ref();
        if polls < 10 { Poll::Pending } else { Poll::Ready(polls) }
    }));
    assert_eq!(count, Ok(10));
}

#[test]
fn sleeping_is_in_order_and_never_too_short() {
    let events = new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    for (name, delay) in [(3, 6), (1, 2), (2, 4), (0, 0)] {
        let (timer, order) = (events.sleep(MS * delay), order.clone());
        events
            .spawn(async move {
                timer.await;
                assert!(start.elapsed() >= MS * delay);
                order.lock().expect("no panic").push(name);
            })
            .detach();
    }
    events.run().expect("it runs");
    assert_eq!(*order.lock().expect("no panic"), [0, 1, 2, 3]);
    // One counts from when it was made, or to a moment that may be over.
    let timer = events.sleep(MS * 5);
    events.block_on(events.sleep(MS * 5)).expect("it runs");
    let passes = Instant::now();
    events
        .block_on(async {
            timer.await;
            events.sleep_until(passes).await;
            events.sleep_until(passes - MS).await;
        })
        .expect("it runs");
}

#[test]
fn yielding_is_newest_first() {
    // [30 S6]
    let events = new();
    let woken = Arc::new(Mutex::new(Vec::new()));
    let suspensions: Vec<_> = (0..4)
        .map(|name| {
            let mut yielding = Box::pin(events.yield_now());
            let waker = Waker::from(Arc::new(Logging { name, log: woken.clone() }));
            assert!(yielding.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            yielding
        })
        .collect();
    events.block_on(events.yield_now()).expect("it runs");
    assert_eq!(*woken.lock().expect("no panic"), [3, 2, 1, 0]);
    drop(suspensions);
    assert_eq!(events.pending(), 0);
}

struct Logging {
    name: u32,
    log: Arc<Mutex<Vec<u32>>>,
}

impl Wake for Logging {
    fn wake(self: Arc<Self>) {
        self.log.lock().expect("no panic").push(self.name);
    }
}

#[test]
fn an_echo_server_and_many_clients() {
    let events = new();
    let (listener, address) = listener(&events);
    let served = Arc::new(AtomicUsize::new(0));
    let server = events.spawn({
        let (events, served) = (events.clone(), served.clone());
        async move {
            loop {
                let stream = listener.accept().await.expect("descriptors");
                let served = served.clone();
                events
                    .spawn(async move {
                        let mut buffer = [0; 100];
                        loop {
                            match stream.read(&mut buffer).await.expect("a connection") {
                                0 => break,
                                count => stream.write_all(&buffer[..count]).await.expect("a connection"),
                            }
                        }
                        served.fetch_add(1, Ordering::SeqCst);
                    })
                    .detach();
            }
        }
    });
    let clients: Vec<_> = (0..64u8)
        .map(|i| {
            let connect = TcpStream::connect(&events, address);
            events.spawn(async move {
                let stream = connect.await?;
                stream.set_nodelay(true)?;
                stream.set_keepalive(Some(MS))?;
                assert_eq!(stream.peer_addr()?, address);
                let data = vec![i; 1000 * usize::from(i) + 1];
                let writer = stream.clone();
                let sent = data.clone();
                let write = async move {
                    writer.write_all(&sent).await?;
                    writer.shutdown().await
                };
                let read = async {
                    let (mut all, mut buffer) = (Vec::new(), [0; 999]);
                    loop {
                        match stream.read(&mut buffer).await? {
                            0 => break Ok(all),
                            count => all.extend_from_slice(&buffer[..count]),
                        }
                    }
                };
                let (all, ()) = future::try_zip(read, write).await?;
                assert!(all == data);
                Result::Ok(())
            })
        })
        .collect();
    events
        .block_on(async {
            for client in clients {
                client.await?;
            }
            Result::Ok(())
        })
        .expect("it runs")
        .expect("all went well");
    drop(server);
    events.run().expect("it runs");
    assert_eq!(served.load(Ordering::SeqCst), 64);
    assert_eq!(events.pending(), 0);
}

#[test]
fn a_read_that_is_dropped_has_taken_nothing() {
    let events = new();
    let (stream, mut peer) = pair(&events);
    let mut buffer = [0; 10];
    // Before there is anything, and when the loop has told about it.
    events
        .block_on(async {
            assert_eq!(poll_once(stream.read(&mut buffer)).await, None);
            let (sender, receiver) = mpsc::channel();
            let waker = Waker::from(Arc::new(Sending(Mutex::new(sender))));
            let mut reading = Box::pin(stream.read(&mut buffer));
            assert!(reading.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            peer.write_all(b"data").expect("a connection");
            while receiver.try_recv().is_err() {
                events.yield_now().await;
            }
            drop(reading);
            assert_eq!(stream.read(&mut buffer).await, Ok(4));
        })
        .expect("it runs");
    assert_eq!(&buffer[..4], b"data");
    assert_eq!(events.pending(), 0);
}

struct Sending(Mutex<mpsc::Sender<()>>);

impl Wake for Sending {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().expect("no panic").send(());
    }
}

#[test]
fn one_reads_at_a_time() {
    // R15
    let events = new();
    let (stream, mut peer) = pair(&events);
    let (mut one, mut other) = ([0; 10], [0; 10]);
    events
        .block_on(async {
            let mut first = pin!(stream.read(&mut one));
            assert_eq!(poll_once(&mut first).await, None);
            assert_eq!(stream.read(&mut other).await, Err(BUSY));
            peer.write_all(b"data").expect("a connection");
            assert_eq!(first.await, Ok(4));
            assert_eq!(poll_once(stream.read(&mut other)).await, None);
            // An empty buffer asks for nothing.
            assert_eq!(stream.read(&mut []).await, Ok(0));
        })
        .expect("it runs");
    let (listener, _) = listener(&events);
    events
        .block_on(async {
            let mut first = pin!(listener.accept());
            assert!(poll_once(&mut first).await.is_none());
            assert_eq!(listener.accept().await.err(), Some(BUSY));
        })
        .expect("it runs");
}

#[test]
fn a_write_that_is_dropped_goes_on() {
    let events = new();
    let (stream, mut peer) = pair(&events);
    let large: Vec<u8> = (0..16 << 20).map(|i: u32| (i % 251) as u8).collect();
    let all = events
        .block_on(async {
            assert_eq!(poll_once(stream.write_all(&large)).await, None);
            drop(stream.write_all(b"never polled"));
            let mut small = pin!(stream.write_all(b"small"));
            assert_eq!(poll_once(&mut small).await, None);
            let mut shutdown = pin!(stream.shutdown());
            assert_eq!(poll_once(&mut shutdown).await, None);
            let reader = thread::spawn(move || {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).expect("a connection");
                all
            });
            small.await.expect("a connection");
            shutdown.await.expect("a connection");
            let again = stream.write_all(b"x").await;
            assert_eq!(again, Err(Error::from_code(libc::EPIPE)));
            reader.join().expect("no panic")
        })
        .expect("it runs");
    assert!(all == [&large[..], b"small"].concat());
}

#[test]
fn run_waits_for_an_abandoned_write() {
    let events = new();
    let (stream, mut peer) = pair(&events);
    let large = vec![7; 16 << 20];
    events.block_on(poll_once(stream.write_all(&large))).expect("it runs");
    assert_eq!(events.pending(), 1);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("a connection");
        all.len()
    });
    events.run().expect("it runs");
    drop(stream);
    assert_eq!(reader.join().expect("no panic"), 16 << 20);
}

#[test]
fn a_connect_that_is_dropped_closes_its_socket() {
    let events = new();
    let server = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let connect = TcpStream::connect(&events, server.local_addr().expect("it is bound"));
    assert!(events.block_on(poll_once(connect)).expect("it runs").is_none());
    assert_eq!(events.pending(), 0);
    let (mut peer, _) = server.accept().expect("it was begun");
    assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn failures_are_errors() {
    let events = new();
    let nobody = crate::util::nobody();
    let refused = events.block_on(TcpStream::connect(&events, nobody)).expect("it runs").expect_err("nobody");
    assert_eq!(refused.to_string(), "connection refused");
    assert_eq!(std::io::Error::from(refused).kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(events.pending(), 0);
    let (_listener, address) = listener(&events);
    let in_use = TcpListener::bind(&events, address).expect_err("there is one");
    assert_eq!(in_use, Error::from_code(libc::EADDRINUSE));
    let (stream, peer) = pair(&events);
    assert_eq!(stream.set_keepalive(Some(Duration::MAX)), Err(Error::from_code(libc::EINVAL)));
    assert_eq!(stream.set_keepalive(None), Ok(()));
    // The peer goes, with data that it has not read: the connection is reset.
    events.block_on(stream.write_all(b"unread")).expect("it runs").expect("a connection");
    arrived();
    drop(peer);
    arrived();
    let reset = events.block_on(stream.read(&mut [0])).expect("it runs");
    assert_eq!(reset, Err(Error::from_code(libc::ECONNRESET)));
    assert_eq!(stream.peer_addr(), Err(Error::from_code(libc::ENOTCONN)));
}

#[test]
fn closing_ends_what_waits() {
    let events = new();
    let (listener, address) = listener(&events);
    let (stream, mut peer) = pair(&events);
    let large = vec![7; 16 << 20];
    let mut buffer = [0; 10];
    events
        .block_on(async {
            let mut accept = pin!(listener.accept());
            let mut read = pin!(stream.read(&mut buffer));
            let mut write = pin!(stream.write_all(&large));
            let mut shutdown = pin!(stream.shutdown());
            assert!(poll_once(&mut accept).await.is_none());
            assert!(poll_once(&mut read).await.is_none());
            assert!(poll_once(&mut write).await.is_none());
            assert!(poll_once(&mut shutdown).await.is_none());
            events.yield_now().await;
            listener.close();
            let clone = stream.clone();
            clone.close();
            clone.close();
            assert_eq!(accept.await.err(), Some(CANCELED));
            assert_eq!(read.await, Err(CANCELED));
            assert_eq!(write.await, Err(CANCELED));
            assert_eq!(shutdown.await, Err(CANCELED));
            assert_eq!(stream.read(&mut [0]).await, Err(Error::from_code(libc::EBADF)));
        })
        .expect("it runs");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(peer.read_to_end(&mut Vec::new()).is_ok());
    assert_eq!(events.pending(), 0);
}

#[test]
fn closing_what_was_told_about() {
    // The read has been delivered, and its future was not polled since.
    let events = new();
    let (stream, mut peer) = pair(&events);
    let mut buffer = [0; 10];
    events
        .block_on(async {
            let (sender, receiver) = mpsc::channel();
            let waker = Waker::from(Arc::new(Sending(Mutex::new(sender))));
            let mut read = Box::pin(stream.read(&mut buffer));
            assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            peer.write_all(b"data").expect("a connection");
            while receiver.try_recv().is_err() {
                events.yield_now().await;
            }
            stream.close();
            assert_eq!(read.await, Err(CANCELED));
        })
        .expect("it runs");
}

#[test]
fn other_threads_use_the_loop_while_it_runs() {
    // Also while it waits: they need not wait for what it waits for.
    let events = new();
    let (listener, address) = listener(&events);
    let looping = this_thread();
    let threads: Vec<_> = (0..8u8)
        .map(|i| {
            let events = events.clone();
            thread::spawn(move || {
                until_asleep(looping);
                // A foreign executor polls these.
                future::block_on(async {
                    for _ in 0..10 {
                        let stream = TcpStream::connect(&events, address).await?;
                        stream.write_all(&[i; 100]).await?;
                        stream.shutdown().await?;
                        events.sleep(MS / 10).await;
                        assert_eq!(poll_once(events.sleep(HOUR)).await, None);
                        let mut buffer = [0; 1];
                        assert_eq!(stream.read(&mut buffer).await?, 1);
                        assert_eq!(buffer, [i]);
                        assert_eq!(events.spawn(async move { i }).await, i);
                    }
                    Result::Ok(())
                })
            })
        })
        .collect();
    let server = async {
        for _ in 0..80 {
            let stream = listener.accept().await?;
            events
                .spawn(async move {
                    let (mut buffer, mut total) = ([0; 64], 0);
                    loop {
                        match stream.read(&mut buffer).await.expect("a connection") {
                            0 => break,
                            count => total += count,
                        }
                    }
                    assert_eq!(total, 100);
                    stream.write_all(&buffer[..1]).await.expect("a connection");
                })
                .detach();
        }
        Result::Ok(())
    };
    events.block_on(server).expect("it runs").expect("all were accepted");
    // What the threads still wait for.
    while !threads.iter().all(|thread| thread.is_finished()) {
        events.run().expect("it runs");
    }
    for thread in threads {
        thread.join().expect("no panic").expect("all went well");
    }
}

#[test]
fn another_thread_gets_at_a_loop_that_waits() {
    // For ever, as far as the loop knows.
    for _ in 0..50 {
        let events = new();
        let looping = this_thread();
        let ended = events.spawn(future::pending::<()>());
        let handle = events.clone();
        let thread = thread::spawn(move || {
            until_asleep(looping);
            assert!(handle.pending() >= 1);
            future::block_on(handle.sleep(MS / 100));
            drop(ended);
        });
        events.run().expect("it runs");
        thread.join().expect("no panic");
    }
}

#[test]
fn a_panic_comes_out_and_takes_nobody_with_it() {
    let events = new();
    let done = Arc::new(AtomicUsize::new(0));
    let spawn = |name: usize| {
        let done = done.clone();
        events.spawn(async move {
            assert_ne!(name, 1, "on purpose");
            done.fetch_add(1, Ordering::SeqCst);
        })
    };
    let tasks: Vec<_> = (0..4).map(spawn).collect();
    let payload = catch_unwind(AssertUnwindSafe(|| events.run())).expect_err("the panic comes out");
    assert!(payload.downcast_ref::<String>().is_some_and(|text| text.contains("on purpose")));
    assert_eq!(done.load(Ordering::SeqCst), 3);
    events.run().expect("it can be run again");
    assert_eq!(events.pending(), 0);
    for (name, task) in tasks.into_iter().enumerate() {
        let outcome = catch_unwind(AssertUnwindSafe(|| events.block_on(task)));
        assert_eq!(outcome.is_err(), name == 1);
    }
    // The future itself.
    let timer = events.sleep(HOUR);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        events.block_on(async move {
            assert!(poll_once(timer).await.is_some(), "on purpose");
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(events.pending(), 0);
    assert_eq!(events.block_on(async { 1 }), Ok(1));
}

#[test]
fn a_loop_is_run_once_at_a_time() {
    let events = new();
    let nested = events.block_on(async {
        let block_on = catch_unwind(AssertUnwindSafe(|| events.block_on(async {}))).is_err();
        let run = catch_unwind(AssertUnwindSafe(|| events.run())).is_err();
        events.yield_now().await;
        (block_on, run)
    });
    assert_eq!(nested, Ok((true, true)));
}

#[test]
fn wakers_and_destructors_may_use_the_loop() {
    /// A waker that uses the loop when it is called, and when it is dropped.
    struct Meddling(EventLoop, mpsc::Sender<usize>);
    impl Wake for Meddling {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(self.0.pending());
        }
    }
    impl Drop for Meddling {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.pending());
        }
    }
    let events = new();
    let (stream, mut peer) = pair(&events);
    let (sender, receiver) = mpsc::channel();
    let waker = || Waker::from(Arc::new(Meddling(events.clone(), sender.clone())));
    let mut buffer = [0; 10];
    {
        let mut read = Box::pin(stream.read(&mut buffer));
        let mut sleep = Box::pin(events.sleep(Duration::ZERO));
        let mut late = Box::pin(events.sleep(HOUR));
        // Twice: the second waker takes the place of the first.
        for _ in 0..2 {
            assert!(read.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
            assert!(late.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
        }
        assert_eq!(receiver.try_iter().count(), 3);
        peer.write_all(b"data").expect("a connection");
        arrived();
        events.block_on(events.sleep(MS)).expect("it runs");
        // Two were woken, which dropped their wakers.
        assert_eq!(receiver.try_iter().count(), 4);
        let context = waker();
        assert!(read.as_mut().poll(&mut Context::from_waker(&context)).is_ready());
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&context)).is_ready());
    }
    drop(stream);
    assert_eq!(events.pending(), 0);
    // The one that is late, and the last one made.
    assert_eq!(receiver.try_iter().count(), 2);
}

#[test]
fn a_loop_that_is_dropped_closes_its_sockets_and_drops_its_tasks() {
    let events = new();
    let (stream, mut peer) = pair(&events);
    let (other, mut other_peer) = pair(&events);
    let (listener, address) = listener(&events);
    let alive = Arc::new(());
    let held = alive.clone();
    // It has a stream and a listener of its loop, and waits in that.
    let task = events.spawn(async move {
        let _held = held;
        let mut buffer = [0; 10];
        let accept = async { listener.accept().await.is_ok() };
        let read = async { stream.read(&mut buffer).await.is_ok() };
        future::or(accept, read).await;
    });
    task.detach();
    // And one never was polled.
    let held = alive.clone();
    events.block_on(events.yield_now()).expect("it runs");
    events.block_on(events.yield_now()).expect("it runs");
    events.spawn(async move { drop(held) }).detach();
    assert_eq!(Arc::strong_count(&alive), 3);
    let mut sleep = pin!(events.sleep(Duration::ZERO));
    drop(events);
    assert_eq!(Arc::strong_count(&alive), 1);
    for peer in [&mut peer, &mut other_peer] {
        assert_eq!(peer.read(&mut [0]).expect("a connection"), 0);
    }
    assert!(std::net::TcpStream::connect(address).is_err());
    // What is left finds no loop.
    assert_eq!(future::block_on(other.read(&mut [0])), Err(CANCELED));
    assert_eq!(future::block_on(other.write_all(b"x")), Err(CANCELED));
    assert_eq!(other.local_addr(), Err(CANCELED));
    assert_eq!(future::block_on(poll_once(&mut sleep)), None);
}

#[test]
fn a_task_is_cancelled_with_its_handle() {
    let events = new();
    let alive = Arc::new(());
    let held = alive.clone();
    let handle = events.clone();
    let task = events.spawn(async move {
        handle.sleep(HOUR).await;
        drop(held);
    });
    events.block_on(events.yield_now()).expect("it runs");
    drop(task);
    events.run().expect("it ends at once");
    assert_eq!(Arc::strong_count(&alive), 1);
    // A task can be cancelled by another, and be waited for.
    let task = events.spawn(future::pending::<()>());
    assert_eq!(events.block_on(task.cancel()), Ok(None));
}

#[test]
fn run_ends_when_nothing_is_pending() {
    let events = new();
    events.run().expect("it runs");
    let (listener, _) = listener(&events);
    let (stream, _peer) = pair(&events);
    // Sockets that nobody uses do not count.
    events.run().expect("it runs");
    let handle = events.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    events
        .spawn(async move {
            for _ in 0..3 {
                let counted = counted.clone();
                let inner = handle.clone();
                handle
                    .spawn(async move {
                        inner.sleep(MS).await;
                        counted.fetch_add(1, Ordering::SeqCst);
                    })
                    .detach();
            }
        })
        .detach();
    events.run().expect("it runs");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    drop((listener, stream));
}
