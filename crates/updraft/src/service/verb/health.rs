//! `health`: asks the process that runs in this environment, for platforms that look by
//! running a command, and for images in which there is no `curl`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};

use crate::admin::AdminAddress;
use crate::app::App;
use crate::config::{Config, Variable};
use crate::process::Kind;
use crate::service::{Service, boot};

/// How long the answer may take, unless `--timeout` says otherwise.
const PATIENCE: &str = "2s";

/// The longest answer that is read.
const ANSWER_MOST: u64 = 64 * 1024;

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    let probe = Arg::new("probe")
        .value_parser(["live", "ready", "startup"])
        .default_value("live")
        .help("What to ask; the exit code is 0 for yes and 1 for no or no answer");
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_parser(<Duration as Variable>::parse)
        .default_value(PATIENCE)
        .help("How long the answer may take");
    (service.answers() || service.works()).then(|| {
        Command::new("health")
            .about("Asks the process that runs in this environment, on ADMIN_PORT or else PORT")
            .arg(probe)
            .arg(timeout)
    })
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let probe = matches.get_one::<String>("probe").map_or("live", String::as_str);
    let patience = matches.get_one::<Duration>("timeout").copied().unwrap_or_default();
    let mut config = Config::from_env();
    let address = address(&mut config);
    if let Some(code) = boot::refuse(service.release.service(), "health", &config) {
        return code;
    }
    let asked = address.and_then(|address| ask(address, probe, patience));
    let (text, code) = match asked {
        Ok((true, text)) => (text, ExitCode::SUCCESS),
        Ok((false, text)) => (text, ExitCode::FAILURE),
        Err(why) => (format!("{why}\n"), ExitCode::FAILURE),
    };
    // The exit code says the same.
    drop(std::io::stdout().write_all(text.as_bytes()));
    code
}

/// Where the process of this environment answers.
fn address(config: &mut Config) -> Result<SocketAddr, String> {
    let admin = AdminAddress::read(config, Kind::Web);
    let port = config.optional::<u16>("PORT", "the TCP port to listen on");
    let host = config.or("HOST", IpAddr::V4(Ipv4Addr::LOCALHOST), "the address to listen on");
    let secured = config.optional::<PathBuf>("TLS_CERT", "the certificate that PORT shows");
    let main = match (port, host) {
        (Ok(Some(port)), Ok(host)) => Some(SocketAddr::new(host, port)),
        _ => None,
    };
    let admin = admin.ok().flatten().map(AdminAddress::socket);
    if admin.is_none() && main.is_some() && secured.ok().flatten().is_some() {
        return Err("PORT speaks TLS, which `health` does not: set ADMIN_PORT".to_owned());
    }
    let mut address = admin.or(main).ok_or("neither ADMIN_PORT nor PORT is set")?;
    if address.port() == 0 {
        return Err("the port is 0, so the system chose one that is not known here".to_owned());
    }
    // Who listens everywhere is found on loopback.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

/// Whether the answer is yes, and its text.
fn ask(address: SocketAddr, probe: &str, patience: Duration) -> Result<(bool, String), String> {
    let failed = |error: std::io::Error| format!("no answer from {address}: {error}");
    let deadline = Instant::now() + patience;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        // A timeout of zero would be none at all.
        left.max(Duration::from_millis(1))
    };
    let mut stream = TcpStream::connect_timeout(&address, left()).map_err(failed)?;
    stream.set_write_timeout(Some(left())).map_err(failed)?;
    let request =
        format!("GET /health/{probe} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while (answer.len() as u64) < ANSWER_MOST {
        stream.set_read_timeout(Some(left())).map_err(failed)?;
        match stream.read(&mut piece).map_err(failed)? {
            0 => break,
            read => answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
        if deadline <= Instant::now() {
            return Err(format!("no answer from {address} within {patience:?}"));
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is no HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status == "200", body.to_owned()))
}
