//! Bundler: the section DEPENDENCIES of `Gemfile.lock` has each gem of the `Gemfile`.

use std::path::Path;

use super::{Reading, text};

/// Manifest and lockfile; the second pair is Bundler's newer naming.
const PAIRS: &[(&str, &str)] = &[("Gemfile", "Gemfile.lock"), ("gems.rb", "gems.locked")];

/// Words with which a `Gemfile` is more than a list.
const LOGIC: &[&str] =
    &["if", "unless", "case", "while", "each", "ENV", "eval_gemfile", "=begin", "send", "__END__"];

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let (manifest, lock) = PAIRS.iter().find(|(manifest, _)| folder.join(manifest).is_file())?;
    let mut reading = Reading::of(manifest);
    let Some(source) = text::read(&folder.join(manifest)) else {
        return Some(reading.unreadable(manifest));
    };
    let code: Vec<&str> =
        source.lines().map(|line| line.split(" #").next().unwrap_or(line).trim()).collect();
    let code: Vec<&str> = code.into_iter().filter(|line| !line.starts_with('#')).collect();
    let gems: Vec<&str> = code.iter().filter_map(|line| gem(line)).collect();
    let is_logic = code.iter().any(|line| {
        let mut words =
            line.split(|letter: char| !letter.is_alphanumeric() && !"_=".contains(letter));
        words.any(|word| LOGIC.contains(&word))
    });
    let has_specification = code.iter().any(|line| line.starts_with("gemspec"));
    reading.dependencies = gems.len() + usize::from(has_specification);
    if !folder.join(lock).is_file() {
        if reading.dependencies > 0 {
            reading.fail(format!("{manifest} names gems, and there is no {lock}"));
        }
        return Some(reading);
    }
    reading.lock = Some(folder.join(lock));
    let Some(locked) = text::read(&folder.join(lock)) else {
        return Some(reading.unreadable(lock));
    };
    let locked = locked_gems(&locked);
    for name in gems.into_iter().filter(|name| !locked.contains(name)) {
        if is_logic {
            reading
                .unknown(format!("{lock} does not have `{name}`, and {manifest} has conditions"));
        } else {
            reading.fail(format!("{lock} does not have `{name}`"));
        }
    }
    Some(reading)
}

/// The name in `gem "rails", "~> 7"`.
fn gem(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("gem")?.trim_start_matches([' ', '(']);
    let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    let (name, _) = rest[1..].split_once(quote)?;
    (!name.contains('#')).then_some(name)
}

fn locked_gems(lock: &str) -> Vec<&str> {
    lock.lines()
        .skip_while(|line| *line != "DEPENDENCIES")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(|line| line.trim().split([' ', '!']).next())
        .collect()
}
