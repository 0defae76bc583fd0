//! Configurations come one after another while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;
use updraft_mesh::{EventSink, Options};

use crate::support::{
    Act, Lines, Session, Setup, Upstream, alone, cluster, descriptors, edge, endpoint, get, name,
    port, report, request, resident, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_configurations_under_load_lose_nothing_and_leave_nothing() {
    if !alone("swaps::a_thousand_configurations_under_load_lose_nothing_and_leave_nothing") {
        return;
    }
    let all: Vec<Upstream> = ["a", "b", "c", "d"].map(Upstream::named).into();
    let addresses: Vec<_> = all.iter().map(|it| it.address).collect();
    let mut setup = Setup::new(&addresses);
    setup.config.limits.drain = Duration::from_millis(500);
    let extra: Vec<_> = (0..8).map(|_| port()).collect();
    setup.config.clusters.insert(name("mail"), cluster(&addresses[..1]));
    let gateway = setup.start();
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = |count: usize| {
        let mut load = JoinSet::new();
        for _ in 0..count {
            let (at, over, done) = (setup.port, Arc::clone(&over), Arc::clone(&done));
            load.spawn(async move {
                let mut session = Session::http1(at).await;
                while !over.load(Ordering::SeqCst) {
                    // Nothing here may be tried again.
                    let answer = session.send(request(Method::POST, "/", "x")).await.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        load
    };
    let load = load(4);
    let base = setup.config.clone();
    let mut measured = None;
    for number in 0..1000_u64 {
        let step = usize::try_from(number).unwrap();
        if number == 200 {
            gateway.apply(&base).unwrap();
            until("what was closed has ended", || descriptors() < 120).await;
            measured = Some((resident(), descriptors()));
        }
        let mut config = base.clone();
        config.version = number;
        config.edges.extend(
            (0..step % 9).map(|at| {
                edge(&format!("c{}", (step + at) % 5 + 10 * at), "mail", Some(extra[at]))
            }),
        );
        let pricing = config.clusters.get_mut(&name("pricing")).unwrap();
        pricing.endpoints =
            (0..=step % 4).map(|at| endpoint(addresses[(step / 2 + at) % 4])).collect();
        pricing.endpoints[0].incarnation = number / 3;
        gateway.apply(&config).unwrap();
        if step % 10 == 3 && step % 9 > 0 {
            // The port of another caller each time.
            assert_eq!(get(extra[0], "/").await.status, 200);
        }
    }
    over.store(true, Ordering::SeqCst);
    load.join_all().await;
    gateway.apply(&base).unwrap();
    let (memory, open) = measured.unwrap();
    until("descriptors are closed", || descriptors() <= open + 8).await;
    let grown = resident().saturating_sub(memory);
    println!(
        "800 configurations: {} KiB more, {} requests",
        grown / 1024,
        done.load(Ordering::SeqCst)
    );
    assert!(grown < 12 << 20, "{grown} bytes more");
    let totals = report(&gateway, "cart", "pricing").totals.classes;
    assert_eq!((totals.all(), totals.success), (totals.success, done.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn ports_may_change_their_edge_and_edges_their_protocol() {
    let (one, two) = (Upstream::named("one"), Upstream::named("two"));
    let mut setup = Setup::of(&one);
    let other = port();
    setup.config.clusters.insert(name("mail"), cluster(&[two.address]));
    setup.config.edges.push(edge("cart", "mail", Some(other)));
    let gateway = setup.start();
    let mut open = Session::http1(setup.port).await;
    let asked = || request(Method::GET, "/", "");
    assert_eq!(open.send(asked()).await.unwrap().text(), "one");
    for round in 0..6 {
        let first = setup.config.edges[0].listen;
        setup.config.edges[0].listen = setup.config.edges[1].listen;
        setup.config.edges[1].listen = first;
        gateway.apply(&setup.config).unwrap();
        let (expected, rest) = if round % 2 == 0 { ("two", "one") } else { ("one", "two") };
        assert_eq!(get(setup.port, "/").await.text(), expected, "round {round}");
        assert_eq!(get(other, "/").await.text(), rest, "round {round}");
        // A connection that is open is not lent to another edge: it ends.
        if round == 0 {
            let ended = async {
                while open.send(asked()).await.is_ok_and(|answer| answer.text() == "one") {}
            };
            crate::support::soon(ended).await;
        }
    }
    let h2 = Upstream::http2(|_| Act::Say("h2".to_owned()));
    setup.config.clusters.insert(name("mail"), cluster(&[h2.address]));
    let mail = setup.config.clusters.get_mut(&name("mail")).unwrap();
    mail.protocol = updraft_system::mesh::Protocol::H2c;
    gateway.apply(&setup.config).unwrap();
    let at = setup.config.edges[1].listen.unwrap();
    let mut session = Session::http2(at).await;
    let answer = session.send(request(Method::GET, "http://pricing/", "")).await.unwrap();
    assert_eq!(answer.text(), "h2");
}

#[tokio::test]
async fn limits_that_change_hold_for_connections_from_then_on() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    let gateway = setup.start();
    let mut long = request(Method::GET, "/", "");
    long.headers_mut().insert("x-long", "x".repeat(3000).parse().unwrap());
    assert_eq!(crate::support::send(setup.port, long.clone()).await.status, 200);
    setup.config.limits.head_bytes = 2048;
    gateway.apply(&setup.config).unwrap();
    assert_eq!(crate::support::send(setup.port, long).await.status, 431);
}

#[tokio::test]
async fn limits_of_connections_to_endpoints_change_as_well() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    setup.config.limits.upstream_idle = Duration::from_secs(3600);
    let gateway = setup.start();
    setup.config.limits.upstream_idle = Duration::from_millis(50);
    gateway.apply(&setup.config).unwrap();
    assert_eq!(get(setup.port, "/").await.status, 200);
    let open = || report(&gateway, "cart", "pricing").connections.endpoint;
    until("the connection has been idle for long enough", || open() == 0).await;
    let metrics = gateway.metrics();
    assert!(metrics.contains("updraft_mesh_limits_hit_total{limit=\"upstream_idle\"} 1\n"));
}

#[tokio::test]
async fn a_request_of_an_edge_that_was_withdrawn_is_named_counted_and_logged() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    setup.config.telemetry.access_log = true;
    let lines = Arc::new(Lines::default());
    let log = Some(Arc::clone(&lines) as Arc<dyn EventSink>);
    let gateway = setup.start_with(Options { log, ..Options::default() });
    let mut open = Session::http1(setup.port).await;
    until("it is accepted", || report(&gateway, "cart", "pricing").connections.caller == 1).await;
    setup.config.edges.clear();
    gateway.apply(&setup.config).unwrap();
    let mut late = request(Method::GET, "/quotes/7", "");
    late.headers_mut().insert("x-request-id", "order-7".parse().unwrap());
    let answer = open.send(late).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (403, "unauthorized"));
    assert_eq!(answer.problem("request_id"), "order-7");
    let metrics = gateway.metrics();
    assert!(metrics.contains("updraft_mesh_unrouted_total{reason=\"withdrawn\"} 1\n"), "{metrics}");
    let told = lines.json();
    assert_eq!(told.len(), 1, "{told:?}");
    for (field, value) in [
        ("request_id", "order-7"),
        ("from", "cart"),
        ("to", "pricing"),
        ("path", "/quotes/7"),
        ("refused", "unauthorized"),
    ] {
        assert_eq!(told[0][field], value, "{field}: {told:?}");
    }
    assert_eq!(pricing.count(), 0);
}
