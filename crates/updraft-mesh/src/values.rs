//! Values of fields that are made for one request. A value of its own is two allocations, one
//! for its bytes and, once it is copied, one for the count of its owners; these share both with
//! those before and after them.

use std::cell::RefCell;

use bytes::{BufMut as _, BytesMut};
use http::HeaderValue;

/// Bytes that values are cut from until they are used up. As long as any of them is in use all
/// of these are, so they are few.
const SHEET_BYTES: usize = 2 * 1024;

thread_local! {
    static SHEET: RefCell<BytesMut> = RefCell::default();
}

/// The value that these parts are, one behind the other; `None` where no field can carry it.
pub(crate) fn joined(parts: &[&[u8]]) -> Option<HeaderValue> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    SHEET.with_borrow_mut(|sheet| {
        if sheet.capacity() < length {
            sheet.reserve(length.max(SHEET_BYTES));
        }
        for part in parts {
            sheet.put_slice(part);
        }
        HeaderValue::from_maybe_shared(sheet.split().freeze()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_were_made_of_however_many_there_are() {
        let texts: Vec<String> = (0..2_000).map(|number| "v".repeat(number % 90)).collect();
        let make = |text: &String| joined(&[b"<", text.as_bytes(), b">"]).expect("a value");
        let values: Vec<_> = texts.iter().map(make).collect();
        for (text, value) in texts.iter().zip(&values) {
            assert_eq!(value.as_bytes(), format!("<{text}>").as_bytes());
        }
        assert_eq!(joined(&[&[b'x'; SHEET_BYTES * 2]]).expect("a value").len(), SHEET_BYTES * 2);
        assert!(joined(&[b"a", b"\n"]).is_none());
        assert_eq!(joined(&[b"after"]).expect("a value"), "after");
    }

    #[test]
    fn most_values_allocate_nothing() {
        drop(joined(&[b"first"]));
        let taken = allocation_counter::measure(|| {
            for _ in 0..1_000 {
                let value = joined(&[b"00-", b"0123456789abcdef"]).expect("a value");
                assert_eq!(value.clone(), value);
            }
        });
        assert!(taken.count_total < 50, "{}", taken.count_total);
    }
}
