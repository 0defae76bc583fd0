//! Interim answers (1xx) of endpoints over HTTP/2; those over HTTP/1 are with the exchanges of
//! the conformance tests. They are not passed on, and the answer itself is as without them.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Response};
use tokio::net::TcpListener;
use updraft_system::mesh::Protocol;

use crate::support::{Session, Setup, request, soon};

/// Answers with these interim answers, and then with 200 and `ok`.
async fn hinting(interim: &'static [u16]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    for status in interim {
                        let hint = Response::builder().status(*status).header("link", "</a.css>");
                        respond.send_informational(hint.body(()).unwrap()).unwrap();
                    }
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from("ok"), true).unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn hints_over_http2_do_no_harm_to_the_answer() {
    for interim in [&[100][..], &[102, 103], &[103; 50]] {
        let mut setup = Setup::new(&[hinting(interim).await]);
        setup.cluster().protocol = Protocol::H2c;
        let gateway = setup.start();
        let mut session = Session::http2(setup.port).await;
        for number in 0..20 {
            // With a body every other time, which is sent while the hints come.
            let (method, body) = [(Method::GET, ""), (Method::POST, "hello")][number % 2].clone();
            let asked = request(method, &format!("http://pricing/{number}"), body);
            let answer = soon(session.send(asked)).await.unwrap();
            assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "ok"), "{interim:?}");
            assert_eq!(answer.header("link"), None, "{interim:?}");
        }
        drop(session);
        gateway.drain().await;
    }
}
