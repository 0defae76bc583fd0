//! The short way is the way of the router, for what it is taken.

use axum::body::Body;
use axum::extract::MatchedPath;
use http::StatusCode;
use http_body_util::BodyExt as _;

use super::*;
use crate::http::{Created, Headers, Json, Path, Query, Raw};
use crate::release::Release;
use crate::testing::TestApp;
use crate::{Api, App, Service, get, post};

#[derive(App)]
struct Shop {}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Line {
    order: String,
    number: u32,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    after: Option<u32>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Asked {
    host: Option<String>,
}

#[get("/")]
fn root(Headers(asked): Headers<Asked>) -> String {
    asked.host.unwrap_or_default()
}

#[get("/{shelf}")]
fn shelf(Path(shelf): Path<String>, Query(page): Query<Page>) -> String {
    format!("{shelf} after {:?}", page.after)
}

#[post("/{shelf}")]
fn fill(Path(shelf): Path<String>, body: String) -> String {
    format!("{shelf} of {body}")
}

#[get("/orders/{id}")]
fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

#[get("/orders/{order}/lines/{number}", since = 1)]
fn line(Path(line): Path<Line>) -> Json<Line> {
    Json(line)
}

#[post("/orders/{order}/lines/{number}", since = 1, until = 2)]
fn write(Path((order, number)): Path<(String, u32)>) -> Created<Line> {
    Created::at(format!("/orders/{order}/lines/{number}"), Line { order, number })
}

#[get("/matched/{it}", since = 2)]
fn matched(Raw(path): Raw<MatchedPath>) -> String {
    path.as_str().to_owned()
}

fn api() -> Api<Shop> {
    updraft::api![root, shelf, fill, order, line, write, matched]
}

fn shop() -> Service<Shop> {
    updraft::service!(Shop).api(api())
}

/// A method, a path, and whether there is a short way.
const ASKED: [(&str, &str, bool); 27] = [
    ("GET", "/", true),
    ("HEAD", "/", false),
    ("PUT", "/", false),
    ("GET", "", true),
    ("GET", "/books", true),
    ("GET", "/books?after=7", true),
    ("GET", "/books?after=x", true),
    ("GET", "/books/", false),
    ("GET", "//", false),
    ("POST", "/books", true),
    ("DELETE", "/books", false),
    ("GET", "/a%20b%2Fc", true),
    ("GET", "/%ff", true),
    ("GET", "/{shelf}", true),
    ("GET", "/docs", false),
    ("GET", "/openapi.json", false),
    ("POST", "/docs", false),
    ("GET", "/orders", true),
    ("GET", "/orders/7", true),
    ("GET", "/orders/x", true),
    ("GET", "/orders/7/lines/1", false),
    ("GET", "/v1/orders/7/lines/1", true),
    ("GET", "/v2/orders/a%2fb/lines/x", true),
    ("POST", "/v1/orders/7/lines/1", true),
    ("POST", "/v2/orders/7/lines/1", false),
    ("GET", "/v3/orders/7/lines/1", false),
    ("GET", "/v2/matched/7", false),
];

type Answered = (StatusCode, Vec<(String, String)>, Vec<u8>);

async fn told(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let mut headers: Vec<_> = parts
        .headers
        .iter()
        // hyper says how long an answer is when axum has not.
        .filter(|(name, _)| **name != http::header::CONTENT_LENGTH)
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (parts.status, headers, body)
}

fn request(method: &str, path: &str) -> Request {
    let uri = format!("http://shop.example{path}");
    Request::builder().method(method).uri(uri).header("host", "it").body(Body::from("x")).unwrap()
}

#[crate::test(service = shop)]
async fn the_short_way_gives_what_the_router_gives(t: TestApp<Shop>) {
    let routes = api().into_routes(&Release::of_build("", ""), t.app());
    for (method, path, is_short) in ASKED {
        let asked = || request(method, path);
        assert_eq!(routes.short_way(&asked()).is_some(), is_short, "{method} {path}");
        let short = told(routes.answer(asked()).await).await;
        let Ok(long) = routes.all.clone().call(asked()).await;
        assert_eq!(short, told(long).await, "{method} {path}");
    }
}

#[crate::test(service = shop)]
async fn a_parameter_is_decoded_after_its_path_is_parted(t: TestApp<Shop>) {
    let routes = api().into_routes(&Release::of_build("", ""), t.app());
    for (path, status, expected) in [
        ("/a%20b%2Fc", StatusCode::OK, "a b/c after None"),
        ("/%C3%A4%25", StatusCode::OK, "ä% after None"),
        ("/v2/orders/a%2fb/lines/3", StatusCode::OK, r#"{"order":"a/b","number":3}"#),
        ("/%ff", StatusCode::BAD_REQUEST, "the path is no text in UTF-8"),
    ] {
        let answer = told(routes.answer(request("GET", path)).await).await;
        let body = String::from_utf8(answer.2).unwrap();
        assert_eq!(answer.0, status, "{path}: {body}");
        assert!(body.contains(expected), "{path}: {body}");
    }
}

#[crate::test(service = shop)]
async fn a_route_of_axum_may_be_nearer_than_a_template(t: TestApp<Shop>) {
    let special = axum::routing::get(async || "special");
    let own = Router::new().route("/orders/special", special.clone()).route("/special", special);
    let routes = api().router(own).into_routes(&Release::of_build("", ""), t.app());
    for (path, expected, is_short) in [
        ("/", "it", true),
        ("/special", "special", false),
        ("/books", "books after None", false),
        ("/orders/special", "special", false),
        ("/orders/7", "7", false),
    ] {
        let asked = || request("GET", path);
        assert_eq!(routes.short_way(&asked()).is_some(), is_short, "{path}");
        let (status, _, body) = told(routes.answer(asked()).await).await;
        assert_eq!((status, body), (StatusCode::OK, expected.as_bytes().to_vec()), "{path}");
    }
}
