//! A server that others depend on, which can be stopped, stalled and started again.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A peer at an address that it keeps.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    stalled: Arc<AtomicBool>,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut peer = Self { address, stalled: Arc::default(), running: None };
        peer.run(listener);
        peer
    }

    fn run(&mut self, listener: TcpListener) {
        let (stop, stalled) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.stalled));
        let of_thread = Arc::clone(&stop);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, stop) = (stream.unwrap(), Arc::clone(&of_thread));
                let stalled = Arc::clone(&stalled);
                std::thread::spawn(move || drop(answer(&stream, &stop, &stalled)));
            }
        });
        self.running = Some((stop, accepting));
    }

    /// Takes connections and answers nothing, as a stopped process does.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Is away: connections are refused, and those that were open are closed.
    pub(crate) fn stop(&mut self) {
        let (stop, accepting) = self.running.take().unwrap();
        stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        accepting.join().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.run(TcpListener::bind(self.address).unwrap());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}

fn answer(stream: &TcpStream, stop: &AtomicBool, stalled: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while 0 < reader.read_line(&mut line)? {
        if line == "\r\n" {
            if stop.load(Ordering::SeqCst) {
                return Ok(());
            }
            if !stalled.load(Ordering::SeqCst) {
                (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            }
        }
        line.clear();
    }
    Ok(())
}
