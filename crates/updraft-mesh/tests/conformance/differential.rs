//! The corpus of requests through the gateway, nginx and HAProxy as plain reverse proxies,
//! each with a recorder behind it for each request. What the gateway lets through is read in
//! one way by all who come after it: by the strict reader of these tests, by a second one that
//! is as lenient as old servers are, by Python's `http.server`, and by nginx as the next hop.

mod corpus;
mod readers;
mod recorder;
mod rivals;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use updraft_mesh::{Gateway, Options};

use crate::support::DEADLINE;
use crate::support::mesh::port;
use crate::support::message::{Message, Unframed};
use corpus::{Entry, Verdict};
use recorder::Recorder;

/// Requests that are under way at once.
const AT_ONCE: usize = 24;
/// After so much silence nothing more is expected: there is no other end to wait for where a
/// proxy waits for the rest of a request. Answers that must come are waited for longer.
const SILENCE: Duration = Duration::from_millis(400);

/// What is right and what nginx 1.22 answers with 400: the target `*`.
const REFUSED_BY_NGINX: &[&str] = &["line_fine_options_star"];

/// What became of one entry at one proxy.
#[derive(Clone, Debug, Default)]
struct Fate {
    /// What reached the recorder, by connection.
    forwarded: Vec<Vec<u8>>,
    /// Statuses of the answers.
    answers: Vec<u16>,
}

/// How an entry ended at a proxy, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Forwarded,
    Refused,
    Closed,
}

impl Fate {
    fn end(&self) -> End {
        if self.messages().iter().any(Result::is_ok) {
            End::Forwarded
        } else if self.answers.iter().any(|status| *status >= 400) {
            End::Refused
        } else {
            End::Closed
        }
    }

    /// The whole requests that were forwarded, as the strict reader sees them.
    fn messages(&self) -> Vec<Result<Message, String>> {
        self.forwarded.iter().flat_map(|bytes| readers::strict(bytes)).collect()
    }

    fn whole(&self) -> Vec<Message> {
        self.messages().into_iter().flatten().collect()
    }
}

/// Ports of a proxy, one for each entry.
struct Ports {
    addresses: Vec<SocketAddr>,
    _held: Vec<TcpSocket>,
}

impl Ports {
    fn new(count: usize) -> Self {
        let (addresses, held) = (0..count).map(|_| port()).unzip();
        Self { addresses, _held: held }
    }
}

/// More files at once than a shell allows by default.
fn raise_the_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Sends each entry to its own port and sees what comes of it. `sure`: as many answers come
/// as the corpus says.
async fn fates(
    entries: &[Entry],
    ports: &[SocketAddr],
    recorders: &[Recorder],
    sure: bool,
) -> Vec<Fate> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (index, (entry, port)) in entries.iter().zip(ports).enumerate() {
        let (places, port, raw) =
            (Arc::clone(&places), *port, entry.bytes(&format!("cart.p{index}.shop.updraft")));
        let (cut, recorder) = (entry.cut, recorders[index].clone());
        let least = if sure { entry.answers() } else { 0 };
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let answers = converse(port, &raw, cut, least).await;
            recorder.is_quiet().await;
            (index, Fate { forwarded: recorder.bytes(), answers })
        });
    }
    let mut fates = vec![Fate::default(); entries.len()];
    for (index, fate) in running.join_all().await {
        fates[index] = fate;
    }
    fates
}

/// The statuses that come back, of which there must be so many.
async fn converse(port: SocketAddr, raw: &[u8], cut: bool, least: usize) -> Vec<u16> {
    let mut stream = TcpStream::connect(port).await.unwrap();
    // A proxy that has refused already need not take the rest.
    drop(timeout(SILENCE * 4, stream.write_all(raw)).await);
    if cut {
        drop(stream.shutdown().await);
    }
    let mut text = Vec::new();
    loop {
        let patience = if statuses(&text).len() < least { DEADLINE / 4 } else { SILENCE };
        match timeout(patience, stream.read_buf(&mut text)).await {
            Ok(Ok(1..)) => {}
            _ => return statuses(&text),
        }
    }
}

fn statuses(text: &[u8]) -> Vec<u16> {
    let (mut statuses, mut rest) = (Vec::new(), text);
    while let Ok((answer, used)) = Message::response(rest, false, Unframed::Rest) {
        statuses.push(answer.status());
        rest = &rest[used..];
    }
    statuses
}

async fn recorders(count: usize) -> Vec<Recorder> {
    let mut recorders = Vec::with_capacity(count);
    for _ in 0..count {
        recorders.push(Recorder::start().await);
    }
    recorders
}

fn addresses(recorders: &[Recorder]) -> Vec<SocketAddr> {
    recorders.iter().map(|recorder| recorder.address).collect()
}

/// A gateway with an edge for each of `endpoints`.
fn gateway(ports: &Ports, endpoints: &[SocketAddr]) -> Gateway {
    let mut text = "system = \"shop\"\n[limits]\nupstream_idle = \"200ms\"\n".to_owned();
    for (index, (port, endpoint)) in ports.addresses.iter().zip(endpoints).enumerate() {
        text.push_str(&format!(
            "[[edges]]\nfrom = \"cart\"\nto = \"p{index}\"\nlisten = \"{port}\"\n\
             calls = {{ retry = {{ attempts = 1 }} }}\n\
             [clusters.p{index}]\nendpoints = [{{ address = \"{endpoint}\" }}]\n"
        ));
    }
    Gateway::start(&toml::from_str(&text).unwrap(), Options::default()).unwrap()
}

fn tell(name: &str, entries: &[Entry], fates: &[Fate]) {
    let mut ends: BTreeMap<(Verdict, End), usize> = BTreeMap::new();
    for (entry, fate) in entries.iter().zip(fates) {
        *ends.entry((entry.verdict, fate.end())).or_default() += 1;
    }
    let of = |verdict| {
        let count = |end| ends.get(&(verdict, end)).copied().unwrap_or_default();
        format!(
            "{:>5} /{:>4} /{:>4}",
            count(End::Forwarded),
            count(End::Refused),
            count(End::Closed)
        )
    };
    println!(
        "{name:<8} | reject {} | forward {} | cut {}",
        of(Verdict::Reject),
        of(Verdict::Forward),
        of(Verdict::Cut)
    );
}

/// What is compared of two readings of a request.
fn gist(message: &Message) -> (String, Vec<u8>) {
    let (line, _) = message.start.rsplit_once(' ').unwrap();
    (line.to_owned(), message.body.clone())
}

#[tokio::test]
async fn what_the_gateway_forwards_is_read_in_one_way_by_all() {
    raise_the_limit_of_files();
    let entries = corpus::entries();
    let count = entries.len();
    assert!(count >= 320, "{count}");

    let (ports, behind) = (Ports::new(count), recorders(count).await);
    let mesh = gateway(&ports, &addresses(&behind));
    let ours = fates(&entries, &ports.addresses, &behind, true).await;
    drop(mesh);

    // The same with nginx as the next hop.
    let (ports, hops, behind) = (Ports::new(count), Ports::new(count), recorders(count).await);
    let next = rivals::nginx(&hops.addresses, &addresses(&behind)).await;
    let mesh = gateway(&ports, &hops.addresses);
    let twice = fates(&entries, &ports.addresses, &behind, true).await;
    drop((mesh, next));

    let (ports, behind) = (Ports::new(count), recorders(count).await);
    let nginx = rivals::nginx(&ports.addresses, &addresses(&behind)).await;
    let by_nginx = fates(&entries, &ports.addresses, &behind, false).await;
    drop(nginx);

    let (ports, behind) = (Ports::new(count), recorders(count).await);
    let haproxy = rivals::haproxy(&ports.addresses, &addresses(&behind)).await;
    let by_haproxy = fates(&entries, &ports.addresses, &behind, false).await;
    drop(haproxy);

    println!("proxy    | by verdict of the corpus: forwarded / refused / closed");
    tell("gateway", &entries, &ours);
    tell("nginx", &entries, &by_nginx);
    tell("haproxy", &entries, &by_haproxy);

    let mut wrong = Vec::new();
    let python = readers::python(&ours).await;
    for (index, entry) in entries.iter().enumerate() {
        let fate = &ours[index];
        let mut note = |what: String| wrong.push(format!("{}: {what}", entry.name));
        let whole: Vec<_> = fate.whole().iter().map(gist).collect();
        let allowed = entry.seen_lines();
        for (line, _) in &whole {
            if !allowed.iter().any(|own| own.starts_with(line.as_str())) {
                note(format!("`{line}` went on, which the corpus does not list: {allowed:?}"));
            }
        }
        if entry.verdict == Verdict::Forward && whole.len() != allowed.len() {
            note(format!("{} of {} went on", whole.len(), allowed.len()));
        }
        let lenient: Vec<_> = fate.forwarded.iter().flat_map(|it| readers::lenient(it)).collect();
        if lenient != whole {
            note(format!("the lenient reader sees {lenient:?}, not {whole:?}"));
        }
        if python[index] != whole {
            note(format!("python sees {:?}, not {whole:?}", python[index]));
        }
        let mut after: Vec<_> = twice[index].whole().iter().map(gist).collect();
        let mut before = whole;
        after.sort();
        before.sort();
        if after != before && !REFUSED_BY_NGINX.contains(&entry.name.as_str()) {
            note(format!("behind nginx there is {after:?}, not {before:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}
