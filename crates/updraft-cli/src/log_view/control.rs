//! Keeps the control sequences of programs from the terminal: they would move its cursor,
//! clear it, rename it, or make it answer.

use std::borrow::Cow;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\x1b';
const BELL: char = '\x07';

/// The text with its escape sequences removed, except colours where `keep_colours`, and
/// every other control character shown as a picture of itself. Tabs stay. A text that
/// leaves a colour on is ended by a reset.
pub(crate) fn neutralise(text: &str, keep_colours: bool) -> Cow<'_, str> {
    // The carriage return before a line feed is not part of the line.
    let text = text.trim_end_matches('\r');
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut coloured = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            ESCAPE => {
                if let Some(colour) = skip_sequence(&mut chars)
                    && keep_colours
                {
                    // Writing to a string does not fail.
                    let _written = write!(clean, "{ESCAPE}[{colour}m");
                    coloured = !matches!(colour.as_str(), "" | "0");
                }
            }
            _ => clean.push(picture(char)),
        }
    }
    if coloured {
        clean.push_str("\x1b[0m");
    }
    Cow::Owned(clean)
}

fn is_harmful(char: char) -> bool {
    char.is_control() && char != '\t'
}

fn picture(char: char) -> char {
    match char {
        '\t' => char,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char),
        '\x7f' => '\u{2421}',
        // The second set of control characters has no pictures.
        _ if char.is_control() => char::REPLACEMENT_CHARACTER,
        _ => char,
    }
}

/// Skips what belongs to an escape character; gives the parameters if it sets a colour.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    match chars.peek()? {
        '[' => {
            chars.next();
            skip_control_sequence(chars)
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            skip_string(chars);
            None
        }
        _ => {
            while chars.next_if(|char| matches!(char, ' '..='/')).is_some() {}
            chars.next_if(|char| matches!(char, '0'..='~'));
            None
        }
    }
}

fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut parameters = String::new();
    while let Some(char) = chars.next_if(|char| matches!(char, ' '..='?')) {
        parameters.push(char);
    }
    // A sequence that is broken off ends before what broke it.
    let end = chars.next_if(|char| matches!(char, '@'..='~'))?;
    let is_colour = end == 'm' && parameters.chars().all(|c| matches!(c, '0'..='9' | ';' | ':'));
    is_colour.then_some(parameters)
}

/// Skips a title, a link, or another string for the terminal, up to its end.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(char) = chars.next() {
        if char == BELL || char == '\u{9c}' {
            return;
        }
        if char == ESCAPE {
            chars.next_if_eq(&'\\');
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_a_table() {
        for (text, plain, coloured) in [
            ("plain", "plain", "plain"),
            ("tab\tstays, é too", "tab\tstays, é too", "tab\tstays, é too"),
            ("\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m"),
            ("\x1b[1;38;5;9mleft on", "left on", "\x1b[1;38;5;9mleft on\x1b[0m"),
            ("\x1b[38:2::1:2:3mrgb\x1b[m", "rgb", "\x1b[38:2::1:2:3mrgb\x1b[m"),
            ("\x1b[2J\x1b[Hcleared", "cleared", "cleared"),
            ("\x1b[>4;2mkeyboard mode", "keyboard mode", "keyboard mode"),
            ("\x1b[?25lhidden cursor", "hidden cursor", "hidden cursor"),
            ("\x1b]0;title\x07shown", "shown", "shown"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
            ("\x1bP1$r0m\x1b\\answer", "answer", "answer"),
            ("\x1b(0line drawing", "line drawing", "line drawing"),
            ("\x1bcreset", "reset", "reset"),
            ("bell\x07 back\x08", "bell␇ back␈", "bell␇ back␈"),
            ("10%\r20%\r", "10%␍20%", "10%␍20%"),
            ("dos\r", "dos", "dos"),
            ("\u{9b}31mold", "\u{fffd}31mold", "\u{fffd}31mold"),
            ("broken \x1b[31", "broken ", "broken "),
            ("broken \x1b[3\x1b[1mon", "broken on", "broken \x1b[1mon\x1b[0m"),
            ("\x1b]endless title", "", ""),
            ("ends \x1b", "ends ", "ends "),
            ("\x00\x7f", "␀␡", "␀␡"),
        ] {
            assert_eq!(neutralise(text, false), plain, "{text:?}");
            assert_eq!(neutralise(text, true), coloured, "{text:?}");
        }
    }

    /// The law, over every control character at every place of every sequence above.
    #[test]
    fn nothing_but_colours_is_left() {
        let controls: Vec<char> = ('\0'..='\u{9f}').filter(|char| char.is_control()).collect();
        for sequence in ["\x1b[31m", "\x1b]0;t\x07", "\x1bP1\x1b\\", "\x1b(0", "é"] {
            for (place, _) in sequence.char_indices() {
                for control in &controls {
                    let text = format!("{}{control}{}", &sequence[..place], &sequence[place..]);
                    let clean = neutralise(&text, false);
                    assert!(!clean.chars().any(is_harmful), "{text:?} gives {clean:?}");
                    let coloured = neutralise(&text, true);
                    let again = neutralise(&coloured, true);
                    assert_eq!(
                        again.trim_end_matches("\x1b[0m"),
                        coloured.trim_end_matches("\x1b[0m")
                    );
                    assert!(!neutralise(&coloured, false).chars().any(is_harmful));
                }
            }
        }
    }
}
