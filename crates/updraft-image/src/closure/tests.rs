//! Closures of real programs against `ldd` and dpkg, and of made-up machines against the rules
//! of loaders.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use proptest::prelude::*;

use super::*;

const AMD64: u16 = 62;
const ARM64: u16 = 183;
const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

/// What a made-up ELF file says of itself.
#[derive(Clone, Copy)]
struct Says<'a> {
    processor: u16,
    loader: Option<&'a str>,
    needed: &'a [&'a str],
    rpath: Option<&'a str>,
    runpath: Option<&'a str>,
}

const PLAIN: Says<'_> =
    Says { processor: AMD64, loader: None, needed: &[], rpath: None, runpath: None };

fn elf(says: Says<'_>) -> Vec<u8> {
    let mut names = vec![0_u8];
    let mut name = |text: &str| {
        let at = names.len() as u64;
        names.extend(text.bytes().chain([0]));
        at
    };
    let mut entries: Vec<(u64, u64)> = says.needed.iter().map(|it| (1, name(it))).collect();
    entries.extend(says.rpath.map(|it| (15, name(it))));
    entries.extend(says.runpath.map(|it| (29, name(it))));
    let loader = says.loader.map(|it| (name(it), it.len() as u64 + 1));
    let headers = 64 + 3 * 56;
    let names_at = headers + (entries.len() as u64 + 2) * 16;
    entries.extend([(5, names_at), (0, 0)]);
    let total = names_at + names.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    for (value, size) in [
        (3, 2),
        (u64::from(says.processor), 2),
        (1, 4),
        (0, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (3, 2),
        (0, 2),
        (0, 2),
        (0, 2),
    ] {
        bytes.extend(&value.to_le_bytes()[..size]);
    }
    let (loader_at, loader_size) = loader.unwrap_or_default();
    let interp = if loader.is_some() { 3 } else { 0 };
    for (kind, offset, size) in [
        (1, 0, total),
        (interp, names_at + loader_at, loader_size),
        (2, headers, entries.len() as u64 * 16),
    ] {
        bytes.extend(&u32::to_le_bytes(kind));
        bytes.extend([0; 4]);
        for value in [offset, offset, offset, size, size, 1] {
            bytes.extend(u64::to_le_bytes(value));
        }
    }
    for (tag, value) in entries {
        bytes.extend(u64::to_le_bytes(tag));
        bytes.extend(u64::to_le_bytes(value));
    }
    bytes.extend(names);
    bytes
}

/// A rule of loaders: what a program says, libraries of the machine, and the one that is taken.
type Row<'a> = (&'a str, Says<'a>, Vec<(&'a str, Vec<u8>)>, &'a str);

/// A machine that is made up.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn host(&self) -> Host {
        Host::below(self.0.path())
    }

    fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.host().at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.host().at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// As Debian since `/usr` was merged.
    fn debian() -> Self {
        let machine = Self::new();
        machine
            .link("/lib", "usr/lib")
            .link("/lib64", "usr/lib64")
            .file("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", elf(PLAIN))
            .link("/usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
            .file(
                "/usr/lib/x86_64-linux-gnu/libc.so.6",
                [elf(PLAIN), b"GLIBC_2.34\0".to_vec()].concat(),
            );
        machine
    }

    fn cache(&self, entries: &[(&str, &str, u64)]) -> &Self {
        let mut table = b"glibc-ld.so.cache1.1".to_vec();
        let mut names = Vec::new();
        let start = 48 + entries.len() * 24;
        table.extend(u32::try_from(entries.len()).unwrap().to_ne_bytes());
        table.resize(48, 0);
        for (name, path, hwcap) in entries {
            table.extend(0x303_u32.to_ne_bytes());
            for text in [name, path] {
                table.extend(u32::try_from(start + names.len()).unwrap().to_ne_bytes());
                names.extend(text.bytes().chain([0]));
            }
            table.extend([0; 4]);
            table.extend(hwcap.to_ne_bytes());
        }
        self.file("/etc/ld.so.cache", [table, names].concat())
    }
}

/// An application with one program.
fn application(program: Vec<u8>) -> Tree {
    let mut tree = Tree::default();
    tree.add_bytes("/app/bin/program", program, true).unwrap();
    tree
}

fn paths(closure: &Closure) -> Vec<&str> {
    closure.files().iter().map(|file| file.path.as_str()).collect()
}

fn of(tree: &Tree, machine: &Machine) -> Result<Closure, ClosureError> {
    Closure::of(tree, &["/app/bin/program"], &machine.host())
}

#[test]
fn the_closure_of_real_programs_is_what_ldd_says_and_owners_are_what_dpkg_says() {
    let node = PathBuf::from("/usr/bin/node");
    for program in
        [std::env::current_exe().unwrap(), PathBuf::from("/usr/bin/openssl"), node.clone()]
    {
        let ldd = Command::new("ldd").arg(&program).output().unwrap();
        let ldd = String::from_utf8(ldd.stdout).unwrap();
        let expected: BTreeSet<String> = ldd
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
            .map(|path| fs::canonicalize(path).unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut tree = Tree::default();
        tree.add_host(&program, "/app/bin/program").unwrap();
        let closure = Closure::of(&tree, &["/app/bin/program"], &Host::this()).unwrap();
        let found: BTreeSet<String> = paths(&closure).into_iter().map(str::to_owned).collect();
        assert_eq!(found, expected, "{}", program.display());
        assert!(found.len() > 2);
        assert!(closure.files().iter().all(|file| file.package.is_some()), "{closure:?}");
        // Asking dpkg takes long, and the libraries of the first two say as much.
        let asked = closure.files().iter().filter(|_| program != node);
        for file in asked {
            let package = file.package.as_ref().unwrap();
            let asked = Command::new("dpkg-query")
                .args(["-W", "-f", "${Version} ${Architecture}", &package.name])
                .output()
                .unwrap();
            let told = format!("{} {}", package.version, package.architecture);
            assert_eq!(String::from_utf8(asked.stdout).unwrap(), told, "{}", file.path);
            let owns = ["", "/usr"].iter().any(|merged| {
                let path = file.path.strip_prefix(merged).unwrap();
                let asked = Command::new("dpkg-query").args(["-S", path]).output().unwrap();
                String::from_utf8(asked.stdout).unwrap().starts_with(&format!("{}:", package.name))
            });
            assert!(owns, "{file:?}");
        }
    }
}

#[test]
fn names_and_links_that_the_loader_goes_by_are_kept() {
    let machine = Machine::debian();
    let folder = "/usr/lib/x86_64-linux-gnu";
    machine
        .file(&format!("{folder}/liba.so.1.2.3"), elf(Says { needed: &["libc.so.6"], ..PLAIN }))
        .link(&format!("{folder}/liba.so.1"), "liba.so.1.2.3");
    let program = Says { loader: Some(GLIBC), needed: &["liba.so.1", "libc.so.6"], ..PLAIN };
    let closure = of(&application(elf(program)), &machine).unwrap();
    let folder_of = |name: &str| format!("{folder}/{name}");
    let expected = ["ld-linux-x86-64.so.2", "liba.so.1.2.3", "libc.so.6"].map(folder_of);
    assert_eq!(paths(&closure), expected);
    let tree = closure.tree();
    for (link, target) in [
        ("/lib", "usr/lib"),
        ("/lib64", "usr/lib64"),
        ("/usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        ("/usr/lib/x86_64-linux-gnu/liba.so.1", "liba.so.1.2.3"),
    ] {
        let what = &tree.node(link).unwrap_or_else(|| panic!("no {link}")).what;
        assert_eq!(*what, What::Link { target: target.to_owned() }, "{link}");
    }
    assert!(closure.files().iter().all(|file| file.package.is_none()), "there is no dpkg");
}

#[test]
fn libraries_are_looked_for_as_the_loader_looks() {
    let lib = |needed: &'static [&'static str]| elf(Says { needed, ..PLAIN });
    let program = Says { loader: Some(GLIBC), needed: &["liba.so"], ..PLAIN };
    let home = "/usr/lib/x86_64-linux-gnu/liba.so";
    let rows: [Row<'_>; 8] = [
        ("a default folder", program, vec![(home, lib(&[]))], home),
        (
            "DT_RUNPATH before the default folders",
            Says { runpath: Some("/opt/a:/opt/b"), ..program },
            vec![(home, lib(&[])), ("/opt/b/liba.so", lib(&[]))],
            "/opt/b/liba.so",
        ),
        (
            "DT_RPATH before the default folders",
            Says { rpath: Some("/opt/a"), ..program },
            vec![(home, lib(&[])), ("/opt/a/liba.so", lib(&[]))],
            "/opt/a/liba.so",
        ),
        (
            "DT_RUNPATH makes DT_RPATH void",
            Says { rpath: Some("/opt/a"), runpath: Some("/opt/b"), ..program },
            vec![("/opt/a/liba.so", lib(&[])), ("/opt/b/liba.so", lib(&[]))],
            "/opt/b/liba.so",
        ),
        (
            "a library for another processor is passed over",
            Says { runpath: Some("/opt/a"), ..program },
            vec![("/opt/a/liba.so", elf(Says { processor: ARM64, ..PLAIN })), (home, lib(&[]))],
            home,
        ),
        (
            "a text that has the name of a library is passed over",
            Says { runpath: Some("/opt/a"), ..program },
            vec![("/opt/a/liba.so", b"INPUT(liba.so.1)".to_vec()), (home, lib(&[]))],
            home,
        ),
        (
            "a path instead of a name",
            Says { needed: &["/opt/c/liba.so"], ..program },
            vec![("/opt/c/liba.so", lib(&[]))],
            "/opt/c/liba.so",
        ),
        (
            "what the working folder or the processor decides is passed over",
            Says { runpath: Some("::lib:$PLATFORM/lib:/opt/$LIB:/opt/a"), ..program },
            vec![("/opt/a/liba.so", lib(&[]))],
            "/opt/a/liba.so",
        ),
    ];
    for (name, says, files, taken) in rows {
        let machine = Machine::debian();
        for (path, content) in files {
            machine.file(path, content);
        }
        let closure = of(&application(elf(says)), &machine).unwrap();
        let libraries: Vec<&str> =
            paths(&closure).into_iter().filter(|path| path.contains("liba")).collect();
        assert_eq!(libraries, [taken], "{name}");
    }
}

#[test]
fn what_a_program_says_with_rpath_counts_for_what_its_libraries_need_and_runpath_does_not() {
    let program = Says { loader: Some(GLIBC), needed: &["liba.so"], ..PLAIN };
    for (says, is_found) in [
        (Says { rpath: Some("/opt/a"), ..program }, true),
        (Says { runpath: Some("/opt/a"), ..program }, false),
    ] {
        let machine = Machine::debian();
        machine
            .file("/opt/a/liba.so", elf(Says { needed: &["libb.so"], ..PLAIN }))
            .file("/opt/a/libb.so", elf(PLAIN));
        let closure = of(&application(elf(says)), &machine);
        assert_eq!(closure.is_ok(), is_found, "{closure:?}");
    }
}

#[test]
fn what_lies_beside_the_program_goes_with_it() {
    let machine = Machine::debian();
    let build = tempfile::tempdir().unwrap();
    let program = Says {
        loader: Some(GLIBC),
        needed: &["libown.so"],
        runpath: Some("$ORIGIN/../lib"),
        ..PLAIN
    };
    fs::create_dir_all(build.path().join("bin")).unwrap();
    fs::create_dir_all(build.path().join("lib")).unwrap();
    fs::write(build.path().join("bin/program"), elf(program)).unwrap();
    let own = Says { needed: &["libdeep.so"], runpath: Some("${ORIGIN}/deep"), ..PLAIN };
    fs::write(build.path().join("lib/libown.so"), elf(own)).unwrap();
    fs::create_dir_all(build.path().join("lib/deep")).unwrap();
    fs::write(build.path().join("lib/deep/libdeep.so"), elf(PLAIN)).unwrap();
    let mut tree = Tree::default();
    tree.add_host(&build.path().join("bin"), "/app/bin").unwrap();
    let closure = of(&tree, &machine).unwrap();
    let own: Vec<&str> = paths(&closure).into_iter().filter(|it| it.starts_with("/app")).collect();
    assert_eq!(own, ["/app/lib/deep/libdeep.so", "/app/lib/libown.so"]);
    // What the application brings itself is not taken once more.
    tree.add_host(&build.path().join("lib"), "/app/lib").unwrap();
    let closure = of(&tree, &machine).unwrap();
    assert!(!paths(&closure).iter().any(|it| it.starts_with("/app")), "{:?}", paths(&closure));
}

#[test]
fn what_only_the_cache_knows_is_found_in_an_image_without_a_cache() {
    let machine = Machine::debian();
    machine
        .file("/usr/local/lib/liba.so.1", elf(PLAIN))
        .file("/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/liba.so.1", elf(PLAIN))
        .cache(&[
            ("liba.so.1", "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/liba.so.1", 1 << 62),
            ("liba.so.1", "/usr/local/lib/liba.so.1", 0),
            ("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6", 0),
        ]);
    let program = Says { loader: Some(GLIBC), needed: &["liba.so.1", "libc.so.6"], ..PLAIN };
    let closure = of(&application(elf(program)), &machine).unwrap();
    assert_eq!(paths(&closure).last(), Some(&"/usr/local/lib/liba.so.1"));
    let alias = closure.tree().node("/usr/lib/x86_64-linux-gnu/liba.so.1").unwrap();
    assert_eq!(alias.what, What::Link { target: "/usr/local/lib/liba.so.1".to_owned() });
    assert!(!closure.tree().contains("/etc/ld.so.cache"));
}

#[test]
fn musl_has_its_own_folders_and_is_its_own_c_library() {
    let machine = Machine::new();
    let program =
        Says { loader: Some(MUSL), needed: &["libz.so.1", "libc.musl-x86_64.so.1"], ..PLAIN };
    machine
        .file(MUSL, elf(PLAIN))
        .file("/usr/lib/libz.so.1", elf(Says { needed: &["libc.so"], ..PLAIN }));
    let closure = of(&application(elf(program)), &machine).unwrap();
    assert_eq!(paths(&closure), [MUSL, "/usr/lib/libz.so.1"]);
    machine.file("/etc/ld-musl-x86_64.path", "/opt/lib\n").file("/opt/lib/libz.so.1", elf(PLAIN));
    let closure = of(&application(elf(program)), &machine).unwrap();
    assert_eq!(paths(&closure), ["/etc/ld-musl-x86_64.path", MUSL, "/opt/lib/libz.so.1"]);
}

#[test]
fn an_old_c_library_gets_what_looks_up_names() {
    let machine = Machine::debian();
    let folder = "/usr/lib/x86_64-linux-gnu";
    machine.file(&format!("{folder}/libc.so.6"), [elf(PLAIN), b"GLIBC_2.31\0".to_vec()].concat());
    for name in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
        machine.file(&format!("{folder}/{name}"), elf(PLAIN));
    }
    let program = Says { loader: Some(GLIBC), needed: &["libc.so.6"], ..PLAIN };
    assert_eq!(paths(&of(&application(elf(program)), &machine).unwrap()).len(), 5);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let machine = Machine::debian();
    let mut tree = Tree::default();
    let needy = Says { loader: Some(GLIBC), needed: &["libx.so", "libc.so.6", "liby.so"], ..PLAIN };
    tree.add_bytes("/app/needy", elf(needy), true).unwrap();
    tree.add_bytes("/app/script", "#!/usr/bin/env -S python3\n", true).unwrap();
    tree.add_bytes("/app/text", "hello", true).unwrap();
    tree.add_bytes(
        "/app/foreign",
        elf(Says { loader: Some("/lib/ld-other.so"), needed: &["x"], ..PLAIN }),
        true,
    )
    .unwrap();
    tree.add_link("/app/out", "/usr/bin/python3").unwrap();
    let programs =
        ["/app/needy", "/app/script", "/app/text", "/app/foreign", "/app/none", "/app/out"];
    let error = Closure::of(&tree, &programs, &machine.host()).unwrap_err().to_string();
    for expected in [
        "/app/needy needs libx.so, which this machine has not",
        "/app/needy needs liby.so",
        "/app/script is a script for `/usr/bin/env -S python3`, which the image has not",
        "/app/text is no program",
        "/app/foreign needs the loader /lib/ld-other.so",
        "/app/none is not in the image",
        "/app/out is not in the image",
    ] {
        assert!(error.contains(expected), "{error}\nwithout\n{expected}");
    }
    assert_eq!(error.lines().count(), 7, "{error}");
}

#[test]
fn libraries_that_packages_bring_may_lack_something_and_it_is_told() {
    let machine = Machine::debian();
    let program = Says { loader: Some(GLIBC), needed: &["libc.so.6"], ..PLAIN };
    let mut tree = application(elf(program));
    tree.add_bytes("/app/addon.node", elf(Says { needed: &["libgone.so"], ..PLAIN }), false)
        .unwrap();
    let foreign = Says { processor: ARM64, needed: &["libforeign.so"], ..PLAIN };
    tree.add_bytes("/app/addon-arm.node", elf(foreign), false).unwrap();
    let closure = of(&tree, &machine).unwrap();
    let needed_by = "/app/addon.node".to_owned();
    let library = "libgone.so".to_owned();
    assert_eq!(closure.lacks(), [Lack::Library { needed_by, library }]);
}

#[test]
fn an_application_in_the_way_of_a_link_is_refused() {
    let machine = Machine::debian();
    let program = Says { loader: Some(GLIBC), needed: &["libc.so.6"], ..PLAIN };
    let mut tree = application(elf(program));
    tree.add_bytes("/lib/own", "x", false).unwrap();
    let error = of(&tree, &machine).unwrap_err().to_string();
    assert!(error.contains("/lib is a folder of the application"), "{error}");
}

#[test]
fn a_scratch_image_takes_static_programs_and_tells_of_each_other() {
    let mut tree = application(elf(PLAIN));
    check_scratch(&tree, &["/app/bin/program"]).unwrap();
    assert!(Closure::of(&tree, &["/app/bin/program"], &Host::this()).unwrap().tree().is_empty());
    tree.add_bytes("/app/dynamic", elf(Says { loader: Some(GLIBC), ..PLAIN }), true).unwrap();
    tree.add_bytes("/app/script", "#!/app/bin/program\n", true).unwrap();
    tree.add_bytes("/app/other", "#! /bin/sh\n", true).unwrap();
    let programs = ["/app/bin/program", "/app/dynamic", "/app/script", "/app/other"];
    let error = check_scratch(&tree, &programs).unwrap_err().to_string();
    assert!(error.contains("use the base `closure`"), "{error}");
    assert!(error.contains("/app/other is a script for `/bin/sh`"), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
    assert_eq!(
        linkage(&std::env::current_exe().unwrap()).unwrap(),
        linkage(Path::new("/usr/bin/openssl")).unwrap()
    );
    assert_eq!(linkage(Path::new("/etc/os-release")).unwrap(), Linkage::Unknown);
}

#[test]
fn surroundings_have_the_user_and_a_place_for_temporary_files() {
    let machine = Machine::new();
    let mut closure = Closure::default();
    closure.surround(&Surroundings::default(), &machine.host()).unwrap();
    let tree = closure.tree();
    assert_eq!(tree.node("/tmp").unwrap().mode, 0o1777);
    let What::File { content: Content::Bytes(users), .. } = &tree.node("/etc/passwd").unwrap().what
    else {
        panic!("no /etc/passwd")
    };
    assert!(String::from_utf8_lossy(users).contains("\nnonroot:x:65532:65532:"));
    let trusting = Surroundings { certificates: true, ..Surroundings::default() };
    let error = closure.surround(&trusting, &machine.host()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("install ca-certificates"), "{cause}");
    machine.file("/etc/pki/tls/certs/ca-bundle.crt", "trusted");
    closure.surround(&trusting, &machine.host()).unwrap();
    assert_eq!(paths(&closure), ["/etc/ssl/certs/ca-certificates.crt"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_damaged_program_is_read_or_refused(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let says = Says { loader: Some(GLIBC), needed: &["liba.so", "libb.so"], runpath: Some("$ORIGIN:/a"), ..PLAIN };
        let mut bytes = elf(says);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        drop(elf::nature(bytes.as_slice()));
    }
}

#[test]
fn an_elf_file_of_32_bits_or_other_byte_order_is_read() {
    // Of a header alone: no segments, so it is static.
    for (class, order, length) in [(1, 1, 52), (1, 2, 52), (2, 2, 64)] {
        let mut bytes = vec![0_u8; length];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        bytes[18 + usize::from(order == 2)] = 40;
        let nature = elf::nature(bytes.as_slice()).unwrap();
        let Nature::Elf(read) = nature else { panic!("{nature:?}") };
        assert!(read.interpreter.is_none() && read.needed.is_empty());
    }
}
