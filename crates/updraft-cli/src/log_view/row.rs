//! One line of the log as one row of text.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use updraft_system::{LogLine, LogSource, LogStream};

use super::control::neutralise;
use super::structured::{Structured, read_structured};

/// How the log is shown.
#[derive(Clone, Debug)]
pub(crate) struct LogStyle {
    /// Rows are the JSON of the lines; nothing else below has a meaning then.
    pub(crate) json: bool,
    /// Text is shown exactly as the program wrote it, whatever it does to the terminal.
    pub(crate) raw: bool,
    /// Rows begin with the time, in the given zone.
    pub(crate) timestamps: Option<TimeZone>,
    /// Rows have colours, and those of programs are kept.
    pub(crate) colour: bool,
    /// Rows are for a person: lines of JSON are made readable.
    pub(crate) readable: bool,
    /// All names of the system, as far as they are known: rows align at once, and no two
    /// processes share a colour while there are enough.
    pub(crate) names: Vec<LogSource>,
}

impl LogStyle {
    /// What suits standard output, changed as the user wishes.
    pub(crate) fn wished(json: bool, raw: bool, times: bool) -> Self {
        let timestamps = times.then(TimeZone::system);
        Self { json, raw, timestamps, ..Self::for_stdout() }
    }

    /// What suits standard output: colour on a terminal that has it and a user who does
    /// not refuse it by `NO_COLOR`.
    pub(crate) fn for_stdout() -> Self {
        let stdout = std::io::stdout();
        let colour = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        Self {
            json: false,
            raw: false,
            timestamps: None,
            colour,
            readable: stdout.is_terminal(),
            names: Vec::new(),
        }
    }
}

/// The colours of processes: those that a terminal's theme makes readable on its ground,
/// without red, which means an error.
const PALETTE: [AnsiColor; 9] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Yellow,
    AnsiColor::BrightBlue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightYellow,
];

const DIMMED: Style = Style::new().dimmed();
const LOSS: Style = AnsiColor::Yellow.on_default().dimmed();

/// Makes rows; knows what was shown before.
#[derive(Debug)]
pub(super) struct RowWriter {
    style: LogStyle,
    width: usize,
    colours: Vec<(LogSource, AnsiColor)>,
    /// Whose last line was cut, so that the next goes on with it.
    unfinished: HashSet<(LogSource, LogStream)>,
}

impl RowWriter {
    pub(super) fn new(style: LogStyle) -> Self {
        let width = style.names.iter().map(width_of).max().unwrap_or(0);
        let colours = assign_colours(&style.names);
        Self { style, width, colours, unfinished: HashSet::new() }
    }

    /// Appends the rows of one line.
    pub(super) fn write(&mut self, line: &LogLine, rows: &mut String) -> fmt::Result {
        if self.style.json {
            rows.push_str(&serde_json::to_string(line).map_err(|_not_text| fmt::Error)?);
            rows.push('\n');
            return Ok(());
        }
        self.width = self.width.max(width_of(&line.source));
        if line.dropped > 0 {
            self.write_prefix(line, "▸", rows)?;
            let count = grouped(line.dropped);
            let noun = if line.dropped == 1 { "line" } else { "lines" };
            let words = format!("… {count} {noun} dropped: the reader was slow");
            self.write_styled(LOSS, &words, rows)?;
            rows.push('\n');
        }
        let was_cut = self.unfinished.remove(&(line.source.clone(), line.stream));
        // When lines are missing between, this may be the rest of another one.
        let continues = was_cut && line.dropped == 0;
        if line.partial {
            self.unfinished.insert((line.source.clone(), line.stream));
        }
        // The rest of a line that was complete but for its line feed, or a mere count.
        let is_empty = line.line.is_empty();
        if is_empty && (continues || line.stream == LogStream::Updraft) {
            return Ok(());
        }
        let bar = match (line.stream, continues) {
            (LogStream::Stdout, false) => "│",
            (LogStream::Stdout, true) => "┊",
            (LogStream::Stderr, false) => "┃",
            (LogStream::Stderr, true) => "┋",
            (LogStream::Updraft, _) => "▸",
        };
        self.write_prefix(line, bar, rows)?;
        self.write_text(line, continues, rows)?;
        rows.push('\n');
        Ok(())
    }

    fn write_prefix(&self, line: &LogLine, bar: &str, rows: &mut String) -> fmt::Result {
        if let Some(zone) = &self.style.timestamps {
            let time = line.time.to_zoned(zone.clone()).strftime("%F %T%.3f").to_string();
            self.write_styled(DIMMED, &time, rows)?;
            rows.push(' ');
        }
        let colour = self.colour_of(&line.source).on_default();
        let name = line.source.to_string();
        self.write_styled(colour, &format!("{name:<0$}", self.width), rows)?;
        rows.push(' ');
        let style = match line.stream {
            LogStream::Stderr if bar != "▸" => AnsiColor::Red.on_default(),
            _ => colour,
        };
        self.write_styled(style, bar, rows)?;
        rows.push(' ');
        Ok(())
    }

    fn colour_of(&self, source: &LogSource) -> AnsiColor {
        let known = self.colours.iter().find(|(name, _)| same_process(name, source));
        known.map_or_else(|| PALETTE[hash_of(source)], |(_, colour)| *colour)
    }

    fn write_text(&self, line: &LogLine, continues: bool, rows: &mut String) -> fmt::Result {
        if self.style.raw && line.stream != LogStream::Updraft {
            rows.push_str(&line.line);
            return Ok(());
        }
        if line.stream == LogStream::Updraft {
            return self.write_styled(Style::new().bold(), &neutralise(&line.line, false), rows);
        }
        let is_whole = !continues && !line.partial;
        let structured = match self.style.readable && is_whole {
            true => read_structured(&line.line, &line.source),
            false => None,
        };
        match structured {
            Some(structured) => self.write_structured(&structured, rows),
            None => {
                rows.push_str(&neutralise(&line.line, self.style.colour));
                Ok(())
            }
        }
    }

    fn write_structured(&self, line: &Structured, rows: &mut String) -> fmt::Result {
        if let Some(level) = &line.level {
            let style = match level.as_str() {
                "ERROR" | "FATAL" | "CRITICAL" => AnsiColor::Red.on_default().bold(),
                "WARN" | "WARNING" => AnsiColor::Yellow.on_default(),
                "INFO" => AnsiColor::Green.on_default(),
                _ => DIMMED,
            };
            self.write_styled(style, &neutralise(&format!("{level:<5}"), false), rows)?;
            rows.push(' ');
        }
        // What JSON has escaped is unescaped now, and must not reach the terminal either.
        rows.push_str(&neutralise(&line.message, self.style.colour));
        if !line.fields.is_empty() {
            rows.push(' ');
            self.write_styled(DIMMED, &neutralise(&line.fields, false), rows)?;
        }
        Ok(())
    }

    fn write_styled(&self, style: Style, text: &str, rows: &mut String) -> fmt::Result {
        match self.style.colour {
            true => write!(rows, "{style}{text}{style:#}"),
            false => rows.write_str(text),
        }
    }
}

fn width_of(source: &LogSource) -> usize {
    // Names are ASCII, so that bytes are columns.
    source.to_string().len()
}

fn same_process(one: &LogSource, other: &LogSource) -> bool {
    one.service == other.service && one.process == other.process
}

/// Gives each process the colour of its hash, or if that is taken the next that is not.
/// Ordered by name, so that a system looks the same each time.
fn assign_colours(names: &[LogSource]) -> Vec<(LogSource, AnsiColor)> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup_by(|one, other| same_process(one, other));
    let mut colours: Vec<(LogSource, AnsiColor)> = Vec::with_capacity(names.len());
    for name in names {
        let wanted = hash_of(&name);
        let choices = PALETTE.iter().cycle().skip(wanted).take(PALETTE.len());
        let mut free = choices.filter(|colour| !colours.iter().any(|(_, taken)| taken == *colour));
        let colour = free.next().copied().unwrap_or(PALETTE[wanted]);
        colours.push((name, colour));
    }
    colours
}

/// The place of a process in the palette, the same in every run and on every machine,
/// which the standard library's hash does not promise: this is FNV-1a.
fn hash_of(source: &LogSource) -> usize {
    let name = [source.service.as_str(), ".", source.process.as_str()];
    let bytes = name.iter().flat_map(|part| part.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % PALETTE.len() as u64).unwrap_or(0)
}

/// `12345` as `12 345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
