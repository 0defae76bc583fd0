//! A request whose body has come only half: whoever reads the whole of it before answering
//! waits for the rest.

use super::{Bench, Gate, Held, Running, Way, request, stays, undisturbed};
use crate::lab::client::{Connection, Lost, Request};
use crate::subject::Subject;

/// Small enough that a program which reads its requests in blocks has read it with the head.
const BODY: &str = r#"{"updraft": "a body that comes in two parts"}"#;

pub(super) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    for request in asked(&bench.subject) {
        let Some(status) = undisturbed(bench, running, &request).await else { continue };
        let Ok((mut connection, rest)) = half(running, &request).await else { continue };
        if stays(bench, running, &mut connection).await {
            let held = Held::one(Way::HalfBody, &request, connection, Gate::Rest(rest));
            return Ok(Held { undisturbed: Some(status), ..held });
        }
    }
    Err("no request waits for its body".to_owned())
}

async fn half(running: &Running, request: &Request) -> Result<(Connection, Vec<u8>), Lost> {
    let mut connection = Connection::open(running.address()).await?;
    let rest = connection.send_half(request).await?;
    Ok((connection, rest))
}

fn asked(subject: &Subject) -> Vec<Request> {
    let steps = subject.journey.iter().map(|step| &step.ask);
    let steps = steps.filter(|ask| ask.json.is_some() && !ask.path.contains('{'));
    let mut all: Vec<Request> = steps.map(request).collect();
    all.push(Request::post("/", "application/json", BODY));
    if let Some(path) = &subject.ready {
        all.push(Request::post(path, "application/json", BODY));
    }
    // Some answer another method at once, and still read what comes with this one.
    let mut get = Request::post("/", "application/json", BODY);
    get.method = "GET".to_owned();
    all.push(get);
    all
}
