//! The relay between two ends that are played by the test.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use updraft_system::mesh::Share;

use super::super::{Existing, Filter, Instrument, Manner, Patience, Setting, Target, What, When};
use super::*;

/// A client and a server with a relay between them.
struct Pair {
    instrument: Arc<Instrument>,
    client: DuplexStream,
    server: DuplexStream,
    relay: JoinHandle<Result<Relayed, RelayError>>,
}

fn pair(protocol: Protocol) -> Pair {
    pair_of(&Instrument::new("shop-db"), protocol)
}

fn pair_of(instrument: &Arc<Instrument>, protocol: Protocol) -> Pair {
    let (client, inner_client) = duplex(64 * 1024);
    let (server, inner_server) = duplex(64 * 1024);
    let connection = instrument.open();
    let relay = tokio::spawn(async move {
        relay(inner_client, inner_server, protocol, &connection, RelayLimits::default()).await
    });
    Pair { instrument: Arc::clone(instrument), client, server, relay }
}

impl Pair {
    async fn ask(&mut self, bytes: &str) {
        self.client.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, bytes: &str) {
        self.server.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn server_gets(&mut self, expected: &str) {
        assert_eq!(read(&mut self.server, expected.len()).await, expected);
    }

    async fn client_gets(&mut self, expected: &str) {
        assert_eq!(read(&mut self.client, expected.len()).await, expected);
    }

    async fn end(self) -> End {
        drop((self.client, self.server));
        self.relay.await.unwrap().unwrap().end
    }
}

async fn read(stream: &mut DuplexStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A wait that ends, before a relay takes it for idleness.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1000), future).await.unwrap()
}

/// Whether nothing comes within ten minutes, on a clock that the test owns.
async fn silent(stream: &mut DuplexStream) -> bool {
    tokio::time::timeout(Duration::from_secs(600), stream.read_u8()).await.is_err()
}

fn hold(on: Direction, target: Target) -> Setting {
    Setting::Hold { on, target, patience: Patience::UntilReleased }
}

fn cut(when: When, target: Target) -> Setting {
    Setting::Cut { when, target, manner: Manner::Close }
}

#[tokio::test(start_paused = true)]
async fn a_held_reply_keeps_its_place() {
    let mut pair = pair(Protocol::Redis);
    let target = Target::matching(Filter::asking("get b").unwrap()).at_most(1);
    pair.instrument.set(hold(Direction::Response, target));
    pair.ask("GET a\r\nGET b\r\nGET c\r\n").await;
    pair.server_gets("GET a\r\nGET b\r\nGET c\r\n").await;
    pair.answer("+A\r\n+B\r\n+C\r\n").await;
    pair.client_gets("+A\r\n").await;
    soon(pair.instrument.until_held(1)).await;
    assert!(silent(&mut pair.client).await);
    assert_eq!(pair.instrument.counts().held_now, 1);
    // The other way is open.
    pair.ask("GET b\r\n").await;
    pair.server_gets("GET b\r\n").await;
    assert_eq!(pair.instrument.release(), 1);
    pair.client_gets("+B\r\n+C\r\n").await;
    pair.answer("+B\r\n").await;
    pair.client_gets("+B\r\n").await;
    assert_eq!(pair.instrument.counts().held_now, 0);
    assert_eq!(pair.end().await, End::Finished);
}

#[tokio::test(start_paused = true)]
async fn replies_are_released_one_at_a_time() {
    let mut pair = pair(Protocol::Redis);
    pair.instrument.set(hold(Direction::Response, Target::whole().after(1)));
    pair.ask("A\r\nB\r\nC\r\n").await;
    pair.answer("+A\r\n+B\r\n+C\r\n").await;
    pair.client_gets("+A\r\n").await;
    for reply in ["+B\r\n", "+C\r\n"] {
        soon(pair.instrument.until_held(1)).await;
        assert!(silent(&mut pair.client).await);
        assert!(pair.instrument.release_next());
        pair.client_gets(reply).await;
    }
    assert!(!pair.instrument.release_next());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_setting_lets_go() {
    let mut pair = pair(Protocol::Redis);
    for on in [Direction::Request, Direction::Response] {
        pair.instrument.set(hold(on, Target::whole()));
        pair.ask("A\r\n").await;
        if on == Direction::Response {
            pair.server_gets("A\r\n").await;
            pair.answer("+A\r\n").await;
        }
        soon(pair.instrument.until_held(1)).await;
        assert!(silent(&mut pair.client).await);
        pair.instrument.set(Setting::Pass);
        if on == Direction::Request {
            pair.server_gets("A\r\n").await;
            pair.answer("+A\r\n").await;
        }
        pair.client_gets("+A\r\n").await;
    }
    assert_eq!(pair.instrument.counts().held, 2);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let mut pair = pair(Protocol::Redis);
    let patience = Patience::For(Duration::from_secs(5));
    let setting = Setting::Hold { on: Direction::Request, target: Target::whole(), patience };
    pair.instrument.set(setting);
    let before = tokio::time::Instant::now();
    pair.ask("A\r\n").await;
    pair.server_gets("A\r\n").await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn each_cut_comes_at_its_moment() {
    for (when, server, client) in [
        (When::BeforeRequest, "A\r\n", "+A\r\n"),
        (When::AfterRequest, "A\r\nB\r\n", "+A\r\n"),
        (When::BeforeResponse, "A\r\nB\r\n", "+A\r\n"),
        (When::MidResponse { after: 3 }, "A\r\nB\r\n", "+A\r\n+BB"),
        (When::MidResponse { after: 99 }, "A\r\nB\r\n", "+A\r\n+BB\r"),
    ] {
        let mut pair = pair(Protocol::Redis);
        pair.instrument.set(cut(when, Target::matching(Filter::asking("B").unwrap())));
        pair.ask("A\r\n").await;
        pair.server_gets("A\r\n").await;
        pair.answer("+A\r\n").await;
        pair.client_gets("+A\r\n").await;
        pair.ask("B\r\n").await;
        if server.ends_with("B\r\n") {
            pair.server_gets("B\r\n").await;
            pair.server.write_all(b"+BB\r\n").await.unwrap();
        }
        let mut rest = String::from("+A\r\n");
        pair.client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, client, "{when:?}");
        assert_eq!(pair.server.read(&mut [0]).await.unwrap(), 0, "{when:?}");
        assert_eq!(pair.instrument.counts().cut, 1);
        assert_eq!(pair.end().await, End::Cut, "{when:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_now_takes_what_is_held_and_what_is_idle() {
    let instrument = Instrument::new("shop-db");
    instrument.set(hold(Direction::Request, Target::whole()));
    let mut held = pair_of(&instrument, Protocol::Redis);
    let mut idle = pair_of(&instrument, Protocol::Redis);
    held.ask("A\r\n").await;
    soon(instrument.until_held(1)).await;
    instrument.set(cut(When::Now { refuse: false }, Target::whole()));
    for pair in [&mut held, &mut idle] {
        assert_eq!(pair.server.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(pair.client.read(&mut [0]).await.unwrap(), 0);
    }
    let mut later = pair_of(&instrument, Protocol::Redis);
    later.ask("A\r\n").await;
    later.server_gets("A\r\n").await;
    instrument.set(cut(When::Now { refuse: true }, Target::whole()));
    let mut refused = pair_of(&instrument, Protocol::Redis);
    assert_eq!(refused.client.read(&mut [0]).await.unwrap(), 0);
    for pair in [held, idle, later, refused] {
        assert_eq!(pair.end().await, End::Cut);
    }
    let counts = instrument.counts();
    assert_eq!((counts.cut, counts.held_now), (4, 0));
    assert_eq!((counts.connections_open, counts.connections_total), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_stall_lets_no_byte_pass_and_keeps_the_connection() {
    let mut pair = pair(Protocol::Redis);
    pair.ask("GET a\r\n").await;
    pair.server_gets("GET a\r\n").await;
    pair.answer("$4\r\nab").await;
    // The head alone is too short to be told: nothing has passed yet.
    let stall = |on| Setting::Stall { on, target: Target::whole() };
    pair.instrument.set(stall(None));
    pair.answer("cd\r\n").await;
    pair.ask("GET b\r\n").await;
    assert!(silent(&mut pair.client).await);
    assert!(silent(&mut pair.server).await);
    pair.instrument.set(stall(Some(Direction::Response)));
    pair.server_gets("GET b\r\n").await;
    assert!(silent(&mut pair.client).await);
    pair.instrument.set(Setting::Pass);
    pair.client_gets("$4\r\nabcd\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_comes_in_the_middle_of_a_message_too() {
    let mut pair = pair(Protocol::Redis);
    let part = "x".repeat(1000);
    pair.ask("GET a\r\n").await;
    pair.answer(&format!("$2000\r\n{part}")).await;
    pair.client_gets(&format!("$2000\r\n{part}")).await;
    pair.instrument.set(Setting::Stall { on: None, target: Target::whole() });
    pair.answer(&format!("{part}\r\n")).await;
    assert!(silent(&mut pair.client).await);
    pair.instrument.set(Setting::Pass);
    pair.client_gets(&format!("{part}\r\n")).await;
}

#[tokio::test(start_paused = true)]
async fn one_message_stalls_its_connection_and_no_other() {
    let instrument = Instrument::new("shop-db");
    let target = Target::matching(Filter::asking("SLOW").unwrap());
    instrument.set(Setting::Stall { on: None, target });
    let mut slow = pair_of(&instrument, Protocol::Redis);
    let mut quick = pair_of(&instrument, Protocol::Redis);
    slow.ask("A\r\nSLOW\r\n").await;
    slow.server_gets("A\r\n").await;
    assert!(silent(&mut slow.server).await);
    slow.answer("+A\r\n").await;
    assert!(silent(&mut slow.client).await);
    quick.ask("A\r\n").await;
    quick.server_gets("A\r\n").await;
    instrument.set(Setting::Pass);
    slow.server_gets("SLOW\r\n").await;
    slow.client_gets("+A\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_that_long_and_of_that_share() {
    let mut pair = pair(Protocol::Redis);
    let delay = |share| Setting::Delay {
        on: Some(Direction::Response),
        target: Target::whole(),
        by: Duration::from_millis(100),
        jitter: Duration::from_millis(50),
        share: Share::percent(share),
        seed: 7,
    };
    for (share, late) in [(0, 0..=0), (50, 70..=130), (100, 200..=200)] {
        pair.instrument.set(delay(share));
        let mut delayed = 0;
        for _ in 0..200 {
            let before = tokio::time::Instant::now();
            pair.ask("A\r\n").await;
            pair.server_gets("A\r\n").await;
            assert_eq!(before.elapsed(), Duration::ZERO);
            pair.answer("+A\r\n").await;
            pair.client_gets("+A\r\n").await;
            let taken = before.elapsed();
            delayed += u32::from(taken > Duration::ZERO);
            let fair = Duration::from_millis(100)..=Duration::from_millis(151);
            assert!(taken.is_zero() || fair.contains(&taken), "{taken:?}");
        }
        assert!(late.contains(&delayed), "{share} % gave {delayed} of 200");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_came_together_wait_together() {
    let mut pair = pair(Protocol::Redis);
    pair.instrument.set(Setting::Delay {
        on: None,
        target: Target::whole(),
        by: Duration::from_secs(1),
        jitter: Duration::ZERO,
        share: Share::percent(100),
        seed: 0,
    });
    let before = tokio::time::Instant::now();
    pair.ask("A\r\nB\r\nC\r\n").await;
    pair.server_gets("A\r\nB\r\nC\r\n").await;
    assert!(before.elapsed() < Duration::from_millis(1100), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_half_close_is_passed_on_and_the_rest_has_time() {
    let mut pair = pair(Protocol::Opaque);
    pair.ask("last words").await;
    pair.client.shutdown().await.unwrap();
    let mut all = String::new();
    pair.server.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "last words");
    tokio::time::sleep(Duration::from_secs(20)).await;
    pair.answer("still here").await;
    pair.client_gets("still here").await;
    let before = tokio::time::Instant::now();
    assert_eq!(pair.client.read(&mut [0]).await.unwrap(), 0);
    assert!(before.elapsed() >= Duration::from_secs(30), "{:?}", before.elapsed());
    assert_eq!(pair.end().await, End::Idle);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_never_idle() {
    let mut pair = pair(Protocol::Redis);
    pair.instrument.set(hold(Direction::Response, Target::whole()));
    pair.ask("A\r\n").await;
    pair.answer("+A\r\n").await;
    soon(pair.instrument.until_held(1)).await;
    tokio::time::sleep(Duration::from_secs(3 * 86_400)).await;
    pair.instrument.release();
    pair.client_gets("+A\r\n").await;
    tokio::time::sleep(Duration::from_secs(7300)).await;
    assert_eq!(pair.end().await, End::Idle);
}

#[tokio::test]
async fn bytes_of_another_protocol_end_the_connection() {
    let mut pair = pair(Protocol::Postgres);
    pair.ask("GET / HTTP/1.1\r\n\r\n").await;
    let error = pair.relay.await.unwrap().unwrap_err();
    assert!(matches!(error, RelayError::Malformed { direction: Direction::Request, .. }));
    assert_eq!(pair.instrument.counts().malformed, 1);
    assert_eq!(pair.server.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_beginning_of_a_message_is_passed_on_at_the_end() {
    let mut pair = pair(Protocol::Redis);
    pair.ask("A\r\n*2\r\n$3").await;
    pair.client.shutdown().await.unwrap();
    let mut all = String::new();
    pair.server.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "A\r\n*2\r\n$3");
}

#[tokio::test(start_paused = true)]
async fn events_tell_a_timeline() {
    let instrument = Instrument::new("shop-db");
    let mut events = instrument.events(100);
    let mut pair = pair_of(&instrument, Protocol::Redis);
    instrument.set(hold(Direction::Response, Target::whole()));
    pair.ask("GET a\r\n").await;
    pair.server_gets("GET a\r\n").await;
    pair.answer("$1\r\nx\r\n").await;
    soon(instrument.until_held(1)).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    instrument.release();
    pair.client_gets("$1\r\nx\r\n").await;
    pair.end().await;
    let mut seen = Vec::new();
    while let Some(event) = events.try_next() {
        assert_eq!(&*event.edge, "shop-db");
        assert_eq!(event.connection.get(), 1);
        let kind = event.message.map_or("", |message| message.kind);
        let what = match event.what {
            What::Passed { bytes, since } => {
                let took = event.at.duration_since(since).as_secs();
                format!("passed {bytes} after {took} s")
            }
            other => format!("{other:?}"),
        };
        seen.push(format!("{what} {kind}"));
    }
    assert_eq!(
        seen,
        [
            "Opened ",
            "passed 7 after 0 s inline command",
            "Held bulk string",
            "Released bulk string",
            "passed 7 after 9 s bulk string",
            "Closed ",
        ]
    );
    let counts = instrument.counts();
    assert_eq!((counts.messages_to_server, counts.bytes_to_server), (1, 7));
    assert_eq!((counts.messages_to_client, counts.bytes_to_client), (1, 7));
    assert_eq!(counts.kinds["bulk string"].messages, 1);
}

#[tokio::test]
async fn a_slow_listener_misses_events_and_slows_nobody() {
    let instrument = Instrument::new("shop-db");
    let mut events = instrument.events(3);
    for _ in 0..5 {
        drop(instrument.open());
    }
    assert_eq!(events.missed(), 7);
    assert_eq!(std::iter::from_fn(|| events.try_next()).count(), 3);
    drop(events);
    drop(instrument.open());
    assert!(instrument.is_off());
}

#[tokio::test(start_paused = true)]
async fn a_swap_is_for_new_connections_and_cuts_old_ones_if_asked() {
    let (chosen, other) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    for existing in [Existing::Finish, Existing::Cut] {
        let instrument = Instrument::new("shop-db");
        assert_eq!(instrument.open().destination(chosen), chosen);
        let mut old = pair_of(&instrument, Protocol::Redis);
        instrument.set(Setting::Swap { to: other, existing });
        assert_eq!(instrument.open().destination(chosen), other);
        if existing == Existing::Finish {
            old.ask("A\r\n").await;
            old.server_gets("A\r\n").await;
            assert_eq!(old.end().await, End::Finished);
        } else {
            assert_eq!(old.client.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(old.end().await, End::Cut);
        }
        assert_eq!(instrument.counts().diverted, 1);
        instrument.set(Setting::Pass);
        assert_eq!(instrument.open().destination(chosen), chosen);
    }
}
