//! UDP for futures.

use crate::core::{Attempt, Outcome};
use crate::error::{Error, Result};
use crate::event_loop::{Core, EventLoop};
use crate::net::{Datagram, Side};
use crate::operation::Operation;
use crate::socket::{Socket, done, start_reading};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A UDP socket: udp(7). It is closed when it is dropped.
///
/// One future at a time receives; any number may send.
///
/// ```
/// use coutil_system::{EventLoop, UdpSocket};
///
/// # fn main() -> coutil_system::Result<()> {
/// let events = EventLoop::new()?;
/// let one = UdpSocket::bind(&events, "127.0.0.1:0".parse().unwrap())?;
/// let other = UdpSocket::bind(&events, "127.0.0.1:0".parse().unwrap())?;
/// let to = other.local_addr()?;
/// events.block_on(async {
///     one.send_to(b"hello", to).await?;
///     let mut buffer = [0; 16];
///     let datagram = other.receive(&mut buffer).await?;
///     assert_eq!(&buffer[..datagram.len], b"hello");
///     assert_eq!(datagram.from, Some(one.local_addr()?));
///     coutil_system::Result::Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
}

impl UdpSocket {
    /// Makes a socket, and binds it: what is sent to that address it receives. Port 0 lets the system choose one, which
    /// [`local_addr`](Self::local_addr) tells. An IPv6 socket receives from IPv4 too, as from mapped addresses: ipv6(7).
    ///
    /// # Errors
    ///
    /// Those of socket(2) and bind(2), as `address already in use`.
    pub fn bind(events: &EventLoop, address: SocketAddr) -> Result<Self> {
        let mut core = events.shared().lock();
        let id = core.udp(address.is_ipv6())?;
        if let Err(error) = core.bind_udp(id, address) {
            core.close(id);
            return Err(error);
        }
        Ok(Self { socket: Socket { shared: Arc::downgrade(events.shared()), id } })
    }

    /// Sets the peer, or removes it: with one, only its datagrams are received, and [`send`](Self::send) is for it. See
    /// connect(2).
    ///
    /// # Errors
    ///
    /// `socket is already connected` if there is one, `socket is not connected` if there is none to remove. Those of connect(2).
    /// As for [`local_addr`](Self::local_addr).
    pub fn set_peer(&self, peer: Option<SocketAddr>) -> Result<()> {
        self.socket.with(|core, id| core.set_peer(id, peer))
    }

    /// Sends a datagram to the peer: send(2). What cannot be sent at once is copied: to drop the future, once it was polled, does
    /// not take the datagram back.
    ///
    /// # Errors
    ///
    /// `destination address required` without a peer; `message too long`; `connection refused` if nobody had an earlier one;
    /// others of send(2). `operation canceled` if the socket, or the loop, is closed meanwhile.
    pub fn send<'a>(&'a self, data: &'a [u8]) -> Send<'a> {
        Send { socket: &self.socket, data, to: None, operation: self.socket.operation() }
    }

    /// As [`send`](Self::send), to an address.
    ///
    /// # Errors
    ///
    /// `socket is already connected` on some systems if there is a peer. As for [`send`](Self::send).
    pub fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> Send<'a> {
        Send { socket: &self.socket, data, to: Some(to), operation: self.socket.operation() }
    }

    /// Waits for a datagram, and takes it: recvfrom(2). What does not fit into the buffer is lost, which the result tells. A future
    /// that is dropped has taken none.
    ///
    /// # Errors
    ///
    /// `no buffer space available` with an empty buffer, once there is a datagram, which is left. `resource busy or locked` if
    /// another future receives. `connection refused` if the peer did not get one that was sent. `operation canceled` if the
    /// socket, or the loop, is closed meanwhile.
    pub fn receive<'a>(&'a self, buffer: &'a mut [u8]) -> Receive<'a> {
        Receive { socket: &self.socket, buffer, operation: self.socket.operation() }
    }

    /// The address that it is bound to: getsockname(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it was closed, `operation canceled` if the loop is gone.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.socket.address(Side::Local)
    }

    /// The address of the peer: getpeername(2).
    ///
    /// # Errors
    ///
    /// `socket is not connected` without one. As for [`local_addr`](Self::local_addr).
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        self.socket.address(Side::Peer)
    }

    /// Closes it although somebody may use it: futures that wait end with `operation canceled`.
    pub fn close(&self) {
        self.socket.close();
    }
}

/// The future of [`UdpSocket::send`] and [`UdpSocket::send_to`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Send<'a> {
    socket: &'a Socket,
    data: &'a [u8],
    to: Option<SocketAddr>,
    operation: Operation,
}

impl Future for Send<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (id, data, to) = (self.socket.id, self.data, self.to);
        let start = |core: &mut Core, op| core.send(op, id, data, to);
        self.operation.poll(context, start, |_, _, outcome| done(outcome))
    }
}

/// The future of [`UdpSocket::receive`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Receive<'a> {
    socket: &'a Socket,
    buffer: &'a mut [u8],
    operation: Operation,
}

impl Future for Receive<'_> {
    type Output = Result<Datagram>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, buffer, operation } = &mut *self;
        operation.poll(
            context,
            |core, op| start_reading(core, op, socket.id),
            |core, op, outcome| match outcome {
                Outcome::Done(Err(error)) => Poll::Ready(Err(error)),
                Outcome::Done(Ok(())) => Poll::Ready(Err(Error::CANCELED)),
                _ => match core.try_receive(op, buffer) {
                    Attempt::Done(result) => Poll::Ready(result),
                    Attempt::Wait => Poll::Pending,
                },
            },
        )
    }
}
