//! Nothing stays open. Open files are those of a process, so this runs in one of its own.

use std::future::pending;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{LIMITS, TunnelCounters, connection, relay};

/// Set for the process of its own.
const ALONE: &str = "UPDRAFT_TEST_ALONE";

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("files").count()
}

#[test]
fn no_file_stays_open() {
    let name = "tunnel::tests::files::no_file_stays_open";
    if std::env::var_os(ALONE).is_none() {
        let test = std::env::current_exe().expect("this test");
        let mut alone = Command::new(test);
        let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output();
        let output = output.expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        let before = open_files();
        for round in 0..20 {
            let (mut client, a) = connection().await;
            let (mut server, b) = connection().await;
            let counters = TunnelCounters::default();
            let burst = vec![5; 2 << 20];
            let exchange = async {
                let mut seen = vec![0; burst.len()];
                let (written, read) =
                    tokio::join!(client.write_all(&burst), server.read_exact(&mut seen));
                written.and(read.map(drop)).expect("burst");
                // The ends of it: in order, by a break, by a drain.
                match round % 3 {
                    0 => drop((client, server)),
                    1 => {
                        client.set_zero_linger().expect("linger");
                        drop((client, server));
                    }
                    _ => pending().await,
                }
            };
            let (passed, spliced) = (&counters.up, &counters.spliced);
            if round % 3 == 2 {
                let drained = std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    match passed.load(std::sync::atomic::Ordering::Relaxed) > 1 << 20 {
                        true => std::task::Poll::Ready(()),
                        false => std::task::Poll::Pending,
                    }
                });
                tokio::select! {
                    _ = relay(a, b, LIMITS, &counters, drained) => {}
                    () = exchange => {}
                }
            } else {
                tokio::join!(relay(a, b, LIMITS, &counters, pending()), exchange);
            }
            assert!(spliced.load(std::sync::atomic::Ordering::Relaxed) > 0);
        }
        assert_eq!(open_files(), before);
    });
}
