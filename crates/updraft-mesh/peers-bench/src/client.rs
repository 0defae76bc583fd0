//! Single requests on connections of their own: for connections that are held, and for handshakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Result, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use updraft_measure::loader::{request, whole_length};

/// Who comes by mutual TLS, and whom it asks for.
pub struct Caller {
    pub config: Arc<ClientConfig>,
    /// The name for SNI.
    pub server: ServerName<'static>,
}

/// A connection whose one request was answered.
pub enum Visit {
    Plain { _stream: TcpStream },
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Visit {
    /// Connects, by mutual TLS as the caller that is given, and asks for 1 KiB.
    pub fn pay(address: SocketAddr, caller: Option<&Caller>) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let Some(Caller { config, server }) = caller else {
            exchange(&mut stream, &request("/1k"))?;
            return Ok(Self::Plain { _stream: stream });
        };
        let client = ClientConnection::new(Arc::clone(config), server.clone())?;
        let mut stream = StreamOwned::new(client, stream);
        exchange(&mut stream, &request("/1k"))?;
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

/// Sends a request; the head and the body of its response, which must be one of 200.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut response = Vec::with_capacity(2048);
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection");
        response.extend_from_slice(&buffer[..count]);
        if whole_length(&response)?.is_some_and(|whole| response.len() >= whole) {
            return Ok(response);
        }
    }
}
