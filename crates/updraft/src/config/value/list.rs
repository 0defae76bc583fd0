//! Lists of values, with commas between them.

use super::Variable;

/// The most entries of a list.
const ENTRIES_MOST: usize = 1024;

/// Entries with commas between them; blanks around an entry are not part of it. Empty entries
/// are refused, but for one comma at the end.
impl<T: Variable> Variable for Vec<T> {
    const EXPECTED: &'static str = "a list with commas between its entries";
    const EXAMPLE: &'static str = T::EXAMPLE;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_suffix(',').unwrap_or(text);
        if text.is_empty() {
            return Err("has no entry".to_owned());
        }
        if text.split(',').nth(ENTRIES_MOST).is_some() {
            return Err(format!("has more than {ENTRIES_MOST} entries"));
        }
        let entries = text.split(',').map(str::trim).zip(1..);
        let read = entries.map(|(entry, number)| match entry {
            "" => Err(format!("has nothing for entry {number}")),
            entry => T::parse(entry).map_err(|wrong| format!("has an entry {number} that {wrong}")),
        });
        read.collect()
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }

    fn expected() -> String {
        format!("a list with commas between its entries, each of them {}", T::expected())
    }
}
