//! Holds single values against their shapes, and names and variables against
//! their rules.

use std::path::{Component, Path};
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use super::report::{Report, known_names};
use super::shape::{Form, Shape};
use crate::mesh::Operation;
use crate::{Name, Span, nearest};

/// The longest time span of a manifest; longer ones are slips of the hand.
pub(super) const DURATION_MAX: Duration = Duration::from_hours(24 * 30);

/// Reports in what `found` differs from a shape that has no parts.
pub(super) fn check(
    shape: &Shape,
    key: &str,
    found: &DeValue<'_>,
    span: &Span,
    report: &mut Report<'_>,
) {
    match (shape, found) {
        (Shape::Whole { least, most }, DeValue::Integer(number))
            if !integer(number).is_some_and(|number| (*least..=*most).contains(&number)) =>
        {
            let message = format!("`{key}` must be {}", shape.describe());
            let help = "choose a number within the bounds".to_owned();
            report.add("manifest::out_of_range", span.clone(), message, "out of range", help);
        }
        (Shape::Choice(numbers), DeValue::Integer(number))
            if !integer(number).is_some_and(|number| numbers.contains(&number)) =>
        {
            let message = format!("`{key}` must be {}", shape.describe());
            let help = "choose one of these".to_owned();
            report.add("manifest::out_of_range", span.clone(), message, "not one of them", help);
        }
        (Shape::True, DeValue::Boolean(false)) | (Shape::False, DeValue::Boolean(true)) => {
            let message = format!("`{key}` can only be {}", shape.describe());
            let help = format!("leave `{key}` out");
            report.add("manifest::out_of_range", span.clone(), message, "here", help);
        }
        (_, DeValue::String(found)) => {
            if found.contains('\0') {
                let message = format!("`{key}` holds a NUL character");
                let help = "remove `\\u0000`".to_owned();
                report.add("manifest::invalid_text", span.clone(), message, "here", help);
                return;
            }
            text(shape, key, found, span, report);
        }
        _ => {}
    }
}

fn text(shape: &Shape, key: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    match shape {
        Shape::Name => name(key, found, span, report),
        Shape::Word(words) if !words.contains(&found) => {
            let message = format!("`{key}` must be {}, not \"{found}\"", shape.describe());
            let help = known_names(found, words.iter().copied());
            report.add("manifest::unknown_word", span.clone(), message, "not known", help);
        }
        Shape::Version if !is_version(found) => {
            let message = format!("`{found}` is not a version");
            let help = "write numbers with dots between them, such as \"17\" or \"2.9\"".to_owned();
            report.add("manifest::invalid_version", span.clone(), message, "here", help);
        }
        Shape::Command if found.trim().is_empty() => {
            let message = format!("the command of `{key}` is empty");
            let help = "write the command line that starts the program".to_owned();
            report.add("manifest::empty_command", span.clone(), message, "empty", help);
        }
        Shape::Path => path(key, found, span, report),
        Shape::UrlPath => url_path(key, found, span, report),
        Shape::Regex => {
            if let Err(error) = regex::Regex::new(found) {
                let message = format!("`{key}` is not a regular expression");
                let help = "mend the pattern; `\\(` and the like stand for the character itself";
                let help = help.to_owned();
                report.add("manifest::invalid_regex", span.clone(), message, reason(&error), help);
            }
        }
        Shape::Form(one) => form(one, key, found, span, report),
        Shape::Duration { zero } => duration(*zero, key, found, span, report),
        _ => {}
    }
}

/// Reports that `found` cannot name a `what`.
pub(super) fn name(what: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    if found.parse::<Name>().is_err() {
        let message = format!("`{found}` is not a name for a {what}");
        let rule = "use lower-case letters, digits and `-`, start with a letter, end with a \
                    letter or digit, at most 63 characters";
        let help = Name::mended(found)
            .map_or_else(|| rule.to_owned(), |name| format!("write `{name}`: {rule}"));
        report.add("manifest::invalid_name", span.clone(), message, "not a name", help);
        return;
    }
    let reserved = match what {
        "service" | "resource" if found == "updraft" || found.starts_with("updraft-") => {
            "variables that start with `UPDRAFT_` are Updraft's own, and `<NAME>_URL` would be one"
        }
        "process" | "task" if found == "build" => "it is what the lines of builds are called",
        _ => return,
    };
    let message = format!("a {what} cannot be called `{found}`: {reserved}");
    let help = "choose another name".to_owned();
    report.add("manifest::reserved_name", span.clone(), message, "reserved", help);
}

fn form(form: &Form, key: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    if !(form.fits)(found) {
        let message = format!("`{key}` must be {}, not \"{found}\"", form.what);
        let help = match nearest(found, form.words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => form.help.to_owned(),
        };
        report.add(form.code, span.clone(), message, "here", help);
    }
}

/// Reads an operation, and reports that `found` is none.
pub(super) fn operation(found: &str, span: &Span, report: &mut Report<'_>) -> Option<Operation> {
    let reason = match found.parse::<Operation>() {
        Ok(operation) => return Some(operation),
        Err(error) => error.reason(),
    };
    let message = format!("`{found}` is not an operation: {reason}");
    let rule = "write a method and a path, such as `GET /quotes/{id}`";
    let (method, path) = found.split_once(' ').unwrap_or(("GET", found));
    let path = path.trim().trim_start_matches('/');
    let mended = format!("{} /{path}", method.trim().to_ascii_uppercase()).parse::<Operation>();
    let help = mended.map_or_else(|_| rule.to_owned(), |it| format!("did you mean `{it}`?"));
    report.add("manifest::invalid_operation", span.clone(), message, "not an operation", help);
    None
}

/// Reports that `found` cannot be a variable of a service's contract.
pub(super) fn variable(found: &str, span: &Span, report: &mut Report<'_>) {
    let sound = found.starts_with(|c: char| c.is_ascii_uppercase())
        && found.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    if !sound {
        let upper = found.trim().to_uppercase().replace(['-', '.', ' '], "_");
        let message = format!("`{found}` is not a name for a variable");
        let help = format!("use upper-case letters, digits and `_`, such as `{upper}`");
        report.add("manifest::invalid_variable", span.clone(), message, "not a variable", help);
    } else if matches!(found, "PORT" | "HOST") || found.starts_with("UPDRAFT_") {
        let message = match found {
            "PORT" | "HOST" => format!("`{found}` is Updraft's own: every process receives it"),
            _ => format!("`{found}` starts with `UPDRAFT_`, as Updraft's own variables do"),
        };
        let help = format!("leave `{found}` out of the contract");
        report.add("manifest::reserved_variable", span.clone(), message, "reserved", help);
    }
}

fn path(key: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(found).components().all(inside) {
        let message = format!("`{key}` leads out of the folder that it is relative to");
        let help = "write a relative path without `..`".to_owned();
        report.add("manifest::path_escapes", span.clone(), message, "leads out", help);
    } else if found.is_empty() {
        let message = format!("`{key}` is empty");
        let help = "write `.` for the folder itself".to_owned();
        report.add("manifest::path_escapes", span.clone(), message, "empty", help);
    }
}

fn url_path(key: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '{' | '}');
    if !found.starts_with('/') || found.starts_with("//") || !found.chars().all(plain) {
        let message = format!("`{key}` must be a URL path that starts with `/`, not \"{found}\"");
        let help =
            format!("write {key} = \"/{}\", without spaces, `?` and `#`", found.trim_matches('/'));
        report.add("manifest::invalid_url_path", span.clone(), message, "not a path", help);
    }
}

fn duration(zero: bool, key: &str, found: &str, span: &Span, report: &mut Report<'_>) {
    match crate::duration::parse(found) {
        Err(_) => {
            let message = format!("`{key}` must be a time span, not \"{found}\"");
            let help = "write a number with `ms`, `s`, `m` or `h`, such as 250ms, 45s or 1h30m";
            let help = help.to_owned();
            report.add("manifest::invalid_duration", span.clone(), message, "here", help);
        }
        Ok(span_given) if span_given.is_zero() && !zero => {
            let message = format!("`{key}` must be longer than no time");
            let help = "write at least 1ms".to_owned();
            report.add("manifest::out_of_range", span.clone(), message, "out of range", help);
        }
        Ok(span_given) if DURATION_MAX < span_given => {
            let most = crate::duration::format(DURATION_MAX);
            let message = format!("`{key}` must be at most {most}");
            let help = "write a shorter time span".to_owned();
            report.add("manifest::out_of_range", span.clone(), message, "out of range", help);
        }
        Ok(_) => {}
    }
}

/// The value of a TOML integer of any radix, where it fits.
pub(super) fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn is_version(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// The last line of the error says why; those before it draw the place.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
