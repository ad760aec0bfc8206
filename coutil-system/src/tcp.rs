//! TCP for futures.

use crate::core::SourceId;
use crate::error::{Error, Result};
use crate::event_loop::{Core, EventLoop, Shared};
#[cfg(feature = "futures-io")]
use crate::io::State;
use crate::net::Side;
use crate::operation::Operation;
use crate::socket::{BACKLOG, Read, Shutdown, Socket, WriteAll, done, poll_accept};
use crate::source::Kind;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// A TCP socket that listens: socket(2), bind(2), listen(2), tcp(7).
///
/// It is closed when it is dropped. Connections that were not accepted end then.
#[derive(Debug)]
pub struct TcpListener {
    socket: Socket,
}

impl TcpListener {
    /// Listens at an address, with `SO_REUSEADDR`. Port 0 lets the system choose one, which
    /// [`local_addr`](Self::local_addr) tells. An IPv6 socket accepts IPv4 connections too, as from mapped addresses: ipv6(7).
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2) and listen(2), as `address already in use`.
    pub fn bind(events: &EventLoop, address: SocketAddr) -> Result<Self> {
        let mut core = events.shared().lock();
        let id = core.tcp(Kind::TcpListener, address.is_ipv6())?;
        let listening = core.bind(id, address).and_then(|()| core.listen(id, BACKLOG));
        if let Err(error) = listening {
            core.close(id);
            return Err(error);
        }
        Ok(Self { socket: Socket { shared: Arc::downgrade(events.shared()), id } })
    }

    /// Waits for a connection: accept(2). One future at a time can. One that is dropped has accepted nothing: the
    /// connection is left for the next.
    ///
    /// # Errors
    ///
    /// Those of accept(2); for lack of descriptors, `too many open files`, the connection is left too. `resource busy or
    /// locked` if another future waits. `operation canceled` if the listener, or the loop, is closed meanwhile.
    pub fn accept(&self) -> Accept<'_> {
        Accept { socket: &self.socket, operation: self.socket.operation() }
    }

    /// The address that it listens at: getsockname(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it was closed, `operation canceled` if the loop is gone.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.socket.address(Side::Local)
    }

    /// Closes it although somebody may use it: a future that waits ends with `operation canceled`.
    pub fn close(&self) {
        self.socket.close();
    }
}

/// A TCP connection: tcp(7). To clone it makes another handle to the same connection, which is closed when the last one is
/// dropped.
///
/// One future at a time reads; any number may write, and what each writes arrives whole, in the order in which they were
/// polled first. Reading does not hinder writing.
///
/// ```
/// use coutil_system::{EventLoop, TcpListener, TcpStream};
///
/// let events = EventLoop::new()?;
/// let listener = TcpListener::bind(&events, "127.0.0.1:0".parse().unwrap())?;
/// let address = listener.local_addr()?;
/// let server = events.spawn(async move {
///     let stream = listener.accept().await?;
///     stream.write_all(b"good bye").await // and closes
/// });
/// events.block_on(async {
///     let stream = TcpStream::connect(&events, address).await?;
///     let mut buffer = [0; 16];
///     assert_eq!(stream.read(&mut buffer).await?, 8);
///     assert_eq!(stream.read(&mut buffer).await?, 0); // the end
///     server.await
/// })??;
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// With the feature `futures-io` it has `AsyncRead` and `AsyncWrite` of the crate of that name. See there for what they cannot do.
#[derive(Clone, Debug)]
pub struct TcpStream {
    /// Before the socket, which is closed when the last handle is dropped.
    #[cfg(feature = "futures-io")]
    pub(crate) io: State,
    pub(crate) socket: Arc<Socket>,
}

impl TcpStream {
    fn new(shared: Weak<Shared>, id: SourceId) -> Self {
        Self {
            #[cfg(feature = "futures-io")]
            io: State::default(),
            socket: Arc::new(Socket { shared, id }),
        }
    }

    /// Connects to an address: connect(2). To drop the future gives up, and closes the socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2), as `connection refused`.
    pub fn connect(events: &EventLoop, address: SocketAddr) -> Connect {
        Connect { address, operation: Operation::new(Arc::downgrade(events.shared())), stream: None }
    }

    /// Reads as many bytes as there are, waiting for the first, and returns how many; 0 if the peer has sent all, or the
    /// buffer is empty: recv(2). A future that is dropped has read nothing.
    ///
    /// # Errors
    ///
    /// Those of recv(2), as `connection reset by peer`. `resource busy or locked` if another future reads. `operation
    /// canceled` if the connection, or the loop, is closed meanwhile.
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { socket: &self.socket, buffer, operation: self.socket.operation() }
    }

    /// Writes all bytes, behind those that are being written: send(2). It is ready when the system has taken them all. What
    /// the system does not take at once is copied: to drop the future, once it was polled, does not take back what it
    /// writes. Only closing the connection does. No signal is raised.
    ///
    /// # Errors
    ///
    /// Those of send(2), as `broken pipe` or `connection reset by peer`: how much was sent is not known then. `broken pipe`
    /// after [`shutdown`](Self::shutdown). `operation canceled` if the connection, or the loop, is closed meanwhile.
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> WriteAll<'a> {
        WriteAll { socket: &self.socket, data, operation: self.socket.operation() }
    }

    /// Tells the peer that this was all, once everything that is being written is sent: shutdown(2). It reads the end of
    /// the stream then, and may go on writing.
    ///
    /// # Errors
    ///
    /// `socket is not connected` if it was done before, or the peer is gone. `operation canceled` if the connection, or
    /// the loop, is closed meanwhile.
    pub fn shutdown(&self) -> Shutdown<'_> {
        Shutdown { socket: &self.socket, operation: self.socket.operation() }
    }

    /// The address of this end: getsockname(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it was closed, `operation canceled` if the loop is gone.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.socket.address(Side::Local)
    }

    /// The address of the other end: getpeername(2).
    ///
    /// # Errors
    ///
    /// `socket is not connected` if the connection was reset. As for [`local_addr`](Self::local_addr).
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.socket.address(Side::Peer)
    }

    /// Sends small writes at once, instead of collecting them while bytes are under way: `TCP_NODELAY` of tcp(7).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2). As for [`local_addr`](Self::local_addr).
    pub fn set_nodelay(&self, on: bool) -> Result<()> {
        self.socket.with(|core, id| core.set_nodelay(id, on))
    }

    /// Finds out about a peer that is gone: after that much silence it is asked each second, and after ten questions
    /// without an answer the connection fails with `connection timed out`: `SO_KEEPALIVE` of socket(7). The time is rounded up
    /// to seconds. `None` switches it off.
    ///
    /// # Errors
    ///
    /// `invalid argument` if the time is too long for the system: on Linux above 32767 seconds. As for
    /// [`local_addr`](Self::local_addr).
    pub fn set_keepalive(&self, after: Option<Duration>) -> Result<()> {
        let seconds = |time: Duration| {
            let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1);
            u32::try_from(seconds).map_err(|_| Error::INVALID)
        };
        let after = after.map(seconds).transpose()?;
        self.socket.with(|core, id| core.set_keepalive(id, after))
    }

    /// Closes the connection although there may be other handles, and operations: those end with `operation canceled`.
    pub fn close(&self) {
        self.socket.close();
    }
}

/// The future of [`TcpListener::accept`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Accept<'a> {
    socket: &'a Socket,
    operation: Operation,
}

impl Future for Accept<'_> {
    type Output = Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.socket.id;
        let accepted = poll_accept(&mut self.operation, id, context);
        accepted.map_ok(|id| TcpStream::new(self.socket.shared.clone(), id))
    }
}

/// The future of [`TcpStream::connect`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Connect {
    address: SocketAddr,
    operation: Operation,
    stream: Option<TcpStream>,
}

impl Future for Connect {
    type Output = Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (address, shared) = (this.address, this.operation.shared().clone());
        let stream = &mut this.stream;
        let start = |core: &mut Core, op| {
            let id = core.tcp(Kind::TcpStream, address.is_ipv6())?;
            if let Err(error) = core.connect(op, id, address, 0) {
                core.close(id);
                return Err(error);
            }
            *stream = Some(TcpStream::new(shared, id));
            Ok(())
        };
        match this.operation.poll(context, start, |_, _, outcome| done(outcome)) {
            Poll::Ready(Ok(())) => Poll::Ready(this.stream.take().ok_or(Error::CANCELED)),
            Poll::Ready(Err(error)) => {
                this.stream = None;
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
