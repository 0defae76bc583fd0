//! The dates of HTTP (RFC 9110 §5.6.7), read to seconds since 1970: a few lines instead of a
//! dependency, and with the rule for years of two digits, which needs the present date.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const LONG_DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The mean year of the Gregorian calendar, in seconds.
const YEAR: u64 = 31_556_952;

/// Reads a date in any of the three forms. Dates before 1970 count as 1970.
pub(super) fn parse(text: &str, now_unix: u64) -> Option<u64> {
    imf_fixdate(text).or_else(|| rfc850(text, now_unix)).or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<u64> {
    let mut scan = Scan(text);
    scan.one_of(&DAYS)?;
    scan.literal(", ")?;
    let day = scan.digits(2)?;
    scan.literal(" ")?;
    let month = scan.one_of(&MONTHS)?;
    scan.literal(" ")?;
    let year = scan.digits(4)?;
    scan.literal(" ")?;
    let time = scan.time()?;
    scan.literal(" GMT")?;
    scan.end()?;
    unix(year, month, day, time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &str, now_unix: u64) -> Option<u64> {
    let mut scan = Scan(text);
    scan.one_of(&LONG_DAYS)?;
    scan.literal(", ")?;
    let day = scan.digits(2)?;
    scan.literal("-")?;
    let month = scan.one_of(&MONTHS)?;
    scan.literal("-")?;
    let short = scan.digits(2)?;
    scan.literal(" ")?;
    let time = scan.time()?;
    scan.literal(" GMT")?;
    scan.end()?;
    // The latest year with these digits that is at most fifty years ahead.
    let ahead = 1970 + now_unix / YEAR + 50;
    let year = ahead - (ahead - short) % 100;
    unix(year, month, day, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<u64> {
    let mut scan = Scan(text);
    scan.one_of(&DAYS)?;
    scan.literal(" ")?;
    let month = scan.one_of(&MONTHS)?;
    scan.literal(" ")?;
    let day = if scan.literal(" ").is_some() { scan.digits(1)? } else { scan.digits(2)? };
    scan.literal(" ")?;
    let time = scan.time()?;
    scan.literal(" ")?;
    let year = scan.digits(4)?;
    scan.end()?;
    unix(year, month, day, time)
}

/// Seconds from 1970, or nothing for a day that is in no calendar.
fn unix(year: u64, month: u64, day: u64, time: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?;
    if day == 0 || day > *lengths.get(month)? {
        return None;
    }
    let Some(before) = year.checked_sub(1970) else { return Some(0) };
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = before * 365 + leaps(year - 1) - leaps(1969);
    let days = years + lengths.iter().take(month).sum::<u64>() + day - 1;
    Some(days.saturating_mul(86_400).saturating_add(time))
}

/// What is left of a text that is read from the left.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn literal(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn one_of(&mut self, names: &[&str]) -> Option<u64> {
        let (index, rest) =
            (0..).zip(names).find_map(|(index, name)| Some((index, self.0.strip_prefix(name)?)))?;
        self.0 = rest;
        Some(index)
    }

    fn digits(&mut self, count: usize) -> Option<u64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    /// Seconds of the day; a leap second counts as the first one after it.
    fn time(&mut self) -> Option<u64> {
        let hour = self.digits(2)?;
        self.literal(":")?;
        let minute = self.digits(2)?;
        self.literal(":")?;
        let second = self.digits(2)?;
        let sound = hour < 24 && minute < 60 && second <= 60;
        sound.then_some(hour * 3600 + minute * 60 + second)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
