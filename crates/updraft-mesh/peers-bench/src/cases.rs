//! What is measured: loads, in rounds in which each peer has its turn, so that whatever else the
//! machine does in the meantime meets all of them; connections that are held; and handshakes.

use std::time::{Duration, Instant};

use anyhow::Result;

use updraft_measure::loader::{Load, Window};
use crate::peers::{Chain, Hop, Peer, Place, Subject, name};
use updraft_measure::report::{Table, cell, median};

/// Every load begins with this part of its window, uncounted.
const WARM: f64 = 0.2;
/// Connections that are held for the figures of memory.
const HELD: usize = 2_000;
/// Connections before them, for what a proxy allocates but once.
const FIRST: usize = 10;

const LOAD_HEAD: &[&str] = &[
    "",
    "CPU µs/request",
    "to nginx",
    "to the floor",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "added p50",
    "added p99",
];

/// How long is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub window: Duration,
    /// Handshakes in a round.
    pub handshakes: usize,
}

/// Peers that run at the same time, and what is asked of each in turn.
pub struct Group {
    peers: Vec<(Peer, Chain)>,
    cases: Vec<(String, Load)>,
}

/// Microseconds and rates of one window.
#[derive(Clone, Copy)]
struct Figures {
    processor: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

const LOST: Figures = Figures { processor: f64::NAN, rate: f64::NAN, p50: f64::NAN, p99: f64::NAN };

/// One proxy in plain.
pub fn one_hop() -> Group {
    let load = |path, connections| Load { path, connections, pace: None };
    let mut cases: Vec<(String, Load)> = [1, 8, 64, 512]
        .map(|count| (format!("One hop, 1 KiB, {}", connections(count)), load("/1k", count)))
        .into();
    cases.push(("One hop, 64 KiB, 16 connections".to_owned(), load("/64k", 16)));
    cases.push(("One hop, open loop, 2,000 requests/s on 16 connections".to_owned(), paced()));
    use Peer::{Direct, Floor, Haproxy, Nginx, Pingora, Policies, Updraft};
    let peers = [Direct, Nginx, Haproxy, Pingora, Floor, Updraft, Policies];
    Group { peers: peers.map(|peer| (peer, Chain::Plain)).into(), cases }
}

/// Two proxies with mutual TLS between them.
pub fn two_hops() -> Group {
    let mut cases = Vec::new();
    for (path, size) in [("/1k", "1 KiB"), ("/64k", "64 KiB")] {
        for count in [1, 8, 64] {
            let title = format!("Two hops by mutual TLS, {size}, {}", connections(count));
            cases.push((title, Load { path, connections: count, pace: None }));
        }
    }
    let title = "Two hops by mutual TLS, open loop, 2,000 requests/s on 16 connections";
    cases.push((title.to_owned(), paced()));
    let mut peers = vec![(Peer::Direct, Chain::Plain), (Peer::Nginx, Chain::Pair(Hop::H1))];
    for hop in [Hop::H1, Hop::H2] {
        use Peer::{Floor, Haproxy, Pingora, Updraft};
        peers.extend([Haproxy, Pingora, Floor, Updraft].map(|peer| (peer, Chain::Pair(hop))));
    }
    Group { peers, cases }
}

fn connections(count: usize) -> String {
    format!("{count} connection{}", if count == 1 { "" } else { "s" })
}

fn paced() -> Load {
    Load { path: "/1k", connections: 16, pace: Some(2_000.0) }
}

impl Group {
    /// Keeps the cases whose title is wanted.
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.cases.retain(|(title, _)| wanted(title));
        self
    }

    /// Measures; `done` gets each table when it is complete.
    pub fn measure(self, place: &Place, effort: Effort, mut done: impl FnMut(Table)) {
        if self.cases.is_empty() {
            return;
        }
        let (subjects, missing) = start(place, &self.peers);
        for (title, load) in self.cases {
            let mut rounds = vec![Vec::new(); subjects.len()];
            for _ in 0..effort.rounds {
                for (subject, figures) in subjects.iter().zip(&mut rounds) {
                    figures.push(measure(subject, load, effort.window).unwrap_or_else(|error| {
                        eprintln!("{}: {title}: {error:#}", subject.name());
                        LOST
                    }));
                }
            }
            let mut rows = rows(&subjects, &rounds);
            rows.extend(missing.iter().cloned());
            done(Table { title, head: LOAD_HEAD, rows });
        }
    }
}

type Row = (String, Vec<String>);

/// Those that run and answer, and rows for those that do not.
fn start(place: &Place, peers: &[(Peer, Chain)]) -> (Vec<Subject>, Vec<Row>) {
    let (mut subjects, mut missing) = (Vec::new(), Vec::new());
    for (peer, chain) in peers.iter().copied() {
        match place.start(peer, chain) {
            Ok(subject) => subjects.push(subject),
            Err(error) => {
                eprintln!("{}: not measured: {error:#}", name(peer, chain));
                missing.push((name(peer, chain), vec!["not measured".to_owned()]));
            }
        }
    }
    (subjects, missing)
}

fn measure(subject: &Subject, load: Load, window: Duration) -> Result<Figures> {
    let warm = window.mul_f64(WARM);
    let window: Window = load.run(subject.entry, warm, window, || subject.processor_time())?;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let processor = window.processor as f64 / 1e3 / window.requests as f64;
    Ok(Figures {
        processor: if subject.peer == Peer::Direct { f64::NAN } else { processor },
        rate: window.requests as f64 / window.elapsed.as_secs_f64(),
        p50: micros(window.percentile(50)),
        p99: micros(window.percentile(99)),
    })
}

fn rows(subjects: &[Subject], rounds: &[Vec<Figures>]) -> Vec<Row> {
    let of = |peer: Peer, chain: Option<Chain>| {
        let is = |subject: &Subject| {
            subject.peer == peer && chain.is_none_or(|chain| subject.chain == chain)
        };
        subjects.iter().position(is).map(|at| rounds[at].as_slice())
    };
    let (nginx, direct) = (of(Peer::Nginx, None), of(Peer::Direct, None));
    let row = |(subject, own): (&Subject, &Vec<Figures>)| {
        let floor = of(Peer::Floor, Some(subject.chain));
        let middle = |field: fn(&Figures) -> f64| median(own.iter().map(field));
        let added = |field: fn(&Figures) -> f64| {
            let other = direct.filter(|_| subject.peer != Peer::Direct);
            pairs(own, other, |own, other| field(own) - field(other))
        };
        let ratio = |other| pairs(own, other, |own, other| own.processor / other.processor);
        let cells = vec![
            cell(middle(|figures| figures.processor), 1),
            cell(ratio(nginx), 2),
            cell(ratio(floor), 2),
            cell(middle(|figures| figures.rate), 0),
            cell(middle(|figures| figures.p50), 0),
            cell(middle(|figures| figures.p99), 0),
            cell(added(|figures| figures.p50), 0),
            cell(added(|figures| figures.p99), 0),
        ];
        (subject.name(), cells)
    };
    subjects.iter().zip(rounds).map(row).collect()
}

/// The median of what each round gives with the same round of another.
fn pairs<T>(own: &[T], other: Option<&[T]>, of: impl Fn(&T, &T) -> f64) -> f64 {
    median(own.iter().zip(other.unwrap_or_default()).map(|(own, other)| of(own, other)))
}

const ALONE: [Peer; 5] = [Peer::Nginx, Peer::Haproxy, Peer::Pingora, Peer::Floor, Peer::Updraft];

/// Memory for each connection that is kept open after one request.
pub fn held_connections(place: &Place, title: String) -> Table {
    let of = |peer, chain| {
        memory(place, peer, chain).unwrap_or_else(|error| {
            eprintln!("{}: {title}: not measured: {error:#}", name(peer, chain));
            f64::NAN
        })
    };
    let row = |peer: Peer| {
        let figures = [Chain::Plain, Chain::Tls].map(|chain| of(peer, chain));
        (peer.name().to_owned(), figures.map(|kibibytes| cell(kibibytes, 1)).into())
    };
    let rows = ALONE.map(row).into();
    Table { title, head: &["", "plain, KiB", "mutual TLS, KiB"], rows }
}

/// KiB a connection.
fn memory(place: &Place, peer: Peer, chain: Chain) -> Result<f64> {
    let subject = place.start(peer, chain)?;
    let hold = |count| (0..count).map(|_| subject.visit()).collect::<Result<Vec<_>>>();
    let first = hold(FIRST)?;
    let before = subject.resident();
    let held = hold(HELD)?;
    let after = subject.resident();
    drop((first, held));
    Ok(after.saturating_sub(before) as f64 / 1024.0 / HELD as f64)
}

/// Processor time of a full mutual handshake and one request.
pub fn handshakes(place: &Place, effort: Effort, title: String) -> Result<Table> {
    let (subjects, missing) = start(place, &ALONE.map(|peer| (peer, Chain::Tls)));
    let mut rounds = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.rounds {
        for (subject, figures) in subjects.iter().zip(&mut rounds) {
            let (begin, used) = (Instant::now(), subject.processor_time());
            for _ in 0..effort.handshakes {
                subject.visit()?.end()?;
            }
            let micros = (subject.processor_time() - used) as f64 / 1e3;
            let each = effort.handshakes as f64;
            let rate = each / begin.elapsed().as_secs_f64();
            figures.push(Figures { processor: micros / each, rate, ..LOST });
        }
    }
    let rows = rows(&subjects, &rounds).into_iter().map(|(name, mut cells)| {
        cells.truncate(4);
        (name, cells)
    });
    let rows = rows.chain(missing).collect();
    Ok(Table {
        title,
        head: &["", "CPU µs", "to nginx", "to the floor", "one after another, 1/s"],
        rows,
    })
}
