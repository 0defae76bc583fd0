//! What the targets share: how a stream is cut into reads, and what a run begins with.

use std::path::PathBuf;

/// Takes the first four bytes for the lengths of reads, in turn, and the rest for the stream.
/// A length of 0 is all that is left.
pub fn cut(data: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (lengths, stream) = data.split_at(data.len().min(4));
    let (mut pieces, mut rest) = (Vec::new(), stream);
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(0, |length| usize::from(*length));
        let length = if length == 0 { rest.len() } else { length.min(rest.len()) };
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    (pieces, stream)
}

/// Puts seeds into the first folder of the command line, which libFuzzer takes for its corpus.
pub fn sow(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = std::env::args_os().skip(1).map(PathBuf::from).find(|path| path.is_dir());
    let Some(folder) = folder else { return };
    for (number, seed) in seeds.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).expect("a seed is written");
    }
}

/// The requests of the gate's own corpus, as bytes.
pub fn requests() -> Vec<Vec<u8>> {
    let corpus: toml::Table =
        include_str!("../../tests/corpus/requests.toml").parse().expect("the corpus is TOML");
    let entries = corpus["request"].as_array().expect("it has requests");
    entries.iter().map(|entry| unescape(entry["raw"].as_str().expect("it has bytes"))).collect()
}

/// `\r \n \t \xHH`, and `\{N*TEXT}` for N times the text.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = &rest[at + 1..];
        let used = match code.as_bytes()[0] {
            b'{' => {
                let end = code.find('}').expect("a brace is closed");
                let (count, part) = code[1..end].split_once('*').expect("a count and a text");
                bytes.extend(unescape(part).repeat(count.parse().expect("a count")));
                end + 1
            }
            b'x' => {
                bytes.push(u8::from_str_radix(&code[1..3], 16).expect("two digits"));
                3
            }
            letter => {
                let known = [(b'r', b'\r'), (b'n', b'\n'), (b't', b'\t')];
                bytes.extend(known.iter().find(|known| known.0 == letter).map(|known| known.1));
                1
            }
        };
        rest = &code[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The blocks of a Markdown page that are of this language.
pub fn examples(page: &str, language: &str) -> Vec<Vec<u8>> {
    let start = format!("```{language}\n");
    page.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(|block| block.as_bytes().to_vec())
        .collect()
}
