//! What can be in an image and what cannot, case by case.

use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn paths_that_no_image_can_have_are_refused() {
    let mut tree = Tree::default();
    tree.add_bytes("a/file", "", false).unwrap();
    for (path, why) in [
        ("../a", "upwards"),
        ("a/../../b", "upwards"),
        ("/", "root folder"),
        ("./.", "root folder"),
        ("a/.wh.b", ".wh."),
        (".wh..wh..opq", ".wh."),
        ("a\0b", "zero byte"),
        (&"n".repeat(256), "255 bytes"),
        (&"n/".repeat(3000), "4095 bytes"),
        ("a/file/below", "is no folder"),
        ("a", "with files in it"),
    ] {
        let error = tree.add_bytes(path, "", false).unwrap_err().to_string();
        assert!(error.contains(why), "{path}: {error}");
    }
}

#[test]
fn folders_above_come_by_themselves_and_first() {
    let mut tree = Tree::default();
    tree.add_bytes("/usr/bin/program", "x", true).unwrap();
    tree.add_bytes("usr-local", "x", false).unwrap();
    tree.add_folder("usr/empty", 0o700, Owner { uid: 1, gid: 2 }).unwrap();
    let paths: Vec<&str> = tree.nodes().map(|(path, _)| path).collect();
    assert_eq!(paths, ["usr", "usr-local", "usr/bin", "usr/bin/program", "usr/empty"]);
    assert_eq!(tree.node("/usr/empty").unwrap().mode, 0o700);
    assert_eq!(tree.file_bytes(), 2);
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = Tree::default().add_host(folder.path(), "app").unwrap_err().to_string();
    assert!(error.contains("socket is a socket"), "{error}");
    let error = Tree::default().add_host(Path::new("/dev/null"), "null").unwrap_err().to_string();
    assert!(error.contains("/dev/null is a character device"), "{error}");
    let error = Tree::default().add_host(&folder.path().join("no"), "no").unwrap_err();
    assert!(matches!(error, TreeError::Read { .. }), "{error}");
}

#[test]
fn names_that_archives_cannot_write_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let error = Tree::default().add_host(folder.path(), "app").unwrap_err();
    assert!(matches!(error, TreeError::NotUtf8(_)), "{error}");
}

#[test]
fn a_link_that_names_the_place_of_the_build_is_refused_and_others_are_kept() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    symlink("/usr/bin/env", folder.path().join("absolute")).unwrap();
    symlink("../elsewhere", folder.path().join("relative")).unwrap();
    let mut tree = Tree::default();
    tree.add_host(folder.path(), "app").unwrap();
    let target = |path: &str| match &tree.node(path).unwrap().what {
        What::Link { target } => target.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("app/absolute"), "/usr/bin/env");
    assert_eq!(target("app/relative"), "../elsewhere");
    symlink(folder.path().join("absolute"), folder.path().join("home")).unwrap();
    let error = Tree::default().add_host(folder.path(), "app").unwrap_err();
    assert!(matches!(error, TreeError::MachinePath { .. }), "{error}");
}

#[test]
fn of_two_trees_the_second_counts() {
    let mut one = Tree::default();
    one.add_bytes("a/file", "one", false).unwrap();
    one.add_folder("tmp", 0o1777, Owner::default()).unwrap();
    let mut two = Tree::default();
    two.add_bytes("a/file", "second", true).unwrap();
    two.add_bytes("tmp/x", "", false).unwrap();
    one.merge(two).unwrap();
    assert_eq!(one.file_bytes(), 6);
    assert_eq!(one.node("a/file").unwrap().mode, 0o755);
    assert_eq!(one.node("tmp").unwrap().mode, 0o1777);
    let mut three = Tree::default();
    three.add_bytes("a", "no folder", false).unwrap();
    assert!(one.merge(three).is_err());
}
