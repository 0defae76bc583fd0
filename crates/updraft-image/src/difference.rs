//! Where two images first differ: the answer to why a build is not the same twice.

use std::fmt;
use std::io::{self, Read};

use serde::Serialize;
use serde_json::Value;

use crate::layer::Entries;
use crate::tar::Entry;
use crate::{Descriptor, Digest, ImageError, LayerError, Layout, StoredImage};

/// Bytes that are shown from the first one that differs.
const WINDOW: usize = 16;

/// Contents are compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// The first difference of two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The numbers of their layers.
    Layers {
        /// Of the first.
        a: usize,
        /// Of the second.
        b: usize,
    },
    /// Only one has a file.
    OnlyIn {
        /// Which one: `a` or `b`.
        side: &'static str,
        /// Counted from 0, from the base upwards.
        layer: usize,
        /// The file's path.
        path: String,
    },
    /// A file's kind, mode, owner, time or target.
    Attribute {
        /// Counted from 0, from the base upwards.
        layer: usize,
        /// The file's path.
        path: String,
        /// Which of them.
        attribute: &'static str,
        /// Of the first.
        a: String,
        /// Of the second.
        b: String,
    },
    /// The content of a file.
    Content {
        /// Counted from 0, from the base upwards.
        layer: usize,
        /// The file's path.
        path: String,
        /// Of the first byte that differs, counted from 0.
        offset: u64,
        /// Up to 16 bytes from there in hexadecimal digits; of the first.
        a: String,
        /// Of the second.
        b: String,
    },
    /// All files are equal, but not how the archive or its compression writes them.
    Encoding {
        /// Counted from 0, from the base upwards.
        layer: usize,
        /// What is written in another way.
        what: &'static str,
        /// Of the first.
        a: String,
        /// Of the second.
        b: String,
    },
    /// A value of the configuration or the manifest.
    Document {
        /// Which one: `configuration` or `manifest`.
        document: &'static str,
        /// Where in it, as a JSON Pointer of RFC 6901.
        pointer: String,
        /// Of the first, as JSON; `absent` where there is none.
        a: String,
        /// Of the second.
        b: String,
    },
}

/// The first difference of image `digest_a` of `a` and image `digest_b` of `b`. `None` when they
/// are one image.
///
/// Layers are looked at first, because what differs there makes manifests differ.
///
/// # Errors
///
/// [`ImageError`] when one of them cannot be read.
pub fn difference(
    a: &Layout,
    digest_a: &Digest,
    b: &Layout,
    digest_b: &Digest,
) -> Result<Option<Difference>, ImageError> {
    if digest_a == digest_b {
        return Ok(None);
    }
    let (a, b) = (StoredImage::open(a, digest_a)?, StoredImage::open(b, digest_b)?);
    for (layer, (of_a, of_b)) in a.layers().zip(b.layers()).enumerate() {
        if of_a.0.digest == of_b.0.digest {
            continue;
        }
        let sides = [(a.layout(), of_a), (b.layout(), of_b)];
        if let Some(difference) = of_layers(layer, sides)? {
            return Ok(Some(difference));
        }
    }
    let (layers_a, layers_b) = (a.manifest().layers.len(), b.manifest().layers.len());
    if layers_a != layers_b {
        return Ok(Some(Difference::Layers { a: layers_a, b: layers_b }));
    }
    let documents = [
        ("configuration", &a.manifest().config.digest, &b.manifest().config.digest),
        ("manifest", digest_a, digest_b),
    ];
    for (document, of_a, of_b) in documents {
        if let Some((pointer, a, b)) = of_values("", &value(&a, of_a)?, &value(&b, of_b)?) {
            return Ok(Some(Difference::Document { document, pointer, a, b }));
        }
    }
    let (a, b) = (digest_a.to_string(), digest_b.to_string());
    Ok(Some(Difference::Document { document: "manifest", pointer: String::new(), a, b }))
}

fn value(image: &StoredImage, digest: &Digest) -> Result<Value, ImageError> {
    crate::stored::parsed(digest, "JSON", &image.layout().document(digest)?)
}

type Side<'a> = (&'a Layout, (&'a Descriptor, &'a Digest));

fn of_layers(layer: usize, sides: [Side<'_>; 2]) -> Result<Option<Difference>, ImageError> {
    let [(_, (blob_a, diff_a)), (_, (blob_b, diff_b))] = sides;
    if diff_a == diff_b {
        let (a, b) = (blob_a.digest.to_string(), blob_b.digest.to_string());
        return Ok(Some(Difference::Encoding { layer, what: "the compression", a, b }));
    }
    let open = |(layout, (blob, diff)): Side<'_>| Entries::open(layout, blob, diff);
    let [mut a, mut b] = [open(sides[0])?, open(sides[1])?];
    loop {
        let (at_a, at_b) = (a.offset(), b.offset());
        match (a.next()?, b.next()?) {
            (None, None) => break,
            (Some(entry), None) => return Ok(Some(only("a", layer, &entry))),
            (None, Some(entry)) => return Ok(Some(only("b", layer, &entry))),
            (Some(of_a), Some(of_b)) if of_a.path != of_b.path => {
                // Sorted archives: what comes first is not in the other one.
                let side = if of_a.path < of_b.path { ("a", &of_a) } else { ("b", &of_b) };
                return Ok(Some(only(side.0, layer, side.1)));
            }
            (Some(of_a), Some(of_b)) => {
                let found = of_attributes(layer, &of_a, &of_b);
                // Sizes are not compared: the first byte that differs says more.
                let found = match found {
                    Some(found) => Some(found),
                    None => of_contents(layer, &of_a, &mut a, &mut b)?,
                };
                if found.is_some() {
                    return Ok(found);
                }
                if at_a != at_b {
                    let what = "the place of a header";
                    let (a, b) = (at_a.to_string(), at_b.to_string());
                    return Ok(Some(Difference::Encoding { layer, what, a, b }));
                }
            }
        }
    }
    let (a, b) = (diff_a.to_string(), diff_b.to_string());
    Ok(Some(Difference::Encoding { layer, what: "the archive", a, b }))
}

fn only(side: &'static str, layer: usize, entry: &Entry) -> Difference {
    Difference::OnlyIn { side, layer, path: shown(&entry.path) }
}

fn of_attributes(layer: usize, a: &Entry, b: &Entry) -> Option<Difference> {
    let pairs = [
        ("kind", a.kind.as_str().to_owned(), b.kind.as_str().to_owned()),
        ("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode)),
        ("user", a.uid.to_string(), b.uid.to_string()),
        ("group", a.gid.to_string(), b.gid.to_string()),
        ("time", a.mtime.to_string(), b.mtime.to_string()),
        ("target", shown(&a.link), shown(&b.link)),
    ];
    let (attribute, a_has, b_has) = pairs.into_iter().find(|(_, a, b)| a != b)?;
    Some(Difference::Attribute { layer, path: shown(&a.path), attribute, a: a_has, b: b_has })
}

fn of_contents(
    layer: usize,
    entry: &Entry,
    a: &mut Entries,
    b: &mut Entries,
) -> Result<Option<Difference>, ImageError> {
    let mut offset = 0;
    let mut pieces = [vec![0; PIECE], vec![0; PIECE]];
    loop {
        let [piece_a, piece_b] = &mut pieces;
        let of_a = filled(a, piece_a)?;
        let of_b = filled(b, piece_b)?;
        let (of_a, of_b) =
            (piece_a.get(..of_a).unwrap_or_default(), piece_b.get(..of_b).unwrap_or_default());
        if of_a == of_b {
            if of_a.is_empty() {
                return Ok(None);
            }
            offset += of_a.len() as u64;
            continue;
        }
        let same = of_a.iter().zip(of_b).take_while(|(a, b)| a == b).count();
        return Ok(Some(Difference::Content {
            layer,
            path: shown(&entry.path),
            offset: offset + same as u64,
            a: window(of_a, same),
            b: window(of_b, same),
        }));
    }
}

fn filled(entries: &mut Entries, piece: &mut [u8]) -> Result<usize, LayerError> {
    let mut filled = 0;
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match entries.content().read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(entries.unreadable(error)),
        }
    }
    Ok(filled)
}

fn window(bytes: &[u8], from: usize) -> String {
    let shown = bytes.iter().skip(from).take(WINDOW).map(|byte| format!("{byte:02x}"));
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "(end)".to_owned() } else { shown.join(" ") }
}

/// The first place where two values differ, and what is there.
fn of_values(pointer: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    let below = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
    let absent = || "absent".to_owned();
    match (a, b) {
        (Value::Object(of_a), Value::Object(of_b)) => {
            let gone = of_b.keys().filter(|key| !of_a.contains_key(*key));
            of_a.keys().chain(gone).find_map(|key| match (of_a.get(key), of_b.get(key)) {
                (Some(a), Some(b)) => of_values(&below(key), a, b),
                (a, b) => Some((
                    below(key),
                    a.map_or_else(absent, Value::to_string),
                    b.map_or_else(absent, Value::to_string),
                )),
            })
        }
        (Value::Array(of_a), Value::Array(of_b)) => {
            (0..of_a.len().max(of_b.len())).find_map(|at| match (of_a.get(at), of_b.get(at)) {
                (Some(a), Some(b)) => of_values(&below(&at.to_string()), a, b),
                (a, b) => Some((
                    below(&at.to_string()),
                    a.map_or_else(absent, Value::to_string),
                    b.map_or_else(absent, Value::to_string),
                )),
            })
        }
        _ => (a != b).then(|| (pointer.to_owned(), a.to_string(), b.to_string())),
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Difference {
    /// Where they differ, without what is there.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Layers { .. } => "the number of layers".to_owned(),
            Self::OnlyIn { path, .. } => format!("only one has {path}"),
            Self::Attribute { path, attribute, .. } => format!("the {attribute} of {path}"),
            Self::Content { path, offset, .. } => format!("{path} from byte {offset}"),
            Self::Encoding { layer, what, .. } => format!("{what} of layer {layer}"),
            Self::Document { document, pointer, .. } => format!("the {document} at `{pointer}`"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layers { a, b } => write!(f, "one has {a} layers, the other {b}"),
            Self::OnlyIn { side, layer, path } => {
                write!(f, "layer {layer}: only {side} has {path}")
            }
            Self::Attribute { layer, path, attribute, a, b } => {
                write!(f, "layer {layer}: {path}: its {attribute} is {a} and {b}")
            }
            Self::Content { layer, path, offset, a, b } => {
                write!(f, "layer {layer}: {path}: differs from byte {offset}:\n  a {a}\n  b {b}")
            }
            Self::Encoding { layer, what, a, b } => {
                write!(f, "layer {layer}: the files are equal, but {what} is not: {a} and {b}")
            }
            Self::Document { document, pointer, a, b } => {
                let place = if pointer.is_empty() { "/" } else { pointer };
                write!(f, "{document}: {place} is {a} and {b}")
            }
        }
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
