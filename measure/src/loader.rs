//! The client: keep-alive connections of one thread, closed loop or at a fixed pace. At a pace
//! the time of a request runs from when it should have been sent, so that a slow proxy cannot
//! hide its waits by being asked less often ("coordinated omission", Gil Tene).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Without any response for so long the proxy counts as broken.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// The event of the timer; connections are numbered from 0.
const TIMER: u64 = u64::MAX;

/// What is asked, of whom, how often.
#[derive(Clone, Copy)]
pub struct Load {
    pub path: &'static str,
    pub connections: usize,
    /// Requests a second; `None`: each connection asks again at once.
    pub pace: Option<f64>,
}

/// What happened between the end of the warm-up and the end.
pub struct Window {
    pub requests: usize,
    pub elapsed: Duration,
    /// Nanoseconds that the proxies ran.
    pub processor: u64,
    /// Sorted.
    times: Vec<Duration>,
}

impl Window {
    /// The time of a request that so many of a hundred do not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).copied().unwrap_or_default()
    }
}

struct Connection {
    stream: TcpStream,
    since: Instant,
    head: Vec<u8>,
    missing: usize,
}

struct Run {
    request: Vec<u8>,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// Bounded by pace and length of the run.
    waiting: VecDeque<Instant>,
    times: Vec<Duration>,
    buffer: Vec<u8>,
}

impl Load {
    /// Asks for `warm` without counting, then for `span`. `processor` tells what the proxies
    /// have used so far.
    pub fn run(
        self,
        address: SocketAddr,
        warm: Duration,
        span: Duration,
        processor: impl Fn() -> u64,
    ) -> Result<Window> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut run = Run::connect(self, address, &poll)?;
        let timer = self.pace.map(Timer::new).transpose()?;
        if let Some(timer) = &timer {
            epoll::add(&poll, &timer.clock, EventData::new_u64(TIMER), EventFlags::IN)?;
        } else {
            let now = Instant::now();
            run.waiting.extend(std::iter::repeat_n(now, self.connections));
            run.send()?;
        }
        run.proceed(&poll, timer.as_ref(), warm, self.pace.is_none())?;
        run.times.clear();
        let (begin, used) = (Instant::now(), processor());
        run.proceed(&poll, timer.as_ref(), span, self.pace.is_none())?;
        let (elapsed, processor) = (begin.elapsed(), processor() - used);
        let mut times = run.times;
        ensure!(!times.is_empty(), "nothing was answered");
        times.sort_unstable();
        Ok(Window { requests: times.len(), elapsed, processor, times })
    }
}

impl Run {
    fn connect(load: Load, address: SocketAddr, poll: &OwnedFd) -> Result<Self> {
        let mut connections = Vec::with_capacity(load.connections);
        for number in 0..load.connections {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(poll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
            let head = Vec::with_capacity(1024);
            connections.push(Connection { stream, since: Instant::now(), head, missing: 0 });
        }
        Ok(Self {
            request: request(load.path),
            connections,
            idle: (0..load.connections).collect(),
            waiting: VecDeque::new(),
            times: Vec::with_capacity(1 << 20),
            buffer: vec![0; READ_BYTES],
        })
    }

    fn proceed(
        &mut self,
        poll: &OwnedFd,
        timer: Option<&Timer>,
        span: Duration,
        again: bool,
    ) -> Result<()> {
        let end = Instant::now() + span;
        let (mut last, mut answered) = (Instant::now(), self.times.len());
        let mut events = Vec::with_capacity(1024);
        let patience = Timespec::try_from(Duration::from_millis(100))?;
        loop {
            let now = Instant::now();
            if self.times.len() > answered {
                (last, answered) = (now, self.times.len());
            }
            ensure!(now - last < SILENCE, "no response for {SILENCE:?}");
            if now >= end {
                return Ok(());
            }
            events.clear();
            epoll::wait(poll, rustix::buffer::spare_capacity(&mut events), Some(&patience))?;
            for event in &events {
                match event.data.u64() {
                    TIMER => timer.map_or(Ok(()), |timer| timer.due(&mut self.waiting))?,
                    number => self.receive(usize::try_from(number)?, again)?,
                }
            }
            self.send()?;
        }
    }

    /// Sends what waits on the connections that have nothing to do.
    fn send(&mut self) -> Result<()> {
        while let Some(since) = self.waiting.front().copied()
            && let Some(number) = self.idle.pop()
        {
            self.waiting.pop_front();
            let connection = &mut self.connections[number];
            connection.since = since;
            let count = connection.stream.write(&self.request)?;
            ensure!(count == self.request.len(), "the request was cut");
        }
        Ok(())
    }

    fn receive(&mut self, number: usize, again: bool) -> Result<()> {
        let connection = &mut self.connections[number];
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => bail!("the proxy closed a connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if connection.take(&self.buffer[..count])? {
            let now = Instant::now();
            self.times.push(now - connection.since);
            self.idle.push(number);
            if again {
                self.waiting.push_back(now);
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Whether the response is complete with these bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<bool> {
        if self.missing > 0 {
            self.missing = self.missing.checked_sub(bytes.len()).context("a longer body")?;
            return Ok(self.missing == 0);
        }
        self.head.extend_from_slice(bytes);
        let Some(length) = whole_length(&self.head)? else { return Ok(false) };
        self.missing = length.checked_sub(self.head.len()).context("a longer body")?;
        self.head.clear();
        Ok(self.missing == 0)
    }
}

/// The bytes of a request, with the fields that a client sends at least.
pub fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: origin\r\n\r\n").into_bytes()
}

/// Bytes of head and body of a response, once the head is there.
pub fn whole_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "answered: {}",
        head.lines().next().unwrap_or_default()
    );
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some(end + 4 + length.context("a response without content-length")?))
}

/// When requests are due. A kernel timer, for `epoll_wait` alone is late by its slack.
struct Timer {
    clock: OwnedFd,
    interval: Duration,
    next: std::cell::Cell<Instant>,
}

impl Timer {
    fn new(pace: f64) -> Result<Self> {
        let clock = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let interval = Duration::from_secs_f64(1.0 / pace);
        let timer = Self { clock, interval, next: Instant::now().into() };
        timer.arm()?;
        Ok(timer)
    }

    /// All that should have been sent by now.
    fn due(&self, waiting: &mut VecDeque<Instant>) -> Result<()> {
        while self.next.get() <= Instant::now() {
            waiting.push_back(self.next.get());
            self.next.set(self.next.get() + self.interval);
        }
        self.arm()
    }

    fn arm(&self) -> Result<()> {
        let wait = self.next.get().saturating_duration_since(Instant::now());
        let it_value = Timespec::try_from(wait.max(Duration::from_nanos(1)))?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    /// Answers on one connection; before the first answer `stall` passes.
    fn server(stall: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let begin = Instant::now();
            while stream.read(&mut buffer).unwrap_or(0) > 0 {
                while let Some(left) = stall.checked_sub(begin.elapsed()) {
                    thread::park_timeout(left);
                }
                stream.write_all(ANSWER).unwrap();
            }
        });
        address
    }

    #[test]
    fn at_a_pace_a_stall_is_in_the_times_of_all_requests_that_were_due_in_it() {
        let load = Load { path: "/1k", connections: 1, pace: Some(1_000.0) };
        let (stall, span) = (Duration::from_millis(200), Duration::from_millis(400));
        let window = load.run(server(stall), Duration::ZERO, span, || 0).unwrap();
        assert!(window.requests >= 300, "{}", window.requests);
        assert!(window.percentile(70) > Duration::from_millis(20), "{:?}", window.percentile(70));
        let closed = Load { pace: None, ..load };
        let window = closed.run(server(stall), Duration::ZERO, span, || 0).unwrap();
        assert!(window.percentile(70) < Duration::from_millis(20), "{:?}", window.percentile(70));
    }

    #[test]
    fn a_response_is_complete_with_its_last_byte_however_it_is_cut() {
        for cut in 1..ANSWER.len() {
            let stream = TcpStream::connect(server(Duration::ZERO)).unwrap();
            let mut connection =
                Connection { stream, since: Instant::now(), head: Vec::new(), missing: 0 };
            assert!(!connection.take(&ANSWER[..cut]).unwrap(), "{cut}");
            assert!(connection.take(&ANSWER[cut..]).unwrap(), "{cut}");
            assert!(connection.take(ANSWER).unwrap(), "the next one, {cut}");
        }
    }

    #[test]
    fn what_is_no_success_or_has_no_length_is_refused() {
        assert!(whole_length(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(whole_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert_eq!(whole_length(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
    }
}
