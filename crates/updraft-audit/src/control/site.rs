//! What a control serves: `/` and `/items/NAME` with its resource, `/ready` and `/live`; and how
//! it reads its configuration.

mod resource;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Behaviour;
use super::queue::Queue;
use resource::Resource;

/// The variable with the address of the resource.
pub(crate) const RESOURCE: &str = "CONTROL_URL";
/// A number from 1 to 500.
pub(crate) const LIMIT: &str = "CONTROL_LIMIT";
/// A secret.
pub(crate) const SECRET: &str = "CONTROL_SECRET";
/// The file that holds the first address of the resource, for a control that remembers it.
pub(crate) const MEMORY: &str = "CONTROL_MEMORY";
/// The contract that is served.
pub(crate) const API: &str = r#"{"openapi":"3.1.0","paths":{"/":{"get":{}}}}"#;
/// The file that is read by a control that has its configuration from a file.
pub(crate) const FILE: &str = ".env";

/// What a control serves, and from where.
#[derive(Default)]
pub(super) struct Site {
    behaviours: Vec<Behaviour>,
    resource: Option<Resource>,
    memory: Mutex<BTreeMap<String, String>>,
    greeting: String,
    queue: Option<Queue>,
}

impl Site {
    /// Reads what it needs from its surroundings; the error is what it says of them.
    pub(super) fn open(behaviours: &[Behaviour]) -> Result<Self, String> {
        let has = |behaviour| behaviours.contains(&behaviour);
        if has(Behaviour::Contract) || has(Behaviour::Unnamed) || has(Behaviour::OneValue) {
            check_limit(behaviours)?;
        }
        if has(Behaviour::LeaksSecret) {
            super::say(&format!("signs with {}", variable(SECRET).unwrap_or_default()));
        }
        let mut greeting = "ok\n".to_owned();
        if has(Behaviour::ReadsFile) {
            greeting.push_str(&std::fs::read_to_string(FILE).unwrap_or_default());
        }
        if has(Behaviour::EnvironmentName) && variable("APP_ENV").as_deref() == Some("development")
        {
            greeting.push_str("with all details\n");
        }
        let resource = address(behaviours).map(|address| {
            // The one asks without an end, the other just once, at its start.
            let patient = has(Behaviour::LivenessAsks) || has(Behaviour::Alone);
            Resource::new(address, patient, !has(Behaviour::NeverReconnects))
        });
        let queue = match has(Behaviour::Enqueues) {
            true => Some(Queue::open().map_err(|error| error.to_string())?),
            false => None,
        };
        let behaviours = behaviours.to_vec();
        let site = Self { behaviours, resource, greeting, queue, ..Self::default() };
        if site.behaviours.contains(&Behaviour::Alone)
            && site.ask("take lock").as_deref() != Some("first")
        {
            return Err("the database is locked".to_owned());
        }
        Ok(site)
    }

    /// Status and body of the answer to a request.
    pub(super) fn respond(&self, line: &str, body: &[u8]) -> (u16, String) {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
        let has = |behaviour| self.behaviours.contains(&behaviour);
        match (method, path) {
            (_, "/live") if !has(Behaviour::LivenessAsks) => (200, "ok\n".to_owned()),
            (_, "/ready") if has(Behaviour::AlwaysReady) => (200, "ok\n".to_owned()),
            (_, "/openapi.json") if has(Behaviour::ServesApi) => (200, API.to_owned()),
            (_, path) if path.starts_with("/items/") => self.item(method, path, body),
            _ => match (&self.resource, self.ask("hello")) {
                (Some(_), None) => (503, "its resource is away\n".to_owned()),
                _ => (200, self.greeting.clone()),
            },
        }
    }

    fn item(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let away = (503, "its resource is away\n".to_owned());
        let name = path.trim_start_matches("/items/");
        if let Some(queue) = &self.queue {
            return match method {
                "PUT" if queue.enqueue(name).is_ok() => (201, "{}".to_owned()),
                "GET" if queue.is_done(name) => (200, "{}".to_owned()),
                _ => (404, "{}".to_owned()),
            };
        }
        if method == "PUT" {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let value = body["value"].as_str().unwrap_or_default();
            return match self.keep(name, value) {
                Some(()) => (201, "{}".to_owned()),
                None => away,
            };
        }
        match self.kept(name) {
            Some(value) if value.is_empty() => (404, "{}".to_owned()),
            Some(value) => (200, serde_json::json!({ "value": value }).to_string()),
            None => away,
        }
    }

    fn keep(&self, name: &str, value: &str) -> Option<()> {
        if self.behaviours.contains(&Behaviour::KeepsInMemory) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.insert(name.to_owned(), value.to_owned());
            return Some(());
        }
        self.ask(&format!("set {name} {value}")).map(drop)
    }

    fn kept(&self, name: &str) -> Option<String> {
        if self.behaviours.contains(&Behaviour::KeepsInMemory) {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            return Some(memory.get(name).cloned().unwrap_or_default());
        }
        self.ask(&format!("get {name}"))
    }

    /// What the resource says; `None`: it is away, or there is none.
    fn ask(&self, line: &str) -> Option<String> {
        self.resource.as_ref()?.ask(line)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn check_limit(behaviours: &[Behaviour]) -> Result<(), String> {
    let limit = variable(LIMIT);
    let number = limit.as_deref().and_then(|limit| limit.parse::<u32>().ok());
    let only = behaviours.contains(&Behaviour::OneValue);
    match number {
        Some(1..=500) if !only => Ok(()),
        Some(50) => Ok(()),
        _ if behaviours.contains(&Behaviour::Unnamed) => Err("bad configuration".to_owned()),
        _ => Err(format!("{LIMIT} must be a number from 1 to 500")),
    }
}

/// Where the resource is.
fn address(behaviours: &[Behaviour]) -> Option<String> {
    let address = variable(RESOURCE)?.trim_start_matches("tcp://").to_owned();
    if !behaviours.contains(&Behaviour::RemembersAddress) {
        return Some(address);
    }
    let file = variable(MEMORY)?;
    match std::fs::read_to_string(&file) {
        Ok(remembered) => Some(remembered),
        Err(_) => std::fs::write(&file, &address).ok().map(|()| address),
    }
}
