//! Reads the framing of an HTTP/1 request stream (RFC 9112) before hyper does, and stops at
//! the first line that can be read in two ways.
//!
//! Lines are looked at once they are whole, so what is found does not depend on how the bytes
//! were cut into reads. Nothing is copied and nothing is allocated.

use memchr::{memchr, memrchr};
use updraft_system::mesh::Limits;

use super::authority;
use super::chunk::{self, ChunkLine};
use super::fields;
use super::line::{self, Lines};
use super::rule::Rule;
use super::text::{is_token, is_token_byte, trim};

/// Bounds of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanLimits {
    /// Bytes of a head, with the empty line at its end. 16 KiB.
    pub(crate) head_bytes: usize,
    /// Fields of a head, and of a trailer section. 100.
    pub(crate) head_fields: usize,
}

impl From<&Limits> for ScanLimits {
    fn from(limits: &Limits) -> Self {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Self { head_bytes: size(limits.head_bytes), head_fields: size(limits.head_fields) }
    }
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

/// Bytes of a trailer section.
pub(super) const TRAILER_BYTES: usize = 8 * 1024;

/// What the framing of the answer depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// The method is HEAD.
    pub(super) head: bool,
    /// There is an Upgrade field.
    pub(super) upgrade: bool,
}

/// How far the scanner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// So many bytes may pass.
    pub(super) bytes: usize,
    /// A head is among them.
    pub(super) request: Option<Request>,
    /// What comes behind them.
    pub(super) then: Then,
}

/// What comes behind the bytes that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It cannot be told yet.
    More,
    /// The next request.
    Complete,
    /// What must not pass.
    Refused(Rule),
}

/// The state between two reads.
#[derive(Debug)]
pub(super) struct Scanner {
    limits: ScanLimits,
    stage: Stage,
    lines: Lines,
    head: Head,
    /// Bytes of chunk extensions in this body.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Fields,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

/// What is known of the head that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    request: Request,
    http11: bool,
    empty_line: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    fields: usize,
}

impl Scanner {
    pub(super) fn new(limits: ScanLimits) -> Self {
        let (lines, head) = (Lines::default(), Head::default());
        Self { limits, stage: Stage::Start, lines, head, extensions: 0 }
    }

    /// Whether a request has begun whose body is not complete.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.stage, Stage::Start | Stage::Fields)
    }

    /// Whether a head has begun which is not whole.
    pub(super) fn in_head(&self) -> bool {
        !self.in_body() && (self.stage == Stage::Fields || self.lines.has_begun())
    }

    /// Goes on from the first byte that has not been taken, up to the end of one request.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Taken {
        let mut taken = Taken { bytes: 0, request: None, then: Then::More };
        loop {
            let rest = &bytes[taken.bytes..];
            let step = match self.stage {
                Stage::Start | Stage::Fields => self.head(rest),
                Stage::Trailers => self.trailers(rest),
                Stage::Length(left) => Ok(self.pass(rest, left, Stage::Length)),
                Stage::ChunkData(left) => Ok(self.pass(rest, left, Stage::ChunkData)),
                Stage::ChunkSize => self.chunk_size(rest),
                Stage::ChunkEnd => self.chunk_end(rest),
            };
            let was_head = !self.in_body();
            match step {
                Err(rule) => {
                    taken.then = Then::Refused(rule);
                    return taken;
                }
                Ok(Step::Wait) => return taken,
                Ok(Step::Took { bytes, next }) => {
                    if was_head {
                        taken.request = Some(self.head.request);
                    }
                    taken.bytes += bytes;
                    self.enter(next);
                    if next == Stage::Start {
                        taken.then = Then::Complete;
                        return taken;
                    }
                }
            }
        }
    }

    fn enter(&mut self, stage: Stage) {
        if matches!(stage, Stage::Start | Stage::Trailers) {
            self.lines = Lines::default();
            self.extensions = 0;
            self.head = Head::default();
        }
        self.stage = stage;
    }

    /// Bytes of which only the number matters.
    fn pass(&self, bytes: &[u8], left: u64, stage: fn(u64) -> Stage) -> Step {
        if bytes.is_empty() {
            return Step::Wait;
        }
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - here as u64;
        let next = match (left, self.stage) {
            (0, Stage::ChunkData(_)) => Stage::ChunkEnd,
            (0, _) => Stage::Start,
            (left, _) => stage(left),
        };
        Step::Took { bytes: here, next }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Step, Rule> {
        let limit = self.limits.head_bytes;
        loop {
            if self.stage == Stage::Start
                && let Some(first) = bytes.get(self.lines.seen)
                && !is_token_byte(*first)
                && !matches!(first, b'\r' | b'\n')
            {
                // What is no HTTP at all, TLS for one, may never have a line.
                return Err(Rule::InvalidMethod);
            }
            let Some(line) = self.lines.next(bytes, limit, Rule::HeadTooLong)? else {
                return Ok(Step::Wait);
            };
            if self.stage == Stage::Start {
                if !line.is_empty() {
                    self.request_line(line)?;
                    self.stage = Stage::Fields;
                } else if std::mem::replace(&mut self.head.empty_line, true) {
                    return Err(Rule::LeadingLines);
                }
            } else if line.is_empty() {
                return Ok(Step::Took { bytes: self.lines.seen, next: self.body()? });
            } else {
                self.field(line)?;
            }
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Rule> {
        if line == b"PRI * HTTP/2.0" {
            return Err(Rule::Http2Preface);
        }
        let first = memchr(b' ', line).unwrap_or(line.len());
        let method = &line[..first];
        if !is_token(method) {
            return Err(Rule::InvalidMethod);
        }
        let last = memrchr(b' ', line).filter(|last| *last > first);
        let last = last.ok_or(Rule::InvalidRequestLine)?;
        let (target, version) = (&line[first + 1..last], &line[last + 1..]);
        if target.is_empty() || memchr(b' ', target).is_some() {
            return Err(Rule::InvalidRequestLine);
        }
        self.head.http11 = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Rule::UnsupportedVersion);
            }
            _ => return Err(Rule::InvalidRequestLine),
        };
        if method == b"CONNECT" {
            return Err(Rule::Connect);
        }
        self.head.request.head = method == b"HEAD";
        if line::is_target(target, method) { Ok(()) } else { Err(Rule::InvalidTarget) }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Rule> {
        let (name, value) = self.split(line, Rule::TooManyFields)?;
        match fields::framing(name) {
            None => {}
            Some(Err(fields::Alias)) => return Err(Rule::UnderscoreAlias),
            Some(Ok(fields::Framing::Host)) => {
                if std::mem::replace(&mut self.head.host, true) {
                    return Err(Rule::DuplicateHost);
                }
                if !authority::is_valid(trim(value)) {
                    return Err(Rule::InvalidHost);
                }
            }
            Some(Ok(fields::Framing::Upgrade)) => self.head.request.upgrade = true,
            Some(Ok(fields::Framing::ContentLength)) => {
                if self.head.length.is_some() {
                    return Err(Rule::DuplicateContentLength);
                }
                self.head.length = Some(line::length(value).ok_or(Rule::InvalidContentLength)?);
            }
            Some(Ok(fields::Framing::TransferEncoding)) => {
                if std::mem::replace(&mut self.head.chunked, true) {
                    return Err(Rule::DuplicateTransferEncoding);
                }
                if !self.head.http11 {
                    return Err(Rule::EncodingInHttp10);
                }
                line::encoding(value)?;
            }
        }
        if self.head.chunked && self.head.length.is_some() {
            return Err(Rule::LengthAndEncoding);
        }
        Ok(())
    }

    fn split<'a>(&mut self, line: &'a [u8], many: Rule) -> Result<(&'a [u8], &'a [u8]), Rule> {
        if matches!(line, [b' ' | b'\t', ..]) {
            return Err(Rule::ObsFold);
        }
        let colon = memchr(b':', line).ok_or(Rule::NoColon)?;
        let name = &line[..colon];
        if !is_token(name) {
            return Err(Rule::InvalidFieldName);
        }
        self.head.fields += 1;
        if self.head.fields > self.limits.head_fields {
            return Err(many);
        }
        Ok((name, &line[colon + 1..]))
    }

    fn body(&self) -> Result<Stage, Rule> {
        if self.head.http11 && !self.head.host {
            return Err(Rule::MissingHost);
        }
        Ok(match self.head.length {
            _ if self.head.chunked => Stage::ChunkSize,
            None | Some(0) => Stage::Start,
            Some(length) => Stage::Length(length),
        })
    }

    fn chunk_size(&mut self, bytes: &[u8]) -> Result<Step, Rule> {
        let Some(ChunkLine { bytes, size, extension }) = chunk::line(bytes)? else {
            return Ok(Step::Wait);
        };
        self.extensions += extension;
        if self.extensions > chunk::BODY_EXTENSION_BYTES {
            return Err(Rule::ChunkExtensionTooLong);
        }
        let next = if size == 0 { Stage::Trailers } else { Stage::ChunkData(size) };
        Ok(Step::Took { bytes, next })
    }

    fn chunk_end(&self, bytes: &[u8]) -> Result<Step, Rule> {
        match bytes {
            [b'\r', b'\n', ..] => Ok(Step::Took { bytes: 2, next: Stage::ChunkSize }),
            [] | [b'\r'] => Ok(Step::Wait),
            [b'\n', ..] => Err(Rule::BareLf),
            [b'\r', ..] => Err(Rule::BareCr),
            _ => Err(Rule::InvalidChunkEnd),
        }
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<Step, Rule> {
        while let Some(line) = self.lines.next(bytes, TRAILER_BYTES, Rule::TrailersTooLong)? {
            if line.is_empty() {
                return Ok(Step::Took { bytes: self.lines.seen, next: Stage::Start });
            }
            let (name, _) = self.split(line, Rule::TrailersTooLong)?;
            if fields::is_forbidden_trailer(name) {
                return Err(Rule::ForbiddenTrailer);
            }
        }
        Ok(Step::Wait)
    }
}

enum Step {
    Wait,
    Took { bytes: usize, next: Stage },
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
