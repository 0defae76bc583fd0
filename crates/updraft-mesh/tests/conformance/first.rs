//! One request, through everything.

use crate::support::client::Client;
use crate::support::mesh::Mesh;
use crate::support::upstream::Upstream;

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let upstream = Upstream::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    for _ in 0..3 {
        client.send(b"GET /quotes?x=1 HTTP/1.1\r\nhost: pricing\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!((response.status, response.body.as_slice()), (200, &b"ok"[..]));
    }
    let seen = upstream.seen(3).await;
    assert!(seen.iter().all(|it| it.line() == "GET /quotes?x=1 HTTP/1.1"), "{seen:?}");
    assert!(seen.iter().all(|it| it.connection == 0), "one connection is enough");
    mesh.gateway.drain().await;
}
