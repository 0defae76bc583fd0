//! The template of a path, such as `/orders/{id}/lines/{number}`.

use syn::LitStr;

use crate::findings::Findings;

/// A sound template.
pub(super) struct Template {
    pub(super) literal: LitStr,
    pub(super) names: Vec<String>,
}

impl Template {
    /// Reads it; everything that is wrong is among the findings.
    pub(super) fn read(literal: &LitStr, findings: &mut Findings) -> Option<Self> {
        let path = literal.value();
        let mut wrong: Vec<String> = Vec::new();
        let mut names = Vec::new();
        if !path.starts_with('/') {
            wrong.push("a path begins with `/`".to_owned());
        }
        if path.len() > 1 && path.ends_with('/') {
            wrong.push("a path does not end with `/`".to_owned());
        }
        for part in path.split('/').skip(1) {
            match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if is_name(name) && !names.contains(&name.to_owned()) => {
                    names.push(name.to_owned());
                }
                Some(name) if is_name(name) => wrong.push(format!("`{name}` is there twice")),
                Some(name) if name.starts_with('*') => wrong.push(
                    "a contract cannot say the rest of a path: route it with `Api::router`"
                        .to_owned(),
                ),
                Some(name) => wrong.push(format!("`{name}` is no name of a parameter")),
                None => wrong.extend(wrong_word(part, &path)),
            }
        }
        if wrong.is_empty() {
            return Some(Self { literal: literal.clone(), names });
        }
        for say in wrong {
            findings.add(literal, say);
        }
        None
    }
}

fn is_name(name: &str) -> bool {
    let first = |it: char| it.is_ascii_lowercase() || it == '_';
    name.starts_with(first) && name.chars().all(|it| first(it) || it.is_ascii_digit())
}

fn wrong_word(part: &str, path: &str) -> Option<String> {
    if part.is_empty() && path != "/" && !path.ends_with('/') {
        return Some("a path has no empty part: `//`".to_owned());
    }
    if let Some(name) = part.strip_prefix(':').filter(|name| is_name(name)) {
        return Some(format!("a parameter is written `{{{name}}}`"));
    }
    if part.contains(['{', '}']) {
        return Some(format!("`{part}`: a parameter is a whole part of a path"));
    }
    let sound = |it: char| it.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(it);
    let wrong = part.chars().find(|it| !sound(*it))?;
    Some(format!("`{wrong}` must be percent-encoded in a path"))
}
