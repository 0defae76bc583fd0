//! Docker's credential helpers: `docker-credential-NAME get`, the server on stdin, JSON on stdout.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Credential, CredentialsError, PROGRAM_PATIENCE};

/// The longest answer that is read, in bytes.
const ANSWER_MOST: u64 = 64 << 10;
/// What every such program says when it knows nothing.
const UNKNOWN: &[u8] = b"credentials not found in native keychain";
/// The user's name that marks a token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Zeroizing<String>,
}

/// Nothing when the program knows nothing about the server. `file` is where its name is from.
pub(super) async fn ask(
    program: &str,
    server: &str,
    path: Option<&OsStr>,
    file: &Path,
) -> Result<Option<Credential>, CredentialsError> {
    let failed = |problem: String| CredentialsError::Program {
        program: program.to_owned(),
        path: file.to_owned(),
        problem,
    };
    let found = find(program, path).map_err(failed)?;
    let answer = timeout(PROGRAM_PATIENCE, run(&found, server, path)).await;
    let (success, output) = answer
        .map_err(|_elapsed| {
            failed(format!("has not answered for {} s", PROGRAM_PATIENCE.as_secs()))
        })?
        .map_err(|error| failed(format!("could not be run: {error}")))?;
    if ANSWER_MOST < output.len() as u64 {
        return Err(failed(format!("answers more than {ANSWER_MOST} bytes")));
    }
    if !success {
        return match output.trim_ascii().starts_with(UNKNOWN) {
            true => Ok(None),
            false => Err(failed("fails: run it with `list` to see why".to_owned())),
        };
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_secret_inside: serde_json::Error| {
            failed("does not answer with JSON".to_owned())
        })?;
    if answer.secret.is_empty() {
        return Ok(None);
    }
    let secret = SecretString::from(answer.secret.as_str());
    Ok(Some(match answer.username == TOKEN_USER {
        true => Credential::Identity(secret),
        false => Credential::Password { user: answer.username, password: secret },
    }))
}

/// It is killed when whoever waits for it is gone.
async fn run(
    program: &Path,
    server: &str,
    path: Option<&OsStr>,
) -> std::io::Result<(bool, Zeroizing<Vec<u8>>)> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command.kill_on_drop(true).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may still answer.
        drop(stdin.write_all(server.as_bytes()).await);
    }
    let mut output = Zeroizing::new(Vec::new());
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MOST + 1).read_to_end(&mut output).await?;
    }
    if ANSWER_MOST < output.len() as u64 {
        child.start_kill()?;
    }
    Ok((child.wait().await?.success(), output))
}

/// A name from a file must not lead to another program than one of these.
fn find(program: &str, path: Option<&OsStr>) -> Result<PathBuf, String> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !program.bytes().all(is_inside) {
        return Err("is no name of a program".to_owned());
    }
    let name = format!("docker-credential-{program}");
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let files = folders.unwrap_or_default().into_iter().map(|folder| folder.join(&name));
    let mut absolute = files.filter(|file| file.is_absolute() && file.is_file());
    absolute
        .next()
        .ok_or_else(|| "is not on `PATH`: install it, or take it out of the file".to_owned())
}
