//! What an image takes over, what it says itself, and that nothing else is in its digest.

use super::*;
use crate::Digest;

fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    (folder, layout)
}

fn sample(content: &str) -> Image {
    let mut tree = Tree::default();
    tree.add_bytes("app/program", content, true).unwrap();
    let mut image = Image::new(Platform::this());
    image.layers.push(("application".to_owned(), tree));
    image.config.entrypoint = vec!["/app/program".to_owned()];
    image
}

fn digest_of(image: &Image) -> Digest {
    let (_folder, layout) = layout();
    image.write(&layout, None).unwrap().manifest.digest
}

#[test]
fn the_digest_is_the_same_in_each_layout_and_another_for_each_change() {
    let first = digest_of(&sample("one"));
    assert_eq!(first, digest_of(&sample("one")));
    let changes: [&dyn Fn(&mut Image); 8] = [
        &|it| *it = sample("two"),
        &|it| it.epoch = 1,
        &|it| it.config.user = Some("1:1".to_owned()),
        &|it| it.config.env.push("A=b".to_owned()),
        &|it| it.config.stop_signal = Some("SIGINT".to_owned()),
        &|it| drop(it.config.labels.insert("a".to_owned(), "b".to_owned())),
        &|it| drop(it.annotations.insert("a".to_owned(), "b".to_owned())),
        &|it| it.layers.insert(0, ("dependencies".to_owned(), it.layers[0].1.clone())),
    ];
    let mut seen = vec![first];
    for change in changes {
        let mut image = sample("one");
        change(&mut image);
        let digest = digest_of(&image);
        assert!(!seen.contains(&digest), "{image:?}");
        seen.push(digest);
    }
}

#[test]
fn an_image_runs_as_nobody_unless_somebody_is_named() {
    let (_folder, layout) = layout();
    let user = |image: &Image| {
        let built = image.write(&layout, None).unwrap();
        let stored = StoredImage::open(&layout, &built.manifest.digest).unwrap();
        (stored.inspect().config.user.unwrap(), stored)
    };
    assert_eq!(user(&sample("x")).0, "65532:65532");
    for (base_has, expected) in [
        ("root", "65532:65532"),
        ("0:0", "65532:65532"),
        ("0", "65532:65532"),
        ("1000", "1000"),
        ("web:web", "web:web"),
    ] {
        let mut base = sample("base");
        base.config.user = Some(base_has.to_owned());
        let (said, base) = user(&base);
        assert_eq!(said, base_has);
        let mut image = sample("x");
        image.base = Base::Image(Box::new(base));
        assert_eq!(user(&image).0, expected, "on a base of {base_has}");
    }
}

#[test]
fn layers_and_configuration_of_a_base_are_taken_over() {
    let (_elsewhere, from) = layout();
    let mut base = sample("base");
    base.config.env = vec!["PATH=/bin".to_owned(), "LANG=C".to_owned()];
    base.config.cmd = vec!["of the base".to_owned()];
    base.config.working_dir = Some("/srv".to_owned());
    base.config.labels.insert("kept".to_owned(), "yes".to_owned());
    let base = base.write(&from, None).unwrap();
    let base = StoredImage::open(&from, &base.manifest.digest).unwrap();
    let base_layer = base.inspect().layers[0].clone();

    let mut image = sample("application");
    image.base = Base::Image(Box::new(base.clone()));
    image.config.env = vec!["PATH=/app".to_owned()];
    let (_folder, layout) = layout();
    let built = image.write(&layout, None).unwrap();
    drop(_elsewhere);
    let stored = StoredImage::open(&layout, &built.manifest.digest).unwrap();
    let said = stored.inspect();
    assert_eq!(said.layers.len(), 2);
    assert_eq!(said.layers[0].digest, base_layer.digest);
    assert_eq!(said.layers[1].created_by.as_deref(), Some("updraft build: application"));
    assert_eq!(said.config.env, ["LANG=C", "PATH=/app"]);
    assert_eq!(said.config.entrypoint, ["/app/program"]);
    assert!(said.config.cmd.is_empty(), "{:?}", said.config.cmd);
    assert_eq!(said.config.working_dir.as_deref(), Some("/srv"));
    assert_eq!(said.config.labels["kept"], "yes");
    let base_digest = &said.annotations[annotation::BASE_DIGEST];
    assert_eq!(base_digest, base.descriptor().digest.as_str());
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("root");
    stored.unpack(&unpacked, Default::default()).unwrap();
    let program = std::fs::read_to_string(unpacked.join("app/program")).unwrap();
    assert_eq!(program, "application");
}

#[test]
fn a_base_for_another_machine_or_with_a_damaged_layer_is_refused() {
    let (_folder, layout) = layout();
    let mut foreign = sample("base");
    foreign.platform.architecture = "s390x".to_owned();
    let foreign = foreign.write(&layout, None).unwrap();
    let foreign = StoredImage::open(&layout, &foreign.manifest.digest).unwrap();
    let mut image = sample("x");
    image.base = Base::Image(Box::new(foreign));
    let error = image.write(&layout, None).unwrap_err();
    assert!(matches!(error, ImageError::Platform { .. }), "{error}");

    let (_elsewhere, from) = self::layout();
    let base = sample("base").write(&from, None).unwrap();
    let base = StoredImage::open(&from, &base.manifest.digest).unwrap();
    let blob = from.blob(&base.manifest().layers[0].digest);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    image.base = Base::Image(Box::new(base));
    let (_other, layout) = self::layout();
    let error = image.write(&layout, None).unwrap_err().to_string();
    assert!(error.contains("has other content than its name says"), "{error}");
}

#[test]
fn a_change_of_the_code_changes_one_layer() {
    let (folder, layout) = layout();
    let cache = LayerCache::open(&folder.path().join("cache")).unwrap();
    let mut dependencies = Tree::default();
    dependencies.add_bytes("app/node_modules/x.js", "x".repeat(10_000), false).unwrap();
    let build = |content: &str| {
        let mut image = sample(content);
        image.layers.insert(0, ("dependencies".to_owned(), dependencies.clone()));
        image.write(&layout, Some(&cache)).unwrap()
    };
    let (first, second) = (build("one"), build("two"));
    let reused: Vec<bool> = second.layers.iter().map(|layer| layer.reused).collect();
    assert_eq!(reused, [true, false]);
    assert_eq!(first.layers[0].descriptor, second.layers[0].descriptor);
    assert_ne!(first.manifest.digest, second.manifest.digest);
    assert!(build("one").layers.iter().all(|layer| layer.reused));
}
