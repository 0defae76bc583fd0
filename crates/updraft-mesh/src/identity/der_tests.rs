//! DER has one reading, and the calendar is that of days counted one by one.

use proptest::prelude::*;

use super::*;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..0x80 => bytes.push(u8::try_from(length).unwrap()),
        0x80..0x100 => bytes.extend([0x81, u8::try_from(length).unwrap()]),
        _ => bytes.extend([&[0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat()),
    }
    bytes.extend(content);
    bytes
}

fn time(tag: u8, text: &str) -> Result<u64, Malformed> {
    Reader::new(&element(tag, text.as_bytes())).time().map(|time| time.as_secs())
}

proptest! {
    #[test]
    fn an_element_is_read_as_it_was_written(
        tag in (0_u8..=255).prop_filter("one byte", |tag| tag & 0x1f != 0x1f),
        content in proptest::collection::vec(any::<u8>(), 0..700),
        after: Vec<u8>,
    ) {
        let bytes = [element(tag, &content), after.clone()].concat();
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.any(), Ok((tag, &content[..])));
        prop_assert_eq!(reader.0, &after[..]);
    }

    #[test]
    fn bytes_have_one_reading_at_most(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut reader = Reader::new(&bytes);
        if let Ok((tag, content)) = reader.any() {
            let taken = bytes.len() - reader.0.len();
            prop_assert_eq!(element(tag, content), &bytes[..taken]);
        }
    }

    /// The reference counts days one by one.
    #[test]
    fn a_moment_is_that_of_the_calendar(days in 0_u64..200_000, second in 0_u64..86_400) {
        let (mut year, mut month, mut left) = (1970, 1, days);
        while left >= days_of(year, month).unwrap() {
            left -= days_of(year, month).unwrap();
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        let clock = format!("{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let text = format!("{year:04}{month:02}{:02}{clock}", left + 1);
        prop_assert_eq!(time(tag::GENERALIZED_TIME, &text), Ok(days * 86_400 + second));
        if year < 2050 {
            prop_assert_eq!(time(tag::UTC_TIME, &text[2..]), Ok(days * 86_400 + second));
        }
    }
}

#[test]
fn lengths_that_are_not_the_shortest_are_refused() {
    let long = [&[0x30, 0x82, 0x00, 0xff][..], &[0; 255]].concat();
    let cases: [&[u8]; 7] = [
        &[0x30, 0x81, 0x05, 0, 0, 0, 0, 0],
        &long,
        &[0x30, 0x80, 0, 0],
        &[0x30, 0x83, 0, 0, 1, 0],
        &[0x1f, 0x01, 0x00],
        &[0x30, 0x02, 0x00],
        &[0x30],
    ];
    for bytes in cases {
        assert_eq!(Reader::new(bytes).any(), Err(Malformed), "{bytes:x?}");
    }
}

#[test]
fn moments_that_are_none_are_refused() {
    let cases = [
        "20250229000000Z",
        "21000229000000Z",
        "20251301000000Z",
        "20250001000000Z",
        "20250100000000Z",
        "20250131240000Z",
        "20250131006000Z",
        "20250131000060Z",
        "20250131000000",
        "20250131000000.5Z",
        "20250131000000+0100",
        "202501310000Z",
        "19691231235959Z",
        "00000101000000Z",
        "+0250131000000Z",
    ];
    for text in cases {
        assert_eq!(time(tag::GENERALIZED_TIME, text), Err(Malformed), "{text}");
    }
    assert_eq!(time(tag::INTEGER, "20250131000000Z"), Err(Malformed));
}
