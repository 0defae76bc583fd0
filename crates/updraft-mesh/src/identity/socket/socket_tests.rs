//! Owners of real sockets, told by the kernel.

use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::*;

fn accepted(listen: &str, connect: &str) -> (TcpStream, TcpStream, TcpListener) {
    let listener = TcpListener::bind((listen, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect((connect, port)).unwrap();
    (listener.accept().unwrap().0, client, listener)
}

fn ends(accepted: &TcpStream) -> (SocketAddr, SocketAddr) {
    (accepted.local_addr().unwrap(), accepted.peer_addr().unwrap())
}

fn asked(local: SocketAddr, peer: SocketAddr) -> Ends {
    Ends { own: canonical(peer), other: canonical(local) }
}

fn inode(socket: &TcpStream) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn the_owner_is_the_one_who_connected() {
    let mut cases = vec![("127.0.0.1", "127.0.0.1")];
    if has_ipv6() {
        // The last one: a listener for both families sees IPv4 inside IPv6.
        cases.extend([("::1", "::1"), ("::", "127.0.0.1")]);
    } else {
        eprintln!("no IPv6 here: only IPv4 is tried");
    }
    for (listen, connect) in cases {
        let (server, client, _listener) = accepted(listen, connect);
        let (local, peer) = ends(&server);
        let owner = socket_owner(local, peer).unwrap();
        assert_eq!(owner.uid, rustix::process::getuid().as_raw(), "{listen}");
        assert_eq!(owner.inode, inode(&client), "{listen}");
        assert_ne!(owner.inode, inode(&server), "{listen}");
        assert!(owns_socket(std::process::id(), owner.inode));
    }
}

#[test]
fn the_short_way_and_the_long_way_agree() {
    let (server, _client, _listener) = accepted("127.0.0.1", "127.0.0.1");
    let (local, peer) = ends(&server);
    let long = table::owner(asked(local, peer)).unwrap().unwrap();
    match diagnosis::owner(asked(local, peer)) {
        Ok(short) => {
            let short = short.unwrap();
            assert_eq!((short.uid, short.inode), (long.uid, long.inode));
        }
        Err(error) => eprintln!("no sock_diag here ({error}): only the table is tried"),
    }
}

#[test]
fn who_has_closed_is_nobody() {
    let (server, client, _listener) = accepted("127.0.0.1", "127.0.0.1");
    let (local, peer) = ends(&server);
    drop(client);
    // The kernel still has that end, without an owner and with user 0.
    let kind = socket_owner(local, peer).unwrap_err().kind();
    assert_eq!(kind, io::ErrorKind::NotFound);
    assert_eq!(table::owner(asked(local, peer)).unwrap(), None);
}

#[test]
fn a_listener_on_the_port_is_not_taken_for_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listening = listener.local_addr().unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let kind = socket_owner(nowhere, listening).unwrap_err().kind();
    assert_eq!(kind, io::ErrorKind::NotFound);
}

#[test]
fn another_process_does_not_own_the_socket() {
    let (server, client, _listener) = accepted("127.0.0.1", "127.0.0.1");
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    assert!(!owns_socket(child.id(), inode(&client)));
    assert!(owns_socket(std::process::id(), inode(&server)));
    assert!(!owns_socket(std::process::id(), u64::MAX));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(!owns_socket(child.id(), inode(&client)), "nobody is left");
}

#[test]
fn a_program_of_another_user_is_told_apart() {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can start a program of another user");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line");
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .uid(NOBODY)
        .current_dir("/")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (local, peer) = ends(&listener.accept().unwrap().0);
    let _kept = listener;
    // The accepted end is gone, the connecting end is still open in the child.
    let owner = socket_owner(local, peer).unwrap();
    assert_eq!(owner.uid, NOBODY);
    assert!(owns_socket(child.id(), owner.inode));
    assert!(!owns_socket(std::process::id(), owner.inode));
    drop(child.stdin.take());
    child.wait().unwrap();
}
