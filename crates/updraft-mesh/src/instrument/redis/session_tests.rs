//! Conversations by the book: which reply belongs to which command.

use super::*;

fn one(session: &mut Session, direction: Direction, bytes: &str) -> Begin {
    let piece = session.step(direction, bytes.as_bytes()).unwrap().unwrap();
    assert!(piece.ends && piece.length == bytes.len(), "{bytes}");
    piece.begins.unwrap()
}

fn asks(session: &mut Session, command: &str) -> Begin {
    one(session, Direction::Request, &format!("{command}\r\n"))
}

fn array(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    words
}

/// A reply's role and the command it answers.
fn answers(session: &mut Session, bytes: &str) -> (Role, String) {
    let message = one(session, Direction::Response, bytes).message;
    (message.role, message.asked.to_str().into_owned())
}

fn told(role: Role, asked: &str) -> (Role, String) {
    (role, asked.to_owned())
}

fn confirmation(kind: char, word: &str, channel: &str, count: u32) -> String {
    format!("{kind}3\r\n{}:{count}\r\n", array(&[word, channel]))
}

#[test]
fn replies_answer_commands_in_order() {
    let mut session = Session::new();
    let set = format!("*3\r\n{}", array(&["SET", "key", "a  b"]));
    assert_eq!(one(&mut session, Direction::Request, &set).message.text.to_str(), "SET key a b");
    asks(&mut session, "get key");
    assert_eq!(asks(&mut session, "").message.role, Role::Part);
    asks(&mut session, "PING");
    assert_eq!(answers(&mut session, "+OK\r\n"), told(Role::Reply, "SET key a b"));
    assert_eq!(answers(&mut session, "$-1\r\n"), told(Role::Reply, "get key"));
    assert_eq!(answers(&mut session, ">2\r\n$10\r\ninvalidate\r\n_\r\n"), told(Role::Aside, ""));
    assert_eq!(answers(&mut session, "-ERR x\r\n"), told(Role::Reply, "PING"));
    assert_eq!(answers(&mut session, "-ERR y\r\n"), told(Role::Aside, ""));
}

#[test]
fn subscriptions_are_confirmed_one_by_one() {
    for kind in ['*', '>'] {
        let mut session = Session::new();
        asks(&mut session, "LRANGE l 0 -1");
        asks(&mut session, "subscribe a b");
        asks(&mut session, "PING");
        let list = format!("*2\r\n{}", array(&["message", "subscribe"]));
        assert_eq!(answers(&mut session, &list), told(Role::Reply, "LRANGE l 0 -1"));
        let first = confirmation(kind, "subscribe", "a", 1);
        assert_eq!(answers(&mut session, &first), told(Role::Reply, "subscribe a b"));
        let published = format!("{kind}3\r\n{}", array(&["message", "a", "x"]));
        assert_eq!(answers(&mut session, &published), told(Role::Aside, ""));
        let second = confirmation(kind, "subscribe", "b", 2);
        assert_eq!(answers(&mut session, &second), told(Role::Part, "subscribe a b"));
        assert_eq!(answers(&mut session, &published), told(Role::Aside, ""));
        let pong = format!("*2\r\n{}", array(&["pong", ""]));
        assert_eq!(answers(&mut session, &pong), told(Role::Reply, "PING"));
        asks(&mut session, "UNSUBSCRIBE");
        let end = confirmation(kind, "unsubscribe", "a", 1);
        assert_eq!(answers(&mut session, &end), told(Role::Reply, "UNSUBSCRIBE"));
        let end = confirmation(kind, "unsubscribe", "b", 0);
        assert_eq!(answers(&mut session, &end), told(Role::Aside, ""));
        asks(&mut session, "LRANGE l 0 -1");
        assert_eq!(answers(&mut session, &list), told(Role::Reply, "LRANGE l 0 -1"));
    }
}

#[test]
fn who_monitors_sees_what_nobody_asked_for() {
    let mut session = Session::new();
    asks(&mut session, "MONITOR");
    assert_eq!(answers(&mut session, "+OK\r\n"), told(Role::Reply, "MONITOR"));
    assert_eq!(answers(&mut session, "+1.5 [0 x] \"GET\"\r\n"), told(Role::Aside, ""));
    asks(&mut session, "RESET");
    assert_eq!(answers(&mut session, "+RESET\r\n"), told(Role::Reply, "RESET"));
    asks(&mut session, "ECHO 1");
    assert_eq!(answers(&mut session, "+1\r\n"), told(Role::Reply, "ECHO 1"));
}

#[test]
fn a_client_that_wants_no_replies_gets_none() {
    let mut session = Session::new();
    for command in
        ["CLIENT REPLY SKIP", "SET a 1", "GET a", "CLIENT REPLY OFF", "SET b 1", "client reply on"]
    {
        asks(&mut session, command);
    }
    assert_eq!(answers(&mut session, "$1\r\n1\r\n"), told(Role::Reply, "GET a"));
    assert_eq!(answers(&mut session, "+OK\r\n"), told(Role::Reply, "client reply on"));
}

#[test]
fn replication_is_a_protocol_of_its_own() {
    let mut session = Session::new();
    asks(&mut session, "PING");
    asks(&mut session, "PSYNC ? -1");
    assert!(session.is_opaque());
    assert_eq!(one(&mut session, Direction::Request, "\0anything").message.kind, "Bytes");
    assert_eq!(answers(&mut session, "+PONG\r\n"), told(Role::Reply, "PING"));
    assert_eq!(answers(&mut session, "+FULLRESYNC x 0\r\n"), told(Role::Reply, "PSYNC ? -1"));
    assert_eq!(one(&mut session, Direction::Response, "$9\r\nREDIS").message.kind, "Bytes");
}

#[test]
fn a_pipeline_of_any_length_is_counted() {
    let mut session = Session::new();
    let commands = PENDING_MAX + 1000;
    for number in 0..commands {
        asks(&mut session, &format!("GET {number}"));
    }
    for number in 0..commands {
        let asked = if number < PENDING_MAX { format!("GET {number}") } else { String::new() };
        assert_eq!(answers(&mut session, ":1\r\n"), told(Role::Reply, &asked));
    }
    assert_eq!(answers(&mut session, ":1\r\n"), told(Role::Aside, ""));
    asks(&mut session, "GET again");
    assert_eq!(answers(&mut session, ":1\r\n"), told(Role::Reply, "GET again"));
}
