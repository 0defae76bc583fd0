//! Finds what the tests need beyond a Rust toolchain: real servers, a browser, Python.
//! Missing packages are installed when this user may, and named exactly when not.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{ci, output, repository};

/// A program that tests start, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

/// No program, but what programs of Debian's Python are made with.
const PYTHON_GRPC: &str = "/usr/lib/python3/dist-packages/grpc/__init__.py";

const TOOLS: &[Tool] = &[
    Tool { program: "postgres", package: "postgresql", purpose: "resources of kind postgres" },
    Tool { program: "redis-server", package: "redis-server", purpose: "resources of kind redis" },
    Tool { program: "nats-server", package: "nats-server", purpose: "resources of kind nats" },
    Tool { program: "chromium", package: "chromium", purpose: "the shop's page" },
    Tool { program: "chromedriver", package: "chromium-driver", purpose: "the shop's page" },
    Tool { program: "python3", package: "python3", purpose: "the shop's pricing service" },
    Tool { program: "unshare", package: "util-linux", purpose: "postgres started by root" },
    Tool { program: "setpriv", package: "util-linux", purpose: "systems of an ordinary user" },
    Tool { program: "valgrind", package: "valgrind", purpose: "counts of instructions" },
    Tool { program: "nginx", package: "nginx-light", purpose: "the corpus of odd requests" },
    Tool { program: "haproxy", package: "haproxy", purpose: "the corpus of odd requests" },
    Tool { program: "h2load", package: "nghttp2-client", purpose: "HTTP/2 through the gateway" },
    Tool { program: "nghttpd", package: "nghttp2-server", purpose: "HTTP/2 through the gateway" },
    Tool { program: "varnishtest", package: "varnish", purpose: "HTTP/1 through the gateway" },
    Tool { program: "slowhttptest", package: "slowhttptest", purpose: "slow clients" },
    Tool { program: PYTHON_GRPC, package: "python3-grpcio", purpose: "gRPC through the gateway" },
    Tool { program: "ip", package: "iproute2", purpose: "networks that fail" },
    Tool { program: "nft", package: "nftables", purpose: "networks that fail" },
    Tool { program: "node", package: "nodejs", purpose: "the zoo of `updraft check`" },
    Tool { program: "npm", package: "npm", purpose: "the zoo of `updraft check`" },
    Tool { program: "git", package: "git", purpose: "the zoo of `updraft check`" },
    Tool { program: "docker-registry", package: "docker-registry", purpose: "push and pull" },
    Tool { program: "htpasswd", package: "apache2-utils", purpose: "registries with a password" },
    Tool { program: "skopeo", package: "skopeo", purpose: "images, read and copied by others" },
    Tool { program: "umoci", package: "umoci", purpose: "images, unpacked by others" },
    Tool { program: "runc", package: "runc", purpose: "images that are run" },
    Tool { program: "openssl", package: "openssl", purpose: "signatures, checked by others" },
    Tool { program: "systemd-analyze", package: "systemd", purpose: "units of services" },
    Tool { program: "age", package: "age", purpose: "encrypted values of releases" },
    Tool { program: "curl", package: "curl", purpose: "the examples of the documentation" },
];

/// Something this machine lacks; the chore ends with exit code 4.
#[derive(Debug)]
pub(crate) struct Lacking(pub(crate) String);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lacking {}

/// Installs what is missing, or says which command does.
pub(crate) fn run() -> Result<()> {
    ci::require_components()?;
    debian_packages()?;
    ENVIRONMENTS.iter().try_for_each(python)?;
    output::line("  everything that the tests need is installed");
    Ok(())
}

fn debian_packages() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        output::line(&format!("  {} is missing (for {})", tool.program, tool.purpose));
    }
    let packages = packages(&missing);
    let Some(elevation) = elevation() else {
        bail!(Lacking(advice(&packages)));
    };
    install(&elevation, &packages)?;
    let still: Vec<_> = self::missing().iter().map(|tool| tool.program).collect();
    ensure!(still.is_empty(), "still missing after the installation: {}", still.join(", "));
    Ok(())
}

/// What tests need of PyPI, in an environment of its own below the target folder.
struct Environment {
    folder: &'static str,
    package: &'static str,
    purpose: &'static str,
}

const ENVIRONMENTS: &[Environment] = &[
    // Plays S3. Debian has no server that does.
    Environment { folder: "s3", package: "moto[s3,server]==5.2.1", purpose: "the tests of blobs" },
    // Brings the schemas of SchemaStore with it, so that nothing is asked while tests run.
    Environment {
        folder: "schemas",
        package: "check-jsonschema==0.37.4",
        purpose: "the tests of `updraft ci`",
    },
];

/// Makes a Python environment, unless it is there.
fn python(environment: &Environment) -> Result<()> {
    let Environment { folder, package, purpose } = environment;
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| "target".into());
    let folder = repository::root().join(target).join(folder);
    let (made, python) = (folder.join("made-from"), folder.join("bin/python3"));
    if fs::read_to_string(&made).is_ok_and(|made| made == *package) {
        return Ok(());
    }
    output::line(&format!("  {package} of PyPI into {}", folder.display()));
    let words: [(&str, &[&str]); 2] =
        [("venv", &["--clear"]), ("pip", &["install", "--quiet", "--disable-pip-version-check"])];
    for (module, options) in words {
        let mut command =
            Command::new(if module == "venv" { Path::new("python3") } else { &python });
        command.args(["-m", module]).args(options).stdin(Stdio::null());
        if module == "venv" {
            command.arg(&folder)
        } else {
            command.arg(package)
        };
        let status = command.status().context("python3 could not be started")?;
        if !status.success() {
            bail!(Lacking(format!(
                "{purpose} need {package} in {}: python3 -m {module} failed ({status})",
                folder.display()
            )));
        }
    }
    fs::write(&made, package).with_context(|| format!("{} could not be written", made.display()))
}

fn advice(packages: &[&str]) -> String {
    let list = packages.join(" ");
    if find("apt-get").is_some() {
        format!(
            "the tests need more programs; run: sudo apt-get install --no-install-recommends {list}"
        )
    } else {
        format!("the tests need more programs; install what Debian calls: {list}")
    }
}

fn packages(missing: &[&Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

/// The words to put before `apt-get`; `None` where this user may not install.
fn elevation() -> Option<Vec<&'static str>> {
    find("apt-get")?;
    if quiet("test", &["-w", "/var/lib/dpkg"]) {
        return Some(Vec::new());
    }
    quiet("sudo", &["--non-interactive", "true"]).then(|| vec!["sudo", "--non-interactive"])
}

fn install(elevation: &[&str], packages: &[&str]) -> Result<()> {
    for arguments in [
        vec!["apt-get", "update", "--quiet"],
        [&["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"], packages].concat(),
    ] {
        // `env` carries the variable through sudo, which drops the caller's.
        let words = [elevation, &["env", "DEBIAN_FRONTEND=noninteractive"], &arguments].concat();
        let shown = words.join(" ");
        output::line(&format!("  {shown}"));
        let (program, rest) = words.split_first().context("an empty command")?;
        let status = Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("{program} could not be started"))?;
        if !status.success() {
            bail!(Lacking(format!("{shown} failed ({status}); {}", advice(packages))));
        }
    }
    Ok(())
}

fn missing() -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| find(tool.program).is_none()).collect()
}

/// Where a program is: on `PATH`, in the folders of administrators, or where
/// Debian keeps the programs of each PostgreSQL version.
fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|file| file.is_file());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .chain(versions.map(|version| version.path().join("bin")))
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn quiet(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_debian_puts_it() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    #[test]
    fn the_advice_names_every_missing_package_once() {
        let missing: Vec<_> = TOOLS.iter().chain(TOOLS.last()).collect();
        let advice = advice(&packages(&missing));
        let words: Vec<&str> = advice.split_whitespace().collect();
        for tool in TOOLS {
            let count = words.iter().filter(|word| **word == tool.package).count();
            assert_eq!(count, 1, "{} in {advice}", tool.package);
        }
    }
}
