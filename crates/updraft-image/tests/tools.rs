//! Images are what tools of others take for images: skopeo reads and copies them, umoci unpacks
//! them, and runc runs what is in them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use updraft_image::{
    Attachment, Base, CYCLONEDX, Closure, Descriptor, Host, Image, Layout, Platform, StoredImage,
    Surroundings, Tree, UnpackOptions, check_scratch,
};

const LIBRARY: &str = "#include <math.h>\ndouble twice(double x) { return 2 * floor(x); }\n";

const PROGRAM: &str = r#"
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
#ifdef DYNAMIC
extern double twice(double);
#else
#define twice(x) (2 * (x))
#endif
int main(int count, char **words) {
    struct passwd *user = getpwuid(getuid());
    FILE *file = fopen("/tmp/written", "w");
    printf("%s %d %s %.0f %s\n", user ? user->pw_name : "?", (int) getgid(),
           file ? "written" : "not written", twice(21.0), count > 1 ? words[1] : "");
    return file && user ? 0 : 1;
}
"#;

const ANSWER: &str = "nonroot 65532 written 42 hello\n";

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `cargo xtask setup` installs what tests need")
    });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    output
}

fn cc(folder: &Path, arguments: &[&str]) {
    run(Command::new("cc").current_dir(folder).args(arguments));
}

/// A program that is linked statically, and one that needs a library of its own and of the system.
fn compile(folder: &Path) {
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::create_dir_all(folder.join("lib")).unwrap();
    fs::write(folder.join("library.c"), LIBRARY).unwrap();
    fs::write(folder.join("program.c"), PROGRAM).unwrap();
    cc(
        folder,
        &["-s", "-fno-builtin", "-shared", "-fPIC", "library.c", "-lm", "-o", "lib/libown.so"],
    );
    let dynamic = ["-s", "-DDYNAMIC", "program.c", "-Llib", "-lown", "-Wl,--disable-new-dtags"];
    cc(folder, &[&dynamic[..], &["-Wl,-rpath,$ORIGIN/../lib", "-o", "bin/dynamic"]].concat());
    cc(folder, &["-s", "-static", "-w", "program.c", "-o", "static"]);
}

fn describe(program: &str, base: Tree, application: Tree) -> Image {
    let mut image = Image::new(Platform::this());
    image.base = Base::Files(base);
    image.layers.push(("application".to_owned(), application));
    image.config.entrypoint = vec![program.to_owned()];
    image.config.cmd = vec!["hello".to_owned()];
    image
}

/// Unpacks by umoci and runs by runc; gives what it printed.
fn run_image(layout: &Layout, name: &str, folder: &Path) -> String {
    let bundle = folder.join(format!("bundle-{name}"));
    let mut umoci = Command::new("umoci");
    umoci.args(["unpack", "--image"]).arg(format!("{}:{name}", layout.folder().display()));
    let is_root = String::from_utf8(run(Command::new("id").arg("-u")).stdout).unwrap() == "0\n";
    if !is_root {
        umoci.arg("--rootless");
    }
    run(umoci.arg(&bundle));
    let path = bundle.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = false.into();
    // Not every machine may raise limits, and none are asked for.
    config["process"].as_object_mut().unwrap().remove("rlimits");
    fs::write(&path, config.to_string()).unwrap();
    let state = folder.join("state");
    let container = format!("updraft-{}-{name}", std::process::id());
    let mut runc = Command::new("runc");
    runc.arg("--root").arg(&state).args(["run", "-b"]).arg(&bundle).arg(&container);
    String::from_utf8(run(&mut runc).stdout).unwrap()
}

#[test]
fn a_static_program_runs_from_scratch_and_a_dynamic_one_from_its_closure() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    compile(folder);
    let layout = Layout::create(&folder.join("layout")).unwrap();

    let mut application = Tree::default();
    application.add_host(&folder.join("static"), "/app/static").unwrap();
    check_scratch(&application, &["/app/static"]).unwrap();
    let mut base = Tree::default();
    Surroundings::default().add_to(&mut base, &Host::this()).unwrap();
    let built = describe("/app/static", base, application).write(&layout, None).unwrap();
    layout.enter(built.manifest, Some("static")).unwrap();

    let mut application = Tree::default();
    application.add_host(&folder.join("bin"), "/app/bin").unwrap();
    let mut closure = Closure::of(&application, &["/app/bin/dynamic"], &Host::this()).unwrap();
    let libraries = closure.tree().file_bytes();
    closure.surround(&Surroundings::default(), &Host::this()).unwrap();
    let image = describe("/app/bin/dynamic", closure.into_tree(), application);
    let built = image.write(&layout, None).unwrap();
    layout.enter(built.manifest.clone(), Some("dynamic")).unwrap();

    // Nothing but the program and its closure makes the image as large as it is.
    let program = fs::metadata(folder.join("bin/dynamic")).unwrap().len();
    let listed = listed_by_ldd(&folder.join("bin/dynamic"));
    assert_eq!(libraries, listed, "the closure is what ldd lists");
    let archives: u64 = built.layers.iter().map(|layer| layer.archive_size).sum();
    let more = archives - (program + listed);
    assert!(more * 100 <= program + listed, "{more} bytes more than {program} + {listed}");

    attach(&layout, &built.manifest);
    assert_eq!(run_image(&layout, "static", folder), ANSWER);
    assert_eq!(run_image(&layout, "dynamic", folder), ANSWER);
    skopeo_reads(&layout, "dynamic", &built.manifest, folder);
    unpacked_is_what_umoci_unpacks(&layout, &built.manifest, folder);
}

#[test]
fn an_image_that_others_made_is_a_base() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let umoci = |arguments: &[&str]| run(Command::new("umoci").current_dir(folder).args(arguments));
    fs::write(folder.join("motd"), "of the base").unwrap();
    umoci(&["init", "--layout", "base"]);
    umoci(&["new", "--image", "base:1"]);
    let is_root = String::from_utf8(run(Command::new("id").arg("-u")).stdout).unwrap() == "0\n";
    let rootless: &[&str] = if is_root { &[] } else { &["--rootless"] };
    umoci(&[&["insert", "--image", "base:1"], rootless, &["motd", "/etc/motd"]].concat());
    let told = ["--config.env", "LANG=C.UTF-8", "--config.exposedports", "80/tcp"];
    umoci(&[&["config", "--image", "base:1", "--config.user", "root"][..], &told].concat());

    let base = Layout::open(&folder.join("base")).unwrap();
    let base = StoredImage::find(&base, Some("1"), &Platform::this()).unwrap();
    let mut application = Tree::default();
    application.add_bytes("/app/greeting", "of the application", false).unwrap();
    let mut image = describe("/app/greeting", Tree::default(), application);
    image.base = Base::Image(Box::new(base));
    let layout = Layout::create(&folder.join("layout")).unwrap();
    let built = image.write(&layout, None).unwrap();
    layout.enter(built.manifest.clone(), Some("built")).unwrap();
    let stored = StoredImage::open(&layout, &built.manifest.digest).unwrap();
    let said = stored.inspect();
    assert_eq!(said.layers.len(), 2);
    assert!(said.config.env.contains(&"LANG=C.UTF-8".to_owned()), "{:?}", said.config.env);
    assert!(said.config.exposed_ports.contains_key("80/tcp"));
    assert_eq!(said.config.user.as_deref(), Some("65532:65532"));
    let bundle = folder.join("bundle");
    let name = format!("{}:built", layout.folder().display());
    umoci(&[&["unpack", "--image", &name], rootless, &[bundle.to_str().unwrap()]].concat());
    for (path, expected) in [("etc/motd", "of the base"), ("app/greeting", "of the application")] {
        assert_eq!(fs::read_to_string(bundle.join("rootfs").join(path)).unwrap(), expected);
    }
}

fn listed_by_ldd(program: &Path) -> u64 {
    let listed = String::from_utf8(run(Command::new("ldd").arg(program)).stdout).unwrap();
    let mut files: Vec<PathBuf> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(|path| fs::canonicalize(path).unwrap())
        .collect();
    files.sort();
    files.dedup();
    files.iter().map(|file| fs::metadata(file).unwrap().len()).sum()
}

fn attach(layout: &Layout, image: &Descriptor) {
    let annotations = Default::default();
    let attachment =
        Attachment { artifact_type: CYCLONEDX, media_type: CYCLONEDX, bytes: b"{}", annotations };
    layout.attach(image, attachment).unwrap();
}

fn skopeo_reads(layout: &Layout, name: &str, image: &Descriptor, folder: &Path) {
    let source = format!("oci:{}:{name}", layout.folder().display());
    let told = run(Command::new("skopeo").args(["inspect", &source])).stdout;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["Digest"], image.digest.as_str());
    assert_eq!(told["Layers"].as_array().unwrap().len(), 2);
    let copy = folder.join("copy");
    let target = format!("oci:{}:{name}", copy.display());
    let mut skopeo = Command::new("skopeo");
    run(skopeo.args(["--insecure-policy", "copy", "--preserve-digests", &source, &target]));
    let copied = StoredImage::find(&Layout::open(&copy).unwrap(), Some(name), &Platform::this());
    assert_eq!(copied.unwrap().descriptor().digest, image.digest);
}

fn unpacked_is_what_umoci_unpacks(layout: &Layout, image: &Descriptor, folder: &Path) {
    let ours = folder.join("ours");
    let stored = StoredImage::open(layout, &image.digest).unwrap();
    stored.unpack(&ours, UnpackOptions::default()).unwrap();
    // What the program wrote, and where runc mounted something, is not of the image.
    let mut diff = Command::new("diff");
    diff.args(["-r", "--no-dereference"]);
    for name in ["dev", "proc", "sys", "run", "written", "resolv.conf"] {
        diff.args(["-x", name]);
    }
    let output = run(diff.arg(&ours).arg(folder.join("bundle-dynamic/rootfs")));
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}
