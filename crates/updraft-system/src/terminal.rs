//! What goes over a connection that carries the terminal of a task: frames both ways, once
//! `POST /v1/tasks/{service}/{task}/terminal` has been answered with 101.
//!
//! A frame is one byte for its kind, four for the length of the rest (big-endian), and the
//! rest.

use crate::{TaskEvent, TerminalSize};

/// What `Upgrade` says in the request and its answer.
pub const TERMINAL_PROTOCOL: &str = "updraft-terminal";

/// The longest rest of a frame.
const FRAME_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES: usize = 5;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalFrame {
    /// Kind 0: what was typed, or what is to be seen.
    Data(Vec<u8>),
    /// Kind 1, to the task: its terminal has another size. JSON.
    Resize(TerminalSize),
    /// Kind 2, from the task: its end; nothing follows. JSON.
    End(TaskEvent),
}

/// Reads frames out of pieces of any size.
#[derive(Debug, Default)]
pub struct TerminalFrames {
    unread: Vec<u8>,
}

/// The other side does not speak this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// Too long.
    #[error("a frame is longer than {FRAME_BYTES_MAX} bytes")]
    TooLong,
    /// Nothing that is known.
    #[error("a frame cannot be understood")]
    Unknown,
}

impl TerminalFrame {
    /// Its bytes, in several frames where the data are long.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Data(data) => {
                for part in data.chunks(FRAME_BYTES_MAX) {
                    frame(0, part, &mut bytes);
                }
            }
            // Our own types always serialise.
            Self::Resize(size) => {
                frame(1, &serde_json::to_vec(size).unwrap_or_default(), &mut bytes)
            }
            Self::End(end) => frame(2, &serde_json::to_vec(end).unwrap_or_default(), &mut bytes),
        }
        bytes
    }
}

fn frame(kind: u8, rest: &[u8], bytes: &mut Vec<u8>) {
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    bytes.extend(rest);
}

impl TerminalFrames {
    /// Takes what has come.
    pub fn push(&mut self, piece: &[u8]) {
        self.unread.extend(piece);
    }

    /// The next frame; `None`: it has not come whole yet.
    ///
    /// # Errors
    ///
    /// [`InvalidFrame`]; nothing that follows can be read then.
    pub fn next_frame(&mut self) -> Result<Option<TerminalFrame>, InvalidFrame> {
        let Some((head, rest)) = self.unread.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if FRAME_BYTES_MAX < length {
            return Err(InvalidFrame::TooLong);
        }
        let Some(rest) = rest.get(..length) else { return Ok(None) };
        let frame = match kind {
            0 => TerminalFrame::Data(rest.to_vec()),
            1 => TerminalFrame::Resize(read(rest)?),
            2 => TerminalFrame::End(read(rest)?),
            _ => return Err(InvalidFrame::Unknown),
        };
        self.unread.drain(..HEAD_BYTES + length);
        Ok(Some(frame))
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, InvalidFrame> {
    serde_json::from_slice(json).ok().ok_or(InvalidFrame::Unknown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Vec<TerminalFrame>> {
        let data = prop::collection::vec(any::<u8>(), 1..300).prop_map(TerminalFrame::Data);
        let size = (any::<u16>(), any::<u16>());
        let size = size.prop_map(|(columns, rows)| TerminalSize { columns, rows });
        let end = any::<u8>().prop_map(|code| {
            TerminalFrame::End(TaskEvent::Exit { code, reason: format!("exit code {code}") })
        });
        let one = prop_oneof![data, size.prop_map(TerminalFrame::Resize), end];
        prop::collection::vec(one, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn frames_come_through_however_they_are_cut(
            sent in frames(), cuts in prop::collection::vec(1usize..40, 1..60),
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(TerminalFrame::encode).collect();
            let (mut reader, mut read, mut rest) = (TerminalFrames::default(), Vec::new(), &bytes[..]);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let (piece, others) = rest.split_at(cut.min(rest.len()));
                reader.push(piece);
                rest = others;
                while let Some(frame) = reader.next_frame().unwrap() {
                    read.push(frame);
                }
            }
            prop_assert_eq!(read, sent);
        }

        #[test]
        fn anything_is_frames_or_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = TerminalFrames::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_frame() {}
        }
    }

    #[test]
    fn long_data_are_several_frames_and_a_longer_one_is_refused() {
        let long = vec![7; 150_000];
        let mut reader = TerminalFrames::default();
        reader.push(&TerminalFrame::Data(long.clone()).encode());
        let mut read = Vec::new();
        while let Some(TerminalFrame::Data(part)) = reader.next_frame().unwrap() {
            assert!(part.len() <= FRAME_BYTES_MAX);
            read.extend(part);
        }
        assert!(read == long);
        reader.push(&[0, 0, 1, 0, 1]);
        assert_eq!(reader.next_frame(), Err(InvalidFrame::TooLong));
    }
}
