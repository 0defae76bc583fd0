//! Who is measured, and how each is started. The configurations are in `peers/`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use updraft_measure::child::{Child, LOADER, PROXY, START, TRY_AGAIN, free_address};
use crate::client::{Caller, Visit};
use crate::{authority, certificates};

/// Where a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// In plain on both sides.
    Plain,
    /// The first of two: in plain from the client, by mutual TLS to the second.
    Out,
    /// The second of two: by mutual TLS from the first, in plain to the upstream.
    In,
}

/// What two proxies speak with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Hop {
    H1,
    H2,
}

impl Hop {
    /// Its name in ALPN (RFC 7301).
    pub fn alpn(self) -> &'static str {
        if self == Self::H1 { "http/1.1" } else { "h2" }
    }

    fn word(self) -> &'static str {
        if self == Self::H1 { "h1" } else { "h2" }
    }
}

/// Which proxies stand between the client and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// One, in plain.
    Plain,
    /// One with mutual TLS from the client.
    Tls,
    /// Two, with mutual TLS between them.
    Pair(Hop),
}

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// No proxy.
    Direct,
    Nginx,
    Haproxy,
    Pingora,
    Floor,
    Updraft,
    /// Updraft with every policy on.
    Policies,
}

/// A peer that runs.
pub struct Subject {
    pub peer: Peer,
    pub chain: Chain,
    /// Where the client connects.
    pub entry: SocketAddr,
    /// Who the client is there; `None`: it comes in plain.
    caller: Option<Caller>,
    children: Vec<Child>,
}

/// What the peers are started with.
pub struct Place {
    /// Configurations, certificates and logs.
    pub folder: PathBuf,
    pub upstream: SocketAddr,
    /// This program.
    pub own: PathBuf,
    /// The program that is measured against the others.
    pub updraft: Option<PathBuf>,
    /// The socket of the authority that signs for the gateways of Updraft.
    pub authority: PathBuf,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Pingora => "Pingora",
            Self::Floor => "hyper floor",
            Self::Updraft => "**Updraft**",
            Self::Policies => "**Updraft, all policies**",
        }
    }

    /// The word of its configurations, and of its role in this program.
    fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Pingora => "pingora",
            Self::Floor => "floor",
            Self::Updraft => "updraft",
            Self::Policies => "updraft-policies",
        }
    }
}

impl Subject {
    pub fn name(&self) -> String {
        name(self.peer, self.chain)
    }

    /// A new connection with one request.
    pub fn visit(&self) -> Result<Visit> {
        Visit::pay(self.entry, self.caller.as_ref())
    }

    /// Waits until it answers: a gateway listens before it has its certificate.
    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            match self.visit().and_then(Visit::end) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::park_timeout(TRY_AGAIN),
            }
        }
    }

    /// Nanoseconds that its proxies have run.
    pub fn processor_time(&self) -> u64 {
        self.children.iter().map(Child::processor_time).sum()
    }

    /// Bytes of its proxies in memory.
    pub fn resident(&self) -> u64 {
        self.children.iter().map(Child::resident).sum()
    }
}

/// What a row is called.
pub fn name(peer: Peer, chain: Chain) -> String {
    match chain {
        Chain::Pair(hop) if peer != Peer::Direct => format!("{}, {}", peer.name(), hop.word()),
        _ => peer.name().to_owned(),
    }
}

impl Place {
    /// Starts the program behind the proxies.
    pub fn start_upstream(&self) -> Result<Child> {
        let address = self.upstream.to_string();
        let log = self.folder.join("upstream.log");
        let mut child = Child::start(LOADER, &self.own, &["upstream", &address], log)?;
        child.wait_for(self.upstream)?;
        Ok(child)
    }

    /// Starts what signs for the gateways of Updraft.
    pub fn start_authority(&self) -> Result<Child> {
        let socket = self.authority.display().to_string();
        let log = self.folder.join("authority.log");
        let mut child = Child::start(LOADER, &self.own, &["authority", &socket], log)?;
        child.wait_until(|| UnixStream::connect(&self.authority).is_ok())?;
        Ok(child)
    }

    /// Starts the proxies of a peer, which then answer.
    pub fn start(&self, peer: Peer, chain: Chain) -> Result<Subject> {
        let (entry, children) = match chain {
            _ if peer == Peer::Direct => (self.upstream, Vec::new()),
            Chain::Plain => self.one(peer, Side::Plain, Hop::H1, self.upstream)?,
            Chain::Tls => self.one(peer, Side::In, Hop::H1, self.upstream)?,
            Chain::Pair(hop) => {
                let (middle, mut children) = self.one(peer, Side::In, hop, self.upstream)?;
                let (entry, first) = self.one(peer, Side::Out, hop, middle)?;
                children.extend(first);
                (entry, children)
            }
        };
        let caller = self.caller(peer, chain)?;
        let subject = Subject { peer, chain, entry, caller, children };
        subject.wait()?;
        Ok(subject)
    }

    fn caller(&self, peer: Peer, chain: Chain) -> Result<Option<Caller>> {
        Ok(match (chain, peer) {
            (Chain::Plain | Chain::Pair(_), _) => None,
            (Chain::Tls, Peer::Updraft) => Some(authority::caller(&self.authority)?),
            (Chain::Tls, _) => Some(certificates::caller(&self.folder)?),
        })
    }

    fn one(
        &self,
        peer: Peer,
        side: Side,
        hop: Hop,
        upstream: SocketAddr,
    ) -> Result<(SocketAddr, Vec<Child>)> {
        let listen = free_address()?;
        let (program, arguments) = match peer {
            Peer::Direct => bail!("no proxy"),
            Peer::Nginx if side == Side::Out && hop == Hop::H2 => {
                bail!("nginx speaks no HTTP/2 to an upstream")
            }
            Peer::Nginx | Peer::Haproxy => {
                let file = self.configuration(peer, side, hop, listen, upstream)?;
                let flags: &[&str] = if peer == Peer::Nginx { &["-c"] } else { &["-db", "-f"] };
                let words = flags.iter().map(|flag| (*flag).to_owned()).chain([file]);
                (PathBuf::from(peer.word()), words.collect())
            }
            Peer::Updraft | Peer::Policies => {
                let program = self.updraft.clone().context("no program was given")?;
                let file = self.configuration(peer, side, hop, listen, upstream)?;
                (program, vec!["gateway".to_owned(), "--config".to_owned(), file])
            }
            Peer::Pingora | Peer::Floor => {
                let folder = self.folder.display().to_string();
                let (side, hop) = (format!("{side:?}").to_lowercase(), hop.word().to_owned());
                let addresses = [listen.to_string(), upstream.to_string()];
                let words = [peer.word().to_owned(), side, hop].into_iter().chain(addresses);
                (self.own.clone(), words.chain([folder]).collect::<Vec<_>>())
            }
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = self.folder.join(format!("{}-{}.log", peer.word(), listen.port()));
        let mut child = Child::start(PROXY, &program, &arguments, log)?;
        child.wait_for(listen)?;
        Ok((listen, vec![child]))
    }

    /// Fills in a template; where the file is.
    fn configuration(
        &self,
        peer: Peer,
        side: Side,
        hop: Hop,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<String> {
        let template = template(peer, side)?;
        let text = |path: &Path| path.display().to_string();
        let filled = template
            .replace("@LISTEN@", &listen.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@ADMIN@", &free_address()?.to_string())
            .replace("@FOLDER@", &text(&self.folder))
            .replace("@ALPN@", hop.alpn())
            .replace("@HOP@", hop.word())
            .replace("@ISSUER@", &text(&self.authority));
        let file = self.folder.join(format!("{}-{}.conf", peer.word(), listen.port()));
        fs::write(&file, filled)?;
        Ok(text(&file))
    }
}

fn template(peer: Peer, side: Side) -> Result<&'static str> {
    Ok(match (peer, side) {
        (Peer::Nginx, Side::Plain) => include_str!("../peers/nginx-plain.conf"),
        (Peer::Nginx, Side::Out) => include_str!("../peers/nginx-out.conf"),
        (Peer::Nginx, Side::In) => include_str!("../peers/nginx-in.conf"),
        (Peer::Haproxy, Side::Plain) => include_str!("../peers/haproxy-plain.cfg"),
        (Peer::Haproxy, Side::Out) => include_str!("../peers/haproxy-out.cfg"),
        (Peer::Haproxy, Side::In) => include_str!("../peers/haproxy-in.cfg"),
        (Peer::Updraft, Side::Plain) => include_str!("../peers/updraft-plain.toml"),
        (Peer::Updraft, Side::Out) => include_str!("../peers/updraft-out.toml"),
        (Peer::Updraft, Side::In) => include_str!("../peers/updraft-in.toml"),
        (Peer::Policies, Side::Plain) => include_str!("../peers/updraft-policies.toml"),
        _ => bail!("there is no such configuration"),
    })
}

#[cfg(test)]
mod tests {
    use updraft_system::mesh::GatewayConfig;

    use super::*;

    #[test]
    fn what_updraft_is_given_is_a_configuration_of_a_gateway() {
        let sides = [Side::Plain, Side::Out, Side::In].map(|side| (Peer::Updraft, side));
        let address = free_address().unwrap();
        let place = Place {
            folder: std::env::temp_dir(),
            upstream: address,
            own: PathBuf::new(),
            updraft: None,
            authority: PathBuf::from("/run/authority.sock"),
        };
        for (peer, side) in sides.into_iter().chain([(Peer::Policies, Side::Plain)]) {
            let file = place.configuration(peer, side, Hop::H2, address, address).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            fs::remove_file(file).unwrap();
            if let Err(error) = toml::from_str::<GatewayConfig>(&text) {
                panic!("{peer:?} {side:?}: {error}");
            }
        }
    }
}
