//! Which words stand behind the name of a prepared statement or a portal.

use std::collections::HashMap;

use super::super::Text;

/// The most names of each kind that one connection may have; the words behind further ones
/// are unknown.
const NAMES_MAX: usize = 1024;

/// The longest name; the words behind a longer one are unknown.
const NAME_BYTES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Statements {
    statements: Names,
    portals: Names,
}

#[derive(Debug, Default)]
struct Names {
    /// What the empty name stands for: by far the most used, and so without an allocation.
    unnamed: Text,
    named: HashMap<Box<[u8]>, Text>,
}

impl Names {
    fn get(&self, name: &[u8]) -> Text {
        if name.is_empty() {
            return self.unnamed;
        }
        self.named.get(name).copied().unwrap_or_default()
    }

    fn set(&mut self, name: &[u8], text: Text) {
        if name.is_empty() {
            self.unnamed = text;
        } else if let Some(known) = self.named.get_mut(name) {
            *known = text;
        } else if self.named.len() < NAMES_MAX && name.len() <= NAME_BYTES_MAX {
            self.named.insert(name.into(), text);
        }
    }

    fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = Text::EMPTY;
        } else {
            self.named.remove(name);
        }
    }
}

impl Statements {
    /// `Parse`: the name of the statement, then the statement.
    pub(super) fn parse(&mut self, body: &[u8]) -> Text {
        let Some((name, rest)) = split(body) else { return Text::EMPTY };
        let sql = split(rest).map_or(rest, |(sql, _)| sql);
        let text = Text::of_sql(sql);
        self.statements.set(name, text);
        text
    }

    /// `Bind`: the name of the portal, then that of the statement.
    pub(super) fn bind(&mut self, body: &[u8]) -> Text {
        let names = split(body).and_then(|(portal, rest)| Some((portal, split(rest)?.0)));
        let Some((portal, statement)) = names else { return Text::EMPTY };
        let text = self.statements.get(statement);
        self.portals.set(portal, text);
        text
    }

    /// `Execute`: the name of the portal.
    pub(super) fn execute(&self, body: &[u8]) -> Text {
        split(body).map_or(Text::EMPTY, |(portal, _)| self.portals.get(portal))
    }

    /// `Close`: which of both, then the name.
    pub(super) fn close(&mut self, body: &[u8]) {
        let Some((which, rest)) = body.split_first() else { return };
        let Some((name, _)) = split(rest) else { return };
        match which {
            b'S' => self.statements.remove(name),
            _ => self.portals.remove(name),
        }
    }

    /// Portals live no longer than their transaction.
    pub(super) fn end_transaction(&mut self) {
        self.portals.named.clear();
    }
}

/// A string that ends with a zero, and what is behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
