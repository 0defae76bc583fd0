//! The wire format of protocol buffers
//! (<https://protobuf.dev/programming-guides/encoding/>), as much of it as spans need.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint_raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(low_byte(value) | 0x80);
            value >>= 7;
        }
        self.bytes.push(low_byte(value));
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint_raw(u64::from(field << 3 | kind));
    }

    /// A number of any kind that is not negative.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint_raw(value);
    }

    /// A number as `int64` has it.
    pub(super) fn signed(&mut self, field: u32, value: i64) {
        self.number(field, value.cast_unsigned());
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, LENGTH);
        self.varint_raw(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A message inside of this one.
    pub(super) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        self.tag(field, LENGTH);
        let start = self.bytes.len();
        fill(self);
        let mut length = Self::default();
        length.varint_raw((self.bytes.len() - start) as u64);
        self.bytes.splice(start..start, length.bytes);
    }
}

/// The last eight bits.
fn low_byte(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

/// A field of a message that is being read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    /// Of a kind that nobody here asks for.
    Other,
}

/// Reads the fields of a message, up to the first thing that is none.
pub(super) fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let tag = take_varint(&mut message)?;
        let field = match tag & 7 {
            0 => Field::Number(take_varint(&mut message)?),
            1 => take(&mut message, 8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                Field::Bytes(take(&mut message, length)?)
            }
            5 => take(&mut message, 4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    })
}

fn take<'m>(message: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (head, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(head)
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = *take(message, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_written_so() {
        let mut message = Message::default();
        message.number(1, 150);
        assert_eq!(message.into_bytes(), [0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.text(2, "testing");
        assert_eq!(message.into_bytes(), b"\x12\x07testing");
        let mut message = Message::default();
        message.message(3, |inner| inner.number(1, 150));
        assert_eq!(message.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.signed(1, -2);
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(message.into_bytes(), minus_two);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            number in any::<u64>(),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            fixed in any::<u64>(),
        ) {
            let mut message = Message::default();
            message.number(1, number);
            message.fixed64(2, fixed);
            message.fixed32(3, 7);
            message.message(400, |inner| inner.bytes(5, &bytes));
            let written = message.into_bytes();
            let read: Vec<_> = fields(&written).collect();
            prop_assert_eq!(&read[..3], &[(1, Field::Number(number)), (2, Field::Other), (3, Field::Other)]);
            let (400, Field::Bytes(inner)) = read[3] else { panic!("{read:?}") };
            prop_assert_eq!(fields(inner).next(), Some((5, Field::Bytes(&bytes))));
            prop_assert_eq!(read.len(), 4);
        }

        #[test]
        fn no_bytes_are_a_reason_to_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
