//! What keeps operations from being an API is all said.

use super::*;
use crate::http::{Json, Path};
use crate::{App, get, post};

#[derive(App)]
struct Empty {}

#[get("/a/{id}", since = 1, until = 3)]
fn first(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

#[get("/a/{id}", since = 2)]
fn second(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

#[get("/a/{id}", since = 3)]
fn third(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

#[post("/a/{key}")]
fn named(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Other {
    id: u32,
}

#[get("/b/{no}")]
fn misread(Path(other): Path<Other>) -> Json<u32> {
    Json(other.id)
}

#[post("/events", idempotent)]
fn streams() -> crate::http::Raw<crate::http::Response> {
    crate::http::Raw(crate::http::Response::default())
}

#[post("/keyless")]
fn keyless(_key: crate::Idempotency) {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Key {
    #[expect(dead_code, reason = "it is refused")]
    idempotency_key: String,
}

#[post("/twice", idempotent = "optional")]
fn twice(_key: crate::http::Headers<Key>) {}

#[post("/once", idempotent)]
fn once() {}

fn said(api: &Api<Empty>) -> Vec<String> {
    api.faults().iter().map(ToString::to_string).collect()
}

#[test]
fn versions_that_do_not_meet_are_no_fault() {
    assert_eq!(said(&updraft::api![first, third]), [""; 0]);
}

#[test]
fn each_fault_names_its_operations() {
    let faults = said(&updraft::api![first, second, named, misread]);
    let expected = [
        "GET /a/{id}: updraft::api::tests::first and updraft::api::tests::second both answer it; give them versions that do not overlap, or take one out",
        "/a/{id} and /a/{key}: one place of a path has one name; call the parameters alike",
        "GET /b/{no}: `Path` reads `id`, which is not in the path",
        "GET /b/{no}: nothing reads the parameter `no` of the path",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn an_operation_that_cannot_keep_its_answer_is_refused_by_name() {
    let faults = said(&updraft::api![streams, keyless, twice, once]);
    let expected = [
        "POST /events: it is `idempotent`, and answers `Raw`: a stream of events or a WebSocket cannot be kept and given again; answer a type that the contract knows",
        "POST /keyless: it takes `Idempotency`, and is not `idempotent`: write that behind its path",
        "POST /twice: `Headers` reads `idempotency-key`, which `idempotent` reads: take `Idempotency`",
    ];
    assert_eq!(faults, expected);
    assert_eq!(said(&updraft::api![once]), [""; 0]);
}

#[test]
fn a_key_that_becomes_required_breaks_callers_and_one_that_may_be_left_out_does_not() {
    use crate::contract::{Class, changes};
    let [with, perhaps, without] = ["idempotent", "optional", ""].map(|wanted| {
        let release = crate::release::Release::of_build("", "");
        let api: Api<Empty> = match wanted {
            "idempotent" => updraft::api![once],
            "optional" => updraft::api![perhaps::once],
            _ => updraft::api![never::once],
        };
        api.contract(&release, None).value()
    });
    let breaks = |old, new| changes(old, new).iter().any(|it| it.class == Class::Breaking);
    assert!(breaks(&without, &with));
    assert!(breaks(&perhaps, &with));
    assert!(!breaks(&without, &perhaps));
    assert!(!breaks(&with, &perhaps));
}

/// The same operation, whose key may be left out.
mod perhaps {
    #[crate::post("/once", idempotent = "optional")]
    pub(super) fn once() {}
}

/// The same operation without a key.
mod never {
    #[crate::post("/once")]
    pub(super) fn once() {}
}

#[test]
fn the_oldest_version_is_the_first_that_is_answered() {
    let api: Api<Empty> = updraft::api![first, third];
    assert_eq!(api.versions(), Some(1..=3));
    assert_eq!(api.oldest(3).versions(), Some(3..=3));
}
