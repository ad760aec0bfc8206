//! Unix stream sockets for futures.

use crate::core::SourceId;
use crate::error::{Error, Result};
use crate::event_loop::{Core, EventLoop, Shared};
#[cfg(feature = "futures-io")]
use crate::io::State;
use crate::net::Side;
use crate::operation::Operation;
use crate::socket::{BACKLOG, Read, Shutdown, Socket, WriteAll, done, poll_accept};
use crate::source::Kind;
use std::ffi::OsString;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

fn path(socket: &Socket, side: Side) -> Result<PathBuf> {
    let path = socket.with(|core, id| core.path(id, side))?;
    Ok(OsString::from_vec(path).into())
}

/// A Unix stream socket that listens at a path: unix(7).
///
/// When it is dropped it is closed, and its file is removed, unless another has taken its place. Connections that were not
/// accepted end then.
#[derive(Debug)]
pub struct LocalListener {
    socket: Socket,
}

impl LocalListener {
    /// Listens at a path: bind(2), listen(2). The empty path lets the system choose an address that is no file.
    ///
    /// # Errors
    ///
    /// `address already in use` if there is such a file; `permission denied` also if the directory does not exist; `name too
    /// long` for more than 107 bytes; others of bind(2).
    pub fn bind(events: &EventLoop, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().as_os_str().as_bytes();
        let mut core = events.shared().lock();
        let id = core.local(Kind::LocalListener)?;
        let listening = core.bind_local(id, path).and_then(|()| core.listen(id, BACKLOG));
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
    /// As [`TcpListener::accept`](crate::TcpListener::accept).
    pub fn accept(&self) -> AcceptLocal<'_> {
        AcceptLocal { socket: &self.socket, operation: self.socket.operation() }
    }

    /// The path that it listens at: getsockname(2). Empty if the system has chosen the address.
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it was closed, `operation canceled` if the loop is gone.
    pub fn path(&self) -> Result<PathBuf> {
        path(&self.socket, Side::Local)
    }

    /// Closes it although somebody may use it: a future that waits ends with `operation canceled`.
    pub fn close(&self) {
        self.socket.close();
    }
}

/// A connection of Unix stream sockets: unix(7). To clone it makes another handle to the same connection, which is closed when
/// the last one is dropped.
///
/// One future at a time reads; any number may write, and what each writes arrives whole, in the order in which they were
/// polled first. Descriptors that come with the bytes are closed.
///
/// ```
/// use coutil_system::{EventLoop, LocalListener, LocalStream};
///
/// let events = EventLoop::new()?;
/// let path = std::env::temp_dir().join(format!("coutil-example-{}", std::process::id()));
/// let listener = LocalListener::bind(&events, &path)?;
/// let server = events.spawn(async move {
///     let stream = listener.accept().await?;
///     stream.write_all(b"good bye").await // and closes
/// });
/// events.block_on(async {
///     let stream = LocalStream::connect(&events, &path).await?;
///     let mut buffer = [0; 16];
///     assert_eq!(stream.read(&mut buffer).await?, 8);
///     assert_eq!(stream.read(&mut buffer).await?, 0); // the end
///     server.await
/// })??;
/// assert!(!path.exists());
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// With the feature `futures-io` it has `AsyncRead` and `AsyncWrite` of the crate of that name. See there for what they cannot do.
#[derive(Clone, Debug)]
pub struct LocalStream {
    /// Before the socket, which is closed when the last handle is dropped.
    #[cfg(feature = "futures-io")]
    pub(crate) io: State,
    pub(crate) socket: Arc<Socket>,
}

impl LocalStream {
    fn new(shared: Weak<Shared>, id: SourceId) -> Self {
        Self {
            #[cfg(feature = "futures-io")]
            io: State::default(),
            socket: Arc::new(Socket { shared, id }),
        }
    }

    /// Connects to a path: connect(2). To drop the future gives up, and closes the socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2), as `no such file or directory` or `connection refused`; `resource temporarily
    /// unavailable` if the queue of the listener is full; `name too long` for more than 107 bytes.
    pub fn connect(events: &EventLoop, path: impl AsRef<Path>) -> ConnectLocal {
        ConnectLocal {
            path: path.as_ref().into(),
            operation: Operation::new(Arc::downgrade(events.shared())),
            stream: None,
        }
    }

    /// Makes two that are connected: socketpair(2). The second is a descriptor to be given to somebody else, as to a child by
    /// [`process::stream`](crate::process::stream); calls on it block.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2), for lack of descriptors.
    pub fn pair(events: &EventLoop) -> Result<(Self, OwnedFd)> {
        let (id, other) = events.shared().lock().local_pair(true, true)?;
        Ok((Self::new(Arc::downgrade(events.shared()), id), other))
    }

    /// Reads as many bytes as there are, waiting for the first, and returns how many; 0 if the peer has sent all, or the
    /// buffer is empty: recv(2). A future that is dropped has read nothing.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`](crate::TcpStream::read).
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { socket: &self.socket, buffer, operation: self.socket.operation() }
    }

    /// Writes all bytes, behind those that are being written: send(2). It is ready when the system has taken them all. What
    /// the system does not take at once is copied: to drop the future, once it was polled, does not take back what it
    /// writes. Only closing the connection does. No signal is raised.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write_all`](crate::TcpStream::write_all).
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> WriteAll<'a> {
        WriteAll { socket: &self.socket, data, operation: self.socket.operation() }
    }

    /// Tells the peer that this was all, once everything that is being written is sent: shutdown(2). It reads the end of
    /// the stream then, and may go on writing.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::shutdown`](crate::TcpStream::shutdown).
    pub fn shutdown(&self) -> Shutdown<'_> {
        Shutdown { socket: &self.socket, operation: self.socket.operation() }
    }

    /// The path that the other end is bound to, empty if it is to none: getpeername(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it was closed, `operation canceled` if the loop is gone.
    pub fn peer_path(&self) -> Result<PathBuf> {
        path(&self.socket, Side::Peer)
    }

    /// Closes the connection although there may be other handles, and operations: those end with `operation canceled`.
    pub fn close(&self) {
        self.socket.close();
    }
}

/// The future of [`LocalListener::accept`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct AcceptLocal<'a> {
    socket: &'a Socket,
    operation: Operation,
}

impl Future for AcceptLocal<'_> {
    type Output = Result<LocalStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.socket.id;
        let accepted = poll_accept(&mut self.operation, id, context);
        accepted.map_ok(|id| LocalStream::new(self.socket.shared.clone(), id))
    }
}

/// The future of [`LocalStream::connect`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct ConnectLocal {
    path: PathBuf,
    operation: Operation,
    stream: Option<LocalStream>,
}

impl Future for ConnectLocal {
    type Output = Result<LocalStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (path, shared) = (this.path.as_os_str().as_bytes(), this.operation.shared().clone());
        let stream = &mut this.stream;
        let start = |core: &mut Core, op| {
            let id = core.local(Kind::LocalStream)?;
            if let Err(error) = core.connect_local(op, id, path, 0) {
                core.close(id);
                return Err(error);
            }
            *stream = Some(LocalStream::new(shared, id));
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
