//! Replicas that share a database, and the command line beside them.

use std::sync::Barrier;

use updraft::testing::server::Kind;

use crate::fleet::{Answer, Fleet, pay};

/// Requests at once.
const MANY: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_equal_requests_at_two_replicas_have_one_effect() {
    let fleet = Fleet::new(Some(Kind::Postgres)).await;
    let replicas = [fleet.start(&[]), fleet.start(&[])];
    let start = Barrier::new(MANY);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..MANY)
            .map(|number| {
                let (start, address) = (&start, &replicas[number % 2].address);
                scope.spawn(move || {
                    start.wait();
                    pay(address, "ann", 7).unwrap()
                })
            })
            .collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(fleet.payments("ann").await, 1);
    let first: Vec<_> = answers.iter().filter(|it| it.status == 201 && !it.is_replayed).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    for answer in &answers {
        let expected = match answer.status {
            201 => answer.body == first[0].body,
            status => status == 409,
        };
        assert!(expected, "{answer:?}");
    }
    for replica in &replicas {
        let again = pay(&replica.address, "ann", 7).unwrap();
        assert_eq!(again, Answer { is_replayed: true, ..first[0].clone() });
        assert_eq!(pay(&replica.address, "ann", 8).unwrap().status, 422);
    }
    assert_eq!(fleet.payments("ann").await, 1);
}

#[tokio::test]
async fn a_call_of_the_command_line_has_keys_too() {
    let fleet = Fleet::new(None).await;
    let body = r#"{ "account": "ann", "amount": 1 }"#;
    let key = "Idempotency-Key: \"k\"";
    let call = |more: &[&str]| {
        let all = [&["call", "POST", "/v1/payments", "-i", "--json", body], more].concat();
        fleet.run(&all)
    };
    let without = call(&[]);
    assert_eq!(without.status.code(), Some(4), "{without:?}");
    for is_replayed in [false, true] {
        let called = call(&["-H", key]);
        assert!(called.status.success(), "{called:?}");
        let text = String::from_utf8(called.stdout).unwrap();
        assert_eq!(text.contains("idempotent-replayed: true"), is_replayed, "{text}");
    }
    assert_eq!(fleet.payments("ann").await, 1);
}
