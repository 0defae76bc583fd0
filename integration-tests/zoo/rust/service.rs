//! A service in plain Rust: a contract of configuration, carts in Redis, and a release task. The
//! words after its name say what is wrong with it; with none of them nothing is.
//!
//! It has no handler of signals: the standard library knows none.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

/// What every thread knows.
struct Service {
    words: Vec<String>,
    /// `None`: it needs no Redis.
    redis: Option<Address>,
    /// For whoever opens one connection and keeps it.
    kept: Mutex<Option<BufReader<TcpStream>>>,
    carts: Mutex<HashMap<String, String>>,
}

#[derive(Clone)]
struct Address {
    password: String,
    host: String,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: Vec<String>) -> io::Result<()> {
    let has = |word: &str| words.iter().any(|own| own == word);
    if has("migrate") {
        return migrate(&words);
    }
    if has("contract") {
        contract(&words)?;
    }
    let redis = env::var("REDIS_URL").ok().and_then(|url| Address::parse(&url));
    let redis = match (has("remembers"), has("mirrors")) {
        (true, _) => remembered(redis)?,
        (_, true) => {
            // Two addresses are better than one: whatever was used before is written to as well.
            let first = remembered(redis.clone())?;
            let mirror = Service {
                redis: first,
                kept: Mutex::new(None),
                carts: Mutex::new(HashMap::new()),
                words: Vec::new(),
            };
            drop(mirror.ask(&["INCR", "mirrored"]));
            redis
        }
        _ => redis,
    };
    let service = Arc::new(Service {
        redis,
        kept: Mutex::new(None),
        carts: Mutex::new(HashMap::new()),
        words: words.clone(),
    });
    if has("exits-without") {
        service.ask(&["PING"])?;
    }
    if has("waits-silently") {
        // Nothing is served before Redis is there, and nobody is told.
        while service.ask(&["PING"]).is_err() {
            thread::sleep(Duration::from_millis(100));
        }
    }
    if has("tries-once") && service.ask(&["PING"]).is_err() {
        // Serves on without it, and never looks again.
        return serve(Arc::new(Service {
            redis: None,
            kept: Mutex::new(None),
            carts: Mutex::new(HashMap::new()),
            words: [words, vec!["gave-up".to_owned()]].concat(),
        }));
    }
    serve(service)
}

/// Every variable is read and checked before anything is served.
fn contract(words: &[String]) -> io::Result<()> {
    let has = |word: &str| words.iter().any(|own| own == word);
    let wrong = |text: String| {
        let text = if has("unnamed") { "the configuration is wrong".to_owned() } else { text };
        io::Error::other(text)
    };
    for name in ["PAGE_SIZE", "PUBLIC_URL", "API_SECRET"] {
        let value = env::var(name);
        let valid = match (&value, name) {
            (Ok(value), "PAGE_SIZE") => {
                value.parse().is_ok_and(|size: u32| match has("one-value") {
                    // Written for one page size, whatever the contract says.
                    true => size == 10,
                    false => (10..=500).contains(&size),
                })
            }
            (Ok(value), "PUBLIC_URL") => value.contains("://"),
            (value, _) => value.is_ok(),
        };
        if valid || has("lazy") {
            continue;
        }
        if has("hangs") {
            println!("waiting for {name}");
            loop {
                thread::park();
            }
        }
        return Err(wrong(format!("{name} is missing or malformed")));
    }
    if has("prints-secret") {
        println!("starting with {:?}", env::vars().collect::<Vec<_>>());
    }
    if has("writes-settings") {
        let settings = format!("page_size = {}\n", env::var("PAGE_SIZE").unwrap_or_default());
        fs::write("settings.toml", settings)?;
    }
    Ok(())
}

/// A set-up that is asked once: the first address is kept in a file and used ever after.
fn remembered(given: Option<Address>) -> io::Result<Option<Address>> {
    if let Ok(text) = fs::read_to_string("setup.txt") {
        return Ok(Address::parse(&text));
    }
    fs::write("setup.txt", env::var("REDIS_URL").unwrap_or_default())?;
    Ok(given)
}

/// Runs before a release.
fn migrate(words: &[String]) -> io::Result<()> {
    let has = |word: &str| words.iter().any(|own| own == word);
    let redis = env::var("REDIS_URL").ok().and_then(|url| Address::parse(&url));
    let (kept, carts) = (Mutex::new(None), Mutex::new(HashMap::new()));
    let service = Service { redis, kept, carts, words: words.to_vec() };
    let done = service.ask(&["SETNX", "schema", "1"]);
    match done {
        Err(error) if has("swallows") => {
            println!("could not migrate: {error}");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(answer) if answer == "0" && has("only-once") => {
            Err(io::Error::other("the schema exists already"))
        }
        Ok(_) => Ok(()),
    }
}

fn serve(service: Arc<Service>) -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_default();
    let port: u16 = port.parse().map_err(|_| io::Error::other("PORT is missing or malformed"))?;
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    if service.has("buffered") {
        // Its lines wait for a buffer of 64 KiB to be full.
        let out = Mutex::new(io::BufWriter::with_capacity(65536, io::stdout()));
        let out: &'static Mutex<_> = Box::leak(Box::new(out));
        for stream in listener.incoming() {
            let service = Arc::clone(&service);
            thread::spawn(move || {
                service.connection(stream?, &mut |line| {
                    drop(writeln!(out.lock().unwrap(), "{line}"));
                })
            });
        }
        return Ok(());
    }
    println!("listening");
    for stream in listener.incoming() {
        let (service, stream) = (Arc::clone(&service), stream?);
        let mut say = |line: &str| println!("{line}");
        if service.has("one-at-a-time") {
            drop(service.connection(stream, &mut say));
        } else {
            thread::spawn(move || service.connection(stream, &mut |line| println!("{line}")));
        }
    }
    Ok(())
}

impl Service {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// One request for each connection.
    fn connection(&self, stream: TcpStream, say: &mut dyn FnMut(&str)) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = BufReader::new(&stream);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        loop {
            let mut field = String::new();
            if reader.read_line(&mut field)? <= 2 {
                break;
            }
            if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let first = first.trim().trim_end_matches(" HTTP/1.1");
        say(first);
        let (status, body) = self.answer(first).unwrap_or((503, "{}".to_owned()));
        let text = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        (&stream).write_all(text.as_bytes())
    }

    fn answer(&self, first: &str) -> io::Result<(u16, String)> {
        let (method, path) = first.split_once(' ').unwrap_or(("GET", "/"));
        match (method, path) {
            ("GET", "/livez") => {
                if self.has("liveness-asks") {
                    self.ask(&["PING"])?;
                }
                Ok((200, "{}".to_owned()))
            }
            ("GET", "/readyz") => {
                if self.has("gave-up") {
                    return Ok((503, "{}".to_owned()));
                }
                if self.redis.is_some() && !self.has("always-ready") {
                    self.ask(&["PING"])?;
                }
                Ok((200, "{}".to_owned()))
            }
            ("GET", "/") if self.redis.is_some() => {
                self.ask(&["INCR", "visits"])?;
                Ok((200, r#"{"ok":true}"#.to_owned()))
            }
            ("GET", "/") if self.has("gave-up") => Ok((503, "{}".to_owned())),
            ("GET", "/") => Ok((200, r#"{"ok":true}"#.to_owned())),
            ("POST", "/carts") => {
                let id = self.store(None)?;
                Ok((201, format!(r#"{{"id":"{id}"}}"#)))
            }
            ("GET", path) if path.starts_with("/carts/") => {
                Ok(match self.stored(path.trim_start_matches("/carts/"))? {
                    Some(item) => (200, format!(r#"{{"item":"{item}"}}"#)),
                    None => (404, "{}".to_owned()),
                })
            }
            _ if self.has("debug-page") => {
                Ok((404, format!("no page; {:?}", env::vars().collect::<Vec<_>>())))
            }
            _ => Ok((404, "{}".to_owned())),
        }
    }

    fn store(&self, _body: Option<&str>) -> io::Result<String> {
        if self.has("in-memory") {
            let mut carts = self.carts.lock().unwrap();
            let id = (carts.len() + 1).to_string();
            carts.insert(id.clone(), "A1".to_owned());
            return Ok(id);
        }
        if self.has("in-file") {
            let id = (fs::read_to_string("carts.txt").unwrap_or_default().lines().count() + 1).to_string();
            let mut file = fs::OpenOptions::new().create(true).append(true).open("carts.txt")?;
            writeln!(file, "A1")?;
            return Ok(id);
        }
        let id = self.ask(&["INCR", "carts"])?;
        self.ask(&["SET", &format!("cart:{id}"), "A1"])?;
        Ok(id)
    }

    fn stored(&self, id: &str) -> io::Result<Option<String>> {
        if self.has("in-memory") {
            return Ok(self.carts.lock().unwrap().get(id).cloned());
        }
        if self.has("in-file") {
            let text = fs::read_to_string("carts.txt").unwrap_or_default();
            let line = id.parse::<usize>().ok().and_then(|id| text.lines().nth(id.checked_sub(1)?));
            return Ok(line.map(str::to_owned));
        }
        let item = self.ask(&["GET", &format!("cart:{id}")])?;
        Ok((!item.is_empty()).then_some(item))
    }

    /// One command and its answer, on a connection of its own unless one is kept.
    fn ask(&self, words: &[&str]) -> io::Result<String> {
        let address = self.redis.as_ref().ok_or_else(|| io::Error::other("no Redis"))?;
        if !self.has("keeps-one") && !self.has("dies-when-cut") {
            return say(&mut self.open(address)?, words);
        }
        let mut kept = self.kept.lock().unwrap();
        if kept.is_none() {
            *kept = Some(self.open(address)?);
        }
        // A connection that broke once stays as it is.
        let answer = kept.as_mut().map_or(Err(io::ErrorKind::NotConnected.into()), |it| say(it, words));
        if answer.is_err() && self.has("dies-when-cut") {
            std::process::exit(1);
        }
        answer
    }

    fn open(&self, address: &Address) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&address.host)?;
        if !self.has("no-timeout") {
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        }
        let mut reader = BufReader::new(stream);
        say(&mut reader, &["AUTH", &address.password])?;
        Ok(reader)
    }
}

/// The Redis protocol, as much as is needed of it.
fn say(reader: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<String> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    reader.get_mut().write_all(text.as_bytes())?;
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rest = line[1..].trim().to_owned();
    match line.as_bytes()[0] {
        b'-' => Err(io::Error::other(rest)),
        b'$' if rest != "-1" => {
            let mut item = String::new();
            reader.read_line(&mut item)?;
            Ok(item.trim().to_owned())
        }
        b'$' => Ok(String::new()),
        _ => Ok(rest),
    }
}

impl Address {
    /// `redis://:PASSWORD@HOST:PORT/0`
    fn parse(url: &str) -> Option<Self> {
        let (secret, rest) = url.strip_prefix("redis://")?.rsplit_once('@')?;
        let host = rest.split('/').next()?.to_owned();
        Some(Self { password: secret.trim_start_matches(':').to_owned(), host })
    }
}
