//! What happens to the servers, in its order.

/// What is done to a server when a scene begins.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// A command of [`serve`](crate::server::serve).
    Tell(&'static str),
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGKILL.
    Kill,
    /// A new process.
    Restart,
}

/// A part of the play.
pub(crate) struct Scene {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What happens, in a sentence.
    pub(crate) says: &'static str,
    pub(crate) act: Act,
    seconds: f64,
    fast_seconds: f64,
}

impl Scene {
    pub(crate) fn seconds(&self, fast: bool) -> f64 {
        if fast { self.fast_seconds } else { self.seconds }
    }
}

const fn scene(
    name: &'static str,
    says: &'static str,
    act: Act,
    (seconds, fast_seconds): (f64, f64),
) -> Scene {
    Scene { name, says, act, seconds, fast_seconds }
}

/// The play.
pub(crate) const SCENES: [Scene; 9] = [
    scene("well", "The server is well: an answer takes it 10 ms.", Act::Tell("well"), (2.5, 0.7)),
    scene(
        "slow",
        "An answer takes 50 ms: the server can do half of what it is asked.",
        Act::Tell("slow"),
        (4.0, 1.3),
    ),
    scene("well again", "An answer takes 10 ms again.", Act::Tell("well"), (3.0, 0.7)),
    scene(
        "failing",
        "The server answers with an error, and at once.",
        Act::Tell("fail"),
        (3.0, 1.2),
    ),
    scene("well again", "The server is well again.", Act::Tell("well"), (3.0, 0.8)),
    scene(
        "stopped",
        "The server hangs: SIGSTOP. Connections are made, and nothing comes.",
        Act::Stop,
        (2.5, 1.0),
    ),
    scene(
        "goes on",
        "The server goes on: SIGCONT. What it had accepted, it does now.",
        Act::Continue,
        (2.5, 0.8),
    ),
    scene("killed", "The server is gone: SIGKILL. Connections are refused.", Act::Kill, (2.0, 0.7)),
    scene("restarted", "A new process serves.", Act::Restart, (3.0, 1.0)),
];
