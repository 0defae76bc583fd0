//! The protocol of sd_notify(3): datagrams to the socket that `NOTIFY_SOCKET` names, and a
//! sign of life as often as `WATCHDOG_USEC` asks for.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Most bytes of a status; systemd cuts a longer one.
const STATUS_BYTES_MAX: usize = 256;

/// Who started us and wants to be told; without one, nothing is told.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    peer: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// What was told last, which is not told again.
    status: String,
}

impl Notifier {
    /// What the environment of this process says.
    pub(crate) fn from_env() -> io::Result<Self> {
        let variable = |name: &str| std::env::var_os(name);
        Self::of(variable, std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> io::Result<Self> {
        let Some(address) = variable("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = address_of(&address)?;
        let socket = UnixDatagram::unbound()?;
        // Whoever does not read must not make a supervisor stand still.
        socket.set_nonblocking(true)?;
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(own));
        let period = number("WATCHDOG_USEC").filter(|micros| ours && 0 < *micros);
        Ok(Self {
            peer: Some((socket, address)),
            // Twice as often as it must be, as sd_watchdog_enabled(3) has it.
            watchdog: period.map(|micros| Duration::from_micros(micros) / 2),
            status: String::new(),
        })
    }

    /// How often to show a sign of life; `None`: nobody looks.
    pub(crate) fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It still moves.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Everything is ready.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What it does at the moment, in one line for `systemctl status`.
    pub(crate) fn status(&mut self, text: &str) {
        if self.peer.is_none() {
            return;
        }
        let end = text.floor_char_boundary(STATUS_BYTES_MAX);
        let line = text.get(..end).unwrap_or_default().replace(['\n', '\r'], " ");
        if line != self.status {
            self.send(&format!("STATUS={line}"));
            self.status = line;
        }
    }

    fn send(&self, message: &str) {
        if let Some((socket, peer)) = &self.peer {
            // Nobody else could be told that this one hears nothing; its own timeouts decide.
            drop(socket.send_to_addr(message.as_bytes(), peer));
        }
    }
}

/// A path, or with `@` a name in the abstract namespace of unix(7).
fn address_of(address: &OsStr) -> io::Result<SocketAddr> {
    match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(address),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "NOTIFY_SOCKET is neither an absolute path nor `@` and a name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    fn notifier(variables: &[(&str, &str)]) -> io::Result<Notifier> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Notifier::of(|name| find(name).map(|(_, value)| value.into()), 7)
    }

    #[test]
    fn each_message_is_a_datagram_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("updraft-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, address) in
            [(by_path, path.display().to_string()), (by_name, format!("@{name}"))]
        {
            let mut notifier = notifier(&[("NOTIFY_SOCKET", &address)]).unwrap();
            notifier.ready();
            notifier.status("builds\nwhat\rchanged");
            notifier.status("builds\nwhat\rchanged");
            notifier.alive();
            notifier.status(&"é".repeat(STATUS_BYTES_MAX));
            notifier.stopping();
            let messages: Vec<String> = (0..5).map(|_| told(&socket)).collect();
            let cut = format!("STATUS={}", "é".repeat(STATUS_BYTES_MAX / 2));
            let expected =
                ["READY=1", "STATUS=builds what changed", "WATCHDOG=1", &cut, "STOPPING=1"];
            assert_eq!(messages, expected);
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let socket = ("NOTIFY_SOCKET", "@updraft-nobody");
        type Case = (&'static [(&'static str, &'static str)], Option<u64>);
        let cases: [Case; 6] = [
            (&[], None),
            (&[("WATCHDOG_USEC", "4000000")], Some(2000)),
            (&[("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", "7")], Some(2000)),
            (&[("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", "8")], None),
            (&[("WATCHDOG_USEC", "0")], None),
            (&[("WATCHDOG_USEC", "often")], None),
        ];
        for (variables, millis) in cases {
            let all: Vec<_> = [socket].iter().chain(variables).copied().collect();
            let every = notifier(&all).unwrap().watchdog_every();
            assert_eq!(every, millis.map(Duration::from_millis), "{variables:?}");
            // Without a socket there is nobody to tell.
            assert_eq!(notifier(variables).unwrap().watchdog_every(), None);
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_one_that_is_dead_is_not_waited_for() {
        for address in ["", "notify", "vsock:2:1"] {
            assert!(notifier(&[("NOTIFY_SOCKET", address)]).is_err(), "{address}");
        }
        let notifier = notifier(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).unwrap();
        notifier.ready();
    }
}
