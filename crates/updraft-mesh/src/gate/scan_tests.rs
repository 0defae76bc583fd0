//! The scanner against a reference that reads whole buffers.

use proptest::prelude::*;

use super::*;
use crate::gate::naive::{self, streams};

/// Where requests end, how many bytes pass, and which rule is broken.
type Outcome = (Vec<usize>, usize, Option<Rule>);

/// Reads in pieces, as a connection would.
fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut scanner = Scanner::new(ScanLimits::default());
    let (mut waiting, mut passed, mut ends) = (Vec::new(), 0, Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let taken = scanner.advance(&waiting);
            waiting.drain(..taken.bytes);
            passed += taken.bytes;
            match taken.then {
                Then::Complete => ends.push(passed),
                Then::More => break,
                Then::Refused(rule) => return (ends, passed, Some(rule)),
            }
        }
    }
    (ends, passed, None)
}

/// Cuts at most where it is told, and at least into what is left.
fn cut<'a>(text: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = text;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle().take(text.len() + 1) {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn agrees(text: &[u8], lengths: &[usize]) -> Result<(), TestCaseError> {
    let whole = scan([text]);
    let wanted = naive::read(text);
    let ends: Vec<_> = wanted.requests.iter().map(|request| request.end).collect();
    prop_assert_eq!(&whole.0, &ends, "{}", text.escape_ascii());
    prop_assert_eq!(whole.2.is_some(), wanted.refused, "{:?}: {}", &whole, text.escape_ascii());
    prop_assert_eq!(&scan(cut(text, lengths)), &whole, "{}", text.escape_ascii());
    prop_assert_eq!(&scan(text.chunks(1)), &whole, "{}", text.escape_ascii());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn streams_that_are_right_pass_whole_however_they_are_cut(
        requests in streams::valid(),
        lengths in proptest::collection::vec(1..20_usize, 1..8),
    ) {
        let text = requests.concat();
        let (ends, passed, rule) = scan(cut(&text, &lengths));
        prop_assert_eq!((ends.len(), passed, rule), (requests.len(), text.len(), None));
        agrees(&text, &lengths)?;
    }

    #[test]
    fn streams_that_are_nearly_right_are_read_as_the_reference_reads_them(
        text in streams::near(),
        lengths in proptest::collection::vec(1..20_usize, 1..8),
    ) {
        agrees(&text, &lengths)?;
    }

    #[test]
    fn pieces_in_any_order_are_read_as_the_reference_reads_them(
        text in streams::salad(),
        lengths in proptest::collection::vec(1..20_usize, 1..8),
    ) {
        agrees(&text, &lengths)?;
    }

    #[test]
    fn any_bytes_are_read_as_the_reference_reads_them(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        lengths in proptest::collection::vec(1..20_usize, 1..8),
    ) {
        agrees(&text, &lengths)?;
    }
}

fn small(head_bytes: usize, head_fields: usize, text: &[u8]) -> Then {
    Scanner::new(ScanLimits { head_bytes, head_fields }).advance(text).then
}

#[test]
fn a_head_is_as_long_as_its_bound_and_no_byte_longer() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(small(text.len(), 100, text), Then::Complete);
    assert_eq!(small(text.len() - 1, 100, text), Then::Refused(Rule::HeadTooLong));
    let unfinished = &text[..20];
    assert_eq!(small(21, 100, unfinished), Then::More);
    assert_eq!(small(20, 100, unfinished), Then::Refused(Rule::HeadTooLong));
}

#[test]
fn a_head_has_as_many_fields_as_its_bound_and_not_one_more() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    assert_eq!(small(1000, 2, text), Then::Complete);
    assert_eq!(small(1000, 1, text), Then::Refused(Rule::TooManyFields));
}

#[test]
fn what_the_answer_depends_on_is_told_with_the_head() {
    let text = b"HEAD / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n";
    let taken = Scanner::new(ScanLimits::default()).advance(text);
    assert_eq!(taken.request, Some(Request { head: true, upgrade: true }));
    assert_eq!((taken.bytes, taken.then), (text.len(), Then::More));
}
