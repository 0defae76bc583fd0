//! `VII.addr`: the program can be reached from outside of its machine or container.

use std::net::{IpAddr, SocketAddr};

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Setup;
use crate::seen::Seen;
use crate::verdict::{Shape, Verdict};

pub(super) const ADDR: Dynamic = Dynamic {
    id: ProbeId::ViiAddr,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::Loopback], Verdict::Warn),
    ],
};

async fn look(bench: Bench) -> Seen {
    // What a platform says to a program that reads it: the address is not the program's choice.
    let setup = Setup::new(bench.shape).variable("HOST", Some("0.0.0.0"));
    let running = match bench.start_with(&setup).await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let port = running.address().port();
    let addresses: Vec<_> = running.listening().iter().map(|it| it.address).collect();
    let mut seen = verdict(&addresses, port, bench.subject.deployed);
    if seen.verdict != Verdict::Pass {
        let again = format!("{} sleep 2; ss -ltn | grep :8080; kill $!", bench.background(8080));
        seen = seen.reproduced_by(again);
    }
    seen.timeline = running.end().await;
    seen
}

/// In a container of its own, loopback is reached by nobody.
fn verdict(addresses: &[SocketAddr], port: u16, deployed: Shape) -> Seen {
    let at: Vec<IpAddr> =
        addresses.iter().filter(|it| it.port() == port).map(SocketAddr::ip).collect();
    let words = at.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    if at.is_empty() {
        return Seen::unknown(format!("no socket of it listens at port {port} any more"));
    }
    if at.iter().any(|ip| !ip.is_loopback()) {
        return Seen::pass(format!("it listens at {words}"));
    }
    let evidence =
        format!("it listens at {words} only: nobody outside of its container reaches it");
    match deployed {
        Shape::Pid1 => Seen::fail(evidence),
        Shape::Child => Seen::warn(evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_alone_harms_where_it_is_a_container_s_own() {
        let table: &[(&[&str], Shape, Verdict)] = &[
            (&["0.0.0.0:80"], Shape::Pid1, Verdict::Pass),
            (&["[::]:80"], Shape::Pid1, Verdict::Pass),
            (&["127.0.0.1:80", "10.0.0.1:80"], Shape::Pid1, Verdict::Pass),
            (&["127.0.0.1:80"], Shape::Child, Verdict::Warn),
            (&["127.0.0.1:80", "[::1]:80"], Shape::Pid1, Verdict::Fail),
            (&["127.0.0.1:80", "0.0.0.0:81"], Shape::Child, Verdict::Warn),
            (&["0.0.0.0:81"], Shape::Child, Verdict::Unknown),
        ];
        for (addresses, deployed, expected) in table {
            let parsed: Vec<_> = addresses.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(verdict(&parsed, 80, *deployed).verdict, *expected, "{addresses:?}");
        }
    }
}
