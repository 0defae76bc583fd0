//! A proxy that does harm: it cuts, refuses, changes headers, and counts what it lets through.
//!
//! Each connection carries one request, because it asks both sides to close after it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is done to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Pass,
    /// Lets that many bytes of the request's body through. The registry sees the end before the
    /// client does, so what it keeps of it is settled when the client asks.
    CutUpload(u64),
    /// Lets that many bytes of the answer through, header included.
    CutDownload(u64),
    /// Lets the request through and loses the answer.
    LoseAnswer,
    /// Answers by itself, without having read the body.
    Answer(String),
    /// Adds a line to the answer's header.
    AddHeader(String),
}

/// A request that has come.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and target.
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) at: Instant,
    /// What came of the body with the header.
    first: Vec<u8>,
    /// Bytes of its body that went through.
    pub(crate) body: u64,
    /// Bytes of its answer that went through.
    pub(crate) answer: u64,
}

impl Seen {
    fn of(head: String) -> Self {
        let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
        Self { line, head, at: Instant::now(), first: Vec::new(), body: 0, answer: 0 }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    /// `rule` is asked for each request; it gets how many came before whose line begins with
    /// the same method.
    pub(crate) async fn start(
        upstream: SocketAddr,
        rule: impl Fn(&Seen, usize) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (rule, log) = (Arc::new(rule), seen.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (rule, log) = (rule.clone(), log.clone());
                tokio::spawn(async move {
                    // Either side may go at any time; that is what this is for.
                    drop(pass(client, upstream, &*rule, &log).await);
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests have a line that begins so.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line.starts_with(start)).count()
    }

    /// Bytes of request bodies that went through, for lines that begin so.
    pub(crate) fn bytes(&self, start: &str) -> u64 {
        self.seen().iter().filter(|seen| seen.line.starts_with(start)).map(|seen| seen.body).sum()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

async fn pass(
    mut client: TcpStream,
    upstream: SocketAddr,
    rule: &(dyn Fn(&Seen, usize) -> Fault + Send + Sync),
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let Some((head, rest)) = read_head(&mut client).await? else { return Ok(()) };
    let length: u64 = header(&head, "content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let seen = Seen::of(head);
    let method = seen.line.split(' ').next().unwrap_or_default().to_owned();
    let (number, fault) = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|it| it.line.starts_with(&method)).count();
        log.push(seen.clone());
        (log.len() - 1, rule(&seen, before))
    };
    if let Fault::Answer(answer) = fault {
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // Unread bytes would make the kernel reset the connection, and the answer could be lost.
        let left = length.saturating_sub(rest.len() as u64);
        return discard(&mut client, left).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    let head = format!("{}\r\nConnection: close\r\n\r\n", seen.head.trim_end());
    server.write_all(head.as_bytes()).await?;
    let most = if let Fault::CutUpload(most) = fault { most.min(length) } else { length };
    let count = |bytes: u64| {
        if let Some(seen) = log.lock().unwrap().get_mut(number) {
            seen.body += bytes;
        }
    };
    let first = &rest[..rest.len().min(usize::try_from(most).unwrap())];
    server.write_all(first).await?;
    count(first.len() as u64);
    copy(&mut client, &mut server, most - first.len() as u64, count).await?;
    if most < length {
        server.shutdown().await?;
        return discard(&mut server, u64::MAX).await;
    }
    answer(&mut client, &mut server, fault, |bytes| {
        if let Some(seen) = log.lock().unwrap().get_mut(number) {
            seen.answer += bytes;
        }
    })
    .await
}

async fn answer(
    client: &mut TcpStream,
    server: &mut TcpStream,
    fault: Fault,
    count: impl Fn(u64),
) -> std::io::Result<()> {
    match fault {
        Fault::LoseAnswer => return discard(server, u64::MAX).await,
        Fault::CutDownload(most) => {
            copy(server, client, most, count).await?;
            return client.shutdown().await;
        }
        Fault::AddHeader(line) => {
            let Some((head, rest)) = read_head(server).await? else { return Ok(()) };
            let head = format!("{}\r\n{line}\r\n\r\n", head.trim_end());
            client.write_all(head.as_bytes()).await?;
            client.write_all(&rest).await?;
        }
        _ => {}
    }
    copy(server, client, u64::MAX, count).await?;
    client.shutdown().await
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    most: u64,
    count: impl Fn(u64),
) -> std::io::Result<()> {
    let (mut left, mut buffer) = (most, vec![0; 256 << 10]);
    while 0 < left {
        let room = usize::try_from(left.min(buffer.len() as u64)).unwrap();
        let read = from.read(&mut buffer[..room]).await?;
        if read == 0 {
            break;
        }
        to.write_all(&buffer[..read]).await?;
        left -= read as u64;
        count(read as u64);
    }
    Ok(())
}

async fn discard(from: &mut TcpStream, most: u64) -> std::io::Result<()> {
    copy(from, &mut tokio::io::sink(), most, |_| ()).await
}

/// Header without its last empty line, and what came behind it.
pub(crate) async fn read_head(from: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), rest)));
        }
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// A server that answers each request with what `script` writes, however wrong.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// With the whole body of each request.
    pub(crate) async fn start<F>(
        script: impl Fn(Seen, Vec<u8>, TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::start_at_the_head(move |mut seen, mut client| {
            let script = script.clone();
            async move {
                let mut body = std::mem::take(&mut seen.first);
                let length = seen.header("content-length").and_then(|it| it.parse().ok());
                while body.len() < length.unwrap_or(0) {
                    if client.read_buf(&mut body).await? == 0 {
                        return Ok(());
                    }
                }
                script(seen, body, client).await
            }
        })
        .await
    }

    /// As soon as the header of a request is there.
    pub(crate) async fn start_at_the_head<F>(
        script: impl Fn(Seen, TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (script, log) = (script.clone(), log.clone());
                tokio::spawn(async move {
                    let Ok(Some((head, first))) = read_head(&mut client).await else { return };
                    let seen = Seen { first, ..Seen::of(head) };
                    log.lock().unwrap().push(seen.clone());
                    drop(script(seen, client).await);
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// An answer with a body and its length.
pub(crate) fn answered(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
