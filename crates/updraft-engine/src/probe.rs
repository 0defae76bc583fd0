//! One look at a process: does it answer?

use std::net::Ipv4Addr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether `GET path` on `port` is answered with 200 to 399 in time. The error tells
/// the request and what came of it.
pub(crate) async fn http(port: u16, path: &str, limit: Duration) -> Result<(), String> {
    let told = format!("GET http://127.0.0.1:{port}{path}");
    let answer = async {
        let stream = connect(port).await?;
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connection.map_err(|error| error.to_string())?;
        let request = Request::get(path)
            .header(header::HOST, format!("127.0.0.1:{port}"))
            .header(header::USER_AGENT, "updraft-probe")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let mut answer = std::pin::pin!(sender.send_request(request));
        // The connection does the work, and may end in the same step as the answer comes.
        let answer = tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        };
        let status = answer.map_err(|error| error.to_string())?.status();
        if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(status.to_string()) }
    };
    match timeout(limit, answer).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(format!("{told}: {reason}")),
        Err(_) => Err(format!("{told}: no answer within {limit:?}")),
    }
}

/// Whether a connection to `port` opens in time.
pub(crate) async fn tcp(port: u16, limit: Duration) -> Result<(), String> {
    match timeout(limit, connect(port)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(reason)) => Err(format!("connect to 127.0.0.1:{port}: {reason}")),
        Err(_) => Err(format!("connect to 127.0.0.1:{port}: no answer within {limit:?}")),
    }
}

async fn connect(port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Answers one connection with `answer` and closes it.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        port
    }

    #[tokio::test]
    async fn an_answer_counts_even_when_the_connection_closes_behind_it() {
        let port = server("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        http(port, "/readyz", LIMIT).await.unwrap();
        let port = server("HTTP/1.0 200 OK\r\n\r\nready").await;
        http(port, "/readyz", LIMIT).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_tells_the_request_and_what_came_of_it() {
        let port = server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        let error = http(port, "/readyz", LIMIT).await.unwrap_err();
        assert!(error.contains(&format!("{port}/readyz")) && error.contains("503"), "{error}");
        let port = server("").await;
        assert!(http(port, "/readyz", LIMIT).await.is_err());
    }
}
