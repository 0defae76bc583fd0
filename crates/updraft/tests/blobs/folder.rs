//! What holds in a folder: no half of a blob is ever seen, whoever dies.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tokio::task::JoinSet;
use updraft::{BlobError, BlobsUrl, Variable as _};

use super::support::open;

/// Large enough to be written in more than one step.
const SIZE: usize = 1 << 20;

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == SIZE && bytes.iter().all(|byte| *byte == bytes[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_version_whole() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(&format!("file://{}/", folder.path().display()));
    blobs.put("k", vec![0; SIZE]).await.unwrap();
    let mut tasks = JoinSet::new();
    for own in 1..4_u8 {
        let writer = blobs.clone();
        tasks.spawn(async move {
            for turn in 0..10 {
                writer.put("k", vec![own * 16 + turn; SIZE]).await.unwrap();
            }
        });
        let reader = blobs.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                assert!(is_whole(&reader.read("k").await.unwrap()));
            }
        });
    }
    tasks.join_all().await;
}

/// Run by the test below in a process of its own, which is then killed.
#[tokio::test]
async fn a_victim() {
    let Some(url) = std::env::var_os("UPDRAFT_VICTIM") else { return };
    let blobs = open(url.to_str().unwrap());
    for turn in 0_u64.. {
        let fill = u8::try_from(turn % 251).unwrap();
        blobs.put(&format!("k{}", turn % 3), vec![fill; SIZE]).await.unwrap();
        println!("\nwritten");
    }
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_whole_blobs_and_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/?timeout=20s", folder.path().display());
    let blobs = open(&url);
    for kill in 0..5_usize {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "folder::a_victim", "--nocapture"])
            .env("UPDRAFT_VICTIM", &url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let written = lines.filter(|line| line == "written").take(kill + 3).count();
        assert_eq!(written, kill + 3);
        victim.kill().unwrap();
        victim.wait().unwrap();
        let found = blobs.list(None, None, 10).await.unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        for info in found {
            assert!(is_whole(&blobs.read(&info.name).await.unwrap()));
            blobs.put(&info.name, vec![9; SIZE]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("volume");
    let url = BlobsUrl::parse(&format!("file://{}/", missing.display())).unwrap();
    let error = url.open([]).unwrap_err();
    assert!(matches!(error, BlobError::Refused(_)), "{error:?}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_link_out_of_the_folder_is_no_name_and_what_is_outside_stays() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "canary").unwrap();
    let blobs = open(&format!("file://{}/", folder.path().display()));
    let out = format!("../{}/secret", outside.path().file_name().unwrap().to_str().unwrap());
    assert!(matches!(blobs.read(&out).await, Err(BlobError::Name { .. })));
    assert!(matches!(blobs.put(&out, "x").await, Err(BlobError::Name { .. })));
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"canary");
}
