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
fn the_oldest_version_is_the_first_that_is_answered() {
    let api: Api<Empty> = updraft::api![first, third];
    assert_eq!(api.versions(), Some(1..=3));
    assert_eq!(api.oldest(3).versions(), Some(3..=3));
}
