//! Servers that mean harm: each ends in an error, soon, and with little memory.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use updraft_image::{Digest, Layout, Progress, Push, RegistryError, Wanted, media};

use crate::images::{Image, client, reference, told};
use crate::proxy::{Script, Seen, answered};

const BLOB: &[u8] = b"the blob";

/// A manifest with one blob of that size.
fn manifest(size: u64) -> String {
    let blob = format!(r#"{{"mediaType":"x","digest":"{}","size":{size}}}"#, Digest::of(BLOB));
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{blob},"layers":[]}}"#,
        media::MANIFEST
    );
    answered("200 OK", &format!("Content-Type: {}\r\n", media::MANIFEST), &text)
}

async fn endless(mut client: TcpStream, head: &str) -> std::io::Result<()> {
    client.write_all(head.as_bytes()).await?;
    loop {
        client.write_all(&[b'['; 1 << 14]).await?;
    }
}

async fn pull(
    patience: Duration,
    script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static,
) -> (Result<(), RegistryError>, usize, u64) {
    let server = Script::start(move |seen, _, mut client| {
        let reaction = script(&seen);
        async move {
            match reaction {
                Reaction::Say(text) => client.write_all(text.as_bytes()).await,
                Reaction::Endless(head) => endless(client, &head).await,
                Reaction::Silence => {
                    tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
                    Ok(())
                }
                Reaction::SayAndSilence(text) => {
                    client.write_all(text.as_bytes()).await?;
                    tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
                    Ok(())
                }
            }
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let registry = client(|limits| {
        limits.tries = 2;
        (limits.answer, limits.stall) = (patience, patience);
    });
    let name = reference(server.address, "a:1");
    let result = registry.pull(&name, &layout, &Wanted::default(), &Progress::silent()).await;
    let on_disk = std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count() as u64;
    let drafts = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(drafts, 3, "`blobs`, `index.json` and `oci-layout`, and no draft");
    (result.map(drop), server.seen().len(), on_disk)
}

enum Reaction {
    Say(String),
    Endless(String),
    Silence,
    SayAndSilence(String),
}

/// What the server does with a request for a manifest, or for a blob after a good manifest.
async fn error(
    of_blob: bool,
    size: u64,
    reaction: impl Fn() -> Reaction + Send + Sync + 'static,
) -> (String, usize) {
    // No server of these makes anybody wait, so a slow machine changes nothing.
    error_within(Duration::from_secs(60), of_blob, size, reaction).await
}

async fn error_within(
    patience: Duration,
    of_blob: bool,
    size: u64,
    reaction: impl Fn() -> Reaction + Send + Sync + 'static,
) -> (String, usize) {
    let (result, requests, on_disk) =
        pull(patience, move |seen| match of_blob && seen.line.contains("/manifests/") {
            true => Reaction::Say(manifest(size)),
            false => reaction(),
        })
        .await;
    assert_eq!(on_disk, 0, "nothing wrong is kept");
    (told(&result.unwrap_err()), requests)
}

#[tokio::test]
async fn bodies_that_are_endless_wrong_or_stand_still_end_in_an_error() {
    let size = BLOB.len() as u64;
    let chunked = || Reaction::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned());
    for (of_blob, expected) in
        [(false, "is larger than 4194304 bytes"), (true, "has more than the 8 bytes")]
    {
        let (text, _) = error(of_blob, size, chunked).await;
        assert!(text.contains(expected), "{text}");
    }
    let say = |text: &str| {
        let text = text.to_owned();
        move || Reaction::Say(text.clone())
    };
    let (text, _) = error(true, size, say(&answered("200 OK", "", "the BLOB"))).await;
    assert!(text.contains("has the digest"), "{text}");
    let (text, requests) = error(true, size, say(&answered("200 OK", "", "the"))).await;
    assert!(text.contains("has fewer than the 8 bytes") && requests == 3, "{requests} {text}");
    let (text, _) = error(true, size, say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe")).await;
    assert!(text.contains("the connection broke"), "{text}");
    let (text, _) = error(
        true,
        size,
        say(&answered("206 Partial Content", "Content-Range: bytes 3-7/8\r\n", " blob")),
    )
    .await;
    assert!(text.contains("is not the range from 0"), "{text}");
    let (text, _) = error(true, u64::MAX, say(&answered("200 OK", "", "x"))).await;
    assert!(text.contains("is larger than 68719476736 bytes"), "{text}");
}

#[tokio::test]
async fn servers_that_say_nothing_or_stop_in_between_are_given_up() {
    let short = Duration::from_secs(2);
    let silent = error_within(short, false, 8, || Reaction::Silence);
    let stopped = error_within(short, true, 8, || {
        Reaction::SayAndSilence("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe".to_owned())
    });
    let half = error_within(short, false, 8, || {
        Reaction::SayAndSilence("HTTP/1.1 200 OK\r\nConte".to_owned())
    });
    let (silent, stopped, half) = tokio::join!(silent, stopped, half);
    for (text, requests) in [silent, half, stopped] {
        assert!(text.contains("stood still for 2 s"), "{text}");
        assert!((2..=3).contains(&requests), "{requests}");
    }
}

#[tokio::test]
async fn answers_that_are_no_http_lead_nowhere_or_are_bombs_are_refused() {
    let bomb = format!(r#"{{"schemaVersion":2,"config":{}"#, "[".repeat(1 << 20));
    let header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let kind = format!("Content-Type: {}\r\n", media::INDEX);
    for (answer, expected) in [
        (
            answered("302 Found", "Location: /v2/a/manifests/1\r\n", ""),
            "redirected more than 5 times",
        ),
        (answered("302 Found", "", ""), "leads nowhere"),
        (answered("302 Found", "Location: file:///etc/passwd\r\n", ""), "without TLS"),
        (answered("302 Found", "Location: http://192.0.2.1/\r\n", ""), "without TLS"),
        (header, "not HTTP/1.1, or its header"),
        (lines, "not HTTP/1.1, or its header"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), "not HTTP/1.1, or its header"),
        (answered("200 OK", "", &bomb), "is not what the OCI specifications have there"),
        (answered("200 OK", "", "null"), "is not what the OCI specifications have there"),
        (answered("200 OK", &kind, r#"{"schemaVersion":2,"manifests":[]}"#), "has no image for"),
        (answered("404 Not Found", "", &bomb), "404 Not Found"),
        (answered("204 No Content", "", ""), "204 No Content"),
    ] {
        let told_of = answer.clone();
        let (text, requests) = error(false, 8, move || Reaction::Say(answer.clone())).await;
        assert!(text.contains(expected), "{}: {text}", &told_of[..told_of.len().min(60)]);
        assert!(requests <= 6, "{requests}: {text}");
        assert!(text.len() < 4096, "{}", text.len());
    }
    let wrong = Digest::of(b"other");
    let lie = answered(
        "200 OK",
        &format!("Docker-Content-Digest: {wrong}\r\n"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    );
    let (text, _) = error(false, 8, move || Reaction::Say(lie.clone())).await;
    assert!(text.contains(wrong.as_str()), "{text}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_said_to_be_not_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let registry = client(|limits| limits.tries = 2);
    let error = registry.resolve(&reference(address, "a:1")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("cannot connect to {address}")), "{text}");
}

#[tokio::test]
async fn an_upload_that_nobody_reads_stands_still_and_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new(folder.path(), &[20 << 20]);
    let server = Script::start_at_the_head(|seen, mut client| async move {
        let text = match seen.line.split(' ').next() {
            Some("HEAD") => answered("404 Not Found", "", ""),
            Some("POST") => answered("202 Accepted", "Location: /upload\r\n", ""),
            _ => return std::future::pending().await,
        };
        client.write_all(text.as_bytes()).await
    })
    .await;
    let registry = client(|limits| (limits.tries, limits.stall) = (1, Duration::from_secs(1)));
    let push = Push::new(&image.layout, &image.manifest);
    let error = registry.push(&push, &reference(server.address, "a:1")).await.unwrap_err();
    let text = told(&error);
    assert!(text.contains("PATCH") && text.contains("stood still for 1 s"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

/// Whoever pushes and pulls may do it in a task of its own.
#[test]
fn pushes_and_pulls_can_be_moved_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new(folder.path(), &[1]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let registry = client(|_| ());
    let name = "localhost:1/a".parse().unwrap();
    let (push, silent) = (Push::new(&image.layout, &image.manifest), Progress::silent());
    is_send(&registry.push(&push, &name));
    is_send(&registry.pull(&name, &image.layout, &Wanted::All, &silent));
    is_send(&registry.referrers(&name, &image.manifest.digest));
    is_send(&registry.resolve(&name));
}

#[tokio::test]
async fn an_index_of_more_manifests_than_memory_should_hold_is_refused() {
    let manifest = |number: usize| {
        let blob = format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, Digest::of(BLOB));
        let filler = "x".repeat(3 << 20);
        format!(r#"{{"schemaVersion":2,"config":{blob},"annotations":{{"{number}":"{filler}"}}}}"#)
    };
    let entries: Vec<String> = (0..30)
        .map(|number| {
            let text = manifest(number);
            let (digest, size) = (Digest::of(text.as_bytes()), text.len());
            format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#, media::MANIFEST)
        })
        .collect();
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    let server = Script::start(move |seen, _, mut client| {
        let digest = seen.line.rsplit('/').next().unwrap_or_default().to_owned();
        let quoted = format!("\"{digest}\"");
        let number = entries.iter().position(|entry| entry.contains(&quoted));
        let text = number.map_or_else(|| index.clone(), manifest);
        async move { client.write_all(answered("200 OK", "", &text).as_bytes()).await }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let name = reference(server.address, "a:1");
    let error = client(|_| ()).pull(&name, &layout, &Wanted::All, &Progress::silent()).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("is larger than 67108864 bytes"), "{text}");
    assert!(server.seen().len() < 25, "{}", server.seen().len());
}
