//! Pulls: other tools' images, cuts, and what a layout has already.

use serde_json::json;
use updraft_image::{Layout, Platform, Progress, Push, Wanted, media};

use crate::images::{Image, MIB, assert_whole, client, reference};
use crate::proxy::{Fault, Proxy, Script, answered};
use crate::server::{Server, oci, skopeo};

#[tokio::test]
async fn what_skopeo_pushes_is_pulled_and_what_is_pushed_skopeo_pulls() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::compressed(&folder.path().join("image"));
    let registry = client(|_| ());
    let (silent, all) = (Progress::silent(), Wanted::All);
    let theirs = format!("docker://{}/theirs:1", server.address);
    let from = oci(image.layout.folder(), "1");
    skopeo(&["copy", "--quiet", "--dest-tls-verify=false", &from, &theirs]).await;
    let copy = Layout::create(&folder.path().join("copy")).unwrap();
    let name = reference(server.address, "theirs:1");
    let pulled = registry.pull(&name, &copy, &all, &silent).await.unwrap();
    assert_eq!(pulled.content.digest, image.manifest.digest);
    assert_eq!(pulled.reference.digest(), Some(&image.manifest.digest));
    assert_whole(&copy, &image);
    // skopeo reads the layout that the pull has made, and the registry that the push has filled.
    let read = skopeo(&["inspect", "--format", "{{.Digest}}", &oci(copy.folder(), "1")]).await;
    assert_eq!(read.trim(), image.manifest.digest.as_str());
    registry
        .push(&Push::new(&copy, &pulled.content), &reference(server.address, "ours/x:2"))
        .await
        .unwrap();
    let ours = format!("docker://{}/ours/x:2", server.address);
    let read = skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &ours]).await;
    assert_eq!(read.trim(), image.manifest.digest.as_str());
    // What the layout has is not fetched again, and its index has each name once.
    let again = registry.pull(&name, &copy, &all, &silent).await.unwrap();
    assert_eq!((again.fetched, copy.index().unwrap().manifests.len()), (0, 1));
    // Docker's own formats are kept as they are.
    let docker = format!("docker://{}/docker:1", server.address);
    skopeo(&["copy", "--quiet", "--dest-tls-verify=false", "--format=v2s2", &from, &docker]).await;
    let kept = Layout::create(&folder.path().join("docker")).unwrap();
    let pulled =
        registry.pull(&reference(server.address, "docker:1"), &kept, &all, &silent).await.unwrap();
    assert_eq!(pulled.content.media_type, "application/vnd.docker.distribution.manifest.v2+json");
    let read = skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &docker]).await;
    assert_eq!(read.trim(), pulled.content.digest.as_str());
}

#[tokio::test]
async fn a_layer_that_is_cut_on_its_way_here_is_fetched_on_from_there() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[12 * MIB]);
    let registry = client(|_| ());
    registry
        .push(&Push::new(&image.layout, &image.manifest), &reference(server.address, "a:1"))
        .await
        .unwrap();
    let size = image.layers[0].size;
    let layer = image.layers[0].digest.to_string();
    let proxy = Proxy::start(server.address, move |seen, _| {
        let cut = seen.line.contains(&layer) && !seen.head.contains("bytes=8");
        if cut { Fault::CutDownload(4 * MIB) } else { Fault::Pass }
    })
    .await;
    let copy = Layout::create(&folder.path().join("copy")).unwrap();
    let name = reference(proxy.address, "a:1");
    let pulled =
        registry.pull(&name, &copy, &Wanted::default(), &Progress::silent()).await.unwrap();
    assert_whole(&copy, &image);
    assert!(pulled.fetched < size + 4096, "{}", pulled.fetched);
    let ranges = proxy.seen().iter().filter(|seen| seen.header("range").is_some()).count();
    assert!(2 <= ranges, "{ranges}");
}

#[tokio::test]
async fn the_image_for_the_platform_is_chosen_or_what_there_is_is_said() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let one = Image::new(&folder.path().join("image"), &[1000]);
    let layout = &one.layout;
    let mut two = serde_json::from_slice::<serde_json::Value>(
        &layout.document(&one.manifest.digest).unwrap(),
    )
    .unwrap();
    two["annotations"] = json!({"which": "two"});
    let two = layout.put_document(media::MANIFEST, &two).unwrap();
    let entry = |it: &updraft_image::Descriptor, platform: serde_json::Value| json!({"mediaType": it.media_type, "digest": it.digest, "size": it.size, "platform": platform});
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [
        entry(&one.manifest, json!({"architecture": "unknown", "os": "unknown"})),
        entry(&one.manifest, json!({"architecture": "arm64", "os": "linux", "variant": "v8"})),
        entry(&two, json!({"architecture": "amd64", "os": "linux"})),
    ]});
    let index = layout.put_document(media::INDEX, &index).unwrap();
    let name = reference(server.address, "a:1");
    let registry = client(|_| ());
    registry.push(&Push::new(layout, &index), &name).await.unwrap();
    let platform = |architecture: &str| {
        Wanted::Platform(Platform { architecture: architecture.to_owned(), os: "linux".to_owned() })
    };
    let copy = Layout::create(&folder.path().join("copy")).unwrap();
    for (wanted, expected) in
        [(platform("arm64"), &one.manifest), (platform("amd64"), &two), (Wanted::All, &index)]
    {
        let pulled = registry.pull(&name, &copy, &wanted, &Progress::silent()).await.unwrap();
        assert_eq!(pulled.content.digest, expected.digest, "{wanted:?}");
        assert_eq!(pulled.reference.digest(), Some(&index.digest));
        assert_eq!(copy.index().unwrap().manifests.len(), 1);
        assert_eq!(
            copy.document(&expected.digest).unwrap(),
            layout.document(&expected.digest).unwrap()
        );
    }
    let error =
        registry.pull(&name, &copy, &platform("s390x"), &Progress::silent()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("linux/s390x") && text.contains("linux/arm64/v8, linux/amd64"), "{text}");
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_no_file() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[8 * MIB]);
    let registry = client(|_| ());
    let name = reference(server.address, "a:1");
    registry.push(&Push::new(&image.layout, &image.manifest), &name).await.unwrap();
    let copy = Layout::create(&folder.path().join("copy")).unwrap();
    let (progress, mut steps) = Progress::channel();
    tokio::select! {
        _ = registry.pull(&name, &copy, &Wanted::All, &progress) => panic!("it should have been dropped"),
        () = async { while steps.recv().await.is_none_or(|step| step.done < MIB) {} } => {}
    }
    let names: Vec<_> =
        std::fs::read_dir(copy.folder()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("draft")), "{names:?}");
    assert_eq!(copy.index().unwrap().manifests, []);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_followed_without_the_secret() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::with_password().await);
    let image = Image::new(&folder.path().join("image"), &[MIB]);
    let file = crate::identity::credentials(folder.path(), server.address, crate::server::PASSWORD);
    let registry = crate::images::client_with(&file);
    registry
        .push(&Push::new(&image.layout, &image.manifest), &reference(server.address, "a:1"))
        .await
        .unwrap();
    let blobs = image.layout.folder().join("blobs/sha256");
    let cdn = Script::start(move |seen, _, mut client| {
        let name = seen.line.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let bytes = std::fs::read(blobs.join(name)).unwrap();
        async move {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            tokio::io::AsyncWriteExt::write_all(&mut client, head.as_bytes()).await?;
            tokio::io::AsyncWriteExt::write_all(&mut client, &bytes).await
        }
    })
    .await;
    let to = cdn.address;
    let proxy = Proxy::start(server.address, move |seen, _| {
        let name = seen.line.rsplit(':').next().unwrap().to_owned();
        match seen.line.starts_with("GET /v2/a/blobs") && seen.header("authorization").is_some() {
            true => Fault::Answer(answered(
                "307 Temporary Redirect",
                &format!("Location: http://{to}/x/{name}?sig=CANARY\r\n"),
                "",
            )),
            false => Fault::Pass,
        }
    })
    .await;
    let file = crate::identity::credentials(folder.path(), proxy.address, crate::server::PASSWORD);
    let registry = crate::images::client_with(&file);
    let copy = Layout::create(&folder.path().join("copy")).unwrap();
    registry
        .pull(&reference(proxy.address, "a:1"), &copy, &Wanted::All, &Progress::silent())
        .await
        .unwrap();
    assert_whole(&copy, &image);
    let seen = cdn.seen();
    assert_eq!(seen.len(), 2, "configuration and layer");
    assert!(seen.iter().all(|seen| seen.header("authorization").is_none()), "{seen:?}");
}
