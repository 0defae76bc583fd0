//! Programs of nghttp2 in front of the gateway and behind it: other writers of HTTP/2 than the
//! one that it is made of.

use std::time::Duration;

use crate::support::mesh::{Mesh, port};
use crate::support::peer::Server;
use crate::support::program::{Program, command, run, said};
use crate::support::upstream::Upstream;

const LONGEST: Duration = Duration::from_secs(20);

#[tokio::test]
async fn h2load_loses_nothing_over_either_protocol() {
    let (http2, http1) = (
        Server::start().await,
        Upstream::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await,
    );
    let (plain, old) = (Mesh::h2c(http2.address), Mesh::http1(http1.address));
    for (mesh, more) in [(&plain, None), (&old, Some("--h1"))] {
        let mut h2load = command("h2load", "nghttp2-client");
        h2load.args(["-n", "1000", "-c", "10", "-m", "16"]).args(more);
        h2load.arg(format!("http://{}/", mesh.edge));
        let output = run(h2load, LONGEST).await;
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
        assert!(text.contains("status codes: 1000 2xx"), "{text}");
    }
    assert_eq!(http2.requests(), 1000);
    assert_eq!(http1.now().len(), 1000);
}

#[tokio::test]
async fn nghttp_gets_from_nghttpd_and_posts_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "line of a file\n".repeat(20_000);
    std::fs::write(folder.path().join("file.txt"), &text).unwrap();
    let (address, _held) = port();
    let mut nghttpd = command("nghttpd", "nghttp2-server");
    nghttpd.args(["--no-tls", "--echo-upload", "--address=127.0.0.1", "--htdocs"]);
    nghttpd.arg(folder.path()).arg(address.port().to_string());
    let _server = Program::serve("nghttpd", nghttpd, address).await;
    let mesh = Mesh::h2c(address);

    let mut get = command("nghttp", "nghttp2-client");
    get.arg(format!("http://{}/file.txt", mesh.edge));
    let output = run(get, LONGEST).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(output.stdout.len(), text.len());
    assert!(output.stdout == text.as_bytes());

    let mut upload = command("nghttp", "nghttp2-client");
    upload.args(["--trailer=content-digest: x", "--data"]).arg(folder.path().join("file.txt"));
    upload.arg(format!("http://{}/echo", mesh.edge));
    let output = run(upload, LONGEST).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(output.stdout == text.as_bytes(), "{} bytes came back", output.stdout.len());

    let mut missing = command("nghttp", "nghttp2-client");
    missing.args(["--verbose", "--no-verify-peer"]).arg(format!("http://{}/none", mesh.edge));
    let output = run(missing, LONGEST).await;
    assert!(said(&output).contains(":status: 404"), "{}", said(&output));
}
