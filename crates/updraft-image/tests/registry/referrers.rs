//! What refers to an image goes with it, and is found again.

use serde_json::json;
use updraft_image::{Digest, Layout, Push, media};

use crate::images::{Image, client, reference};
use crate::proxy::{Fault, Proxy};
use crate::server::{Server, skopeo};

/// An SBOM or the like in the layout.
fn artefact(
    layout: &Layout,
    about: &updraft_image::Descriptor,
    kind: &str,
) -> updraft_image::Descriptor {
    let empty = layout.put(media::EMPTY, b"{}").unwrap();
    let content = layout.put(kind, kind.as_bytes()).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST, "artifactType": kind,
        "config": empty, "layers": [content], "subject": about, "annotations": {"about": "it"},
    });
    let manifest = layout.put_document(media::MANIFEST, &manifest).unwrap();
    let mut manifests = layout.index().unwrap().manifests;
    manifests.push(manifest.clone());
    layout.set_index(manifests).unwrap();
    manifest
}

#[tokio::test]
async fn what_is_about_the_image_goes_with_it_and_others_entries_stay() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[1000]);
    let sbom = artefact(&image.layout, &image.manifest, "application/vnd.cyclonedx+json");
    let signature = artefact(&image.layout, &sbom, "application/vnd.in-toto+json");
    let stranger = artefact(&image.layout, &image.layers[0], "application/x-other");
    let (registry, name) = (client(|_| ()), reference(server.address, "a:1"));
    let push = Push { referrers: false, ..Push::new(&image.layout, &image.manifest) };
    let pushed = registry.push(&push, &name).await.unwrap();
    assert_eq!(
        (pushed.referrers.len(), listed(&registry, &name, &image.manifest.digest).await.len()),
        (0, 0)
    );
    // Somebody has written a list already, with a field that nobody here knows.
    let tag = image.manifest.digest.as_str().replace(':', "-");
    let theirs = json!({"mediaType": media::MANIFEST, "digest": image.manifest.digest, "size": image.manifest.size, "x-theirs": 1});
    let list = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [theirs]});
    let proxy = Proxy::start(server.address, |_, _| Fault::Pass).await;
    put(&proxy, &format!("/v2/a/manifests/{tag}"), &list.to_string()).await;
    for _ in 0..2 {
        let pushed =
            registry.push(&Push::new(&image.layout, &image.manifest), &name).await.unwrap();
        let digests: Vec<_> = pushed.referrers.iter().map(|it| it.digest.clone()).collect();
        assert_eq!(
            digests,
            [sbom.digest.clone(), signature.digest.clone()],
            "and not {}",
            stranger.digest
        );
    }
    let found = registry.referrers(&name, &image.manifest.digest).await.unwrap();
    assert_eq!(found.len(), 2, "theirs, and ours once");
    assert_eq!(found[1].digest, sbom.digest);
    assert_eq!(found[1].artifact_type.as_deref(), Some("application/vnd.cyclonedx+json"));
    assert_eq!(found[1].annotations["about"], "it");
    assert_eq!(listed(&registry, &name, &sbom.digest).await, [signature.digest]);
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{}/a:{tag}", server.address),
    ])
    .await;
    assert!(raw.contains("x-theirs"), "{raw}");
}

async fn listed(
    registry: &updraft_image::Registry,
    name: &updraft_image::Reference,
    of: &Digest,
) -> Vec<Digest> {
    registry.referrers(name, of).await.unwrap().into_iter().map(|it| it.digest).collect()
}

async fn put(proxy: &Proxy, path: &str, body: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (kind, length) = (media::INDEX, body.len());
    let text = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn a_registry_that_keeps_the_list_itself_gets_no_tag_for_it() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[1000]);
    artefact(&image.layout, &image.manifest, "application/vnd.cyclonedx+json");
    let subject = image.manifest.digest.clone();
    let proxy = Proxy::start(server.address, move |seen, _| {
        match seen.line.starts_with("PUT /v2/a/manifests/sha256:") {
            true => Fault::AddHeader(format!("OCI-Subject: {subject}")),
            false => Fault::Pass,
        }
    })
    .await;
    let push = Push::new(&image.layout, &image.manifest);
    client(|_| ()).push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    assert_eq!(proxy.count("PUT /v2/a/manifests/sha256-"), 0);
}
