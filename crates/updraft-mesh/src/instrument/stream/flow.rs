//! One direction of a relay. Bytes that just pass are written together, however many messages
//! they are; what the instrument wants of a message happens in front of it, once everything
//! before it has been written.

use std::io;
use std::sync::atomic::Ordering;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::super::control::{Subject, Waited};
use super::super::count::raise;
use super::super::frame::{Begin, Malformed, Piece};
use super::super::verdict::Verdict;
use super::super::{Direction, Instrument, Manner, Message, What};
use super::watch::Shared;

/// Why a direction does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    Finished,
    Idle,
    /// `finish`: the server has a request that it may work on.
    Cut {
        manner: Manner,
        finish: bool,
    },
    Malformed {
        direction: Direction,
        source: Malformed,
    },
    /// Whose stream broke, by what it sends.
    Broken {
        of: Direction,
        source: io::Error,
    },
}

pub(super) struct Flow<'a> {
    shared: &'a Shared<'a>,
    direction: Direction,
    buffer: BytesMut,
    /// How many bytes at the start of the buffer may be written.
    ready: usize,
    /// When the last bytes came.
    arrived: Instant,
    current: Option<Current>,
    /// Once the server has the request that is under way.
    cut_after_request: Option<Manner>,
    /// After so many bytes of the answer that is under way.
    cut_in_reply: Option<(Manner, u64)>,
}

/// The message under way, while the instrument is on.
#[derive(Clone, Copy)]
struct Current {
    begin: Begin,
    bytes: u64,
    since: Instant,
}

impl<'a> Flow<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, direction: Direction) -> Self {
        Self {
            shared,
            direction,
            buffer: BytesMut::with_capacity(shared.limits.buffer),
            ready: 0,
            arrived: Instant::now(),
            current: None,
            cut_after_request: None,
            cut_in_reply: None,
        }
    }

    /// Until the reader's end, which is passed on.
    pub(super) async fn run<R, W>(mut self, reader: &mut R, writer: &mut W) -> Result<(), Stop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            self.pass_on(writer).await?;
            let room = self.shared.limits.buffer.saturating_sub(self.buffer.len());
            if room == 0 {
                let source = Malformed { protocol: "relay", reason: "a head fills the buffer" };
                return Err(Stop::Malformed { direction: self.direction, source });
            }
            self.buffer.reserve(room);
            let read = reader.read_buf(&mut self.buffer).await;
            if read.map_err(|source| Stop::Broken { of: self.direction, source })? == 0 {
                break;
            }
            self.arrived = Instant::now();
            self.shared.touch();
        }
        // The beginning of a message that never came whole is its receiver's to judge.
        self.stall().await?;
        self.ready = self.buffer.len();
        self.write(writer).await?;
        let ended = writer.shutdown().await;
        self.shared.half_close();
        self.unblock();
        match ended {
            Err(source) if source.kind() != io::ErrorKind::NotConnected => Err(self.broken(source)),
            _ => Ok(()),
        }
    }

    /// Takes the buffer apart and writes what may be written.
    async fn pass_on<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> Result<(), Stop> {
        loop {
            let (piece, waits) = self.step()?;
            match piece {
                Some(piece) => self.carry(piece, writer).await?,
                None => {
                    self.write(writer).await?;
                    if !waits {
                        return Ok(());
                    }
                    self.shared.answered.notified().await;
                }
            }
        }
    }

    fn step(&mut self) -> Result<(Option<Piece>, bool), Stop> {
        let direction = self.direction;
        let mut conversation = self.shared.conversation();
        let piece = conversation
            .step(direction, &self.buffer[self.ready..])
            .map_err(|source| Stop::Malformed { direction, source })?;
        let waits = piece.is_none() && conversation.waits(direction);
        let turned = conversation.turned_opaque();
        drop(conversation);
        if turned && !self.shared.opaque.swap(true, Ordering::Relaxed) {
            let instrument = self.instrument();
            raise(&instrument.tally.opaque);
            instrument.tell(self.shared.connection.id(), What::Opaque, None);
        }
        self.unblock();
        Ok((piece, waits))
    }

    /// Adds a piece to what may be written, after all that the instrument wants first.
    async fn carry<W: AsyncWrite + Unpin>(
        &mut self,
        piece: Piece,
        writer: &mut W,
    ) -> Result<(), Stop> {
        let armed = self.cut_after_request.is_some() || self.cut_in_reply.is_some();
        if self.instrument().is_off() && !armed {
            self.current = None;
            self.ready += piece.length;
            return Ok(());
        }
        if self.is_stalled() {
            self.write(writer).await?;
            self.stall().await?;
        }
        if let Some(begin) = piece.begins {
            self.current = Some(Current { begin, bytes: 0, since: self.arrived });
            self.judge(&begin.message, writer).await?;
        }
        self.end_reply_early(&piece, writer).await?;
        self.ready += piece.length;
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        current.bytes += u64::try_from(piece.length).unwrap_or(u64::MAX);
        if !piece.ends {
            return Ok(());
        }
        let Current { begin, bytes, since } = *current;
        self.current = None;
        self.instrument().passed(self.shared.connection.id(), &begin.message, bytes, since);
        match self.cut_after_request {
            Some(manner) if begin.completes_request => {
                self.write(writer).await?;
                self.shared.tell_cut(Some(&begin.message));
                Err(Stop::Cut { manner, finish: true })
            }
            _ => Ok(()),
        }
    }

    /// Asks what is to be done with a message, and does it.
    async fn judge<W: AsyncWrite + Unpin>(
        &mut self,
        message: &Message,
        writer: &mut W,
    ) -> Result<(), Stop> {
        let shared = self.shared;
        let (instrument, connection) = (shared.connection.instrument(), shared.connection);
        let active = instrument.active();
        let verdict = active.judge(message, connection.id());
        match verdict {
            Verdict::Pass => return Ok(()),
            Verdict::CutAfterRequest(manner) => {
                self.cut_after_request = Some(manner);
                return Ok(());
            }
            Verdict::CutMidResponse(manner, after) => {
                self.cut_in_reply = Some((manner, after));
                return Ok(());
            }
            Verdict::Stall => shared.stalled_by.store(active.generation, Ordering::Relaxed),
            Verdict::Cut(_) | Verdict::Hold(_) | Verdict::Delay(_) => {}
        }
        self.write(writer).await?;
        if let Verdict::Cut(manner) = verdict {
            shared.tell_cut(Some(message));
            return Err(Stop::Cut { manner, finish: false });
        }
        let subject = Subject { message, connection: connection.id(), since: connection.epoch() };
        let waiting = shared.suspend();
        let waited =
            instrument.suspend(verdict, &subject, active.generation, self.arrived, None).await;
        drop(waiting);
        go_on(waited)
    }

    /// Whether nothing may pass here for now, not even the rest of a message.
    fn is_stalled(&self) -> bool {
        self.instrument().stalls_all(self.direction) || self.is_stalled_alone()
    }

    /// Whether this connection stalls because of one of its messages.
    fn is_stalled_alone(&self) -> bool {
        let by = self.shared.stalled_by.load(Ordering::Relaxed);
        by != 0 && {
            let active = self.instrument().active();
            active.generation == by && active.stalls(self.direction)
        }
    }

    async fn stall(&self) -> Result<(), Stop> {
        let mut told = false;
        while self.is_stalled() {
            let connection = self.shared.connection;
            let instrument = connection.instrument();
            let generation = instrument.active().generation;
            if !self.is_stalled() {
                break;
            }
            if !told {
                told = true;
                raise(&instrument.tally.stalled);
                let message = self.current.map(|current| current.begin.message);
                instrument.tell(connection.id(), What::Stalled, message.as_ref());
            }
            let waiting = self.shared.suspend();
            let waited = instrument.until_changed(generation, connection.epoch()).await;
            drop(waiting);
            go_on(waited)?;
        }
        Ok(())
    }

    /// Cuts when the answer has gone as far as it may.
    async fn end_reply_early<W: AsyncWrite + Unpin>(
        &mut self,
        piece: &Piece,
        writer: &mut W,
    ) -> Result<(), Stop> {
        let Some((manner, left)) = self.cut_in_reply else { return Ok(()) };
        let ends = piece.ends && self.current.is_none_or(|current| current.begin.completes_reply);
        let most = piece.length - usize::from(ends);
        let pass = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        if pass == piece.length {
            let passed = u64::try_from(pass).unwrap_or(u64::MAX);
            self.cut_in_reply = Some((manner, left - passed));
            return Ok(());
        }
        self.ready += pass;
        self.write(writer).await?;
        self.shared.tell_cut(self.current.map(|current| current.begin.message).as_ref());
        Err(Stop::Cut { manner, finish: false })
    }

    async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> Result<(), Stop> {
        if self.ready == 0 {
            return Ok(());
        }
        let written = async {
            writer.write_all(&self.buffer[..self.ready]).await?;
            writer.flush().await
        };
        written.await.map_err(|source| self.broken(source))?;
        self.buffer.advance(self.ready);
        self.shared.moved(self.direction, self.ready);
        self.ready = 0;
        Ok(())
    }

    /// A write failed, so it is the receiver's stream that broke.
    fn broken(&self, source: io::Error) -> Stop {
        let of = match self.direction {
            Direction::Request => Direction::Response,
            Direction::Response => Direction::Request,
        };
        Stop::Broken { of, source }
    }

    /// A response may be what requests wait for.
    fn unblock(&self) {
        if self.direction == Direction::Response {
            self.shared.answered.notify_one();
        }
    }

    fn instrument(&self) -> &'a Instrument {
        self.shared.connection.instrument()
    }
}

const fn go_on(waited: Waited) -> Result<(), Stop> {
    match waited {
        Waited::Go | Waited::TooLate => Ok(()),
        Waited::Cut(manner) => Err(Stop::Cut { manner, finish: false }),
    }
}
