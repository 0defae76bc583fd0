//! Rows as text.

use std::io::{self, BufWriter, Stdout, Write as _};

use serde_json::{Map, Value};

use super::Form;

/// Rows that are looked at to find out how wide columns are; later ones may be wider.
const LOOK_AT: usize = 100;

/// No column is padded to more than this.
const WIDTH_MOST: usize = 60;

/// Rows on their way to standard output.
pub(super) struct Table {
    form: Form,
    out: BufWriter<Stdout>,
    begun: bool,
    /// Rows of a table that are not printed, as the widths are not known.
    held: Vec<Vec<(String, Value)>>,
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn new(form: Form) -> Self {
        let out = BufWriter::new(io::stdout());
        Self { form, out, begun: false, held: Vec::new(), widths: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Vec<(String, Value)>) -> io::Result<()> {
        match self.form {
            Form::Json => {
                let object: Map<_, _> = row.into_iter().collect();
                writeln!(self.out, "{}", Value::Object(object))
            }
            Form::Csv => {
                if !self.begun {
                    self.begun = true;
                    let names: Vec<_> = row.iter().map(|(name, _)| csv(name)).collect();
                    write!(self.out, "{}\r\n", names.join(","))?;
                }
                let values: Vec<_> = row.iter().map(|(_, value)| csv(&text(value))).collect();
                write!(self.out, "{}\r\n", values.join(","))
            }
            Form::Table if self.begun => self.line(&row),
            Form::Table => {
                self.held.push(row);
                if self.held.len() < LOOK_AT { Ok(()) } else { self.release() }
            }
        }
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        if !self.held.is_empty() {
            self.release()?;
        }
        self.out.flush()
    }

    /// Prints the header and the rows that were held.
    fn release(&mut self) -> io::Result<()> {
        self.begun = true;
        let held = std::mem::take(&mut self.held);
        for row in &held {
            self.widths.resize(row.len(), 0);
            for ((name, value), width) in row.iter().zip(&mut self.widths) {
                let needed = name.chars().count().max(text(value).chars().count());
                *width = (*width).max(needed.min(WIDTH_MOST));
            }
        }
        if let Some(row) = held.first() {
            let header: Vec<_> =
                row.iter().map(|(name, _)| (name.clone(), Value::String(name.clone()))).collect();
            self.line(&header)?;
            let rule: Vec<_> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
            writeln!(self.out, "{}", rule.join("  "))?;
        }
        held.iter().try_for_each(|row| self.line(row))
    }

    fn line(&mut self, row: &[(String, Value)]) -> io::Result<()> {
        let mut line = String::new();
        for ((_, value), width) in row.iter().zip(&self.widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            // A line break would end the row, and an escape sequence is not for a terminal.
            let shown: String =
                text(value).chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
            line.push_str(&format!("{shown:width$}"));
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// A value for people; `NULL` is nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A field by RFC 4180.
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
