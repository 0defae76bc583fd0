//! Numbers.

use std::num::{
    IntErrorKind, NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroUsize, ParseIntError,
};
use std::str::FromStr;

use super::{Bounds, Variable};

macro_rules! whole_numbers {
    ($($type:ty, $from:literal, $to:literal, $example:literal;)*) => {$(
        impl Variable for $type {
            const EXPECTED: &'static str =
                concat!("a whole number from ", $from, " to ", $to, ", such as ", $example);
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<Self, String> {
                whole_number(text)
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn expected_within(bounds: &Bounds) -> String {
                format!("a whole number {bounds}")
            }
        }
    )*};
}

whole_numbers! {
    u8, "0", "255", "10";
    u16, "0", "65535", "8080";
    u32, "0", "4294967295", "100";
    u64, "0", "18446744073709551615", "100";
    u128, "0", "340282366920938463463374607431768211455", "100";
    usize, "0", "18446744073709551615", "100";
    i8, "-128", "127", "10";
    i16, "-32768", "32767", "100";
    i32, "-2147483648", "2147483647", "100";
    i64, "-9223372036854775808", "9223372036854775807", "100";
    i128, "-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "100";
    isize, "-9223372036854775808", "9223372036854775807", "100";
    NonZeroU8, "1", "255", "10";
    NonZeroU16, "1", "65535", "100";
    NonZeroU32, "1", "4294967295", "100";
    NonZeroU64, "1", "18446744073709551615", "100";
    NonZeroUsize, "1", "18446744073709551615", "100";
    NonZeroI8, "-128 (not 0)", "127", "10";
    NonZeroI16, "-32768 (not 0)", "32767", "100";
    NonZeroI32, "-2147483648 (not 0)", "2147483647", "100";
    NonZeroI64, "-9223372036854775808 (not 0)", "9223372036854775807", "100";
}

fn whole_number<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseIntError| {
        match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow | IntErrorKind::Zero => {
                "is out of range"
            }
            _ => "is not a whole number",
        }
        .to_owned()
    })
}

macro_rules! fractions {
    ($($type:ty),*) => {$(
        impl Variable for $type {
            const EXPECTED: &'static str = "a number such as 0.5";
            const EXAMPLE: &'static str = "0.5";

            fn parse(text: &str) -> Result<Self, String> {
                let number: Self = text.parse().map_err(|_no_number| "is not a number".to_owned())?;
                // "inf" and "NaN" are numbers to the parser, and are never meant.
                if number.is_finite() { Ok(number) } else { Err("is not a finite number".to_owned()) }
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

fractions!(f32, f64);
