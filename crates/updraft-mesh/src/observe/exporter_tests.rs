//! Spans reach a receiver that fails, refuses and is slow, or are counted as lost.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::super::SpanKind;
use super::super::otlp::tests::{check, span};
use super::*;

/// What the receiver answers: a status, a header, a body.
type Reply = (u16, Option<(&'static str, &'static str)>, &'static str);

const TAKEN: Reply = (200, None, "{}");

/// A real receiver of OTLP/HTTP that checks what it gets.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    arrived: watch::Sender<Vec<(Instant, usize)>>,
}

impl Collector {
    async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Self {
            address: listener.local_addr().unwrap(),
            replies: Arc::new(Mutex::new(replies.iter().copied().collect())),
            arrived: watch::Sender::new(Vec::new()),
        };
        let serving = own.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = serving.clone();
                let service = service_fn(move |request| own.clone().answer(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        own
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/base/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["host"], self.address.to_string());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let message: Value = serde_json::from_slice(&body).unwrap();
        let spans = check(&message).len();
        self.arrived.send_modify(|all| all.push((Instant::now(), spans)));
        let (status, header, body) = self.replies.lock().unwrap().pop_front().unwrap_or(TAKEN);
        let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        *response.status_mut() = status.try_into().unwrap();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(response)
    }

    fn spans(&self) -> Vec<usize> {
        self.arrived.borrow().iter().map(|(_, spans)| *spans).collect()
    }

    /// Waits until so many have come; a test that waits for more than two minutes has failed.
    async fn messages(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        let come = arrived.wait_for(|all| all.len() >= count);
        drop(tokio::time::timeout(Duration::from_secs(120), come).await.unwrap().unwrap());
    }
}

struct Rig {
    collector: Collector,
    queue: SpanQueue,
    counts: Arc<SpanCounts>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    async fn start(replies: &[Reply]) -> Self {
        let collector = Collector::start(replies).await;
        let counts = Arc::new(SpanCounts::default());
        let base = format!("http://{}/base/", collector.address);
        let (queue, exporter) = exporter(&base, &"shop".parse().unwrap(), &counts).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(exporter.run(async {
            drop(stopped.await);
        }));
        Self { collector, queue, counts, stop, task }
    }

    fn offer(&self, count: usize) {
        for _ in 0..count {
            self.queue.offer(span(SpanKind::Server));
        }
    }

    /// Ends the exporter and gives what it counted: exported, queue full, refused, unreachable.
    async fn end(self) -> [u64; 4] {
        drop(self.stop);
        self.task.await.unwrap();
        counted(&self.counts)
    }
}

fn counted(counts: &SpanCounts) -> [u64; 4] {
    let [(_, full), (_, refused), (_, unreachable)] = counts.dropped();
    [counts.exported(), full, refused, unreachable]
}

#[tokio::test]
async fn what_is_left_is_sent_before_the_end() {
    let rig = Rig::start(&[]).await;
    rig.offer(700);
    let collector = rig.collector.clone();
    assert_eq!(rig.end().await, [700, 0, 0, 0]);
    assert_eq!(collector.spans().iter().sum::<usize>(), 700);
    assert!(collector.spans().iter().all(|spans| *spans <= BATCH_MAX));
}

#[tokio::test]
async fn a_full_batch_is_sent_at_once() {
    let rig = Rig::start(&[]).await;
    rig.offer(BATCH_MAX);
    rig.collector.messages(1).await;
    assert_eq!(rig.collector.spans(), [BATCH_MAX]);
    assert_eq!(rig.end().await, [512, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_span_waits_no_longer_than_five_seconds_for_others() {
    let rig = Rig::start(&[]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = Instant::now();
    rig.offer(3);
    rig.collector.messages(1).await;
    assert_eq!(rig.collector.spans(), [3]);
    let waited = before.elapsed();
    assert!(waited >= BATCH_WAIT && waited < BATCH_WAIT * 2, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_busy_is_asked_again_when_it_says() {
    for status in [429, 502, 503, 504] {
        let busy = (status, Some(("retry-after", "7")), "");
        let rig = Rig::start(&[busy, busy]).await;
        rig.offer(BATCH_MAX);
        rig.collector.messages(3).await;
        let times: Vec<Instant> =
            rig.collector.arrived.borrow().iter().map(|(at, _)| *at).collect();
        for two in times.windows(2) {
            let waited = two[1] - two[0];
            assert!(
                waited >= Duration::from_secs(7) && waited < Duration::from_secs(9),
                "{waited:?}"
            );
        }
        assert_eq!(rig.end().await, [512, 0, 0, 0], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_waits_double_and_then_the_batch_is_lost() {
    let rig = Rig::start(&[(503, None, ""); 9]).await;
    rig.offer(BATCH_MAX);
    rig.collector.messages(ATTEMPTS_MAX as usize).await;
    let times: Vec<Instant> = rig.collector.arrived.borrow().iter().map(|(at, _)| *at).collect();
    for (number, two) in times.windows(2).enumerate() {
        let full = BACKOFF * (1 << number);
        let waited = two[1] - two[0];
        assert!(waited >= full / 2 && waited < full + BACKOFF, "{number}: {waited:?}");
    }
    assert_eq!(rig.end().await, [0, 0, 0, 512]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_too_long_is_cut() {
    let rig = Rig::start(&[(503, Some(("retry-after", "86400")), "")]).await;
    rig.offer(BATCH_MAX);
    rig.collector.messages(2).await;
    let times: Vec<Instant> = rig.collector.arrived.borrow().iter().map(|(at, _)| *at).collect();
    assert!(times[1] - times[0] < BACKOFF_MAX + Duration::from_secs(2));
}

#[tokio::test]
async fn a_receiver_that_refuses_is_not_asked_again() {
    for status in [400, 404, 413, 500] {
        let rig = Rig::start(&[(status, None, "")]).await;
        rig.offer(4);
        let collector = rig.collector.clone();
        assert_eq!(rig.end().await, [0, 0, 4, 0], "{status}");
        assert_eq!(collector.spans(), [4]);
    }
}

#[tokio::test]
async fn spans_that_a_receiver_takes_in_part_are_counted_apart() {
    let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#;
    let rig = Rig::start(&[(200, None, partial)]).await;
    rig.offer(10);
    assert_eq!(rig.end().await, [7, 0, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_receiver_that_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let counts = Arc::new(SpanCounts::default());
    let (queue, exporter) = exporter(&base, &"shop".parse().unwrap(), &counts).unwrap();
    for _ in 0..600 {
        queue.offer(span(SpanKind::Client));
    }
    let before = Instant::now();
    exporter.run(async {}).await;
    assert!(before.elapsed() <= FLUSH_MAX + Duration::from_secs(1));
    assert_eq!(counted(&counts), [0, 0, 0, 600]);
}

#[tokio::test]
async fn a_queue_that_is_full_loses_spans_and_never_waits() {
    let counts = Arc::new(SpanCounts::default());
    let base = "http://127.0.0.1:4318";
    let (queue, exporter) = exporter(base, &"shop".parse().unwrap(), &counts).unwrap();
    for _ in 0..SpanQueue::LENGTH_MAX + 9 {
        queue.offer(span(SpanKind::Client));
    }
    assert_eq!(counted(&counts), [0, 9, 0, 0]);
    drop(exporter);
}

#[tokio::test]
async fn the_task_ends_when_nobody_has_the_queue_any_more() {
    let rig = Rig::start(&[]).await;
    rig.offer(5);
    drop(rig.queue);
    rig.task.await.unwrap();
    assert_eq!(counted(&rig.counts), [5, 0, 0, 0]);
    drop(rig.stop);
}
