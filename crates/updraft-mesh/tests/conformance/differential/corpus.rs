//! The corpus of `tests/corpus/requests.toml`.

use serde::Deserialize;

#[derive(Deserialize)]
struct Corpus {
    request: Vec<Entry>,
}

/// A request, and what becomes of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    raw: String,
    pub(super) verdict: Verdict,
    answers: Option<Vec<u16>>,
    #[serde(default)]
    seen: Vec<String>,
    /// The client ends its side behind the bytes.
    #[serde(default)]
    pub(super) cut: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Reject,
    Forward,
    Cut,
}

pub(super) fn entries() -> Vec<Entry> {
    let text = include_str!("../../corpus/requests.toml");
    toml::from_str::<Corpus>(text).unwrap().request
}

impl Entry {
    /// The bytes; `own` is what the gateway is called in Via, which the corpus knows as `gate`.
    pub(super) fn bytes(&self, own: &str) -> Vec<u8> {
        let small = self.raw.replace(" gate\\r", &format!(" {own}\\r"));
        unescaped(&small.replace(" GATE (", &format!(" {} (", own.to_uppercase())))
    }

    /// How many answers come back, where that is known.
    pub(super) fn answers(&self) -> usize {
        let known = self.answers.as_ref().filter(|_| !self.cut);
        known.map_or(0, Vec::len)
    }

    /// Method, target and body of what may go on.
    pub(super) fn seen_lines(&self) -> Vec<String> {
        let text = |line: &String| String::from_utf8_lossy(&unescaped(line)).into_owned();
        let mut lines: Vec<_> = self.seen.iter().map(text).collect();
        // The recorder grants no upgrade, so that what is behind is another request.
        if self.name == "ws_fine_request_behind" {
            lines.push("GET /smuggled".to_owned());
        }
        lines
    }
}

/// Reads `\r`, `\n`, `\t`, `\xHH`, and `\{N*TEXT}` for N times the text.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, code)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let used = match code.as_bytes()[0] {
            b'r' => take(&mut bytes, b"\r"),
            b'n' => take(&mut bytes, b"\n"),
            b't' => take(&mut bytes, b"\t"),
            b'x' => {
                bytes.push(u8::from_str_radix(&code[1..3], 16).unwrap());
                3
            }
            b'{' => {
                let (repeated, _) = code[1..].split_once('}').unwrap();
                let (count, part) = repeated.split_once('*').unwrap();
                bytes.extend(unescaped(part).repeat(count.parse().unwrap()));
                repeated.len() + 2
            }
            _ => panic!("{text}"),
        };
        rest = &code[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn take(bytes: &mut Vec<u8>, byte: &[u8]) -> usize {
    bytes.extend_from_slice(byte);
    1
}
