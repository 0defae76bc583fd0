//! Finding images in layouts of others, and refusing what only looks like one.

use super::*;
use crate::fixture;

fn platform(architecture: &str) -> Platform {
    Platform { architecture: architecture.to_owned(), os: "linux".to_owned() }
}

#[test]
fn an_image_is_found_by_name_by_digest_or_because_it_is_the_only_one() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let this = Platform::this();
    let find = |name| StoredImage::find(&layout, name, &this);
    let error = find(None).unwrap_err().to_string();
    assert!(error.contains("it has none"), "{error}");
    let one = fixture::image(&layout, &[fixture::archive(&[fixture::file("a", "1")])]);
    layout.enter(one.descriptor().clone(), Some("one")).unwrap();
    assert_eq!(find(None).unwrap().descriptor().digest, one.descriptor().digest);
    let two = fixture::image(&layout, &[fixture::archive(&[fixture::file("a", "2")])]);
    layout.enter(two.descriptor().clone(), Some("two")).unwrap();
    let error = find(None).unwrap_err().to_string();
    assert!(error.contains("one") && error.contains("two"), "{error}");
    assert_eq!(find(Some("two")).unwrap().descriptor().digest, two.descriptor().digest);
    let digest = one.descriptor().digest.as_str();
    assert_eq!(find(Some(digest)).unwrap().descriptor().digest, one.descriptor().digest);
    let error = find(Some("three")).unwrap_err().to_string();
    assert!(error.contains("`three`") && error.contains("two, one"), "{error}");
    layout.enter(two.descriptor().clone(), Some("one")).unwrap();
    assert_eq!(layout.named("one").unwrap().unwrap().digest, two.descriptor().digest);
    assert_eq!(layout.index().unwrap().manifests.len(), 2);
}

#[test]
fn of_an_index_the_image_for_the_platform_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let image = fixture::image(&layout, &[]);
    let mut manifests = Vec::new();
    for architecture in ["s390x", Platform::this().architecture.as_str()] {
        let mut descriptor = image.descriptor().clone();
        descriptor.platform = Some(platform(architecture));
        manifests.push(descriptor);
    }
    let index = Index { schema_version: 2, media_type: media::INDEX.to_owned(), manifests };
    let index = layout.put_document(media::INDEX, &index).unwrap();
    layout.enter(index, Some("many")).unwrap();
    assert!(StoredImage::find(&layout, Some("many"), &Platform::this()).is_ok());
    let error = StoredImage::find(&layout, None, &platform("mips")).unwrap_err().to_string();
    assert!(error.contains("linux/mips") && error.contains("linux/s390x"), "{error}");
    // The index says s390x, and the image itself another thing.
    let error = StoredImage::find(&layout, None, &platform("s390x")).unwrap_err();
    assert!(matches!(error, ImageError::Platform { .. }), "{error}");
}

#[test]
fn an_index_of_itself_comes_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let mut inner = layout.put(media::INDEX, b"{}").unwrap();
    for _ in 0..8 {
        let manifests = vec![inner];
        let index = Index { schema_version: 2, media_type: media::INDEX.to_owned(), manifests };
        inner = layout.put_document(media::INDEX, &index).unwrap();
    }
    layout.enter(inner, None).unwrap();
    let error = StoredImage::find(&layout, None, &Platform::this()).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn what_is_no_image_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let image = fixture::image(&layout, &[fixture::archive(&[])]);
    let open = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = image.manifest().clone();
        change(&mut manifest);
        let descriptor = layout.put_document(media::MANIFEST, &manifest).unwrap();
        StoredImage::open(&layout, &descriptor.digest).unwrap_err().to_string()
    };
    let error = open(&|it| it.artifact_type = Some("x/y".to_owned()));
    assert!(error.contains("about another image"), "{error}");
    let error = open(&|it| it.layers.clear());
    assert!(error.contains("has 0 layers, its configuration 1"), "{error}");
    let error = open(&|it| it.layers = vec![it.layers[0].clone(); 513]);
    assert!(error.contains("more than 512 layers"), "{error}");
    let error = open(&|it| it.config = layout.put(media::CONFIG, b"[]").unwrap());
    assert!(error.contains("is not the configuration of an image"), "{error}");
    let noise = layout.put(media::MANIFEST, b"not JSON").unwrap();
    let error = StoredImage::open(&layout, &noise.digest).unwrap_err().to_string();
    assert!(error.contains("is not an image manifest"), "{error}");
    assert!(StoredImage::open(&layout, &Digest::of(b"nowhere")).is_err());
}

#[test]
fn an_image_with_a_damaged_cut_or_missing_layer_is_told_from_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let image = fixture::image(&layout, &[fixture::archive(&[fixture::file("a", "content")])]);
    image.verify().unwrap();
    let path = layout.blob(&image.manifest().layers[0].digest);
    let good = std::fs::read(&path).unwrap();
    for at in [0, 512, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = image.verify().unwrap_err().to_string();
        assert!(error.contains("has other content than its name says"), "{error}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(image.verify().is_err());
    std::fs::write(&path, &good).unwrap();
    image.verify().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(image.verify().is_err());
}
