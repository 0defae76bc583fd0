//! What is measured, with versions.

use std::path::Path;
use std::process::Command;

use updraft_measure::report::locked;

/// One line for the page of the results.
pub fn versions(updraft: Option<&Path>) -> String {
    let asked = |program: &Path, flag: &str| {
        let output = Command::new(program).arg(flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
        line.split([' ', '/'])
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
    };
    let version = |program: &str, flag| {
        asked(Path::new(program), flag).unwrap_or_else(|| "of unknown version".to_owned())
    };
    let mut parts = vec![
        format!("nginx {}", version("nginx", "-v")),
        format!("HAProxy {}", version("haproxy", "-v")),
        format!("OpenSSL {}", version("openssl", "version")),
    ];
    let lock = include_str!("../Cargo.lock");
    for name in ["pingora", "openssl-src", "hyper", "h2", "rustls", "tokio"] {
        parts.push(format!("{name} {}", locked(lock, name)));
    }
    parts.extend(
        updraft
            .and_then(|program| asked(program, "--version"))
            .map(|version| format!("Updraft {version}")),
    );
    parts.join(", ")
}
