//! The laws of archives: what is written is read, by us and by GNU tar, and nothing that is
//! read can make us panic or keep more than a bound.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::{BLOCK, Entry, Kind, PATH_MOST, Reader, Writer, checksum};
use crate::fixture::{archive, entry, file, folder, link};

fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, String> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().map_err(|error| error.to_string())? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|error| error.to_string())?;
        entries.push((entry, content));
    }
    Ok(entries)
}

fn names() -> impl Strategy<Value = String> {
    let part = "[a-zA-Z0-9_ .é-]{1,60}".prop_filter("no dots alone", |it| it != "." && it != "..");
    let longest = "[a-z]{100,255}";
    proptest::collection::vec(prop_oneof![4 => part, 1 => longest], 1..8)
        .prop_map(|parts| parts.join("/"))
}

fn entries() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let numbers = prop_oneof![Just(0_u64), Just(65532), Just(0o777_7777), 0..=u64::from(u32::MAX)];
    let content = proptest::collection::vec(any::<u8>(), 0..2000);
    (names(), names(), 0..4_u8, 0..=0o7777_u32, numbers.clone(), numbers, content).prop_map(
        |(path, target, kind, mode, uid, mtime, content)| {
            let kind = [Kind::File, Kind::Folder, Kind::Symlink, Kind::HardLink][usize::from(kind)];
            let content = if kind == Kind::File { content } else { Vec::new() };
            let has_link = matches!(kind, Kind::Symlink | Kind::HardLink);
            let link = if has_link { target.into_bytes() } else { Vec::new() };
            let size = content.len() as u64;
            let path = path.into_bytes();
            (Entry { path, kind, mode, uid, gid: uid, mtime, size, link }, content)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(list in proptest::collection::vec(entries(), 0..6)) {
        let bytes = archive(&list);
        prop_assert_eq!(bytes.len() % BLOCK, 0);
        prop_assert_eq!(read(&bytes).unwrap(), list);
    }

    #[test]
    fn a_damaged_archive_is_an_error_or_an_archive(
        list in proptest::collection::vec(entries(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = archive(&list);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // Most damage is seen by the sum of its header; let it pass that, too.
            let start = at / BLOCK * BLOCK;
            let header: &mut [u8; BLOCK] = (&mut bytes[start..start + BLOCK]).try_into().unwrap();
            let sum = format!("{:06o}\0 ", checksum(header));
            header[148..156].copy_from_slice(sum.as_bytes());
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        drop(read(&bytes));
    }
}

#[test]
fn gnu_tar_reads_what_is_written() {
    let long = format!("{}/{}", "a".repeat(200), "b".repeat(120));
    let list = vec![
        folder("app"),
        file("app/plain", "hello"),
        file(&long, "long"),
        file("app/Főtanúsítvány", "not ASCII"),
        link(Kind::Symlink, "app/link", &"t".repeat(300)),
        folder("tmp"),
    ];
    // What a header's bytes beyond ASCII mean is not defined; an extended one is UTF-8.
    let accented = archive(&list[3..4]);
    assert!(accented.windows(5).any(|it| it == b"path=") && accented[..BLOCK].is_ascii());
    let unpacked = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-x", "--same-permissions", "-C"]).arg(unpacked.path());
    let mut tar = tar.stdin(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(&archive(&list)).unwrap();
    assert!(tar.wait().unwrap().success());
    for (entry, content) in &list {
        let path = unpacked.path().join(str::from_utf8(&entry.path).unwrap());
        match entry.kind {
            Kind::File => assert_eq!(&fs::read(path).unwrap(), content),
            Kind::Symlink => {
                let target = fs::read_link(path).unwrap();
                assert_eq!(target.to_str().unwrap().as_bytes(), entry.link);
            }
            _ => assert!(path.is_dir()),
        }
    }
}

#[test]
fn what_gnu_tar_writes_in_each_of_its_formats_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let long = "d".repeat(90);
    let deep = folder.path().join("tree").join(&long);
    fs::create_dir_all(&deep).unwrap();
    let name = "n".repeat(95);
    fs::write(deep.join(&name), "content").unwrap();
    std::os::unix::fs::symlink("n".repeat(90), deep.join("link")).unwrap();
    fs::hard_link(deep.join(&name), deep.join("second")).unwrap();
    for format in ["v7", "oldgnu", "gnu", "ustar", "pax"] {
        let path = folder.path().join("archive.tar");
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "-c", "--format", format, "-C"]).arg(folder.path());
        if format == "ustar" {
            // It has no room for the name that a second name is of.
            tar.args(["--exclude", "second"]);
        }
        let tree = if format == "v7" { format!("tree/{long}/link") } else { "tree".to_owned() };
        let status = tar.arg("-f").arg(&path).arg(tree).status().unwrap();
        assert!(status.success(), "{format}");
        let mut bytes = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        let list = read(&bytes).unwrap();
        let find = |end: &str| {
            let end = Path::new("tree").join(&long).join(end);
            list.iter().find(|(it, _)| it.path == end.to_str().unwrap().as_bytes()).unwrap()
        };
        assert_eq!(find("link").0.link, "n".repeat(90).as_bytes(), "{format}");
        if format != "v7" {
            let (file, content) = find(&name);
            assert_eq!((file.kind, content.as_slice()), (Kind::File, b"content".as_slice()));
        }
        if format != "v7" && format != "ustar" {
            let second = &find("second").0;
            let target = format!("tree/{long}/{name}");
            assert_eq!((second.kind, &*second.link), (Kind::HardLink, target.as_bytes()));
        }
    }
}

fn raw(flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut entry = entry(Kind::File, name);
    entry.size = content.len() as u64;
    let mut content = content;
    writer.entry(&entry, &mut content).unwrap();
    let mut bytes = writer.finish().unwrap();
    bytes[156] = flag;
    seal(&mut bytes);
    bytes
}

fn seal(bytes: &mut [u8]) {
    let header: &mut [u8; BLOCK] = (&mut bytes[..BLOCK]).try_into().unwrap();
    let sum = format!("{:06o}\0 ", checksum(header));
    header[148..156].copy_from_slice(sum.as_bytes());
}

#[test]
fn what_no_layer_should_hold_is_refused_by_name() {
    let mut negative = raw(b'0', "a", b"");
    negative[124] = 0xff;
    seal(&mut negative);
    let mut huge = raw(b'x', "a", b"");
    huge[124..136].copy_from_slice(b"77777777777\0");
    seal(&mut huge);
    let with_name = |name: &str| raw(b'L', "x", name.as_bytes());
    let many: Vec<u8> =
        (0..20).flat_map(|_| raw(b'x', "x", b"13 comment=a\n")[..2 * BLOCK].to_vec()).collect();
    for (bytes, expected) in [
        (negative, "a size is no number"),
        (huge, "too long"),
        (with_name(&"n".repeat(PATH_MOST + 1)), "too long"),
        (raw(b'x', "x", b"999 path=a\n"), "an extended header is broken"),
        (raw(b'x', "x", b"0 =\n"), "an extended header is broken"),
        (raw(b'x', "x", b"22 GNU.sparse.major=1\n"), "sparse"),
        (raw(b'g', "x", b"11 path=ab\n"), "a global header names"),
        (raw(b'S', "x", b""), "sparse"),
        (raw(b'Z', "x", b""), "unknown kind"),
        (many, "too many headers"),
        (raw(b'0', "a", b"content")[..BLOCK + 3].to_vec(), "ends within a file"),
        (raw(b'0', "a", b"")[..100].to_vec(), "ends within a header"),
        (b"this is no archive".repeat(100), "the sum of a header is wrong"),
    ] {
        let error = read(&bytes).unwrap_err();
        assert!(error.contains(expected), "{error} instead of {expected}");
    }
}
