//! `VII.extra`: nothing listens that was not asked for, above all no debugger.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Address;
use crate::seen::Seen;

pub(super) const EXTRA: Dynamic = Dynamic {
    id: ProbeId::ViiExtra,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::Inspector]),
};

/// How long a debugger may take to say that it is one.
const HANDSHAKE: Duration = Duration::from_millis(700);
/// The most that is read of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// A protocol of debuggers: what a client says first, and what only a debugger answers.
struct Debugger {
    name: &'static str,
    asks: &'static [u8],
    answers: &'static str,
}

const DEBUGGERS: &[Debugger] = &[
    Debugger {
        name: "the inspector of Node.js",
        asks: b"GET /json/version HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        answers: "\"Protocol-Version\"",
    },
    Debugger { name: "a Java debugger (JDWP)", asks: b"JDWP-Handshake", answers: "JDWP-Handshake" },
    Debugger {
        name: "Delve",
        asks: b"{\"method\":\"RPCServer.GetVersion\",\"params\":[{}],\"id\":1}\n",
        answers: "DelveVersion",
    },
    Debugger { name: "debugpy", asks: b"", answers: "debugpy" },
];
/// A greeting of nobody: who gives it back gives back everything, JDWP's own too.
const NOBODY: Debugger =
    Debugger { name: "nobody", asks: b"updraft-check!", answers: "updraft-check!" };

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let address = running.address();
    let (own, given) = (address.port(), running.port());
    let mut extra: Vec<_> = running.listening().iter().map(|it| it.address).collect();
    extra.retain(|it| it.port() != own && it.port() != given);
    let within = bench.limit(HANDSHAKE);
    let asked = extra.iter().map(|at| debugger(address.at(*at).reached(), within));
    let found = futures_util::future::join_all(asked).await;
    let listening: Vec<_> = extra.into_iter().zip(found).collect();
    let mut seen = verdict(&listening);
    if !listening.is_empty() {
        let again = format!("{} sleep 2; ss -ltnp | grep pid=$!,; kill $!", bench.background(8080));
        seen = seen.reproduced_by(again);
    }
    seen.timeline = running.end().await;
    seen
}

fn verdict(listening: &[(SocketAddr, Option<&'static str>)]) -> Seen {
    let debugger = listening.iter().find_map(|(at, found)| found.map(|name| (at, name)));
    if let Some((address, name)) = debugger {
        return Seen::fail(format!(
            "{name} answers at {address}: whoever reaches it runs any code"
        ));
    }
    if listening.is_empty() {
        return Seen::pass("it listens at its port and nowhere else");
    }
    let all: Vec<_> = listening.iter().map(|(address, _)| address.to_string()).collect();
    Seen::warn(format!(
        "it listens beside its port, and nobody has declared that: {}",
        all.join(", ")
    ))
    .listing("extra_listeners", all)
}

/// Which debugger answers at an address.
async fn debugger(address: Address, within: Duration) -> Option<&'static str> {
    for debugger in DEBUGGERS {
        // Who says nothing in time is not this one.
        let said = tokio::time::timeout(within, answer(&address, debugger)).await;
        if said.is_ok_and(|said| said) {
            let echo = tokio::time::timeout(within, answer(&address, &NOBODY)).await;
            return (!echo.is_ok_and(|echo| echo)).then_some(debugger.name);
        }
    }
    None
}

impl Debugger {
    /// A greeting that is given back comes alone; an error that quotes it does not.
    fn knows(&self, said: &[u8]) -> bool {
        let text = String::from_utf8_lossy(said);
        let quotes = self.asks == self.answers.as_bytes();
        if quotes { text.starts_with(self.answers) } else { text.contains(self.answers) }
    }
}

async fn answer(address: &Address, debugger: &Debugger) -> bool {
    let Ok(mut stream) = address.connect(|_| Ok(())).await else { return false };
    if stream.write_all(debugger.asks).await.is_err() {
        return false;
    }
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES_MAX {
        match stream.read_buf(&mut said).await {
            Ok(0) | Err(_) => return false,
            Ok(_) if debugger.knows(&said) => return true,
            Ok(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn a_debugger_is_worse_than_another_listener() {
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert_eq!(verdict(&[]).verdict, Verdict::Pass);
        assert_eq!(verdict(&[(at(1), None)]).verdict, Verdict::Warn);
        assert_eq!(verdict(&[(at(1), None), (at(2), Some("it"))]).verdict, Verdict::Fail);
    }

    /// Serves one greeting after the other, each by `reply`.
    async fn found(reply: fn(&[u8]) -> Vec<u8>) -> Option<&'static str> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut greeting = vec![0; 128];
                let count = stream.read(&mut greeting).await.unwrap_or(0);
                drop(stream.write_all(&reply(&greeting[..count])).await);
            }
        });
        let found = debugger(address.into(), Duration::from_millis(200)).await;
        serving.abort();
        found
    }

    /// JDWP gives back its greeting, and so does an echo server, which is no debugger.
    #[tokio::test]
    async fn only_who_knows_the_greeting_of_a_debugger_is_one() {
        let jdwp = |said: &[u8]| match said {
            b"JDWP-Handshake" => said.to_vec(),
            _ => Vec::new(),
        };
        assert_eq!(found(jdwp).await, Some("a Java debugger (JDWP)"));
        assert_eq!(found(<[u8]>::to_vec).await, None);
        assert_eq!(found(|said| [b"400 bad line: ", said].concat()).await, None);
        assert_eq!(found(|_| b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()).await, None);
    }
}
