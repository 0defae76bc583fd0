//! What a server asks for: `WWW-Authenticate` by the grammar of RFC 7235 (now RFC 9110, 11.6.1).
//!
//! One header may hold several challenges, and commas stand between challenges and between the
//! parameters of one alike; only what follows a word tells them apart.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// The most challenges that are looked at.
const CHALLENGES_MOST: usize = 8;
/// The most parameters of one that are kept.
const PARAMETERS_MOST: usize = 16;
/// The longest header that is read, in bytes.
const HEADER_MOST: usize = 8 << 10;

/// One way to say who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// Names in lower case, in their order.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, by its name in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer; what cannot be read is left out.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(parse).take(CHALLENGES_MOST).collect()
}

/// The challenges of one header, up to where it breaks the grammar.
pub(super) fn parse(text: &str) -> Vec<Challenge> {
    let mut reader = Reader { rest: text.get(..HEADER_MOST).unwrap_or(text) };
    let mut found = Vec::new();
    while found.len() < CHALLENGES_MOST {
        reader.skip(&[' ', '\t', ',']);
        let Some(challenge) = reader.challenge() else { break };
        found.push(challenge);
    }
    found
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn challenge(&mut self) -> Option<Challenge> {
        let scheme = self.token()?.to_ascii_lowercase();
        let mut parameters = Vec::new();
        self.skip(&[' ', '\t']);
        self.token68();
        loop {
            let mut ahead = *self;
            ahead.skip(&[' ', '\t', ',']);
            // A word without `=` begins the next challenge.
            let Some(name) = ahead.name() else { break };
            let Some(value) = ahead.value() else {
                // Nothing behind an open quotation can be trusted.
                self.rest = "";
                break;
            };
            *self = ahead;
            if parameters.len() < PARAMETERS_MOST {
                parameters.push((name, value));
            }
        }
        Some(Challenge { scheme, parameters })
    }

    /// With the `=` behind it.
    fn name(&mut self) -> Option<String> {
        let name = self.token()?.to_ascii_lowercase();
        self.skip(&[' ', '\t']);
        self.rest = self.rest.strip_prefix('=')?;
        self.skip(&[' ', '\t']);
        Some(name)
    }

    fn value(&mut self) -> Option<String> {
        match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.quoted()
            }
            None => self.token().map(str::to_owned),
        }
    }

    /// What the schemes use that have no parameters, such as Negotiate: not used here, passed over.
    fn token68(&mut self) {
        let is_inside = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        };
        let length = self.rest.bytes().take_while(|byte| is_inside(*byte)).count();
        let (_, after) = self.rest.split_at(length);
        let rest = after.trim_start_matches('=');
        let ends = rest.is_empty() || rest.trim_start_matches([' ', '\t']).starts_with(',');
        if 0 < length && ends {
            self.rest = rest;
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_inside =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let length = self.rest.bytes().take_while(|byte| is_inside(*byte)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// After the first quotation mark.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Some(value);
                }
                '\\' => value.push(letters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }

    fn skip(&mut self, letters: &[char]) {
        self.rest = self.rest.trim_start_matches(letters);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |challenge: &Challenge| {
            let parameters: Vec<String> = challenge
                .parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} {}", challenge.scheme, parameters.join("|")).trim_end().to_owned()
        };
        parse(text).iter().map(show).collect()
    }

    #[test]
    fn challenges_are_read_by_the_grammar() {
        let table: [(&str, &[&str]); 14] = [
            ("", &[]),
            ("Basic", &["basic"]),
            (r#"Basic realm="a b""#, &["basic realm=a b"]),
            (r#"BASIC Realm=x"#, &["basic realm=x"]),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                &[
                    "bearer realm=https://auth.docker.io/token|service=registry.docker.io|scope=repository:a/b:pull,push",
                ],
            ),
            (
                r#"Basic realm="a", Bearer realm="b", service=c"#,
                &["basic realm=a", "bearer realm=b|service=c"],
            ),
            ("Negotiate, Basic realm=x", &["negotiate", "basic realm=x"]),
            ("Negotiate YWJj==, Basic realm=x", &["negotiate", "basic realm=x"]),
            (r#"Bearer realm="a\"b\\c""#, &[r#"bearer realm=a"b\c"#]),
            (r#"Bearer realm = "a" , service = "b""#, &["bearer realm=a|service=b"]),
            (",, Basic realm=x,,service=y,", &["basic realm=x|service=y"]),
            (r#"Bearer realm="open"#, &["bearer"]),
            (r#"Bearer realm="a, Basic realm=b""#, &["bearer realm=a, Basic realm=b"]),
            (
                "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
                &["newauth realm=apps|type=1|title=Login to \"apps\"", "basic realm=simple"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            list in proptest::collection::vec(
                ("[A-Z][a-z]{1,6}", proptest::collection::vec(("[a-z]{1,5}", "[ -~]{0,12}"), 1..4)),
                1..4,
            )
        ) {
            let quote = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
            let texts: Vec<String> = list.iter().map(|(scheme, parameters)| {
                let parameters: Vec<String> = parameters.iter()
                    .map(|(name, value)| format!("{name}=\"{}\"", quote(value))).collect();
                format!("{scheme} {}", parameters.join(", "))
            }).collect();
            let read = parse(&texts.join(", "));
            let expected: Vec<Challenge> = list.into_iter().map(|(scheme, parameters)| Challenge {
                scheme: scheme.to_ascii_lowercase(), parameters,
            }).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_header_is_read_within_the_bounds(text in "[ -~\\t]{0,200}|[A-Z =,\"\\\\]{0,200}") {
            let read = parse(&text);
            prop_assert!(read.len() <= CHALLENGES_MOST);
            prop_assert!(read.iter().all(|it| it.parameters.len() <= PARAMETERS_MOST));
        }
    }
}
