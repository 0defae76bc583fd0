//! Certificates and roots change under load, and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Method;
use tokio::task::JoinSet;
use updraft_mesh::Gateway;
use updraft_system::mesh::{Hop, Protocol};

use crate::support::{Authority, Pair, Session, Source, Upstream, certified, request, until};

async fn renewed(gateways: &[&Gateway]) {
    for gateway in gateways {
        let before = gateway.identities()[0].renewals;
        gateway.rotate(None);
        certified(gateway, before + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_leafs_and_roots_are_replaced() {
    for hop in [Hop::H1, Hop::H2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let authority = Authority::new("shop");
        authority.serve(&path);
        let pricing = Upstream::named("pricing");
        let source = Source::Remote(path);
        let mut pair = Pair::new(source, pricing.address, Protocol::Http1);
        pair.caller.edges[0].calls.hop = hop;
        // So that connections are made all the time.
        pair.caller.limits.upstream_idle = std::time::Duration::from_millis(1);
        let (caller, callee) = pair.start().await;
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut load = JoinSet::new();
        for _ in 0..4 {
            let (at, over, done) = (pair.port, Arc::clone(&over), Arc::clone(&done));
            load.spawn(async move {
                let mut session = Session::http1(at).await;
                while !over.load(Ordering::SeqCst) {
                    let answer = session.send(request(Method::POST, "/", "x")).await.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let more = || {
            let before = done.load(Ordering::SeqCst);
            let done = &done;
            async move { until("requests go on", || done.load(Ordering::SeqCst) > before + 20).await }
        };
        for _ in 0..3 {
            more().await;
            renewed(&[&caller, &callee]).await;
            // The new root is trusted before it signs, and the old one while its leafs live.
            authority.add_root();
            renewed(&[&caller, &callee]).await;
            more().await;
            authority.sign_with_newest();
            renewed(&[&callee, &caller]).await;
            more().await;
            authority.drop_root();
            renewed(&[&caller, &callee]).await;
        }
        more().await;
        over.store(true, Ordering::SeqCst);
        load.join_all().await;
        assert!(caller.identities()[0].last_error.is_none());
    }
}
