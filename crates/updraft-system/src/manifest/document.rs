//! The reference of the manifest, made from the table of keys.

use super::keys;
use super::shape::{Absent, Key, Label, Record, Shape, Tagged};

const HEAD: &str = "# The manifest, `updraft.toml`

<!-- Made from crates/updraft-system/src/manifest/keys.rs: change it there, then run
     UPDATE_DOCS=1 cargo nextest run -p updraft-system reference -->

The manifest is TOML 1.1, so an inline table may span lines and end in a comma. A key
that is not listed here is an error, and so is one of the list of things that are not
built yet. `updraft schema` prints the same as a JSON Schema for editors.

```toml
";

/// An example that uses what there is.
pub(super) const EXAMPLE: &str = include_str!("example.toml");

/// The reference page as Markdown.
pub fn reference_markdown() -> String {
    let mut page = Page { text: String::new(), unbuilt: Vec::new(), shown: Vec::new() };
    page.record(&keys::MANIFEST);
    let mut text =
        format!("{HEAD}{EXAMPLE}```\n\nA time span is written `250ms`, `45s`, `20m` or ");
    text.push_str("`1h30m`, and is at most 30 days.\n");
    text.push_str(&page.text);
    text.push_str("\n## Not built yet\n\nThese are refused, never ignored.\n\n");
    text.push_str("| where | key | until then |\n|---|---|---|\n");
    for row in &page.unbuilt {
        text.push_str(row);
    }
    text
}

struct Page {
    text: String,
    unbuilt: Vec<String>,
    /// The titles that are there: a table may have its place under more than one key.
    shown: Vec<&'static str>,
}

impl Page {
    fn record(&mut self, record: &Record) {
        if self.shown.contains(&record.title) {
            return;
        }
        self.shown.push(record.title);
        self.heading(record.title, record.doc);
        if !record.exactly_one.is_empty() {
            let names: Vec<_> = record.exactly_one.iter().map(|one| format!("`{one}`")).collect();
            self.add(&format!("Exactly one of {} is required.\n\n", names.join(", ")));
        }
        self.table(record.title, record.keys);
        self.parts(record.keys);
    }

    fn tagged(&mut self, tagged: &Tagged) {
        self.heading(tagged.title, tagged.doc);
        self.add(&format!("| `{}` | {} |\n|---|---|\n", tagged.tag, "meaning"));
        for variant in tagged.variants {
            match variant.unbuilt {
                None => self.add(&format!("| `\"{}\"` | {} |\n", variant.name, variant.doc)),
                Some(instead) => {
                    let key = format!("{} = \"{}\"", tagged.tag, variant.name);
                    self.refused(tagged.title, &key, instead);
                }
            }
        }
        let mut shown: Vec<&[Key]> = Vec::new();
        for variant in tagged.variants.iter().filter(|one| one.unbuilt.is_none()) {
            if variant.keys.is_empty() || shown.iter().any(|keys| std::ptr::eq(*keys, variant.keys))
            {
                continue;
            }
            shown.push(variant.keys);
            let sharing = tagged.variants.iter().filter(|o| std::ptr::eq(o.keys, variant.keys));
            let names: Vec<_> = sharing.map(|one| format!("`\"{}\"`", one.name)).collect();
            self.add(&format!("\nFurther keys of {}:\n\n", names.join(", ")));
            self.table(tagged.title, variant.keys);
        }
    }

    fn heading(&mut self, title: &str, doc: &str) {
        self.add(&format!("\n## {title}\n\n{doc}\n\n"));
    }

    fn table(&mut self, title: &str, keys: &[Key]) {
        self.add("| key | value | where absent | meaning |\n|---|---|---|---|\n");
        for key in keys {
            if let Shape::Unbuilt(unbuilt) = &key.shape {
                self.refused(title, key.name, unbuilt.instead);
                continue;
            }
            let absent = match key.absent {
                Absent::Required => "**required**",
                Absent::Means(default) => default,
            };
            let row =
                format!("| `{}` | {} | {absent} | {} |\n", key.name, form(&key.shape), key.doc);
            self.add(&row);
            if let Shape::Either(shapes) = &key.shape {
                for one in *shapes {
                    if let Shape::Unbuilt(unbuilt) = one {
                        let key = format!("{} as {}", key.name, unbuilt.shape.describe());
                        self.refused(title, &key, unbuilt.instead);
                    }
                }
            }
        }
    }

    fn refused(&mut self, title: &str, key: &str, instead: &str) {
        self.unbuilt.push(format!("| {title} | `{key}` | {instead} |\n"));
    }

    fn parts(&mut self, keys: &[Key]) {
        for key in keys {
            self.part(&key.shape);
        }
    }

    fn part(&mut self, shape: &Shape) {
        match shape {
            Shape::Record(record) => self.record(record),
            Shape::Tagged(tagged) => self.tagged(tagged),
            Shape::List(each) | Shape::Map(_, each) => self.part(each),
            Shape::Either(shapes) => shapes.iter().for_each(|one| self.part(one)),
            _ => {}
        }
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

/// A shape as a cell of a table.
fn form(shape: &Shape) -> String {
    match shape {
        Shape::Map(Label::Name(what), _) => format!("a table, a key for each {what}"),
        Shape::Map(Label::Variable, _) => "a table, a key for each variable".to_owned(),
        Shape::Map(Label::Operation, _) => "a table, a key for each operation".to_owned(),
        _ => shape.describe(),
    }
}
