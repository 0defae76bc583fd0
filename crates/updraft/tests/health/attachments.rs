//! What is attached goes away and comes back while the service is under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::peer::Peer;
use crate::support::{Connection, Patient, get, wait_until};
use rustix::process::Signal;

/// Asks both listeners whether the process is alive, and users' requests, until it is told
/// to end. Gives the numbers of good and bad answers.
pub(crate) fn load(
    patient: &Patient,
    end: &Arc<AtomicBool>,
) -> impl FnOnce() -> (u64, u64) + use<> {
    let (good, bad) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let paths = [(&patient.admin, "/livez"), (&patient.main, "/livez"), (&patient.main, "/")];
    let threads = paths.map(|(address, path)| {
        let (address, end) = (address.clone(), Arc::clone(end));
        let (good, bad) = (Arc::clone(&good), Arc::clone(&bad));
        std::thread::spawn(move || {
            let mut connection = Connection::open(&address).unwrap();
            while !end.load(Ordering::SeqCst) {
                let answer = connection.ask("GET", path, "");
                let count = if answer.is_ok_and(|it| it.status == 200) { &good } else { &bad };
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::park_timeout(std::time::Duration::from_millis(2));
            }
        })
    });
    move || {
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        (good.load(Ordering::SeqCst), bad.load(Ordering::SeqCst))
    }
}

#[test]
fn a_peer_that_gates_takes_readiness_along_and_gives_it_back_and_life_goes_on() {
    let mut peer = Peer::start();
    let url = format!("http://{}", peer.address);
    let variables = [
        ("PEER_URL", url.as_str()),
        ("PEER_PING", "/livez"),
        ("PEER_TIMEOUT", "500ms"),
        ("READY_NEEDS", "peer"),
        ("HEALTH_INTERVAL", "200ms"),
    ];
    let mut patient = Patient::web(&variables);
    let end = Arc::new(AtomicBool::new(false));
    let loaded = load(&patient, &end);
    let ready = |patient: &Patient| {
        let answers = [&patient.main, &patient.admin].map(|it| get(it, "/readyz"));
        assert!(answers.iter().all(|it| it.status == 200 || it.body == "peer is down\n"));
        answers.iter().all(|it| it.status == 200)
    };
    let up = "updraft_attachment_up{attachment=\"peer\",kind=\"http\"}";
    wait_until("ready", || ready(&patient));
    for trouble in ["stalled", "stopped"] {
        match trouble {
            "stalled" => peer.stall(true),
            _ => peer.stop(),
        }
        wait_until(trouble, || !ready(&patient));
        patient.wait_for("an attachment is down");
        assert_eq!(patient.sample(up), Some(0.0), "{trouble}");
        assert_eq!(get(&patient.main, "/ask").status, 502, "{trouble}");
        let health = patient.health();
        let attachment = &health["attachments"][0];
        assert_eq!(health["live"], true);
        assert_eq!((&attachment["name"], &attachment["state"]), (&"peer".into(), &"down".into()));
        assert!(attachment["last_error"].is_string(), "{health}");
        match trouble {
            "stalled" => peer.stall(false),
            _ => peer.restart(),
        }
        wait_until("recovered", || ready(&patient));
        patient.wait_for("an attachment is up again");
        assert_eq!(patient.sample(up), Some(1.0));
        assert_eq!(get(&patient.main, "/ask").status, 200, "{trouble}");
    }
    // Away and back before anybody is sure of it: no verdict, and no harm.
    peer.stop();
    peer.restart();
    wait_until("the peer is asked again", || get(&patient.main, "/ask").status == 200);
    end.store(true, Ordering::SeqCst);
    let (good, bad) = loaded();
    assert_eq!(bad, 0);
    assert!(50 < good, "{good}");
    patient.signal(Signal::TERM);
    assert_eq!(patient.end().0.code(), Some(0));
}

#[test]
fn a_peer_that_nobody_needs_is_reported_and_decides_nothing() {
    let mut peer = Peer::start();
    peer.stop();
    let url = format!("http://{}/api", peer.address);
    let variables =
        [("PEER_URL", url.as_str()), ("PEER_PING", "/livez"), ("HEALTH_INTERVAL", "100ms")];
    let patient = Patient::web(&variables);
    wait_until("the check", || patient.health()["attachments"][0]["state"] == "down");
    assert_eq!(get(&patient.main, "/readyz").status, 200);
    let attachments = get(&patient.admin, "/attachments").body;
    let attachments: serde_json::Value = serde_json::from_str(&attachments).unwrap();
    let location = format!("http://{}/api", peer.address);
    assert_eq!(attachments[0]["location"], location);
    assert_eq!(attachments[0]["variable"], "PEER_URL");
    assert_eq!(attachments[0]["gates_readiness"], false);
}

#[test]
fn a_need_that_is_not_attached_ends_the_start_and_is_named() {
    let variables = [("PORT", "0"), ("READY_NEEDS", "pear")];
    let (status, lines) = Patient::start("web", &variables).end();
    assert_eq!(status.code(), Some(1));
    let told = lines.iter().find(|line| line["message"] == "cannot start").unwrap();
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("READY_NEEDS") && error.contains("`pear`"), "{error}");
}
