//! Probes through every state of attachments, conditions and phases.

use std::sync::atomic::AtomicU8;

use http_body_util::BodyExt;

use super::*;
use crate::BoxError;
use crate::attachment::{Attached, Attachment, Location};
use crate::config::Variable;
use crate::drain::Drain;
use crate::process::BoxFuture;

/// An attachment that does what it is told.
struct Puppet(Arc<AtomicU8>);

const ANSWERS: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
const PANICS: u8 = 3;

impl Attachment for Puppet {
    fn location(&self) -> Location {
        Location::new("puppet", "stage")
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let now = self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            match now {
                ANSWERS => Ok(()),
                HANGS => std::future::pending().await,
                PANICS => panic!("the check panicked on purpose"),
                _ => Err("refused by redis://user:canary@x password=canary".into()),
            }
        })
    }
}

struct Scene {
    drain: Drain,
    health: Health,
    puppet: Arc<AtomicU8>,
}

fn scene(needs: &str) -> Result<Scene, crate::AttachError> {
    let drain = Drain::new(Duration::from_secs(25));
    let health = Health::new(drain.sender(), Duration::from_secs(5));
    let puppet = Arc::new(AtomicU8::new(ANSWERS));
    let attachment = Arc::new(Puppet(Arc::clone(&puppet)));
    let attached = vec![Attached { name: "db", variable: "DB_URL", attachment }];
    let checks = Checks::new(Duration::from_secs(5), Needs::parse(needs).unwrap());
    health.watch(attached, &checks, &tokio::runtime::Handle::current())?;
    drain.advance(Phase::Serving);
    health.started();
    Ok(Scene { drain, health, puppet })
}

async fn asked(health: &Health, probe: Probe) -> (u16, String) {
    let answer = health.answer(probe);
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn attachment(health: &Health) -> serde_json::Value {
    serde_json::to_value(health.report()).unwrap()["attachments"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn an_attachment_that_gates_takes_readiness_away_and_gives_it_back() {
    let Scene { health, puppet, .. } = scene("db").unwrap();
    assert_eq!(asked(&health, Probe::Ready).await, (503, "db is down\n".to_owned()));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(asked(&health, Probe::Ready).await, (200, "ready\n".to_owned()));
    for trouble in [FAILS, HANGS, PANICS] {
        puppet.store(trouble, Ordering::Relaxed);
        // Until the next check, two more at a fifth of the interval, and a bound for each.
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(asked(&health, Probe::Ready).await.0, 503, "{trouble}");
        assert_eq!(asked(&health, Probe::Live).await.0, 200, "{trouble}");
        let told = attachment(&health);
        assert_eq!((&told["state"], &told["gates_readiness"]), (&"down".into(), &true.into()));
        assert!(told["last_error"].is_string() && !told.to_string().contains("canary"), "{told}");
        puppet.store(ANSWERS, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(asked(&health, Probe::Ready).await.0, 200, "{trouble}");
        assert_eq!(attachment(&health)["state"], "up");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_is_reported_and_decides_nothing_unless_it_is_needed() {
    let Scene { health, puppet, .. } = scene("").unwrap();
    puppet.store(FAILS, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(attachment(&health)["state"], "down");
    assert_eq!(asked(&health, Probe::Ready).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_no_outage() {
    let Scene { health, puppet, .. } = scene("db").unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    puppet.store(FAILS, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(5600)).await;
    puppet.store(ANSWERS, Ordering::Relaxed);
    let failed = attachment(&health);
    assert!(failed["last_error"].is_string(), "{failed}");
    assert_eq!(failed["state"], "up");
    assert_eq!(asked(&health, Probe::Ready).await.0, 200);
}

#[tokio::test]
async fn a_need_that_is_not_attached_is_refused_with_what_is() {
    let error = scene("db,cash").err().unwrap();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("`cash`") && why.ends_with("db"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn each_phase_and_condition_has_its_answers() {
    let Scene { drain, health, .. } = scene("").unwrap();
    let schema = health.condition("schema");
    assert_eq!(asked(&health, Probe::Ready).await, (503, "schema\n".to_owned()));
    health.condition("schema").met();
    assert_eq!(asked(&health, Probe::Ready).await.0, 200);
    schema.unmet("two migrations are missing");
    assert_eq!(asked(&health, Probe::Ready).await, (503, "schema\n".to_owned()));
    schema.met();
    drain.advance(Phase::Draining);
    for (probe, expected) in [
        (Probe::Live, (200, "live\n")),
        (Probe::Startup, (200, "started\n")),
        (Probe::Ready, (503, "draining\n")),
    ] {
        let (status, text) = asked(&health, probe).await;
        assert_eq!((status, text.as_str()), expected);
    }
    health.set_stuck(vec!["runtime"]);
    assert_eq!(asked(&health, Probe::Live).await, (503, "stuck: runtime\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn health_does_not_hold_up_the_drain() {
    let Scene { drain, health, .. } = scene("db").unwrap();
    drain.advance(Phase::Closing);
    drain.released().await;
    assert_eq!(asked(&health, Probe::Live).await.0, 200);
}
