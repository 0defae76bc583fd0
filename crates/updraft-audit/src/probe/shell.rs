//! Lines for a shell (bash) that show again what a probe has seen.

use super::Bench;
use crate::hold::Way;
use crate::verdict::Shape;

/// The port in lines that are pasted.
pub(super) const PORT: u16 = 8080;

impl Bench {
    /// Starts the program in the background as it was run here; `$P` is the process that the
    /// platform knows.
    pub(super) fn started(&self) -> String {
        let subject = &self.subject;
        let folder = shell_words::quote(&subject.folder.to_string_lossy()).into_owned();
        let run =
            format!("cd {folder} && exec env {}={PORT} {}", subject.port_variable, subject.line());
        match self.shape {
            Shape::Child => format!("({run}) & P=$!; sleep 2"),
            Shape::Pid1 => format!(
                "unshare --user --map-root-user --pid --fork --mount-proc sh -c {} & sleep 2; P=$(pgrep -P $!)",
                shell_words::quote(&run)
            ),
        }
    }
}

/// Asks as the audit did, sends SIGTERM to `$P` in the middle, and shows what came.
pub(super) fn asked(bench: &Bench, way: &Way, what: &str) -> String {
    let started = bench.started();
    let path = what.split(' ').nth(1).unwrap_or("/");
    let url = shell_words::quote(&format!("http://127.0.0.1:{PORT}{path}")).into_owned();
    match way {
        Way::Slow => {
            format!(
                "{started}; curl -sS {url} & C=$!; sleep .3; kill -TERM $P; wait $C; echo \"curl: $?\""
            )
        }
        Way::HalfBody => format!(
            "{started}; exec 3<>/dev/tcp/127.0.0.1/{PORT}; printf '{what} HTTP/1.1\\r\\nHost: a\\r\\nContent-Type: application/json\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{{' >&3; sleep .3; kill -TERM $P; sleep 1; printf '}}' >&3; timeout 5 cat <&3"
        ),
        Way::Unread => format!(
            "{started}; curl -sS --limit-rate 20k -o /dev/null {url} & C=$!; sleep .5; kill -TERM $P; wait $C; echo \"curl: $?\""
        ),
        Way::Burst => format!(
            "{started}; for i in $(seq 40); do curl -s -o /dev/null -w '%{{http_code}}/%{{exitcode}} ' {url} & done; sleep .05; kill -TERM $P; sleep 3 # /52 and /56 are lost, /7 is refused"
        ),
        Way::Resource(_) => format!("updraft check --only IX.drain -- {}", bench.subject.line()),
    }
}
