//! From a tree of files to the blob of a layer, and back to a stream of entries.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::oci::media;
use crate::tar::{Entry, Kind, Reader, Writer};
use crate::tree::{Node, What};
use crate::{Descriptor, Digest, Digesting, LayerCache, Layout, LayoutError, Tree, TreeError};

/// A middle way of size and time. It is a part of what decides a layer's digest.
const LEVEL: u32 = 6;

/// What RFC 1952 has for "unknown", so that the machine is not seen.
const OPERATING_SYSTEM: u8 = 255;

/// The most bytes of a layer of somebody else, uncompressed.
const CONTENT_MOST: u64 = 64 << 30;

/// A layer in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Of its blob.
    pub descriptor: Descriptor,
    /// The digest of the archive before compression.
    pub diff_id: Digest,
    /// The bytes of the archive before compression.
    pub archive_size: u64,
    /// It was compressed before, and is taken from there.
    pub reused: bool,
}

/// A layer cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A tree cannot be made.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A layout cannot be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file of the layer cannot be read.
    #[error("cannot read {} for a layer", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody writes what is being packed.
    #[error("{} changed while it was read: build again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    /// A layer's blob is not what its manifest says.
    #[error("the layer {digest} cannot be read: {what}")]
    Wrong {
        /// Which layer.
        digest: Digest,
        /// What is wrong.
        what: String,
        /// The cause, if there is another one.
        source: Option<io::Error>,
    },
}

impl Layer {
    /// Writes `tree` as a layer. All times in it are `epoch`, in seconds of Unix time.
    ///
    /// The archive is made twice: first for its digest alone, and then, unless `cache` or the
    /// layout has that archive compressed, to compress it. Memory does not grow with size.
    ///
    /// # Errors
    ///
    /// [`LayerError`] when a file cannot be read, is written to meanwhile, or the layout
    /// cannot be written.
    pub fn write(
        layout: &Layout,
        cache: Option<&LayerCache>,
        tree: &Tree,
        epoch: u64,
    ) -> Result<Self, LayerError> {
        let measured = archive(
            tree,
            epoch,
            Measure { size: 0, digesting: Digesting::default(), inner: io::sink() },
        )?;
        let (diff_id, archive_size) = (measured.digesting.finish(), measured.size);
        if let Some(cache) = cache
            && let Some(descriptor) = cache.find(&diff_id, layout)?
        {
            return Ok(Self { descriptor, diff_id, archive_size, reused: true });
        }
        let draft = layout.draft()?;
        let gzip = GzBuilder::new().mtime(0).operating_system(OPERATING_SYSTEM);
        let encoder = gzip.write(draft, Compression::new(LEVEL));
        let measure = Measure { size: 0, digesting: Digesting::default(), inner: encoder };
        let written: Measure<GzEncoder<_>> = archive(tree, epoch, measure)?;
        if written.digesting.finish() != diff_id {
            return Err(LayerError::Changed(changed_place(tree)));
        }
        let unwritable = |source| LayoutError::File {
            action: "write",
            path: layout.folder().to_owned(),
            source,
        };
        let draft = written.inner.finish().map_err(unwritable)?;
        let descriptor = draft.keep(media::LAYER_GZIP)?;
        if let Some(cache) = cache {
            cache.keep(&diff_id, &descriptor, layout)?;
        }
        Ok(Self { descriptor, diff_id, archive_size, reused: false })
    }
}

/// The first folder of this machine that a tree is from, which is where to look.
fn changed_place(tree: &Tree) -> PathBuf {
    let places = tree.nodes().filter_map(|(path, node)| match &node.what {
        What::File { content, .. } => Some(content.place(path).to_owned()),
        What::Folder | What::Link { .. } => None,
    });
    places.into_iter().next().and_then(|it| Some(it.parent()?.to_owned())).unwrap_or_default()
}

fn archive<W: Write>(tree: &Tree, epoch: u64, into: W) -> Result<W, LayerError> {
    let mut writer = Writer::new(into);
    for (path, node) in tree.nodes() {
        let entry = entry(path, node, epoch);
        let mut empty: &[u8] = &[];
        let written = match &node.what {
            What::File { content, .. } => {
                content.open().and_then(|mut content| writer.entry(&entry, &mut content))
            }
            What::Folder | What::Link { .. } => writer.entry(&entry, &mut empty),
        };
        written.map_err(|source| refusal(path, node, source))?;
    }
    writer.finish().map_err(|source| LayerError::File { path: PathBuf::from("/"), source })
}

fn refusal(path: &str, node: &Node, source: io::Error) -> LayerError {
    let place = match &node.what {
        What::File { content, .. } => content.place(path).to_owned(),
        What::Folder | What::Link { .. } => PathBuf::from(path),
    };
    match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => LayerError::Changed(place),
        _ => LayerError::File { path: place, source },
    }
}

fn entry(path: &str, node: &Node, epoch: u64) -> Entry {
    let (kind, size, link) = match &node.what {
        What::Folder => (Kind::Folder, 0, ""),
        What::File { size, .. } => (Kind::File, *size, ""),
        What::Link { target } => (Kind::Symlink, 0, target.as_str()),
    };
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: node.mode,
        uid: node.owner.uid.into(),
        gid: node.owner.gid.into(),
        mtime: epoch,
        size,
        link: link.as_bytes().to_vec(),
    }
}

/// The digest and size of all that passes.
pub(crate) struct Measure<I> {
    size: u64,
    digesting: Digesting,
    inner: I,
}

impl<W: Write> Write for Measure<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // All or nothing, so that a compressor gets its input in the pieces it was given here.
        self.inner.write_all(bytes)?;
        self.digesting.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Measure<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digesting.update(buffer.get(..read).unwrap_or_default());
        self.size += read as u64;
        Ok(read)
    }
}

type Blob = Measure<BufReader<File>>;

/// The archive of a layer, decompressed.
pub(crate) enum Archive {
    Plain(Box<Blob>),
    Gzip(Box<MultiGzDecoder<BufReader<Blob>>>),
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(blob) => blob.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

/// The entries of a layer, which is checked against its digests when all are read.
pub(crate) struct Entries {
    reader: Reader<io::Take<Measure<Archive>>>,
    blob: Descriptor,
    diff_id: Digest,
}

impl Entries {
    pub(crate) fn open(
        layout: &Layout,
        blob: &Descriptor,
        diff_id: &Digest,
    ) -> Result<Self, LayerError> {
        let path = layout.blob(&blob.digest);
        let unreadable = |source| LayoutError::File { action: "read", path: path.clone(), source };
        let file = File::open(&path).map_err(unreadable)?;
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        if size != blob.size {
            let what = format!("it has {size} bytes, and its manifest says {}", blob.size);
            return Err(wrong(blob, what, None));
        }
        let file =
            Measure { size: 0, digesting: Digesting::default(), inner: BufReader::new(file) };
        let archive = match blob.media_type.as_str() {
            media::LAYER => Archive::Plain(Box::new(file)),
            media::LAYER_GZIP | media::DOCKER_LAYER_GZIP => {
                Archive::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file))))
            }
            other => {
                let what = format!("it is {other}, and gzip and plain archives are read here");
                return Err(wrong(blob, what, None));
            }
        };
        let archive = Measure { size: 0, digesting: Digesting::default(), inner: archive };
        let reader = Reader::new(archive.take(CONTENT_MOST));
        Ok(Self { reader, blob: blob.clone(), diff_id: diff_id.clone() })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Entry>, LayerError> {
        self.reader.next().map_err(|error| wrong(&self.blob, chain(&error), None))
    }

    /// The content of the last entry.
    pub(crate) fn content(&mut self) -> &mut impl Read {
        &mut self.reader
    }

    /// Where in the archive it is read.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> LayerError {
        wrong(&self.blob, "its content cannot be read".to_owned(), Some(source))
    }

    /// Reads what is left, and checks that the layer is what its digests say.
    pub(crate) fn finish(self) -> Result<(), LayerError> {
        let Self { reader, blob, diff_id } = self;
        let mut rest = reader.into_inner();
        let read = io::copy(&mut rest, &mut io::sink());
        read.map_err(|source| wrong(&blob, "its end cannot be read".to_owned(), Some(source)))?;
        if rest.limit() == 0 {
            return Err(wrong(&blob, format!("it holds more than {CONTENT_MOST} bytes"), None));
        }
        let archive = rest.into_inner();
        let seen = archive.digesting.finish();
        if seen != diff_id {
            let what = format!("it holds {seen}, and its image says {diff_id}");
            return Err(wrong(&blob, what, None));
        }
        let mut bytes = match archive.inner {
            Archive::Plain(bytes) => *bytes,
            Archive::Gzip(decoder) => decoder.into_inner().into_inner(),
        };
        let read = io::copy(&mut bytes, &mut io::sink());
        read.map_err(|source| wrong(&blob, "its end cannot be read".to_owned(), Some(source)))?;
        match bytes.digesting.finish() == blob.digest {
            true => Ok(()),
            false => Err(wrong(&blob, "its content is not what its name says".to_owned(), None)),
        }
    }
}

fn wrong(blob: &Descriptor, what: String, source: Option<io::Error>) -> LayerError {
    LayerError::Wrong { digest: blob.digest.clone(), what, source }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
