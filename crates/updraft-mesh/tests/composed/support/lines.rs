//! Whoever reads the access log.

use std::sync::Mutex;

use serde_json::Value;
use updraft_mesh::EventSink;

/// Keeps lines.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl EventSink for Lines {
    fn event(&self, line: &str) -> bool {
        self.0.lock().unwrap().push(line.to_owned());
        true
    }
}

impl Lines {
    /// All that was told so far.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
