//! A client made of a contract, against the service that the contract is of.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use updraft::{CallError, Client, ServiceUrl, Variable as _};

use super::process::{Process, example};
use super::server::{Server, policy};

updraft::client!(
    /// The library of the example.
    mod library, "tests/client/library.json"
);

use library::{
    AddError, BookInput, Change, ChangeRename, Genre, ListParams, ReplacePageParams, ShowError, V2,
};

fn client(url: &str) -> Client<V2> {
    let url = ServiceUrl::parse(url).unwrap();
    url.client_with("library", policy()).unwrap().typed()
}

fn book(title: &str) -> BookInput {
    BookInput { title: title.to_owned(), page_count: 100, genre: Some(Genre::Poems), authors: None }
}

#[test]
fn the_contract_that_the_client_is_of_is_that_of_the_service() {
    let own: serde_json::Value = serde_json::from_str(include_str!("library.json")).unwrap();
    let printed =
        example("contract").args(["contract", "print", "--version", "2"]).output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(own, printed, "print it anew with `contract contract print --version 2`");
    assert_eq!(library::VERSION, "2");
}

/// Some of its operations need scopes, so the service must be able to tell callers.
const VERIFIES: [(&str, &str); 2] = [("AUTH_AUDIENCE", "library"), ("AUTH_SECRET", SECRET)];
const SECRET: &str = "a secret of thirty-two characters";

/// A token that the service takes (RFC 7519), good for long and for every scope.
fn token() -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let head = part(serde_json::json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = part(serde_json::json!({
        "sub": "typed", "aud": "library", "scope": "books:write books:read", "exp": 9_999_999_999_u64,
    }));
    let signed = format!("{head}.{claims}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn operations_take_and_give_the_types_of_the_contract() {
    let service = Process::start("contract", &VERIFIES).await;
    let library = client(&format!("http://{}", service.address)).bearer(&token()).unwrap();
    let shelved = library.add(&book("Kites")).await.unwrap();
    assert_eq!((shelved.id, &*shelved.book.title, shelved.book.genre), (3, "Kites", Genre::Poems));
    let first = library.show(1).await.unwrap();
    assert_eq!(first.sequel.unwrap().id, 2);
    let params = ListParams {
        genre: vec![Genre::Novel, Genre::Atlas],
        limit: Some(5),
        reversed: Some(true),
    };
    let listing = library.list(&params).await.unwrap();
    assert!(listing.reversed);
    assert_eq!(listing.genres.len(), 2);
    let rename = Change::Rename(ChangeRename { title: "Gliders".to_owned() });
    assert_eq!(library.change(7, &rename).await.unwrap(), 7);
    let params = ReplacePageParams { if_match: None, x_copies: Some(3) };
    library.replace_page(1, 2, &params, "text".into()).await.unwrap();
    assert_eq!(&library.cover(1).await.unwrap()[..], b"a picture");
}

#[tokio::test]
async fn problems_of_the_contract_are_variants_and_others_keep_their_document() {
    let service = Process::start("contract", &VERIFIES).await;
    let library = client(&format!("http://{}", service.address)).bearer(&token()).unwrap();
    let taken = library.add(&book("Taken")).await;
    let Err(AddError::Duplicate { book: title, id: 7 }) = taken else { panic!("{taken:?}") };
    assert_eq!(title, "Taken");
    let full = library.add(&book("Full")).await;
    assert!(matches!(full, Err(AddError::Full)), "{full:?}");
    let missing = library.show(9).await;
    assert!(matches!(missing, Err(ShowError::NoSuchBook { id: 9 })), "{missing:?}");
    let Err(AddError::Call(CallError::Problem(problem))) = library.add(&book("")).await else {
        panic!("a title must not be empty")
    };
    assert_eq!(problem.status(), 422);
    assert!(problem.get("errors").unwrap().is_array());
    let params = ReplacePageParams { if_match: Some("old".to_owned()), x_copies: None };
    let old = library.replace_page(1, 2, &params, "text".into()).await.unwrap_err();
    assert_eq!(old.status().unwrap(), 412);
}

#[tokio::test]
async fn an_answer_that_the_contract_does_not_know_is_an_error_and_no_panic() {
    for (status, body) in [(200, "{}"), (200, "no JSON"), (404, "none"), (500, ""), (302, "")] {
        let server = Server::start(move |_| (status, vec![], body.to_owned())).await;
        let error = client(&server.url()).show(1).await.unwrap_err();
        let ShowError::Call(error) = error else { panic!("{error:?}") };
        assert!(matches!(error, CallError::Json(_) | CallError::Status(_)), "{error:?}");
        assert!(server.asked()[0].uri == "/v2/books/1");
    }
}
