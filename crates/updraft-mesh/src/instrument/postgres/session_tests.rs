//! Conversations by the book: who answers whom.

use super::*;

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

/// One message of a conversation, and what the session makes of it.
fn one(session: &mut Session, direction: Direction, bytes: &[u8]) -> Begin {
    let piece = session.step(direction, bytes).unwrap().unwrap();
    assert!(piece.ends && piece.length == bytes.len());
    piece.begins.unwrap()
}

fn asks(session: &mut Session, letter: u8, body: &[u8]) -> Begin {
    one(session, Direction::Request, &message(letter, body))
}

/// The role of a reply, the words it answers, and whether it ends the answer.
fn answers(session: &mut Session, letter: u8, body: &[u8]) -> (Role, String, bool) {
    let begin = one(session, Direction::Response, &message(letter, body));
    (begin.message.role, begin.message.asked.to_str().into_owned(), begin.completes_reply)
}

fn told(role: Role, asked: &str, ends: bool) -> (Role, String, bool) {
    (role, asked.to_owned(), ends)
}

fn opened() -> Session {
    let mut session = Session::new();
    let startup = [&17_u32.to_be_bytes()[..], &[0, 3, 0, 0], b"user\0pg\0\0"].concat();
    one(&mut session, Direction::Request, &startup);
    assert_eq!(answers(&mut session, b'R', &[0; 4]), told(Role::Part, "", false));
    assert_eq!(answers(&mut session, b'S', b"a\0b\0"), told(Role::Aside, "", false));
    assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "", false));
    session
}

#[test]
fn a_simple_query_is_answered_up_to_ready() {
    let mut session = opened();
    let begin = asks(&mut session, b'Q', b"  select 1\0");
    assert_eq!(begin.message.role, Role::Request);
    assert_eq!(begin.message.text.to_str(), "select 1");
    assert!(begin.completes_request);
    assert_eq!(answers(&mut session, b'N', b"\0"), told(Role::Aside, "", false));
    assert_eq!(answers(&mut session, b'T', b""), told(Role::Reply, "select 1", false));
    assert_eq!(answers(&mut session, b'D', b""), told(Role::Part, "select 1", false));
    assert_eq!(answers(&mut session, b'C', b"SELECT 1\0"), told(Role::Part, "select 1", false));
    assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "select 1", true));
    assert_eq!(answers(&mut session, b'A', b""), told(Role::Aside, "", false));
}

#[test]
fn an_execute_has_the_words_of_its_statement() {
    let mut session = opened();
    for (name, sql) in
        [(&b""[..], &b"COMMIT"[..]), (b"s1", b"/* x */ insert into t"), (b"s2", b"x")]
    {
        asks(&mut session, b'P', &[name, b"\0", sql, b"\0\0\0"].concat());
        asks(&mut session, b'B', &[b"p", name, b"\0", name, b"\0"].concat());
    }
    for (portal, text) in [(&b"p"[..], "COMMIT"), (b"ps1", "insert into t"), (b"ps2", "x")] {
        let execute = asks(&mut session, b'E', &[portal, b"\0\0\0\0\0"].concat());
        assert_eq!(
            (execute.message.role, execute.message.text.to_str().as_ref()),
            (Role::Request, text)
        );
        assert!(!execute.completes_request);
    }
    assert!(asks(&mut session, b'S', b"").completes_request);
    for _ in 0..3 {
        assert_eq!(answers(&mut session, b'1', b"").0, Role::Part);
        assert_eq!(answers(&mut session, b'2', b"").0, Role::Part);
    }
    assert_eq!(answers(&mut session, b'C', b"COMMIT\0"), told(Role::Reply, "COMMIT", true));
    assert_eq!(answers(&mut session, b'D', b""), told(Role::Reply, "insert into t", false));
    assert_eq!(answers(&mut session, b's', b""), told(Role::Part, "insert into t", true));
    assert_eq!(answers(&mut session, b'C', b"X\0"), told(Role::Reply, "x", true));
    assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "", false));
    // Named portals ended with the transaction, and a closed statement has no words.
    asks(&mut session, b'C', b"Ss1\0");
    asks(&mut session, b'B', b"\0s1\0");
    assert_eq!(asks(&mut session, b'E', b"\0\0\0\0\0").message.text.to_str(), "");
    assert_eq!(asks(&mut session, b'E', b"ps2\0\0\0\0\0").message.text.to_str(), "");
}

fn pipeline(session: &mut Session, texts: &[&str]) {
    for text in texts {
        asks(session, b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat());
        asks(session, b'B', b"\0\0");
        asks(session, b'E', b"\0\0\0\0\0");
    }
    asks(session, b'S', b"");
}

#[test]
fn after_an_error_nothing_up_to_sync_is_answered() {
    let mut session = opened();
    pipeline(&mut session, &["a", "b", "c"]);
    pipeline(&mut session, &["d"]);
    for letter in *b"12" {
        answers(&mut session, letter, b"");
    }
    let error = b"SERROR\0VERROR\0C40001\0Mtext\0\0";
    let begin = one(&mut session, Direction::Response, &message(b'E', error));
    assert_eq!(begin.message.text.to_str(), "ERROR 40001");
    assert_eq!(begin.message.asked.to_str(), "a");
    assert_eq!((begin.message.role, begin.completes_reply), (Role::Reply, true));
    assert_eq!(answers(&mut session, b'Z', b"E"), told(Role::Part, "", false));
    for letter in *b"12" {
        answers(&mut session, letter, b"");
    }
    assert_eq!(answers(&mut session, b'C', b"D\0"), told(Role::Reply, "d", true));
}

#[test]
fn an_error_drops_what_comes_before_the_next_sync_too() {
    let mut session = opened();
    asks(&mut session, b'P', b"\0bad\0\0\0");
    answers(&mut session, b'E', b"SERROR\0C42601\0\0");
    pipeline(&mut session, &["late"]);
    assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "", false));
    asks(&mut session, b'Q', b"next\0");
    assert_eq!(answers(&mut session, b'C', b"NEXT\0"), told(Role::Reply, "next", false));
}

#[test]
fn a_sync_that_a_copy_swallows_is_not_waited_for() {
    for early in [true, false] {
        let mut session = opened();
        asks(&mut session, b'P', b"\0copy t from stdin\0\0\0");
        asks(&mut session, b'B', b"\0\0");
        asks(&mut session, b'E', b"\0\0\0\0\0");
        if early {
            asks(&mut session, b'S', b"");
        }
        answers(&mut session, b'1', b"");
        answers(&mut session, b'2', b"");
        assert_eq!(answers(&mut session, b'G', b""), told(Role::Reply, "copy t from stdin", false));
        if !early {
            asks(&mut session, b'S', b"");
        }
        asks(&mut session, b'd', b"row");
        asks(&mut session, b'c', b"");
        asks(&mut session, b'S', b"");
        asks(&mut session, b'Q', b"next\0");
        assert_eq!(
            answers(&mut session, b'C', b"COPY 1\0"),
            told(Role::Part, "copy t from stdin", true)
        );
        assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "", false));
        assert_eq!(answers(&mut session, b'C', b"NEXT\0"), told(Role::Reply, "next", false));
    }
}

#[test]
fn the_end_of_a_copy_by_a_simple_query_disturbs_nothing() {
    let mut session = opened();
    asks(&mut session, b'Q', b"copy t from stdin\0");
    answers(&mut session, b'G', b"");
    asks(&mut session, b'd', b"row");
    asks(&mut session, b'c', b"");
    assert_eq!(
        answers(&mut session, b'C', b"COPY 1\0"),
        told(Role::Part, "copy t from stdin", false)
    );
    assert_eq!(answers(&mut session, b'Z', b"I"), told(Role::Part, "copy t from stdin", true));
    asks(&mut session, b'Q', b"next\0");
    assert_eq!(answers(&mut session, b'C', b"NEXT\0"), told(Role::Reply, "next", false));
}

#[test]
fn a_client_that_never_listens_is_not_read_on() {
    let mut session = opened();
    let mut sent = 0;
    while !session.waits() {
        asks(&mut session, b'S', b"");
        sent += 1;
    }
    assert_eq!(sent, PENDING_MAX);
    assert!(session.step(Direction::Request, &message(b'S', b"")).unwrap().is_none());
    answers(&mut session, b'Z', b"I");
    assert!(!session.waits());
}
