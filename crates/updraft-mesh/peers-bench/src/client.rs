//! Single requests on connections of their own: for connections that are held, and for handshakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Result, ensure};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificates::NAME;
use crate::loader::{request, whole_length};

/// A connection whose one request was answered.
pub enum Visit {
    Plain { _stream: TcpStream },
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Visit {
    /// Connects, by mutual TLS when it is given how, and asks for 1 KiB.
    pub fn pay(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let Some(config) = tls else {
            ask(&mut stream)?;
            return Ok(Self::Plain { _stream: stream });
        };
        let client = ClientConnection::new(Arc::clone(config), NAME.try_into()?)?;
        let mut stream = StreamOwned::new(client, stream);
        ask(&mut stream)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Ends it as the protocol wants it.
    pub fn end(self) -> Result<()> {
        if let Self::Tls(mut stream) = self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        Ok(())
    }
}

fn ask(stream: &mut (impl Read + Write)) -> Result<()> {
    stream.write_all(&request("/1k"))?;
    stream.flush()?;
    let mut response = Vec::with_capacity(2048);
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the proxy closed the connection");
        response.extend_from_slice(&buffer[..count]);
        if whole_length(&response)?.is_some_and(|whole| response.len() >= whole) {
            return Ok(());
        }
    }
}
