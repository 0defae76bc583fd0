//! Renewal in time that tests move, issuers that fail and lie, and the control socket.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::time::Instant;
use updraft_system::mesh::{BundleDocument, IdentityRequest, Octets};

use super::*;
use crate::identity::authority::{Authority, LEAF_LIFE};
use crate::identity::issuer::{LocalIssuer, RemoteIssuer};

/// 2027.
const START: u64 = 1_800_000_000;

type Lie = fn(&mut IdentityResponse);

/// An authority that can be silenced and made to lie, and counts.
struct Moody {
    local: LocalIssuer,
    silent: AtomicBool,
    asked: AtomicU32,
    lie: Mutex<Option<Lie>>,
}

impl Issuer for Moody {
    async fn issue(&self, request: IdentityRequest) -> Result<IdentityResponse, IssuerError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            return Err(IssuerError::Remote(crate::identity::issuer::RemoteError::Timeout));
        }
        let mut response = self.local.issue(request).await?;
        if let Some(lie) = *self.lie.lock().unwrap() {
            lie(&mut response);
        }
        Ok(response)
    }

    async fn bundle(&self) -> Result<BundleDocument, IssuerError> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(IssuerError::Remote(crate::identity::issuer::RemoteError::Timeout));
        }
        self.local.bundle().await
    }
}

fn moody(clock: &WallClock) -> Moody {
    let authority = Authority::create("shop".parse().unwrap(), clock.now()).unwrap();
    Moody {
        local: LocalIssuer::new(authority, clock.clone()),
        silent: AtomicBool::new(false),
        asked: AtomicU32::new(0),
        lie: Mutex::new(None),
    }
}

fn cart(clock: &WallClock) -> Workload {
    let trust = Arc::new(Trust::new("shop".parse().unwrap()));
    Workload::new("spiffe://shop/cart".parse().unwrap(), trust, clock.clone())
}

fn paused() -> WallClock {
    WallClock::Paused(START, Instant::now())
}

/// Runs the workload until the condition of what is served holds; when that was.
async fn until(workload: &Workload, issuer: &Moody, holds: impl FnMut(&Served) -> bool) -> u64 {
    let mut served = workload.served();
    tokio::select! {
        () = workload.run(issuer) => unreachable!("it runs for ever"),
        found = served.wait_for(holds) => drop(found.unwrap()),
    }
    workload.clock().now().as_secs()
}

#[tokio::test(start_paused = true)]
async fn it_renews_at_half_life_give_or_take_a_tenth() {
    let clock = paused();
    let (issuer, workload) = (moody(&clock), cart(&clock));
    let mut times = Vec::new();
    let mut serials = std::collections::BTreeSet::new();
    let mut served = workload.served();
    tokio::select! {
        () = workload.run(&issuer) => {}
        () = async {
            for renewal in 1..=20 {
                let now = served.wait_for(|served| served.renewals == renewal).await.unwrap().clone();
                assert_eq!(now.not_after.unwrap() - now.issued.unwrap(), LEAF_LIFE.as_secs());
                assert_eq!((now.failures, now.last_error), (0, None));
                times.push(now.issued.unwrap());
                serials.insert(now.serial.unwrap());
            }
        } => {}
    }
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(times[0], START, "the first at once");
    assert!(waits.iter().all(|wait| (1619..=1981).contains(wait)), "{waits:?}");
    assert!(waits.iter().max().unwrap() - waits.iter().min().unwrap() > 30, "{waits:?}");
    assert_eq!(serials.len(), 20, "each is another certificate");
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 20);
}

#[tokio::test(start_paused = true)]
async fn the_old_certificate_is_served_until_its_end_and_a_new_one_comes_back() {
    let clock = paused();
    let (issuer, workload) = (moody(&clock), cart(&clock));
    until(&workload, &issuer, |served| served.renewals == 1).await;
    let first = workload.certified().unwrap();
    issuer.silent.store(true, Ordering::SeqCst);
    until(&workload, &issuer, |served| 40 < served.failures).await;
    let early = clock.now().as_secs();
    assert!(early < START + 3600, "waits are capped");
    assert!(Arc::ptr_eq(&first, &workload.certified().unwrap()));
    let text = workload.served().borrow().last_error.clone().unwrap();
    assert!(text.contains("no certificate: ") && text.contains("did not answer"), "{text}");

    let end = START + 3600;
    let seen = until(&workload, &issuer, |_| end <= clock.now().as_secs()).await;
    assert!(seen - end <= 61, "it still asks every minute");
    assert!(workload.certified().is_none(), "nothing is served after the end");
    assert_eq!(workload.served().borrow().not_after, Some(end), "and that can be seen");

    issuer.silent.store(false, Ordering::SeqCst);
    let back = until(&workload, &issuer, |served| served.renewals == 2).await;
    assert!(back - seen <= 61);
    assert!(workload.certified().is_some());
    assert_eq!(workload.served().borrow().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn rotate_renews_at_once() {
    let clock = paused();
    let (issuer, workload) = (moody(&clock), cart(&clock));
    let mut served = workload.served();
    tokio::select! {
        () = workload.run(&issuer) => {}
        () = async {
            for renewal in 1..=3 {
                drop(served.wait_for(|served| served.renewals == renewal).await.unwrap());
                workload.rotate();
            }
        } => {}
    }
    assert_eq!(clock.now().as_secs(), START);
}

#[tokio::test(start_paused = true)]
async fn a_new_root_is_trusted_within_a_minute() {
    let clock = paused();
    let (issuer, workload) = (moody(&clock), cart(&clock));
    until(&workload, &issuer, |served| served.renewals == 1).await;
    issuer.local.with(|authority| authority.rotate_root(clock.now())).unwrap();
    let wanted = issuer.local.with(|authority| authority.bundle().sequence);
    tokio::select! {
        () = workload.run(&issuer) => {}
        () = sleep(LOOK_AGAIN + Duration::from_secs(1)) => {}
    }
    assert_eq!(workload.trust().sequence(), Some(wanted));
}

#[tokio::test(start_paused = true)]
async fn a_lie_never_takes_the_place_of_what_is_served() {
    let clock = paused();
    let (issuer, workload) = (moody(&clock), cart(&clock));
    workload.renew(&issuer).await.unwrap();
    let good = workload.certified().unwrap();
    let lies: [(Lie, &str); 6] = [
        (|response| response.chain.clear(), "another key"),
        (|response| drop(response.chain.remove(0)), "no certificate of a workload"),
        (|response| drop(response.chain.pop()), "vouch"),
        (|response| response.chain[0].0[200] ^= 1, "certificate"),
        (|response| response.chain[0] = leaf_of("spiffe://shop/mail"), "spiffe://shop/mail"),
        (|response| response.chain[0] = leaf_of("spiffe://shop/cart"), "another key"),
    ];
    for (index, (lie, word)) in lies.into_iter().enumerate() {
        *issuer.lie.lock().unwrap() = Some(lie);
        let error = workload.renew(&issuer).await.unwrap_err();
        assert!(error.to_string().contains(word), "{index}: {error}");
        assert!(Arc::ptr_eq(&good, &workload.certified().unwrap()), "{index}");
    }
    *issuer.lie.lock().unwrap() = Some(|response| {
        response.bundle = BundleDocument { sequence: u64::MAX, roots: vec![] };
    });
    assert!(matches!(workload.renew(&issuer).await, Err(RenewError::Bundle(_))));
    assert_eq!(workload.served().borrow().failures, 7);
    *issuer.lie.lock().unwrap() = None;
    workload.renew(&issuer).await.unwrap();
}

/// A sound leaf of another authority.
fn leaf_of(id: &str) -> Octets {
    let forge = crate::identity::forge::Forge::new();
    let forged = forge.sign(&crate::identity::forge::sound(id));
    Octets(forged.chain[0].to_vec())
}

#[test]
fn an_older_bundle_does_not_take_the_place_of_a_newer_one() {
    let bundle = |sequence| {
        let forge = crate::identity::forge::Forge::new();
        crate::identity::bundle::TrustBundle { sequence, roots: vec![forge.root] }
    };
    let trust = Trust::new("shop".parse().unwrap());
    for (sequence, newer) in [(5, true), (4, false), (5, false), (6, true)] {
        assert_eq!(trust.update(bundle(sequence)).unwrap(), newer, "{sequence}");
    }
    assert!(
        trust.update(crate::identity::bundle::TrustBundle { sequence: 7, roots: vec![] }).is_err()
    );
    assert_eq!(trust.sequence(), Some(6));
}

/// The control API as far as identities go, over a real socket.
async fn control(listener: UnixListener, local: LocalIssuer, clock: WallClock) {
    loop {
        let stream = listener.accept().await.unwrap().0;
        let serve = service_fn(|request: Request<hyper::body::Incoming>| {
            let (local, clock) = (local.clone(), clock.clone());
            async move {
                let path = format!("{} {}", request.method(), request.uri().path());
                let body = request.into_body().collect().await?.to_bytes();
                let answer = match path.as_str() {
                    "POST /v1/mesh/identity" => {
                        let asked: IdentityRequest = serde_json::from_slice(&body).unwrap();
                        local
                            .with(|authority| authority.answer(&asked, clock.now()))
                            .map(|answer| serde_json::to_vec(&answer).unwrap())
                    }
                    "GET /v1/mesh/bundle" => {
                        let document: BundleDocument =
                            local.with(|authority| authority.bundle()).into();
                        Ok(serde_json::to_vec(&document).unwrap())
                    }
                    path => panic!("{path} is not asked for"),
                };
                let mut response = Response::new(Full::new(Bytes::new()));
                match answer {
                    Ok(json) => *response.body_mut() = Full::from(json),
                    Err(error) => {
                        *response.status_mut() = http::StatusCode::FORBIDDEN;
                        *response.body_mut() = Full::from(error.to_string());
                    }
                }
                Ok::<_, hyper::Error>(response)
            }
        });
        drop(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .await,
        );
    }
}

#[tokio::test]
async fn a_certificate_comes_over_the_control_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let clock = WallClock::System;
    let issuer = moody(&clock).local;
    // Deeper than an address holds.
    let deep = folder.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    std::os::unix::fs::symlink(&socket, deep.join("control.sock")).unwrap();
    let remote = RemoteIssuer::new(deep.join("control.sock"));
    let workload = cart(&clock);
    let stranger = Workload::new(
        "spiffe://bank/cart".parse().unwrap(),
        Arc::new(Trust::new("bank".parse().unwrap())),
        clock.clone(),
    );
    let ask = async {
        workload.renew(&remote).await.unwrap();
        assert!(workload.certified().is_some());
        let bundle = remote.bundle().await.unwrap();
        assert_eq!(workload.trust().sequence(), Some(bundle.sequence));
        // Its proof names another system, so the authority refuses it.
        let text = told(&stranger.renew(&remote).await.unwrap_err());
        assert!(text.contains("403") && text.contains("does not show"), "{text}");
    };
    tokio::select! {
        () = control(listener, issuer, clock.clone()) => {}
        () = ask => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_control_socket_that_is_silent_or_talks_too_much_or_is_gone_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let remote = RemoteIssuer::new(socket.clone());
    let text = told(&remote.bundle().await.unwrap_err());
    assert!(text.contains(&format!("socket {} cannot be reached", socket.display())), "{text}");
    let long = folder.path().join("n".repeat(120));
    let text = told(&RemoteIssuer::new(long.clone()).bundle().await.unwrap_err());
    assert!(text.contains(&*long.to_string_lossy()) && text.contains("120 bytes"), "{text}");

    let listener = UnixListener::bind(&socket).unwrap();
    let start = Instant::now();
    assert!(told(&remote.bundle().await.unwrap_err()).contains("did not answer"));
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(listener.accept().await.unwrap());

    let long = [&b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n"[..], &[b' '; 70_000]].concat();
    for (answer, word) in [
        (&long[..], "too long"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "cannot be read"),
        (b"nonsense\r\n\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
    ] {
        let serve = async {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = listener.accept().await.unwrap().0;
            let mut head = [0; 1024];
            assert_ne!(stream.read(&mut head).await.unwrap(), 0);
            drop(stream.write_all(answer).await);
        };
        let (asked, ()) = tokio::join!(remote.bundle(), serve);
        let text = told(&asked.unwrap_err());
        assert!(text.contains(word), "{word}: {text}");
    }
}
