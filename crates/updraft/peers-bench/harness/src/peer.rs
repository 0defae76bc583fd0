//! The peers as processes: where their programs are, and how each is started.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use updraft_measure::child::{Child, PROXY, free_address};
use updraft_measure::loader::request;

/// A peer, or one way to run it.
#[derive(Clone, Copy)]
pub struct Peer {
    pub title: &'static str,
    /// The package of its program.
    pub package: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

/// In the order of the tables. The first is what the others are compared with.
pub const PEERS: &[Peer] = &[
    Peer { title: "axum, bare", package: "peer-axum-bare", arguments: &[], variables: &[] },
    Peer {
        title: "**updraft**",
        package: "peer-chassis",
        arguments: &["web"],
        // The others have no bound, and what is measured holds 10,000.
        variables: &[("MAX_CONNECTIONS", "20000")],
    },
    Peer {
        title: "axum, glued: log and metrics",
        package: "peer-axum-glued",
        arguments: &[],
        variables: &[],
    },
    Peer {
        title: "axum, glued: log, metrics and traces",
        package: "peer-axum-glued",
        arguments: &[],
        variables: &[("OTLP", "1")],
    },
    Peer {
        title: "actix-web, log and metrics",
        package: "peer-actix",
        arguments: &[],
        variables: &[],
    },
    Peer { title: "poem, log", package: "peer-poem", arguments: &[], variables: &[] },
    Peer { title: "loco, log", package: "peer-loco", arguments: &[], variables: &[] },
];

/// What the peers need.
pub struct Place {
    folder: PathBuf,
    programs: PathBuf,
}

impl Place {
    /// Makes the rows that all peers read; their programs are beside this one.
    pub fn prepare(folder: &Path) -> Result<Self> {
        let own = std::env::current_exe()?;
        let programs = own.parent().context("a program is in a folder")?.to_owned();
        for peer in PEERS {
            let program = programs.join(peer.package);
            ensure!(program.exists(), "{} is not built: cargo build --release", program.display());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(items::make(&folder.join("items.db")))?;
        Ok(Self { folder: folder.to_owned(), programs })
    }

    pub fn program(&self, peer: Peer) -> PathBuf {
        self.programs.join(peer.package)
    }

    /// Starts a peer and waits for nothing.
    pub fn start(&self, peer: Peer) -> Result<(Child, SocketAddr)> {
        let address = free_address()?;
        let items = self.folder.join("items.db");
        let mut words: Vec<String> = vec![
            format!("PORT={}", address.port()),
            format!("ITEMS={}", items.display()),
            format!("ITEMS_URL=sqlite://{}", items.display()),
            format!(
                "LOCO_CONFIG_FOLDER={}",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../loco/config")
            ),
        ];
        words.extend(peer.variables.iter().map(|(name, value)| format!("{name}={value}")));
        words.push(self.program(peer).display().to_string());
        words.extend(peer.arguments.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let log = self.folder.join(format!("{}.log", peer.package));
        Ok((Child::start(PROXY, Path::new("env"), &words, log)?, address))
    }
}

/// Whether this is answered with 200: a peer may listen before it has what it answers from.
pub fn is_answered(address: SocketAddr, path: &str) -> bool {
    let once = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&request(path))?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    once().unwrap_or_default()
}
