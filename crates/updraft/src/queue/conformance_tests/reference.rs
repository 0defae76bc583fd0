//! What programs in other languages may rely on, in the words of `docs/reference/queue.md`.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Stream;

use super::bench::{Bench, Kind, job, run};
use crate::queue::record::{NewJob, now_ms};

async fn headers(stream: &Stream, job: &NewJob) -> HeaderMap {
    let subject = format!("updraft.mail=2eout.job.note.{}", job.id);
    stream.get_last_raw_message_by_subject(&subject).await.unwrap().headers
}

fn said<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap().as_str()
}

async fn jobs_on_nats(bench: Bench) {
    let one = bench.queue("queue=mail.out").await;
    let job = NewJob { priority: 7, ..job("note") };
    one.push(&job).await;
    let url = url::Url::parse(&bench.url).unwrap();
    let options = async_nats::ConnectOptions::new()
        .user_and_password(url.username().to_owned(), url.password().unwrap().to_owned());
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let jetstream = async_nats::jetstream::new(options.connect(address).await.unwrap());
    let stream = jetstream.get_stream("updraft_mail=2eout_jobs").await.unwrap();

    let waiting = headers(&stream, &job).await;
    assert_eq!(said(&waiting, "Updraft-State"), "waiting");
    assert_eq!(said(&waiting, "Updraft-At"), job.due_ms.to_string());
    assert_eq!(said(&waiting, "Updraft-Priority"), "7");

    let claimed = one.claim().await;
    let leased = headers(&stream, &job).await;
    assert_eq!(said(&leased, "Updraft-State"), "leased");
    assert!(now_ms() < said(&leased, "Updraft-At").parse().unwrap());

    assert!(one.store().complete(&claimed).await.unwrap());
    assert_eq!(stream.get_info().await.unwrap().state.messages, 0);
}

#[test]
fn jobs_on_nats_are_what_the_reference_says() {
    run(Kind::Nats, jobs_on_nats);
}
