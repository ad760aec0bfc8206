//! What a loop does with its sources.

use crate::core::{Attempt, Class, Loop, OpId, Outcome, SourceId};
use crate::error::{Error, Result};
use crate::source::{Connection, Data, Item, Kind, Output, Readiness, Source};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

impl Source {
    /// An operation is given up. Returns how much output is abandoned by that.
    pub(crate) fn abandon(&mut self, op: OpId, by: Option<usize>) -> usize {
        if self.reader == Some(op) {
            self.reader = None;
        }
        let mut abandoned = 0;
        for item in &mut self.queue {
            if item.op == op {
                item.op = OpId::NONE;
                match &mut item.output {
                    Output::Connect { former, .. } => *former = by,
                    Output::Write { data, sent, .. } => data.keep(sent),
                    _ => {}
                }
                abandoned += usize::from(item.is_abandoned());
            }
        }
        abandoned
    }

    pub(crate) fn describe(&self) -> String {
        let what = match self.kind {
            Kind::TcpStream => "tcp stream",
            Kind::TcpListener => "tcp listener",
            Kind::Datagram => "udp socket",
            Kind::LocalStream => "local stream",
            Kind::LocalListener => "local listener",
            Kind::Terminal => "terminal",
            Kind::Pipe => "pipe",
        };
        let reader = if self.reader.is_some() { ", read" } else { "" };
        format!("fd {} {what}, {} queued{reader}", self.fd.as_raw_fd(), self.queue.len())
    }
}

impl<W> Loop<W> {
    /// Adds a descriptor. It is registered with the poller when something waits for it. If it has the number of a standard stream,
    /// which is not open then, it gets another one.
    pub fn add(&mut self, fd: OwnedFd, kind: Kind, connected: bool) -> SourceId {
        let fd = if fd.as_raw_fd() < 3 { fd.try_clone().unwrap_or(fd) } else { fd };
        let connection = if connected { Connection::Connected } else { Connection::None };
        self.sources.insert(Source::new(fd, kind, connection))
    }

    /// The descriptor of a source; `None` if it was closed.
    pub fn fd(&self, source: SourceId) -> Option<BorrowedFd<'_>> {
        self.sources.get(source).map(Source::fd)
    }

    /// The operation that reads from a source, or accepts.
    pub fn reader(&self, source: SourceId) -> Option<OpId> {
        self.sources.get(source)?.reader
    }

    /// Closes a source. Its output that is not sent yet is lost; the operations that wait for that end with `operation
    /// canceled`. The one that reads is returned, held, for the host to deliver at once.
    pub fn close(&mut self, id: SourceId) -> Option<OpId> {
        let foreign = self.is_foreign();
        let mut source = self.sources.remove(id)?;
        if source.registered
            && !foreign
            && let Some(poller) = &self.poller
        {
            poller.remove(source.fd());
        }
        for item in source.queue.drain(..) {
            self.abandoned -= usize::from(item.is_abandoned());
            self.finish(item.op, Err(Error::CANCELED));
        }
        let reader = source.reader?;
        self.schedule.take(reader);
        Some(reader)
    }

    /// A source of a loop of this process.
    pub(crate) fn source(&mut self, id: SourceId) -> Result<&mut Source> {
        self.check_process()?;
        self.sources.get_mut(id).ok_or(Error::BAD_DESCRIPTOR)
    }

    /// Has the poller tell of a source from now on.
    pub(crate) fn register(&mut self, id: SourceId) -> Result<()> {
        if self.source(id)?.registered {
            return Ok(());
        }
        self.poller()?;
        if let (Some(poller), Some(source)) = (&self.poller, self.sources.get_mut(id)) {
            poller.add(source.fd(), id.to_bits())?;
            source.registered = true;
            if !source.kind.is_plain() {
                // What there is already is told at once.
                source.read = Readiness::NotReady;
            }
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, op: OpId, source: SourceId, outcome: Outcome) {
        self.forget_signal(op);
        if let Some(entry) = self.schedule.waiter_mut(op) {
            (entry.outcome, entry.source) = (outcome, source);
        }
        self.schedule.park(op);
    }

    // Input

    /// Whether [`read`](Self::read) can be started.
    ///
    /// # Errors
    ///
    /// `socket is not connected`.
    pub fn check_read(&self, id: SourceId) -> Result<()> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        let connects = matches!(source.kind, Kind::TcpStream | Kind::LocalStream);
        if source.deaf || connects && source.connection == Connection::None {
            return Err(Error::NOT_CONNECTED);
        }
        Ok(())
    }

    /// Whether [`write`](Self::write) can be started.
    ///
    /// # Errors
    ///
    /// `broken pipe` if there is no connection, or the sending side was ended.
    pub fn check_write(&self, id: SourceId) -> Result<()> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        if source.connection == Connection::None || source.shut {
            return Err(Error::BROKEN_PIPE);
        }
        Ok(())
    }

    /// Whether [`shutdown`](Self::shutdown) can be started.
    ///
    /// # Errors
    ///
    /// `socket is not connected` if there is no connection, or the sending side was ended before.
    pub fn check_shutdown(&self, id: SourceId) -> Result<()> {
        self.check_write(id).map_err(|_| Error::NOT_CONNECTED)
    }

    /// Whether [`connect`](Self::connect) can be started by `by`.
    ///
    /// # Errors
    ///
    /// When there is a connection, or an attempt of somebody else to make one; or the [delayed](Self::bind) error.
    pub fn check_connect(&self, id: SourceId, by: usize) -> Result<()> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        match (source.connection, source.queue.front(), source.delayed) {
            (Connection::Connected, ..) => Err(Error::ALREADY_CONNECTED),
            (Connection::Connecting, Some(item), _) => match item.output {
                Output::Connect { former, .. } if item.op == OpId::NONE && former == Some(by) => Ok(()),
                _ => Err(Error::IN_PROGRESS),
            },
            (Connection::Connecting, None, _) => Err(Error::IN_PROGRESS),
            (Connection::None, _, Some(error)) => Err(error),
            (Connection::None, ..) => Ok(()),
        }
    }

    /// Starts to wait for input: bytes, or connections to accept. One operation at a time can (see [`reader`](Self::reader)).
    /// When it is delivered the host tries it.
    ///
    /// # Errors
    ///
    /// `socket is not connected`; or what a [delayed](Self::bind) error of the socket is; or if the poller refuses the
    /// descriptor. Nothing was started then.
    pub fn read(&mut self, op: OpId, id: SourceId) -> Result<()> {
        self.check_process()?;
        self.check_read(id)?;
        self.register(id)?;
        self.start(op, id, Outcome::Try);
        let source = self.source(id)?;
        source.reader = Some(op);
        match source.read {
            // Data that was there when the connection was made is told about then.
            _ if source.connection == Connection::Connecting => {}
            Readiness::Ready => self.wake_reader(id),
            Readiness::Unknown => self.list(id),
            Readiness::NotReady => {}
        }
        Ok(())
    }

    /// Has a reader tried after the next poll, if that does not tell.
    fn list(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(id)
            && !std::mem::replace(&mut source.listed, true)
        {
            self.unknown.push(id);
        }
    }

    pub(crate) fn wake_reader(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(id) else { return };
        if let Some(op) = source.reader {
            let class = if source.kind.is_listener() { Class::Accept } else { Class::Other };
            self.schedule.make_due(op, class);
        }
    }

    /// The outcome of a try: it is done, or there was nothing.
    pub(crate) fn tried<T>(&mut self, op: OpId, id: SourceId, result: Result<T>) -> Attempt<T> {
        let Some(source) = self.sources.get_mut(id) else { return Attempt::Done(result) };
        match result {
            Err(error) if error.code() == libc::EAGAIN => {
                source.read = Readiness::NotReady;
                self.not_delivered(op);
                Attempt::Wait
            }
            result => {
                source.reader = None;
                Attempt::Done(result)
            }
        }
    }

    /// Reads into `buffer` for an operation that is to be delivered with [`Outcome::Try`]: at least one byte, or an error;
    /// the end of the stream is [`Error::END_OF_FILE`]. With an empty buffer it fails with `no buffer space available` when
    /// there is something to read, and leaves it.
    pub fn try_read(&mut self, op: OpId, buffer: &mut [u8]) -> Attempt<usize> {
        let id = self.source_of(op).unwrap_or(SourceId::NONE);
        let Some(source) = self.sources.get_mut(id) else { return Attempt::Done(Err(Error::BAD_DESCRIPTOR)) };
        let len = buffer.len();
        let result = loop {
            match source.receive(buffer) {
                Err(Errno::INTR) => {}
                result => break result.map_err(Error::from),
            }
        };
        let result = match result {
            // The end is told as often as it is asked for.
            Ok(0) => Err(Error::END_OF_FILE),
            Ok(_) if buffer.is_empty() => Err(Error::NO_BUFFER_SPACE),
            Ok(count) => {
                let emptied = count < len && !source.sticky && source.kind.tells_by_length();
                source.read = if emptied { Readiness::NotReady } else { Readiness::Unknown };
                Ok(count)
            }
            Err(error) => Err(error),
        };
        self.tried(op, id, result)
    }

    /// Accepts a connection for an operation that is to be delivered with [`Outcome::Try`].
    pub fn try_accept(&mut self, op: OpId) -> Attempt<SourceId> {
        let id = self.source_of(op).unwrap_or(SourceId::NONE);
        let Some(source) = self.sources.get_mut(id) else { return Attempt::Done(Err(Error::BAD_DESCRIPTOR)) };
        let result = loop {
            match rustix::net::accept_with(&source.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                result => break result.map_err(Error::from),
            }
        };
        if result.is_ok() {
            source.read = Readiness::Unknown;
        }
        let accepted = if source.kind == Kind::LocalListener { Kind::LocalStream } else { Kind::TcpStream };
        match self.tried(op, id, result) {
            Attempt::Done(Ok(fd)) => Attempt::Done(Ok(self.add(fd, accepted, true))),
            Attempt::Done(Err(error)) => Attempt::Done(Err(error)),
            Attempt::Wait => Attempt::Wait,
        }
    }

    // Output

    /// Starts to connect. `by` tells who does: if the attempt that is going on was [abandoned](Self::cancel_as) by the same
    /// one, the operation takes it over.
    ///
    /// # Errors
    ///
    /// When there is a connection, or an attempt to make one; or when the system refuses at once, but for a refusal by the
    /// other side. Nothing was started then.
    pub fn connect(&mut self, op: OpId, id: SourceId, address: SocketAddr, by: usize) -> Result<()> {
        self.connect_by(op, id, by, |fd| rustix::net::connect(fd, &address))
    }

    pub(crate) fn connect_by(
        &mut self,
        op: OpId,
        id: SourceId,
        by: usize,
        connect: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<()>,
    ) -> Result<()> {
        self.check_process()?;
        self.check_connect(id, by)?;
        let source = self.source(id)?;
        if source.connection == Connection::Connecting {
            if let Some(item) = source.queue.front_mut() {
                item.op = op;
            }
            self.abandoned -= 1;
            self.start(op, id, Outcome::Elapsed);
            return Ok(());
        }
        self.poller()?;
        let source = self.source(id)?;
        let refused = match connect(source.fd()) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => None,
            Err(error @ (Errno::CONNREFUSED | Errno::TIMEDOUT | Errno::CONNRESET | Errno::NOENT)) => {
                Some(error)
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(error) = refused {
            // It is told in the next pass; until then it counts as an attempt for whatever comes behind it.
            source.connection = Connection::Connecting;
            let output = Output::Connect { former: None, refused: Some(error.into()) };
            source.queue.push_back(Item { op, output });
            self.start(op, id, Outcome::Elapsed);
            self.refused.push(id);
            return Ok(());
        }
        // Only what the poller tells from now on counts: it may be registered since an attempt that failed.
        if source.registered {
            source.registered = false;
            if let (Some(poller), Some(source)) = (&self.poller, self.sources.get(id)) {
                poller.remove(source.fd());
            }
        }
        let source = self.source(id)?;
        (source.read, source.write, source.sticky) = (Readiness::Unknown, Readiness::NotReady, false);
        self.register(id)?;
        let source = self.source(id)?;
        source.connection = Connection::Connecting;
        source.bound = true;
        source.queue.push_back(Item { op, output: Output::Connect { former: None, refused: None } });
        self.start(op, id, Outcome::Elapsed);
        Ok(())
    }

    /// Starts to write. What the system takes at once is sent before this returns; a copy of the rest follows, behind what
    /// was written before. The operation is done when the system has taken all bytes. When it is cancelled the bytes are
    /// sent nevertheless, and that keeps the loop going; only closing the source prevents it.
    ///
    /// # Errors
    ///
    /// `broken pipe` if there is no connection, or the sending side was ended. Failures of the system are told by the
    /// operation.
    pub fn write(&mut self, op: OpId, id: SourceId, data: &[u8]) -> Result<()> {
        self.write_with(op, id, data, None)
    }

    /// As [`write`](Self::write), on a local stream; with the first byte goes a copy of the descriptor of `passed`. It is lost
    /// if there is no byte.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); `bad file descriptor` if `passed` is closed; for lack of descriptors.
    pub fn write_with(
        &mut self,
        op: OpId,
        id: SourceId,
        data: &[u8],
        passed: Option<SourceId>,
    ) -> Result<()> {
        self.check_write(id)?;
        let passed = match passed {
            Some(passed) => {
                let source = self.sources.get(passed).ok_or(Error::BAD_DESCRIPTOR)?;
                Some(source.fd.try_clone()?)
            }
            None => None,
        };
        let sent = self.send_now(id, data, passed.as_ref().map(AsFd::as_fd))?;
        self.send_rest(op, id, sent, |sent| Output::Write {
            data: Data::Own(data[sent..].into()),
            sent: 0,
            passed: passed.filter(|_| sent == 0),
        })
    }

    /// As [`write`](Self::write), but nothing is copied: what is still to be sent is read from `data`, which is dropped when the
    /// operation is done. If that is cancelled, the rest is copied, and `data` dropped at once.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_from<T>(&mut self, op: OpId, id: SourceId, data: T) -> Result<()>
    where
        T: AsRef<[u8]> + Send + 'static,
    {
        self.check_write(id)?;
        let sent = self.send_now(id, data.as_ref(), None)?;
        self.send_rest(op, id, sent, |sent| Output::Write {
            data: Data::Lent(Box::new(data)),
            sent,
            passed: None,
        })
    }

    /// Sends what the system takes at once, unless something is to be sent before. `None`: that was all.
    fn send_now(
        &mut self,
        id: SourceId,
        data: &[u8],
        passed: Option<BorrowedFd<'_>>,
    ) -> Result<Result<Option<usize>>> {
        let source = self.source(id)?;
        if !source.queue.is_empty() {
            return Ok(Ok(Some(0)));
        }
        let sent = source.send(data, passed);
        Ok(sent.map(|count| (count < data.len()).then_some(count)))
    }

    /// The other half of a write.
    fn send_rest(
        &mut self,
        op: OpId,
        id: SourceId,
        sent: Result<Option<usize>>,
        rest: impl FnOnce(usize) -> Output,
    ) -> Result<()> {
        let count = match sent {
            Ok(Some(count)) => count,
            done => {
                self.start(op, id, Outcome::Elapsed);
                self.finish(op, done.map(|_| ()));
                return Ok(());
            }
        };
        self.source(id)?.queue.push_back(Item { op, output: rest(count) });
        self.start(op, id, Outcome::Elapsed);
        if let Err(error) = self.register(id) {
            // Part of it may be gone: that is no failure at the start any more.
            self.fail_queue(id, error);
        }
        Ok(())
    }

    /// Sends what the system takes at once, and returns how much that was: 0 if there is no room, or something was written before
    /// that is not sent yet.
    #[cfg(feature = "futures-io")]
    pub(crate) fn try_write(&mut self, id: SourceId, data: &[u8]) -> Result<usize> {
        self.check_process()?;
        self.check_write(id)?;
        let source = self.source(id)?;
        if source.queue.is_empty() { source.send(data, None) } else { Ok(0) }
    }

    /// Starts to wait for a moment at which [`try_write`](Self::try_write) may find room. It takes its turn among what is
    /// written.
    #[cfg(feature = "futures-io")]
    pub(crate) fn await_room(&mut self, op: OpId, id: SourceId) -> Result<()> {
        self.check_write(id)?;
        self.register(id)?;
        let source = self.source(id)?;
        source.queue.push_back(Item { op, output: Output::Room });
        let alone = source.queue.len() == 1;
        self.start(op, id, Outcome::Elapsed);
        if alone {
            self.flush(id);
        }
        Ok(())
    }

    /// Ends the sending side when all that was written is sent.
    ///
    /// # Errors
    ///
    /// `socket is not connected` if there is no connection, or the sending side was ended before.
    pub fn shutdown(&mut self, op: OpId, id: SourceId) -> Result<()> {
        self.check_shutdown(id)?;
        let source = self.source(id)?;
        source.shut = true;
        source.queue.push_back(Item { op, output: Output::Shutdown });
        let alone = source.queue.len() == 1;
        self.start(op, id, Outcome::Elapsed);
        if alone {
            self.flush(id);
        }
        Ok(())
    }

    /// Goes on with the output of a source.
    pub(crate) fn flush(&mut self, id: SourceId) {
        while let Some(source) = self.sources.get_mut(id)
            && let Some((item, result)) = source.advance()
        {
            if matches!(item.output, Output::Connect { .. }) {
                source.connection = if result.is_ok() { Connection::Connected } else { Connection::None };
                // Many connections never need it again.
                source.queue.shrink_to_fit();
            }
            self.abandoned -= usize::from(item.is_abandoned());
            self.finish(item.op, result);
            match (item.output, result) {
                (Output::Connect { .. }, Ok(())) => {
                    if let Some(source) = self.sources.get(id)
                        && source.reader.is_some()
                    {
                        self.list(id);
                    }
                }
                (Output::Connect { .. }, Err(_)) => self.fail_queue(id, Error::CANCELED),
                _ => {}
            }
        }
    }

    /// Ends what waits for a connection that there will not be.
    pub(crate) fn fail_queue(&mut self, id: SourceId, error: Error) {
        let Some(source) = self.sources.get_mut(id) else { return };
        source.shut = false;
        let reader = source.reader.take();
        for item in std::mem::take(&mut source.queue) {
            self.abandoned -= usize::from(item.is_abandoned());
            let shutdown = matches!(item.output, Output::Shutdown);
            self.finish(item.op, Err(if shutdown { Error::NOT_CONNECTED } else { error }));
        }
        if let Some(reader) = reader {
            self.finish(reader, Err(Error::NOT_CONNECTED));
        }
    }
}
