//! Who may ask for what: nothing that was not declared reaches the program, however it is
//! written.

use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use updraft_mesh::{Attest, Options, SocketOwner, UserAttest};
use updraft_system::Name;
use updraft_system::mesh::{Authorization, Protocol};

use crate::support::{Setup, Upstream, get, operation, report, request, send};

fn only(pricing: &Upstream) -> Setup {
    let mut setup = Setup::of(pricing);
    let known =
        ["GET /quotes/{id}", "GET /admin", "POST /admin/{*rest}", "GET /quotes/{id}/secret"];
    for text in known {
        setup.cluster().operations.insert(operation(text), Default::default());
    }
    setup.edge().only = vec![operation("GET /quotes/{id}")];
    setup
}

#[tokio::test]
async fn what_nobody_declared_is_refused_with_the_line_that_would_declare_it() {
    let pricing = Upstream::named("pricing");
    let mut setup = only(&pricing);
    let gateway = setup.start();
    assert_eq!(get(setup.port, "/quotes/7?admin=1").await.status, 200);
    pricing.asked();
    for (method, path) in [
        (Method::GET, "/admin"),
        (Method::POST, "/admin/users"),
        (Method::POST, "/quotes/7"),
        (Method::GET, "/quotes/7/secret"),
        (Method::GET, "/other"),
    ] {
        let answer = send(setup.port, request(method.clone(), path, "x")).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (403, "unauthorized"));
        assert!(!answer.problem("request_id").is_empty());
        let detail = answer.problem("detail");
        assert!(detail.contains(&format!("\"pricing:{method} {path}\"")), "{detail}");
    }
    assert!(pricing.asked().is_empty());
    assert_eq!(report(&gateway, "cart", "pricing").refusals["unauthorized"], 5);

    setup.config.authorization = Authorization::Audit;
    gateway.apply(&setup.config).unwrap();
    assert_eq!(get(setup.port, "/admin").await.status, 200);
    assert_eq!(pricing.only().uri, "/admin");
    assert_eq!(report(&gateway, "cart", "pricing").undeclared, 1);
}

/// How a sly caller may write a path.
fn sly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "quotes",
        "admin",
        "7",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2E.",
        "..%2f",
        "%2f",
        "%5c",
        "\\",
        ";x",
        "..;",
        "%00",
        "%61dmin",
        "%2561dmin",
        "%252e%252e",
        "?",
        "#",
        "%",
        "ADMIN",
        "secret",
    ]);
    prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

#[test]
fn no_spelling_of_a_path_gets_around_the_declaration() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (pricing, setup) = runtime.block_on(async {
        let pricing = Upstream::named("pricing");
        let setup = only(&pricing);
        (pricing, setup)
    });
    let gateway = setup.start();
    let mut cases = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let written = |path: String| {
        let text = format!("GET {path} HTTP/1.1\r\nhost: pricing\r\nconnection: close\r\n\r\n");
        drop(runtime.block_on(raw(setup.port, text.as_bytes())));
        for asked in pricing.asked() {
            // As the program reads it, which decodes once.
            let path = decoded(asked.uri.path());
            let segments: Vec<_> = path.split('/').skip(1).collect();
            let fits = segments.len() == 2 && segments[0] == "quotes";
            prop_assert!(fits && !matches!(segments[1], "" | "." | ".."), "{}", asked.uri);
            prop_assert!(!path.contains(['\\', '\0']), "{}", asked.uri);
        }
        Ok(())
    };
    cases.run(&sly(), written).unwrap();
    drop(gateway);
}

fn decoded(path: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = path.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let code = bytes.as_slice().get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(plain) if byte == b'%' => {
                out.push(plain);
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn raw(at: std::net::SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(at).await?;
    stream.write_all(bytes).await?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    Ok(all)
}

/// Nobody is anybody.
#[derive(Debug)]
struct Nobody;

impl Attest for Nobody {
    fn is_of(&self, _: &Name, _: &SocketOwner) -> bool {
        false
    }
}

#[tokio::test]
async fn a_port_serves_its_own_caller_alone() {
    let pricing = Upstream::named("pricing");
    let setup = Setup::of(&pricing);
    let own = Options {
        attest: Some(Arc::new(UserAttest { uids: vec![rustix::process::getuid().as_raw()] })),
        ..Options::default()
    };
    let gateway = setup.start_with(own);
    assert_eq!(get(setup.port, "/").await.status, 200);
    assert_eq!(pricing.only().header("x-updraft-caller"), Some("cart"));
    if rustix::process::getuid().is_root() {
        let address = setup.port;
        let said = tokio::task::spawn_blocking(move || as_nobody(address)).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 403"), "{said}");
        assert!(said.contains("a process of user 65534"), "{said}");
        assert_eq!(report(&gateway, "cart", "pricing").refusals["unauthorized"], 1);
    } else {
        println!("not root: no process of another user was tried");
    }
    gateway.drain().await;

    let mut setup = Setup::of(&pricing);
    let gateway =
        setup.start_with(Options { attest: Some(Arc::new(Nobody)), ..Options::default() });
    assert_eq!(get(setup.port, "/").await.status, 403);
    setup.config.authorization = Authorization::Audit;
    gateway.apply(&setup.config).unwrap();
    assert_eq!(get(setup.port, "/").await.status, 200);
    // It may pass, but as nobody.
    assert_eq!(pricing.only().header("x-updraft-caller"), None);
    assert_eq!(report(&gateway, "cart", "pricing").undeclared, 1);
    gateway.drain().await;

    // Bytes have no place for an answer.
    let mut setup = Setup::of(&pricing);
    setup.cluster().protocol = Protocol::Tcp;
    let gateway =
        setup.start_with(Options { attest: Some(Arc::new(Nobody)), ..Options::default() });
    let said = raw(setup.port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap_or_default();
    assert!(said.is_empty());
    assert_eq!(report(&gateway, "cart", "pricing").refusals["unauthorized"], 1);
    assert!(pricing.asked().is_empty());
}

fn as_nobody(address: std::net::SocketAddr) -> String {
    use std::os::unix::process::CommandExt as _;
    let script = format!(
        "exec 3<>/dev/tcp/{}/{}; printf 'GET / HTTP/1.1\\r\\nhost: pricing\\r\\nconnection: close\\r\\n\\r\\n' >&3; cat <&3",
        address.ip(),
        address.port()
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).uid(65534).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}
