//! Texts of errors as the detail of health shows them. Drivers put into their errors what
//! they were given, and what they were given may hold a password.

/// Letters of an error that are shown.
const LETTERS_MOST: usize = 300;

/// Words before `=` or `:` whose value is never shown.
const SECRETS: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "key", "authorization"];

/// An error with its chain, on one line, without user data of URLs and without values of
/// what is called a secret.
pub(super) fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        source = error.source();
    }
    redacted(&chain)
}

fn redacted(text: &str) -> String {
    let text = crate::log::scrubbed(text);
    let words = text.split_whitespace().map(word);
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|letter| !letter.is_control()).collect();
    match line.char_indices().nth(LETTERS_MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let shown = &rest[..end];
        let authority = shown.find('/').unwrap_or(shown.len());
        let host = shown[..authority].rfind('@').map_or(0, |at| at + 1);
        // What is before the scheme may be a quote, or again a secret.
        let before = scheme.rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '+');
        let scheme = &scheme[before.map_or(0, |at| at + 1)..];
        return format!("{scheme}://{}", &shown[host..]);
    }
    let Some(at) = word.find(['=', ':']) else { return word.to_owned() };
    let name = word[..at].to_ascii_lowercase();
    match at + 1 < word.len() && SECRETS.iter().any(|secret| name.ends_with(secret)) {
        true => format!("{}[redacted]", &word[..=at]),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_error_is_shown_and_what_helps_is() {
        for (text, expected) in [
            ("connection refused", "connection refused"),
            (
                "cannot reach postgres://user:canary@db.example:5432/shop?password=canary now",
                "cannot reach postgres://db.example:5432/shop now",
            ),
            ("bad url \"redis://:canary@cache/0\"", "bad url redis://cache/0\""),
            ("canary=x@redis://h", "redis://h"),
            ("host=db password=canary user=x", "host=db password=[redacted] user=x"),
            ("API_KEY:canary Token=canary", "API_KEY:[redacted] Token=[redacted]"),
            ("password: canary", "password: [redacted]"),
            ("{\"password\":\"canary\"}", "{\"password\":[redacted]}"),
            ("line one\nline\u{7} two", "line one line two"),
            ("http://canary@canary@host/p#canary", "http://host/p"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
            assert!(!redacted(text).contains("canary"));
        }
        assert!(redacted(&"ä".repeat(1000)).chars().count() <= LETTERS_MOST + 1);
    }
}
