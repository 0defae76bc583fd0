//! When spans are sent, and how often.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::TraceContext;
use super::super::record::{SpanKind, SpanRecord};
use super::*;

const OWN: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn span() -> FinishedSpan {
    let record = SpanRecord::begin("GET", SpanKind::Server);
    let end_nanos = record.start_nanos;
    let context = TraceContext::parse(OWN).unwrap();
    FinishedSpan { context, parent: None, state: None, record, end_nanos }
}

/// A message that came, and its connection.
async fn arrived(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = [0; 1024];
    assert_ne!(stream.read(&mut read).await.unwrap(), 0);
    stream
}

/// A collector that has a message may have taken it, whatever becomes of the connection.
#[tokio::test]
async fn a_flush_waits_for_the_message_that_is_under_way_and_sends_it_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let settings = ExportSettings {
        url: url.parse().unwrap(),
        headers: Vec::new(),
        timeout: Duration::from_secs(30),
        schedule_delay: Duration::ZERO,
        service: None,
        resource: Vec::new(),
    };
    let exporter = Exporter::start(settings, Resource::default()).unwrap();
    exporter.queue().offer(span());
    let mut first = arrived(&listener).await;

    let (done, sent) = oneshot::channel();
    let flushes = exporter.handle().flushes;
    flushes.send(done).await.unwrap();
    while flushes.capacity() < FLUSHES_MOST {
        tokio::task::yield_now().await;
    }
    let answered = async {
        first.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        sent.await.unwrap();
    };
    tokio::select! {
        () = answered => {}
        _ = arrived(&listener) => panic!("it was sent twice"),
    }
    assert_eq!(exporter.handle().counts().lost_in_all(), 0);
}
