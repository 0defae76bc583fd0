//! A layer depends on content alone, and one that was damaged is not read.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::fixture;

/// A file of a tree: its path, its content and whether it is a program.
type Sample = (String, Vec<u8>, bool);

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let path = "[a-c]{1,2}(/[a-cé]{1,3}){0,2}/[d-f]{1,3}";
    let content = proptest::collection::vec(any::<u8>(), 0..300);
    proptest::collection::btree_map(path, (content, any::<bool>()), 1..8)
        .prop_map(|files| files.into_iter().map(|(path, (it, runs))| (path, it, runs)).collect())
}

/// Makes the files in a folder of this machine. What `noise` decides must not matter.
fn lay(folder: &Path, files: &[Sample], noise: u64) {
    let mut files: Vec<&Sample> = files.iter().collect();
    if noise % 2 == 1 {
        files.reverse();
    }
    for (path, content, runs) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let modes = if *runs { [0o755, 0o700, 0o775, 0o111] } else { [0o644, 0o600, 0o664, 0o444] };
        let mode = modes[usize::try_from(noise % 4).unwrap()];
        let file = File::open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(noise * 1000)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

fn packed(layout: &Layout, files: &[Sample], noise: u64) -> Layer {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), files, noise);
    let mut tree = Tree::default();
    tree.add_host(folder.path(), "app").unwrap();
    Layer::write(layout, None, &tree, 0).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equal_content_is_one_layer_and_any_change_another(
        files in samples(),
        noise in 1..1000_u64,
        which in any::<prop::sample::Index>(),
        change in 0..4_u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let first = packed(&layout, &files, 0);
        let second = packed(&layout, &files, noise);
        prop_assert_eq!(&first, &second);
        let mut other = files.clone();
        let at = which.index(other.len());
        match change {
            0 => other[at].0.push('x'),
            1 => other[at].1.push(0),
            2 => match other[at].1.first_mut() {
                Some(byte) => *byte ^= 1,
                None => other[at].1.push(1),
            },
            _ => other[at].2 = !other[at].2,
        }
        let third = packed(&layout, &other, noise);
        prop_assert_ne!(first.diff_id, third.diff_id);
        prop_assert_ne!(first.descriptor.digest, third.descriptor.digest);
    }
}

#[test]
fn a_layer_is_what_gzip_and_tar_read() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut tree = Tree::default();
    tree.add_bytes("a/large", &content, false).unwrap();
    tree.add_folder("tmp", 0o1777, crate::Owner::default()).unwrap();
    let layer = Layer::write(&layout, None, &tree, 1_000_000_000).unwrap();
    let blob = layout.blob(&layer.descriptor.digest);
    assert_eq!(fs::metadata(&blob).unwrap().len(), layer.descriptor.size);
    let plain = std::process::Command::new("gzip").arg("-dc").arg(&blob).output().unwrap().stdout;
    assert_eq!(Digest::of(&plain), layer.diff_id);
    assert_eq!(plain.len() as u64, layer.archive_size);
    let list = std::process::Command::new("tar")
        .args(["--numeric-owner", "--utc", "-tvzf"])
        .arg(&blob)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let words: Vec<Vec<&str>> =
        list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1], ["-rw-r--r--", "0/0", "1200000", "2001-09-09", "01:46", "a/large"]);
    assert_eq!(words[2][0], "drwxrwxrwt");
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(&folder.path().join("layout")).unwrap();
    let path = folder.path().join("file");
    for (before, after) in [("one", "longer"), ("longer", "one")] {
        fs::write(&path, before).unwrap();
        let mut tree = Tree::default();
        tree.add_host(&path, "file").unwrap();
        fs::write(&path, after).unwrap();
        let error = Layer::write(&layout, None, &tree, 0).unwrap_err();
        assert!(matches!(&error, LayerError::Changed(place) if *place == path), "{error}");
    }
    let left = fs::read_dir(layout.folder()).unwrap().map(|it| it.unwrap().file_name());
    let drafts = left.filter(|name| name.to_string_lossy().starts_with("draft"));
    assert_eq!(drafts.count(), 0);
}

fn read_all(layout: &Layout, blob: &Descriptor, diff_id: &Digest) -> Result<u64, LayerError> {
    let mut entries = Entries::open(layout, blob, diff_id)?;
    let mut count = 0;
    while entries.next()?.is_some() {
        count += 1;
    }
    entries.finish()?;
    Ok(count)
}

#[test]
fn a_layer_that_is_not_what_its_digests_say_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let mut tree = Tree::default();
    tree.add_bytes("a", "content", false).unwrap();
    let layer = Layer::write(&layout, None, &tree, 0).unwrap();
    assert_eq!(read_all(&layout, &layer.descriptor, &layer.diff_id).unwrap(), 1);
    let other = Digest::of(b"other");
    let error = read_all(&layout, &layer.descriptor, &other).unwrap_err().to_string();
    assert!(error.contains("its image says"), "{error}");
    // Another compression of the same archive: only the blob's own digest can tell.
    let plain = fixture::archive(&[fixture::file("a", "content")]);
    let path = layout.blob(&layer.descriptor.digest);
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(0));
    encoder.write_all(&plain).unwrap();
    let bytes = encoder.finish().unwrap();
    fs::write(&path, &bytes).unwrap();
    let mut blob = layer.descriptor.clone();
    blob.size = bytes.len() as u64;
    let error = read_all(&layout, &blob, &layer.diff_id).unwrap_err().to_string();
    assert!(error.contains("not what its name says"), "{error}");
    let cut = OpenOptions::new().write(true).open(&path).unwrap();
    cut.set_len(20).unwrap();
    let error = read_all(&layout, &blob, &layer.diff_id).unwrap_err().to_string();
    assert!(error.contains("its manifest says"), "{error}");
    blob.size = 20;
    assert!(read_all(&layout, &blob, &layer.diff_id).is_err());
    blob.media_type = media::LAYER_ZSTD.to_owned();
    let error = read_all(&layout, &blob, &layer.diff_id).unwrap_err().to_string();
    assert!(error.contains("gzip and plain"), "{error}");
}

#[test]
fn what_compresses_to_nothing_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    // A name that its header says has a gigabyte, of which some hundred KB are there.
    let mut bytes = fixture::archive(&[fixture::file("a", "")]);
    bytes[156] = b'L';
    bytes[124..136].copy_from_slice(b"10000000000\0");
    let sum: u32 = bytes[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let blob = fixture::blob(&layout, &bytes);
    let error = read_all(&layout, &blob, &Digest::of(&bytes)).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
}
