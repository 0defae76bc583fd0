//! Each kind of difference is found and told by file and offset.

use super::*;
use crate::fixture::{archive, file, folder, image, link};
use crate::tar::Kind;
use crate::{Image, Platform, Tree};

type Files = Vec<(Entry, Vec<u8>)>;

fn base() -> Files {
    vec![folder("app"), file("app/data", &"0123456789abcdef".repeat(10_000)), file("app/z", "z")]
}

fn between(a: &[Files], b: &[Files]) -> Option<Difference> {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let stored = |layers: &[Files]| {
        let layers: Vec<Vec<u8>> = layers.iter().map(|it| archive(it)).collect();
        image(&layout, &layers).descriptor().digest.clone()
    };
    difference(&layout, &stored(a), &layout, &stored(b)).unwrap()
}

#[test]
fn equal_images_have_no_difference() {
    assert_eq!(between(&[base()], &[base()]), None);
}

#[test]
fn the_first_difference_is_told_by_file_and_offset() {
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = base();
        change(&mut files);
        let found = between(&[base(), base()], &[base(), files]).unwrap();
        found.to_string()
    };
    for (change, expected) in [
        (
            &(|it: &mut Files| it[1].1[100_003] = b'X') as &dyn Fn(&mut Files),
            "layer 1: app/data: differs from byte 100003:\n  a 33 34 35 36",
        ),
        (&|it| it[1].1[100_003] = b'X', "\n  b 58 34 35 36 37"),
        (
            &|it| it[2] = file("app/z", "z and more"),
            "app/z: differs from byte 1:\n  a (end)\n  b 20 61",
        ),
        (&|it| it[1].0.mode = 0o600, "layer 1: app/data: its mode is 0644 and 0600"),
        (&|it| it[1].0.mtime = 7, "app/data: its time is 0 and 7"),
        (&|it| it[1].0.uid = 7, "app/data: its user is 0 and 7"),
        (&|it| it[1] = link(Kind::Symlink, "app/data", "x"), "its kind is file and symbolic link"),
        (&|it| drop(it.pop()), "layer 1: only a has app/z"),
        (&|it| it.insert(2, file("app/new", "")), "layer 1: only b has app/new"),
    ] {
        let told = changed(change);
        assert!(told.contains(expected), "{told}\ninstead of\n{expected}");
    }
    let told = between(&[base()], &[base(), base()]).unwrap().to_string();
    assert_eq!(told, "one has 1 layers, the other 2");
}

#[test]
fn what_differs_beside_the_files_is_told_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let build = |change: &dyn Fn(&mut Image)| {
        let mut tree = Tree::default();
        tree.add_bytes("a", "a", false).unwrap();
        let mut image = Image::new(Platform::this());
        image.layers.push(("application".to_owned(), tree));
        image.config.env.push("A=1".to_owned());
        change(&mut image);
        image.write(&layout, None).unwrap().manifest.digest
    };
    let plain = build(&|_| {});
    let told =
        |other: &Digest| difference(&layout, &plain, &layout, other).unwrap().unwrap().to_string();
    let env = build(&|it| it.config.env[0] = "A=2".to_owned());
    assert_eq!(told(&env), r#"configuration: /config/Env/0 is "A=1" and "A=2""#);
    let note = build(&|it| drop(it.annotations.insert("a/b".to_owned(), "c".to_owned())));
    assert_eq!(told(&note), r#"manifest: /annotations is absent and {"a/b":"c"}"#);
}

#[test]
fn another_compression_of_the_same_files_is_told_as_that() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let plain = archive(&base());
    let stored = |level| {
        let mut draft = layout.draft().unwrap();
        let mut encoder =
            flate2::write::GzEncoder::new(&mut draft, flate2::Compression::new(level));
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap();
        let blob = draft.keep(crate::media::LAYER_GZIP).unwrap();
        crate::fixture::image_of(&layout, vec![blob], vec![Digest::of(&plain)])
    };
    let (a, b) = (stored(1), stored(9));
    let told = difference(&layout, &a.descriptor().digest, &layout, &b.descriptor().digest);
    let told = told.unwrap().unwrap().to_string();
    assert!(told.contains("the files are equal, but the compression is not"), "{told}");
}
