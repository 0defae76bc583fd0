//! Pushes: what is sent, what is not, and what happens when it is cut.

use std::time::Duration;

use updraft_image::{Fate, Layout, Progress, Push, Wanted};

use crate::images::{Image, MIB, assert_whole, client, reference};
use crate::keeper::Keeper;
use crate::proxy::{Fault, Proxy, answered};
use crate::server::{Server, oci, skopeo};

const UPLOADS: [&str; 2] = ["PATCH", "PUT /v2/a/blobs"];

fn sent(proxy: &Proxy) -> u64 {
    UPLOADS.iter().map(|start| proxy.bytes(start)).sum()
}

#[tokio::test]
async fn a_layer_that_is_cut_is_resumed_and_no_byte_goes_twice() {
    let (folder, keeper) = (tempfile::tempdir().unwrap(), Keeper::start().await);
    let image = Image::new(folder.path(), &[104 * MIB + 17, 3 * MIB]);
    let proxy = Proxy::start(keeper.address, |seen, before| match before {
        0 if seen.line.starts_with("PATCH") => Fault::CutUpload(10 * MIB + 3),
        2 if seen.line.starts_with("PATCH") => Fault::CutUpload(5 * MIB),
        3 if seen.line.starts_with("PATCH") => Fault::LoseAnswer,
        1 if seen.line.starts_with("PUT /v2/a/blobs") => Fault::LoseAnswer,
        _ => Fault::Pass,
    })
    .await;
    let (progress, mut steps) = Progress::channel();
    let push = Push { progress, ..Push::new(&image.layout, &image.manifest) };
    let registry = client(|limits| limits.chunk = 32 * MIB);
    let pushed = registry.push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    let layers: u64 = image.layers.iter().map(|layer| layer.size).sum();
    assert_eq!(pushed.uploaded, layers + config_size(&image));
    assert_eq!(sent(&proxy), pushed.uploaded, "{:#?}", lines(&proxy));
    assert!(4 < proxy.count("PATCH"), "{:#?}", lines(&proxy));
    assert_eq!(keeper.sessions(), 3, "each blob had one");
    for layer in &image.layers {
        assert_eq!(keeper.blob(&layer.digest), Some(layer.size));
    }
    let mut last = 0;
    while let Ok(step) = steps.try_recv() {
        assert!(step.done <= step.total, "{step:?}");
        last = last.max(step.done);
    }
    assert!(0 < last);
}

/// Docker's registry resumes between chunks, and forgets all when one is cut.
#[tokio::test]
async fn dockers_registry_gets_a_whole_layer_through_cuts_and_skopeo_pulls_it() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[24 * MIB + 17, 3 * MIB]);
    let size = image.layers[0].size;
    let proxy = Proxy::start(server.address, |seen, before| match before {
        1 if seen.line.starts_with("PATCH") => Fault::CutUpload(0),
        3 if seen.line.starts_with("PATCH") => Fault::CutUpload(0),
        _ => Fault::Pass,
    })
    .await;
    let push = Push::new(&image.layout, &image.manifest);
    let registry = client(|limits| limits.chunk = 8 * MIB);
    registry.push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    assert_eq!(proxy.bytes("PATCH"), size, "{:#?}", lines(&proxy));
    let copy = folder.path().join("copy");
    let from = format!("docker://{}/a:1", server.address);
    let options = ["copy", "--quiet", "--preserve-digests", "--src-tls-verify=false"];
    skopeo(&[&options[..], &[&from, &oci(&copy, "1")]].concat()).await;
    assert_whole(&Layout::open(&copy).unwrap(), &image);
    let cut = Proxy::start(server.address, |seen, before| match before {
        1 if seen.line.starts_with("PATCH") => Fault::CutUpload(MIB),
        _ => Fault::Pass,
    })
    .await;
    registry.push(&push, &reference(cut.address, "b:1")).await.unwrap();
    assert_eq!(cut.bytes("PATCH"), size + 9 * MIB, "{:#?}", lines(&cut));
    assert_eq!(
        registry.resolve(&reference(server.address, "b:1")).await.unwrap().digest,
        image.manifest.digest
    );
}

fn config_size(image: &Image) -> u64 {
    let manifest: serde_json::Value =
        serde_json::from_slice(&image.layout.document(&image.manifest.digest).unwrap()).unwrap();
    manifest["config"]["size"].as_u64().unwrap()
}

fn lines(proxy: &Proxy) -> Vec<String> {
    proxy
        .seen()
        .iter()
        .map(|seen| format!("{} {} {:?}", seen.line, seen.body, seen.header("content-range")))
        .collect()
}

#[tokio::test]
async fn what_the_registry_has_is_not_sent_again_and_what_a_neighbour_has_is_mounted() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[2 * MIB, 3 * MIB]);
    let proxy = Proxy::start(server.address, |_, _| Fault::Pass).await;
    let registry = client(|_| ());
    let mut push = Push::new(&image.layout, &image.manifest);
    registry.push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    assert!(5 * MIB < proxy.bytes("PUT"));
    proxy.forget();
    let again = registry.push(&push, &reference(proxy.address, "a:2")).await.unwrap();
    assert!(again.blobs.iter().all(|(_, fate)| *fate == Fate::Present), "{again:?}");
    assert_eq!(
        (proxy.bytes("PUT"), again.uploaded),
        (image.manifest.size, 0),
        "{:#?}",
        lines(&proxy)
    );
    proxy.forget();
    push.mount_from = vec!["none/such".to_owned(), "a".to_owned()];
    let mounted = registry.push(&push, &reference(proxy.address, "team/b:1")).await.unwrap();
    assert!(mounted.blobs.iter().all(|(_, fate)| *fate == Fate::Mounted), "{mounted:?}");
    assert_eq!(
        (proxy.bytes("P"), mounted.uploaded),
        (image.manifest.size, 0),
        "{:#?}",
        lines(&proxy)
    );
    assert_eq!(proxy.count("DELETE"), 3, "sessions that were not needed are ended");
}

#[tokio::test]
async fn a_registry_that_is_busy_or_fails_is_asked_again_and_not_before_it_says() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[MIB]);
    let proxy = Proxy::start(server.address, |seen, before| match (before, &*seen.line) {
        (0, line) if line.starts_with("HEAD") => {
            Fault::Answer(answered("429 Too Many Requests", "Retry-After: 1\r\n", ""))
        }
        (0, line) if line.starts_with("POST") => {
            Fault::Answer(answered("503 Service Unavailable", "", ""))
        }
        (0, line) if line.starts_with("PUT") => {
            Fault::Answer(answered("500 Internal Server Error", "", "<html>"))
        }
        (1, line) if line.starts_with("PUT") => Fault::LoseAnswer,
        (_, line) if line.starts_with("PUT /v2/a/manifests") && before < 5 => {
            Fault::Answer(answered("502 Bad Gateway", "", ""))
        }
        _ => Fault::Pass,
    })
    .await;
    let registry = client(|limits| limits.parallel = 1);
    let push = Push::new(&image.layout, &image.manifest);
    registry.push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    let heads: Vec<_> =
        proxy.seen().into_iter().filter(|seen| seen.line.starts_with("HEAD")).collect();
    assert_eq!(heads[0].line, heads[1].line);
    assert!(Duration::from_secs(1) <= heads[1].at - heads[0].at);
    let pulled = Layout::create(&folder.path().join("copy")).unwrap();
    registry
        .pull(&reference(server.address, "a:1"), &pulled, &Wanted::All, &Progress::silent())
        .await
        .unwrap();
    assert_whole(&pulled, &image);
}

#[tokio::test]
async fn a_registry_that_asks_to_wait_for_long_or_fails_for_good_is_given_up() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[MIB]);
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    for (answer, expected, tries) in [
        (answered("429 Too Many Requests", "Retry-After: 3600\r\n", body), "try again later", 1),
        (answered("503 Service Unavailable", "", body), "503 Service Unavailable", 3),
        (answered("403 Forbidden", "", body), "may not do it", 1),
    ] {
        let proxy =
            Proxy::start(server.address, move |seen, _| match seen.line.starts_with("POST") {
                true => Fault::Answer(answer.clone()),
                false => Fault::Pass,
            })
            .await;
        let registry = client(|limits| (limits.tries, limits.parallel) = (3, 1));
        let push = Push::new(&image.layout, &image.manifest);
        let error = registry.push(&push, &reference(proxy.address, "a:1")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("TOOMANYREQUESTS (slow down)"), "{text}");
        assert!(text.contains("POST http://127.0.0.1:"), "{text}");
        assert_eq!(proxy.count("POST"), tries, "{text}");
        assert_eq!(proxy.count("PUT"), 0, "no tag is set on half an image");
    }
}

#[tokio::test]
async fn chunks_become_as_small_or_as_large_as_the_registry_wants_them() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[9 * MIB + 5]);
    let length =
        |head: Option<&str>| head.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let small = Proxy::start(server.address, move |seen, _| {
        match 2 * MIB < length(seen.header("content-length")) {
            true => Fault::Answer(answered("413 Payload Too Large", "", "")),
            false => Fault::Pass,
        }
    })
    .await;
    let push = Push::new(&image.layout, &image.manifest);
    client(|_| ()).push(&push, &reference(small.address, "a:1")).await.unwrap();
    assert_eq!(small.bytes("PATCH"), 9 * MIB + 5, "{:#?}", lines(&small));
    let large = Proxy::start(server.address, |seen, _| match seen.line.starts_with("POST") {
        true => Fault::AddHeader(format!("OCI-Chunk-Min-Length: {}", 4 * MIB)),
        false => Fault::Pass,
    })
    .await;
    let registry = client(|limits| (limits.chunk, limits.monolithic) = (MIB, MIB));
    registry.push(&push, &reference(large.address, "b:1")).await.unwrap();
    let chunks: Vec<u64> = large
        .seen()
        .iter()
        .filter(|seen| seen.line.starts_with("PATCH"))
        .map(|seen| seen.body)
        .collect();
    assert_eq!(chunks, [4 * MIB, 4 * MIB, MIB + 5]);
}

#[tokio::test]
async fn an_upload_whose_session_or_content_is_lost_begins_anew_and_not_for_ever() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[3 * MIB]);
    let unknown = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}"#;
    let invalid = r#"{"errors":[{"code":"DIGEST_INVALID","message":"other bytes came"}]}"#;
    for (status, body) in [("404 Not Found", unknown), ("400 Bad Request", invalid)] {
        for faults in [1, usize::MAX] {
            let count = std::sync::atomic::AtomicUsize::new(0);
            let proxy = Proxy::start(server.address, move |seen, _| {
                // The second chunk of a session, where it is lost.
                let second =
                    seen.header("content-range").is_some_and(|range| range.starts_with("1048576-"));
                let fails =
                    second && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < faults;
                match fails || seen.line.starts_with("GET") {
                    true => Fault::Answer(answered(status, "", body)),
                    false => Fault::Pass,
                }
            })
            .await;
            let registry = client(|limits| {
                (limits.chunk, limits.monolithic, limits.parallel, limits.tries) = (MIB, MIB, 1, 3);
            });
            let push = Push::new(&image.layout, &image.manifest);
            let to = format!("{}{}:1", if faults == 1 { "once" } else { "ever" }, &status[..3]);
            let pushed = registry.push(&push, &reference(proxy.address, &to)).await;
            assert_eq!(pushed.is_ok(), faults == 1, "{status}: {pushed:?}");
            if let Err(error) = pushed {
                assert!(error.to_string().contains(status), "{error}");
            }
            // The configuration's session, and one for each try.
            let sessions = if faults == 1 { 3 } else { 4 };
            assert_eq!(proxy.count("POST"), sessions, "{:#?}", lines(&proxy));
        }
    }
}

#[tokio::test]
async fn what_is_broken_in_the_layout_is_said_before_anything_is_sent() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[MIB, 2 * MIB]);
    let proxy = Proxy::start(server.address, |_, _| Fault::Pass).await;
    let push = Push::new(&image.layout, &image.manifest);
    let other = format!("a@{}", image.layers[0].digest);
    let error = client(|_| ()).push(&push, &reference(proxy.address, &other)).await.unwrap_err();
    assert!(error.to_string().contains("was expected"), "{error}");
    for layer in &image.layers {
        std::fs::write(image.layout.blob(&layer.digest), b"short").unwrap();
    }
    let error =
        client(|_| ()).push(&push, &reference(proxy.address, "a:1")).await.unwrap_err().to_string();
    assert!(image.layers.iter().all(|layer| error.contains(layer.digest.as_str())), "{error}");
    assert_eq!(proxy.seen().len(), 0);
    // The right size and other bytes: the registry finds it, and the file is named.
    std::fs::write(image.layout.blob(&image.layers[1].digest), vec![1; 2 << 20]).unwrap();
    std::fs::write(image.layout.blob(&image.layers[0].digest), vec![1; 1 << 20]).unwrap();
    let error =
        client(|_| ()).push(&push, &reference(proxy.address, "a:1")).await.unwrap_err().to_string();
    assert!(error.contains("other content than its name says"), "{error}");
    assert_eq!(proxy.count("PUT /v2/a/manifests"), 0);
}

#[tokio::test]
async fn a_push_that_is_dropped_is_taken_up_by_the_next_one() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[20 * MIB]);
    let (progress, mut steps) = Progress::channel();
    let push = Push { progress, ..Push::new(&image.layout, &image.manifest) };
    let to = reference(server.address, "a:1");
    let registry = client(|limits| limits.chunk = MIB);
    tokio::select! {
        _ = registry.push(&push, &to) => panic!("it should have been dropped"),
        () = async {
            while steps.recv().await.is_none_or(|step| step.done < 2 * MIB) {}
        } => {}
    }
    let error = registry.resolve(&to).await.unwrap_err();
    assert!(error.to_string().contains("404"), "nothing half is to be seen: {error}");
    registry.push(&Push::new(&image.layout, &image.manifest), &to).await.unwrap();
    assert_eq!(registry.resolve(&to).await.unwrap().digest, image.manifest.digest);
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_not_believed() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[MIB]);
    for part in ["PUT /v2/a/blobs", "PUT /v2/a/manifests"] {
        let wrong = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
        let proxy =
            Proxy::start(server.address, move |seen, _| match seen.line.starts_with(part) {
                true => Fault::Answer(answered("201 Created", &wrong, "")),
                false => Fault::Pass,
            })
            .await;
        let push = Push::new(&image.layout, &image.manifest);
        let to = reference(proxy.address, "a:1");
        let error = client(|_| ()).push(&push, &to).await.unwrap_err().to_string();
        assert!(error.contains("has the digest sha256:0000") && error.contains("PUT"), "{error}");
        // The way is free for the manifest.
        client(|_| ()).push(&push, &reference(server.address, "a:2")).await.unwrap();
    }
}
