//! What is on the disk, whatever happened to it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use updraft_engine::logs::{LogLimits, LogQuery, LogStore, read_stored};
use updraft_system::{LogLine, LogStream};

use crate::{DEADLINE, in_time, run, source, stored, texts};

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

async fn write_run(dir: &Path, limits: LogLimits, texts: impl IntoIterator<Item = String>) {
    let store = LogStore::open(dir, limits).unwrap();
    for text in texts {
        store.notice(&source("orders.web.1"), &text);
    }
    store.close(DEADLINE).await.unwrap();
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = String> {
    range.map(|number| format!("line {number}"))
}

#[tokio::test]
async fn numbers_go_on_after_earlier_runs_and_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { segment_bytes: 4 << 10, ..LogLimits::default() };
    for run in 0..5 {
        write_run(dir.path(), limits, numbers(run * 40 + 1..=run * 40 + 40)).await;
    }
    let lines = stored(dir.path(), &LogQuery::default());
    assert_eq!(texts(&lines), numbers(1..=200).collect::<Vec<_>>());
    assert_eq!(
        lines.iter().map(|line| line.seq).collect::<Vec<_>>(),
        (1..=200).collect::<Vec<_>>()
    );
    assert!(segments(dir.path()).len() > 3, "there were several segments");
    for path in segments(dir.path()) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for last in [1, 3, 39, 40, 41, 150, 200, 1000] {
        let query = LogQuery { last: Some(last), ..LogQuery::default() };
        let expected = &lines[200_usize.saturating_sub(last)..];
        assert_eq!(stored(dir.path(), &query), expected, "the last {last}");
    }
    let since = LogQuery { since: Some(lines[120].time), ..LogQuery::default() };
    assert!(stored(dir.path(), &since).len() >= 80);
    assert!(stored(dir.path(), &since).iter().all(|line| line.time >= lines[120].time));
}

#[tokio::test]
async fn the_oldest_segments_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits =
        LogLimits { segment_bytes: 2 << 10, total_bytes: 10 << 10, ..LogLimits::default() };
    for run in 0..4 {
        // Each line is a round of its own, so that segments end near their size.
        let store = LogStore::open(dir.path(), limits).unwrap();
        for number in 1..=100 {
            store.notice(&source("orders.web.1"), &format!("line {}", run * 100 + number));
            let all = LogQuery { last: Some(1), ..LogQuery::default() };
            in_time(store.subscribe(all).recv()).await.unwrap();
        }
        store.close(DEADLINE).await.unwrap();
    }
    let size: u64 = segments(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!((6 << 10..=10 << 10).contains(&size), "{size} bytes");
    let lines = stored(dir.path(), &LogQuery::default());
    assert_eq!(lines.last().unwrap().seq, 400);
    assert!(lines.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "the newest are kept");
}

/// The law: wherever a crash cuts the file, all whole rows before are read, and the next
/// run goes on.
#[tokio::test]
async fn a_segment_torn_anywhere_loses_only_the_torn_row() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), LogLimits::default(), numbers(1..=3)).await;
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let third = 1 + whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap();
    for cut in third..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        // Without its line feed alone, the third row is still whole.
        let kept = if cut == whole.len() - 1 { 3 } else { 2 };
        assert_eq!(stored(dir.path(), &LogQuery::default()).len(), kept, "cut at {cut}");

        write_run(dir.path(), LogLimits::default(), ["after".to_owned()]).await;
        let mut after = read_stored(dir.path(), &LogQuery::default()).unwrap();
        let lines: Vec<LogLine> = after.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(lines.len(), kept + 1, "cut at {cut}");
        assert_eq!(lines[kept].seq, kept as u64 + 1);
        assert_eq!(after.skipped_rows(), u64::from(kept == 2 && cut > third));
    }
}

#[tokio::test]
async fn rows_that_are_not_lines_are_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), LogLimits::default(), numbers(1..=2)).await;
    let path = segments(dir.path()).remove(0);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"not json\n\n{\"seq\":9}\n\xff\xfe\x00\n").unwrap();
    file.write_all(&vec![b'x'; 5 << 20]).unwrap();
    file.write_all(b"\n").unwrap();
    write_run(dir.path(), LogLimits::default(), numbers(3..=3)).await;
    fs::write(dir.path().join("notes.txt"), "no segment").unwrap();

    let mut rows = read_stored(dir.path(), &LogQuery::default()).unwrap();
    let lines: Vec<LogLine> = rows.by_ref().collect::<Result<_, _>>().unwrap();
    assert_eq!(texts(&lines), ["line 1", "line 2", "line 3"]);
    assert!(lines.is_sorted_by(|one, other| one.seq < other.seq), "no number is given twice");
    assert_eq!(rows.skipped_rows(), 5);
}

#[test]
fn no_log_is_an_empty_log() {
    let dir = tempfile::tempdir().unwrap();
    assert!(stored(&dir.path().join("none"), &LogQuery::default()).is_empty());
    let error = LogStore::open(Path::new("/dev/null/logs"), LogLimits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open the log in /dev/null/logs: it must be a directory that you may write to"
    );
}

/// A disk that refuses costs lines, not the run: they are counted and the log goes on.
#[tokio::test]
async fn lines_that_cannot_be_stored_are_counted() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("logs");
    let store = LogStore::open(&dir, LogLimits::default()).unwrap();
    let mut live = store.subscribe(LogQuery { follow: true, ..LogQuery::default() });
    fs::remove_dir(&dir).unwrap();
    let web = source("orders.web.1");
    run(&store, &web, "echo lost").await;
    assert_eq!(in_time(live.recv()).await.unwrap().line, "lost");
    let notice = in_time(live.recv()).await.unwrap();
    assert_eq!(notice.stream, LogStream::Updraft);
    assert!(notice.line.starts_with("lines of the log cannot be stored: "), "{}", notice.line);

    fs::create_dir(&dir).unwrap();
    run(&store, &web, "echo kept").await;
    let error = store.close(DEADLINE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "lines of the log could not be stored: check that the disk is not full"
    );
    let lines = stored(&dir, &LogQuery::default());
    let kept = lines.iter().filter(|line| !line.line.is_empty()).count() as u64;
    let dropped: u64 = lines.iter().map(|line| line.dropped).sum();
    assert!(texts(&lines).contains(&"kept"));
    assert!(dropped >= 1);
    assert_eq!(kept + dropped, 3);
}
