//! Who asks: passwords, tokens, and that no secret comes out anywhere.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use updraft_image::{Push, RegistryError};

use crate::images::{Image, client, client_with, reference, told};
use crate::proxy::{Fault, Proxy, Script, answered};
use crate::server::{PASSWORD, Server, USER};

/// A file of credentials for one registry.
pub(crate) fn credentials(folder: &Path, address: SocketAddr, password: &str) -> PathBuf {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    write(folder, &json!({"auths": {address.to_string(): {"auth": auth}}}))
}

fn write(folder: &Path, content: &serde_json::Value) -> PathBuf {
    let file = folder.join("config.json");
    fs::write(&file, content.to_string()).unwrap();
    file
}

#[tokio::test]
async fn a_password_opens_and_what_does_not_open_says_where_it_came_from() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::with_password().await);
    let image = Image::new(&folder.path().join("image"), &[1000]);
    let push = Push::new(&image.layout, &image.manifest);
    let to = reference(server.address, "a:1");
    let file = credentials(folder.path(), server.address, PASSWORD);
    let registry = client_with(&file);
    registry.push(&push, &to).await.unwrap();
    let (shown, encoded) = (format!("{registry:?}"), STANDARD.encode(format!("{USER}:{PASSWORD}")));
    assert!(!shown.contains("CANARY") && !shown.contains(&encoded), "{shown}");
    let file = credentials(folder.path(), server.address, "CANARY-wrong");
    let error = client_with(&file).push(&push, &to).await.unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("does not take the credentials of") && text.contains("config.json"),
        "{text}"
    );
    assert!(!text.contains("CANARY"), "{text}");
    let error = client_with(&file).resolve(&to).await.unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("UNAUTHORIZED (authentication required)") && !text.contains("CANARY"),
        "{text}"
    );
    let missing = folder.path().join("missing.json");
    let error = client_with(&missing).push(&push, &to).await.unwrap_err().to_string();
    assert!(error.contains("missing.json") && error.contains("docker login"), "{error}");
    assert!(error.contains(&server.address.to_string()), "{error}");
    let error = client(|_| ()).push(&push, &to).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized(_)), "{error}");
}

/// A token server, whose tokens are `token-1`, `token-2` and so on.
async fn token_server(
    answer: impl Fn(usize, &str, &str) -> String + Send + Sync + 'static,
) -> Script {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Script::start(move |seen, body, mut client| {
        let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let text = answer(number, &seen.head, &String::from_utf8_lossy(&body));
        async move { client.write_all(text.as_bytes()).await }
    })
    .await
}

/// A registry that takes a token of the server which `open` likes.
async fn guarded(
    server: &Server,
    tokens: SocketAddr,
    open: impl Fn(&str, usize) -> bool + Send + Sync + 'static,
) -> Proxy {
    let realm = format!(r#"Bearer realm="http://{tokens}/token",service="the registry""#);
    let uses = std::sync::Mutex::new(std::collections::BTreeMap::new());
    Proxy::start(server.address, move |seen, _| {
        let token = seen.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        let opens = token.is_some_and(|token| {
            let mut uses = uses.lock().unwrap();
            let count: &mut usize = uses.entry(token.to_owned()).or_default();
            *count += 1;
            open(token, *count)
        });
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"a token is needed"}]}"#;
        match opens {
            true => Fault::Pass,
            false => Fault::Answer(answered(
                "401 Unauthorized",
                &format!("WWW-Authenticate: {realm}\r\n"),
                body,
            )),
        }
    })
    .await
}

fn good(number: usize) -> String {
    answered(
        "200 OK",
        "",
        &json!({"token": format!("token-{number}"), "expires_in": 300}).to_string(),
    )
}

#[tokio::test]
async fn a_token_is_fetched_once_with_the_scopes_and_the_password() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[1000, 2000, 3000]);
    let tokens = token_server(|number, _, _| good(number)).await;
    let proxy = guarded(&server, tokens.address, |_, _| true).await;
    let file = credentials(folder.path(), proxy.address, PASSWORD);
    let mut push = Push::new(&image.layout, &image.manifest);
    push.mount_from = vec!["base/os".to_owned()];
    client_with(&file).push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    let asked = tokens.seen();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let line = &asked[0].line;
    for part in [
        "service=the+registry",
        "scope=repository%3Aa%3Apull%2Cpush",
        "scope=repository%3Abase%2Fos%3Apull",
        "account=ada",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    assert_eq!(asked[0].header("authorization"), Some(&*basic));
    assert!(
        proxy.seen().iter().all(|seen| !seen.head.contains("Basic")),
        "the registry sees tokens only"
    );
}

#[tokio::test]
async fn a_token_that_has_run_out_is_replaced_and_one_that_is_never_taken_is_not_tried_for_ever() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(folder.path(), &[1000, 2000]);
    let tokens = token_server(|number, _, _| good(number)).await;
    let proxy = guarded(&server, tokens.address, |_, uses| uses <= 3).await;
    let push = Push::new(&image.layout, &image.manifest);
    client(|limits| limits.parallel = 1)
        .push(&push, &reference(proxy.address, "a:1"))
        .await
        .unwrap();
    assert!(2 <= tokens.seen().len());
    let none = guarded(&server, tokens.address, |_, _| false).await;
    let error = client(|_| ()).resolve(&reference(none.address, "a:1")).await.unwrap_err();
    assert!(error.to_string().contains("a token is needed"), "{error}");
    assert!(none.seen().len() <= 2, "{:?}", none.seen());
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[1000]);
    let tokens = token_server(|number, head, body| {
        let right = head.starts_with("POST /token ")
            && body.contains("grant_type=refresh_token")
            && body.contains("refresh_token=CANARY%2B1")
            && body.contains("scope=repository%3Aa%3Apull%2Cpush");
        let token = json!({"access_token": format!("token-{number}")}).to_string();
        answered(if right { "200 OK" } else { "400 Bad Request" }, "", &token)
    })
    .await;
    let proxy = guarded(&server, tokens.address, |_, _| true).await;
    let file = write(
        folder.path(),
        &json!({"auths": {proxy.address.to_string(): {"identitytoken": "CANARY+1"}}}),
    );
    let push = Push::new(&image.layout, &image.manifest);
    client_with(&file).push(&push, &reference(proxy.address, "a:1")).await.unwrap();
    assert!(proxy.seen().iter().all(|seen| !seen.head.contains("CANARY")));
}

#[tokio::test]
async fn token_servers_that_answer_nonsense_end_in_an_error_without_the_secret() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let image = Image::new(&folder.path().join("image"), &[1000]);
    let long = "x".repeat(300 << 10);
    for (answer, expected) in [
        (answered("200 OK", "", "CANARY"), "does not answer with JSON"),
        (answered("200 OK", "", "{\"token\": 5}"), "does not answer with JSON"),
        (answered("200 OK", "", "{}"), "without a token"),
        (answered("200 OK", "", "{\"token\":\"a\\nb\"}"), "without a token"),
        (answered("200 OK", "", &long), "larger than"),
        (answered("401 Unauthorized", "", "{}"), "does not take the credentials"),
        (answered("302 Found", "Location: http://127.0.0.1:1/CANARY\r\n", ""), "302 Found"),
    ] {
        let tokens = token_server(move |_, _, _| answer.clone()).await;
        let proxy = guarded(&server, tokens.address, |_, _| true).await;
        let file = credentials(folder.path(), proxy.address, PASSWORD);
        let push = Push::new(&image.layout, &image.manifest);
        let error =
            client_with(&file).push(&push, &reference(proxy.address, "a:1")).await.unwrap_err();
        let text = told(&error);
        assert!(text.contains(expected) && !text.contains("CANARY"), "{text}");
    }
    // A token server without TLS that is not this machine gets no password.
    let away = Proxy::start(server.address, |_, _| {
        let challenge = "WWW-Authenticate: Bearer realm=\"http://192.0.2.1/token\"\r\n";
        Fault::Answer(answered("401 Unauthorized", challenge, ""))
    })
    .await;
    let file = credentials(folder.path(), away.address, PASSWORD);
    let push = Push::new(&image.layout, &image.manifest);
    let error = client_with(&file).push(&push, &reference(away.address, "a:1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::PlainHttp { .. }), "{error}");
}
