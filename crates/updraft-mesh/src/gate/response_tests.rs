//! What happens to answers, by table.

use super::*;
use crate::gate::recorder::inbound;

fn parts(status: u16, fields: &[(&str, &str)]) -> Parts {
    let mut response = http::Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

fn rule(status: u16, fields: &[(&str, &str)], asked: Asked) -> Option<Rule> {
    let mut parts = parts(status, fields);
    response(&mut parts, asked, &inbound(Kind::Edge)).err().map(|refusal| refusal.rule)
}

const UPGRADE_ASKED: Asked = Asked { head: false, upgrade: true };

#[test]
fn an_answer_without_a_clear_end_is_refused() {
    let none = Asked::default();
    let unclear = Some(Rule::ResponseFraming);
    for (status, fields, wanted) in [
        (200, &[("content-length", "5")][..], None),
        (200, &[("transfer-encoding", "chunked")], None),
        (200, &[("content-length", "5"), ("content-length", "5")], unclear),
        (200, &[("content-length", "+5")], unclear),
        (200, &[("content-length", "")], unclear),
        (200, &[("content-length", "5"), ("transfer-encoding", "chunked")], unclear),
        (200, &[("transfer-encoding", "gzip, chunked")], unclear),
        (200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], unclear),
        (204, &[("content-length", "0")], None),
        (204, &[("content-length", "1")], unclear),
        (204, &[("transfer-encoding", "chunked")], unclear),
        (205, &[("content-length", "1")], unclear),
        (304, &[("content-length", "10")], None),
        (103, &[], unclear),
        (101, &[], Some(Rule::UnaskedUpgrade)),
        (200, &[("connection", "content-length")], Some(Rule::ResponseConnection)),
        (200, &[("connection", "set-cookie")], Some(Rule::ResponseConnection)),
        (200, &[("connection", "close, x-own")], None),
        (200, &[("my_content", "x"), ("content_type", "x")], None),
    ] {
        assert_eq!(rule(status, fields, none), wanted, "{status} {fields:?}");
    }
}

#[test]
fn fields_of_the_hop_end_here_and_via_is_added() {
    let mut answer = parts(
        200,
        &[
            ("connection", "keep-alive, x-own"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("upgrade", "h2c"),
            ("via", "1.1 other"),
            ("x-updraft-version", "v2"),
        ],
    );
    response(&mut answer, Asked::default(), &inbound(Kind::Ingress)).unwrap();
    assert_eq!(answer.headers.len(), 1, "{:?}", answer.headers);
    assert_eq!(answer.headers["via"], "1.1 other, 1.1 gate");
}

#[test]
fn a_protocol_changes_only_when_both_sides_say_so() {
    let handshake =
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")];
    let mut answer = parts(101, &handshake);
    response(&mut answer, UPGRADE_ASKED, &inbound(Kind::Edge)).unwrap();
    assert_eq!(answer.headers["connection"], "upgrade");
    assert_eq!(answer.headers["upgrade"], "websocket");
    let unasked = Some(Rule::UnaskedUpgrade);
    assert_eq!(rule(101, &handshake, Asked::default()), unasked);
    for missing in 0..handshake.len() {
        let mut fields = handshake.to_vec();
        fields.remove(missing);
        assert_eq!(rule(101, &fields, UPGRADE_ASKED), unasked, "{fields:?}");
    }
    let mut other = handshake;
    other[1].1 = "h2c";
    assert_eq!(rule(101, &other, UPGRADE_ASKED), unasked);
    let body = [&handshake[..], &[("content-length", "5")]].concat();
    assert_eq!(rule(101, &body, UPGRADE_ASKED), Some(Rule::ResponseFraming));
}
