//! Hostile archives stay inside of the folder; friendly ones are unpacked as others do it.

use proptest::prelude::*;

use super::*;
use crate::fixture::{archive, entry, file, folder, image, link};
use crate::{Layout, StoredImage};

type Layer = Vec<(Entry, Vec<u8>)>;

/// A folder with something outside of the root that must stay as it is.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/secret"), "untouched").unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("inside/root")
    }

    fn image(&self, layers: &[Layer]) -> StoredImage {
        let layout = Layout::create(&self.folder.path().join("layout")).unwrap();
        let layers: Vec<Vec<u8>> = layers.iter().map(|entries| archive(entries)).collect();
        image(&layout, &layers)
    }

    fn unpack(&self, layers: &[Layer]) -> Result<(), UnpackError> {
        let image = self.image(layers);
        fs::create_dir_all(self.folder.path().join("inside")).unwrap();
        let unpacked = image.unpack(&self.root(), UnpackOptions::default());
        self.is_as_before();
        if unpacked.is_err() {
            let left = fs::read_dir(self.folder.path().join("inside")).unwrap().count();
            assert_eq!(left, 0, "a failure leaves nothing");
        }
        unpacked
    }

    fn is_as_before(&self) {
        let names = |path: &str| {
            let entries = fs::read_dir(self.folder.path().join(path)).unwrap();
            let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("outside"), ["secret"]);
        assert_eq!(names("."), ["inside", "layout", "outside"]);
        let secret = fs::read_to_string(self.folder.path().join("outside/secret")).unwrap();
        assert_eq!(secret, "untouched");
        let links = std::os::unix::fs::MetadataExt::nlink(
            &fs::metadata(self.folder.path().join("outside/secret")).unwrap(),
        );
        assert_eq!(links, 1, "a second name was made of what is outside");
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root().join(path)).ok()
    }
}

#[test]
fn upper_layers_replace_add_and_take_away() {
    let place = Place::new();
    let lower = vec![
        folder("a"),
        file("a/kept", "1"),
        file("a/replaced", "1"),
        file("a/gone", "1"),
        folder("b"),
        file("b/hidden", "1"),
        folder("b/deep"),
        file("b/deep/hidden", "1"),
        file("becomes-folder", "1"),
        folder("becomes-file"),
        file("becomes-file/x", "1"),
    ];
    let upper = vec![
        file("a/.wh.gone", ""),
        file("a/replaced", "2"),
        folder("b"),
        file("b/first", "2"),
        file("b/deep/new", "2"),
        file("b/.wh..wh..opq", ""),
        file("b/second", "2"),
        folder("becomes-folder"),
        file("becomes-folder/x", "2"),
        file("becomes-file", "2"),
        file(".wh.never-there", ""),
    ];
    place.unpack(&[lower, upper]).unwrap();
    for (path, expected) in [
        ("a/kept", Some("1")),
        ("a/replaced", Some("2")),
        ("a/gone", None),
        ("a/.wh.gone", None),
        ("b/hidden", None),
        ("b/deep/hidden", None),
        ("b/deep/new", Some("2")),
        ("b/first", Some("2")),
        ("b/second", Some("2")),
        ("becomes-folder/x", Some("2")),
        ("becomes-file", Some("2")),
    ] {
        assert_eq!(place.read(path).as_deref(), expected, "{path}");
    }
}

#[test]
fn links_of_lower_layers_are_followed_inside_of_the_root() {
    let place = Place::new();
    let lower = vec![
        folder("usr/lib"),
        link(Kind::Symlink, "lib", "usr/lib"),
        link(Kind::Symlink, "absolute", "/usr"),
        link(Kind::Symlink, "up", "../../../usr"),
    ];
    let upper = vec![
        file("lib/one", "1"),
        file("absolute/two", "2"),
        file("up/three", "3"),
        link(Kind::HardLink, "second", "lib/one"),
    ];
    place.unpack(&[lower, upper]).unwrap();
    for (path, content) in
        [("usr/lib/one", "1"), ("usr/two", "2"), ("usr/three", "3"), ("second", "1")]
    {
        assert_eq!(place.read(path).as_deref(), Some(content), "{path}");
    }
}

/// What an archive tries, its entries, and whether it is unpacked, harmlessly.
type Attempt = (&'static str, Layer, bool);

const OUTSIDE: &str = "../../outside";
const SECRET: &str = "../../outside/secret";

fn by_paths() -> Vec<Attempt> {
    let device = (entry(Kind::CharacterDevice, "null"), Vec::new());
    let pipe = (entry(Kind::Fifo, "pipe"), Vec::new());
    vec![
        ("a path upwards", vec![file(SECRET, "x")], false),
        ("an absolute path", vec![file("/outside/secret", "x")], true),
        ("a whiteout upwards", vec![file(".wh...", "")], false),
        ("a whiteout of its folder", vec![file("a/.wh..", "")], false),
        ("an unknown whiteout", vec![file(".wh..wh.plnk", "")], false),
        ("a file in a file", vec![file("f", "x"), file("f/x", "x")], false),
        ("devices", vec![device, pipe], true),
        ("the root as a file", vec![file(".", "x")], true),
    ]
}

fn by_links() -> Vec<Attempt> {
    let symlink = |path, target| link(Kind::Symlink, path, target);
    let second = |path, target| link(Kind::HardLink, path, target);
    vec![
        ("a file in a link", vec![symlink("l", OUTSIDE), file("l/secret", "x")], true),
        ("a file over a link", vec![symlink("l", SECRET), file("l", "x")], true),
        (
            "a folder over a link",
            vec![symlink("l", OUTSIDE), folder("l"), file("l/secret", "x")],
            true,
        ),
        (
            "links in a row",
            vec![symlink("a", ".."), symlink("b", "a/a/../.."), file("b/secret", "x")],
            true,
        ),
        ("a link to itself", vec![symlink("l", "l"), file("l/x", "x")], false),
        ("a whiteout in a link", vec![symlink("l", OUTSIDE), file("l/.wh.secret", "")], true),
        ("an opaque link", vec![symlink("l", OUTSIDE), file("l/.wh..wh..opq", "")], true),
        ("a second name", vec![second("l", SECRET)], false),
        ("a second name in a link", vec![symlink("d", OUTSIDE), second("l", "d/secret")], false),
        (
            "a second name of a link",
            vec![symlink("s", SECRET), second("l", "s"), file("l", "x")],
            true,
        ),
    ]
}

#[test]
fn no_entry_gets_out_of_the_folder() {
    for (name, layer, is_fine) in by_paths().into_iter().chain(by_links()) {
        let place = Place::new();
        let unpacked = place.unpack(&[layer]);
        assert_eq!(unpacked.is_ok(), is_fine, "{name}: {unpacked:?}");
    }
}

// A campaign: UPDRAFT_UNPACK_CASES=4000 cargo nextest run -p updraft-image whatever_an_archive
proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("UPDRAFT_UNPACK_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(64)
    ))]

    #[test]
    fn whatever_an_archive_holds_nothing_outside_is_touched(
        layers in proptest::collection::vec(proptest::collection::vec((
            0..6_u8,
            proptest::collection::vec("(a|b|c|\\.\\.|\\.|\\.wh\\.a|\\.wh\\.\\.wh\\.\\.opq|outside|secret)", 1..4),
            proptest::collection::vec("(a|b|\\.\\.|/|outside|secret)", 1..6),
        ), 1..8), 1..4),
    ) {
        let kinds = [Kind::File, Kind::Folder, Kind::Symlink, Kind::Symlink, Kind::HardLink, Kind::Fifo];
        let layers: Vec<Layer> = layers.into_iter().map(|layer| {
            layer.into_iter().map(|(kind, path, target)| {
                let kind = kinds[usize::from(kind)];
                let path = path.join("/");
                match kind {
                    Kind::File => file(&path, "x"),
                    Kind::Symlink | Kind::HardLink => link(kind, &path, &target.join("/")),
                    _ => (entry(kind, &path), Vec::new()),
                }
            }).collect()
        }).collect();
        let place = Place::new();
        drop(place.unpack(&layers));
    }
}

#[test]
fn modes_are_kept_but_for_those_that_raise_rights() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    let with = |mut it: (Entry, Vec<u8>), mode| {
        it.0.mode = mode;
        it
    };
    place
        .unpack(&[vec![
            with(folder("tmp"), 0o1777),
            with(folder("closed"), 0o500),
            with(file("closed/file", "x"), 0o400),
            with(file("sudo", "x"), 0o6755),
        ]])
        .unwrap();
    let mode = |path: &str| fs::metadata(place.root().join(path)).unwrap().mode() & 0o7777;
    let modes = ["tmp", "closed", "closed/file", "sudo"].map(mode);
    assert_eq!(modes, [0o1777, 0o500, 0o400, 0o755], "{modes:?}");
}

#[test]
fn what_is_too_large_or_there_already_or_damaged_leaves_nothing() {
    let place = Place::new();
    let image = place.image(&[vec![file("a", "12345"), file("b", "67890")]]);
    fs::create_dir_all(place.folder.path().join("inside")).unwrap();
    let error = image.unpack(&place.root(), UnpackOptions { bytes_most: 9 }).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge(9)), "{error}");
    assert!(!place.root().exists());
    image.unpack(&place.root(), UnpackOptions { bytes_most: 10 }).unwrap();
    let error = image.unpack(&place.root(), UnpackOptions::default()).unwrap_err();
    assert!(matches!(error, UnpackError::Exists(_)), "{error}");
    let (blob, _) = image.layers().next().unwrap();
    let path = image.layout().blob(&blob.digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[512] ^= 1;
    fs::write(&path, bytes).unwrap();
    let other = place.folder.path().join("inside/other");
    let error = image.unpack(&other, UnpackOptions::default()).unwrap_err();
    assert!(error.to_string().contains("its image says"), "{error}");
    assert!(!other.exists());
}
