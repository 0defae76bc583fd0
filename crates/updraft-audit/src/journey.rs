//! What a client does with a program, step by step: on one copy of it, or on several in turn.

mod cookies;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::lab::Address;
use crate::lab::client::{Answer, Request};
use crate::subject::{Ask, Step};
use cookies::Cookies;
use template::Saved;

/// From one attempt of a read to the next, where it may come right a little later.
const READ_EVERY: Duration = Duration::from_millis(100);

/// A client on its way: what it has saved, and its cookies. It can go on with another copy.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    saved: Saved,
    cookies: Cookies,
    /// How long one request may take.
    within: Duration,
    /// How long a read is repeated until it comes right: what is eventually consistent needs a
    /// moment.
    patience: Duration,
}

/// What came of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Where a journey broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Which step, from 1.
    pub(crate) step: usize,
    /// Method and path.
    pub(crate) line: String,
    /// The status, if a whole answer came.
    pub(crate) status: Option<u16>,
    /// What is wrong with what came.
    pub(crate) why: String,
}

impl Client {
    /// One that has seen nothing yet.
    pub(crate) fn new(within: Duration) -> Self {
        let saved = Saved::new();
        Self { saved, cookies: Cookies::default(), within, patience: Duration::ZERO }
    }

    /// With reads that may come right within `patience`.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What an answer was asked to be kept under this name.
    pub(crate) fn saved(&self, name: &str) -> Option<&Value> {
        self.saved.get(name)
    }

    /// Takes these steps, each at the next of the addresses.
    pub(crate) async fn walk(
        &mut self,
        steps: &[Step],
        addresses: &[impl Clone + Into<Address>],
    ) -> Result<Vec<Told>, Broken> {
        let mut told = Vec::with_capacity(steps.len());
        for ((number, step), address) in steps.iter().enumerate().zip(addresses.iter().cycle()) {
            let taken = self.step(step, &address.clone().into()).await;
            told.push(taken.map_err(|broken| Broken { step: number + 1, ..broken })?);
        }
        Ok(told)
    }

    async fn step(&mut self, step: &Step, address: &Address) -> Result<Told, Broken> {
        let until = Instant::now() + self.patience;
        loop {
            let taken = self.attempt(step, address).await;
            let again = taken.is_err() && is_read(&step.ask) && Instant::now() < until;
            if !again {
                return taken;
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    async fn attempt(&mut self, step: &Step, address: &Address) -> Result<Told, Broken> {
        let request = self.request(&step.ask);
        let line = format!("{} {}", request.method, request.target);
        let broken = |status, why: String| Broken { step: 0, line: line.clone(), status, why };
        let answer = request.send(address, self.within).await;
        let answer = answer.map_err(|lost| broken(None, lost.to_string()))?;
        self.cookies.take(&answer);
        let saved = judged(step, &answer, &self.saved);
        for (name, value) in saved.map_err(|why| broken(Some(answer.status), why))? {
            self.saved.insert(name, value);
        }
        Ok(Told { line, status: answer.status, body: answer.body })
    }

    fn request(&self, ask: &Ask) -> Request {
        let target = self.saved.path(&ask.path);
        let mut request = match &ask.json {
            Some(json) => Request::post(&target, "application/json", self.saved.json(json)),
            None => Request::get(&target),
        };
        request.method.clone_from(&ask.method);
        match self.cookies.header() {
            Some(cookies) => request.header("cookie", &cookies),
            None => request,
        }
    }
}

/// Whether a request only reads.
pub(crate) fn is_read(ask: &Ask) -> bool {
    ["GET", "HEAD"].iter().any(|method| ask.method.eq_ignore_ascii_case(method))
}

/// The first step that reads after something was written: what a journey can be split at.
pub(crate) fn first_read_after_write(steps: &[Step]) -> Option<usize> {
    let written = steps.iter().position(|step| !is_read(&step.ask))?;
    let read = steps.iter().skip(written).position(|step| is_read(&step.ask))?;
    Some(written + read)
}

/// What is saved of an answer, or what is wrong with it.
fn judged(step: &Step, answer: &Answer, saved: &Saved) -> Result<BTreeMap<String, Value>, String> {
    match step.expect {
        Some(status) if answer.status != status => {
            return Err(format!("status {} instead of {status}", answer.status));
        }
        None if answer.status >= 400 => return Err(format!("status {}", answer.status)),
        _ => {}
    }
    if step.save.is_empty() && step.matches.is_empty() {
        return Ok(BTreeMap::new());
    }
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("its body is no JSON ({error})"))?;
    for (pointer, expected) in &step.matches {
        let expected = saved.value(expected);
        match body.pointer(pointer) {
            Some(found) if *found == expected => {}
            Some(found) => return Err(format!("{pointer} is {found} instead of {expected}")),
            None => return Err(format!("{pointer} is missing, it should be {expected}")),
        }
    }
    let find = |(name, pointer): (&String, &String)| match body.pointer(pointer) {
        Some(value) => Ok((name.clone(), value.clone())),
        None => Err(format!("there is no {pointer} to be saved as {name}")),
    };
    step.save.iter().map(find).collect()
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} ({}): {}", self.step, self.line, self.why)
    }
}

#[cfg(test)]
#[path = "journey_tests.rs"]
mod tests;
