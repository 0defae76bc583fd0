//! A writer that is killed at any moment leaves the old state or the new one.
//!
//! `UPDRAFT_CRASH_POINTS=1000 cargo nextest run -p updraft-release killed` does it a thousand
//! times; `UPDRAFT_CRASH_SEED` repeats the moments of a run that failed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fixture::{SHOP, Shop, author, builds, changes, name, number, store_in};

/// Tells the writer where to write.
const FOLDER: &str = "UPDRAFT_CRASH_FOLDER";
/// How many moments are tried where nobody says otherwise.
const POINTS: u32 = 60;
/// After so many kills a new store is begun.
const KILLS_OF_A_STORE: u32 = 30;
/// The writer is killed within so much time after its first word.
const KILLED_WITHIN_US: u64 = 30_000;

/// What the writer has said it did.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    version: u64,
    release: u64,
    current: u64,
}

/// The writer: a test of its own, so that the test program is its program. Alone it does nothing.
#[test]
fn a_writer_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut shop = Shop::new();
    shop.store = store_in(Path::new(&folder));
    let mut out = std::io::stdout();
    let mut say = |word: &str, number: u64| writeln!(out, "SAID {word} {number}").unwrap();
    for round in 0_u64.. {
        if round.is_multiple_of(8) {
            let rate = format!("{}.{}", std::process::id(), round);
            let set = changes(&[("pricing.RATE", &rate)], &[]);
            let configured =
                shop.store.configure(&name("production"), &shop.system, &set, &author(1));
            say("version", configured.unwrap().snapshot.unwrap().version.get());
        }
        // Most of the time nothing is encrypted: it is files that are of interest.
        let mut new = shop.new_release("local", "one");
        new.manifest = format!("{}# {} {round}\n", required_by_nobody(), std::process::id());
        new.builds = builds(&round.to_string(), &["orders"]);
        let release = shop.store.append(new, &author(2)).unwrap();
        say("release", release.number.get());
        shop.store.set_current(release.number).unwrap();
        say("current", release.number.get());
    }
}

fn required_by_nobody() -> &'static str {
    "system = \"shop\"\n[service.orders]\nrun = \"orders\"\n"
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_state_or_the_new_one() {
    let variable = |name| std::env::var(name).ok().and_then(|it| it.parse().ok());
    let points = variable("UPDRAFT_CRASH_POINTS").map_or(POINTS, |it| u32::try_from(it).unwrap());
    let seed = variable("UPDRAFT_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("UPDRAFT_CRASH_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut folder, mut said) = (tempfile::tempdir().unwrap(), Said::default());
    for point in 0..points {
        if point.is_multiple_of(KILLS_OF_A_STORE) {
            finish(&folder, said);
            (folder, said) = (tempfile::tempdir().unwrap(), Said::default());
        }
        let within = Duration::from_micros(chance.u64(..KILLED_WITHIN_US));
        said = killed(folder.path(), said, within);
        said = sound(folder.path(), said);
    }
    finish(&folder, said);
}

/// Lets a writer write and kills it; what it has said by then.
fn killed(folder: &Path, mut said: Said, within: Duration) -> Said {
    // What it has for itself, which nobody removes once it is killed.
    let own = tempfile::tempdir().unwrap();
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_writer_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env("TMPDIR", own.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let out = BufReader::new(writer.stdout.take().unwrap());
    let (send, words) = sync_channel(1024);
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if let Some((_, word)) = line.split_once("SAID ") {
                send.send(word.to_owned()).unwrap();
            }
        }
    });
    let mut take = |word: String| {
        let (what, number) = word.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        match what {
            "version" => said.version = number,
            "release" => said.release = number,
            _ => said.current = number,
        }
    };
    take(words.recv().expect("the writer ended by itself"));
    let deadline = Instant::now() + within;
    loop {
        match words.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(word) => take(word),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the writer ended by itself"),
        }
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    reader.join().unwrap();
    words.iter().for_each(take);
    said
}

/// Everything that was said is there, at most one step more, and nothing is half; what is there.
fn sound(folder: &Path, said: Said) -> Said {
    let store = store_in(folder);
    assert_eq!(store.verify().unwrap(), [], "{said:?}");
    let listing = store.list(None).unwrap();
    let newest = listing.releases.first().map_or(0, |it| it.number.get());
    assert_eq!(listing.releases.len() as u64, newest, "no number is left out");
    assert!((said.release..=said.release + 1).contains(&newest), "{said:?}, {newest}");
    let current = store.current(&name("local")).unwrap().map_or(0, |it| it.number.get());
    // The pointer may be one step ahead of what was said, and never ahead of the releases.
    let in_step = current == said.current || (current == said.release && current <= newest);
    assert!(in_step, "{said:?}, {current}");
    let values = updraft_system::parse_manifest(SHOP).unwrap();
    let set = store.settings(&name("production"), &values).unwrap();
    assert!(said.version == 0 || set.iter().any(|it| it.setting == "pricing.RATE"));
    Said { release: newest, current, ..said }
}

/// The next writer finds everything in order, and clears away what the killed ones have left.
fn finish(folder: &TempDir, said: Said) {
    if said.release == 0 {
        return;
    }
    let mut shop = Shop::new();
    shop.store = store_in(folder.path());
    let mut new = shop.new_release("local", "last");
    new.builds = builds("last", &["orders"]);
    new.manifest = required_by_nobody().to_owned();
    let release = shop.store.append(new, &author(3)).unwrap();
    assert_eq!(release.number, number(said.release + 1));
    let count =
        |part: &str| shop.files().iter().filter(|it| it.to_string_lossy().contains(part)).count();
    assert_eq!(count("/draft"), 0, "the draft of a killed writer");
    assert_eq!(count("/manifests/"), count("/records/"), "manifests of no release");
}
