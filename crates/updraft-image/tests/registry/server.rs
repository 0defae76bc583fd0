//! A real registry, started for one test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The user of a registry that asks for one.
pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "CANARY-pass:word";

/// It is killed, and its storage removed, when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _folder: TempDir,
    _child: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// One that knows [`USER`] only.
    pub(crate) async fn with_password() -> Self {
        Self::with("auth: {htpasswd: {realm: test, path: FOLDER/htpasswd}}").await
    }

    async fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if more.contains("htpasswd") {
            let made = std::process::Command::new("htpasswd")
                .args(["-nbB", "-C4", USER, PASSWORD])
                .output()
                .unwrap();
            fs::write(folder.path().join("htpasswd"), made.stdout).unwrap();
        }
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: FOLDER/storage}}, \
             delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0', secret: s}}\n{more}\n"
        );
        let config = config.replace("FOLDER", &folder.path().display().to_string());
        let file = folder.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("docker-registry: run `cargo xtask setup`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the registry ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', ' ', ',']).unwrap_or(rest.len());
                break rest[..end].parse().unwrap();
            }
        };
        // Its log is read on, or it would stop when the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address, _folder: folder, _child: child }
    }
}

/// Runs skopeo, which must succeed; gives its output.
pub(crate) async fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("skopeo: run `cargo xtask setup`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// As skopeo names a tag of a layout.
pub(crate) fn oci(folder: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", folder.display())
}
