//! A small library of books, kept in memory: every kind of input and output that an operation
//! can have, in two versions. The tests of the contract run it as a real process.

use std::collections::BTreeMap;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{
    Accepted, Bytes, Created, HeaderMap, Headers, Html, Json, NoContent, Path, Query, Raw,
    Redirect, Response, StatusCode, Valid,
};
use updraft::{
    App, Ctx, Error, Exit, Problem, ProblemDetails, Stop, delete, get, patch, post, put,
};

/// What the library reads from the environment.
#[derive(App)]
struct Library {
    /// How many copies of a book one may order
    #[env(default = 10)]
    copies_most: u16,
}

/// A book.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Book {
    /// What it is called
    #[garde(length(chars, min = 1, max = 80))]
    title: String,
    /// How many pages it has
    #[garde(range(min = 1, max = 10_000))]
    page_count: u32,
    /// Its kind
    #[garde(skip)]
    #[serde(default)]
    genre: Genre,
    /// Who wrote it
    #[garde(length(max = 5), dive)]
    #[serde(default)]
    authors: Vec<Author>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Genre {
    #[default]
    Novel,
    Poems,
    Atlas,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, Validate)]
struct Author {
    #[garde(length(chars, min = 1))]
    name: String,
    #[garde(skip)]
    born: Option<i16>,
}

/// A book with its number.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Shelved {
    id: u64,
    book: Book,
    /// The book that continues it
    sequel: Option<Box<Shelved>>,
}

fn shelved(id: u64) -> Shelved {
    let authors = vec![Author { name: "Ishmael".to_owned(), born: None }];
    let book =
        Book { title: format!("Volume {id}"), page_count: 100, genre: Genre::Novel, authors };
    let sequel = (id == 1).then(|| Box::new(Shelved { sequel: None, ..shelved(2) }));
    Shelved { id, book, sequel }
}

/// Why a book was not shelved.
#[derive(Problem)]
enum ShelveError {
    /// The book is there already
    ///
    /// The title {book} is number {id}.
    #[problem(409)]
    Duplicate { book: String, id: u64 },
    /// The shelves are full
    #[problem(503, retry_after = 30)]
    Full,
    #[problem(transparent)]
    Missing(#[from] NoBook),
    #[problem(500)]
    Internal(#[from] Error),
}

/// What is not there.
#[derive(Problem)]
enum NoBook {
    /// No book has the number {id}
    #[problem(404)]
    NoSuchBook { id: u64 },
}

/// Adds a book
///
/// A title is there once. The answer names the place of the book.
#[post("/books", since = 1, scope = "books:write")]
fn add(_app: Ctx<Library>, Valid(book): Valid<Book>) -> Result<Created<Shelved>, ShelveError> {
    match &*book.title {
        "Taken" => return Err(ShelveError::Duplicate { book: book.title, id: 7 }),
        "Full" => return Err(ShelveError::Full),
        "Broken" => Err(std::io::Error::other("canary of the shelf"))?,
        _ => {}
    }
    Ok(Created::at("/books/3", Shelved { id: 3, book, sequel: None }))
}

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Page {
    /// How many at most
    #[garde(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Only of these kinds
    #[garde(skip)]
    #[serde(default)]
    genre: Vec<Genre>,
    #[garde(skip)]
    #[serde(default)]
    reversed: bool,
}

/// Lists books
#[get("/books", since = 1, until = 2)]
fn list(Valid(Query(page)): Valid<Query<Page>>) -> Json<Vec<Shelved>> {
    Json((0..page.limit.unwrap_or(2).min(3)).map(u64::from).map(shelved).collect())
}

#[derive(Serialize, JsonSchema)]
struct Listing {
    books: Vec<Shelved>,
    genres: BTreeMap<String, u32>,
    reversed: bool,
}

/// Lists books and counts kinds
#[get("/books", since = 2, id = "list")]
fn list_with_genres(query: Valid<Query<Page>>) -> Json<Listing> {
    let genres = query.genre.iter().map(|genre| (format!("{genre:?}"), 1)).collect();
    let Json(books) = Json(vec![shelved(1)]);
    Json(Listing { books, genres, reversed: query.reversed })
}

/// Shows a book
#[get("/books/{id}", since = 1)]
fn show(Path(id): Path<u64>) -> Result<Json<Shelved>, NoBook> {
    if id > 2 { Err(NoBook::NoSuchBook { id }) } else { Ok(Json(shelved(id))) }
}

/// Replaces a book
#[put("/books/{id}", since = 1)]
fn replace(Path(id): Path<u64>, book: Valid<Book>) -> Result<Json<Shelved>, ShelveError> {
    match &*book.title {
        "Taken" => Err(ShelveError::Duplicate { book: book.into_inner().title, id }),
        "Full" => Err(ShelveError::Full),
        _ if id > 2 => Err(NoBook::NoSuchBook { id })?,
        _ => Ok(Json(Shelved { id, book: book.into_inner(), sequel: None })),
    }
}

#[derive(Deserialize, JsonSchema)]
struct Conditions {
    if_match: Option<String>,
    x_copies: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
struct Page2 {
    id: u64,
    number: u32,
}

/// Replaces one page
#[put("/books/{id}/pages/{number}", since = 1, tags = ["pages", "books"])]
fn replace_page(
    text: String,
    Headers(conditions): Headers<Conditions>,
    app: Ctx<Library>,
    Path(page): Path<Page2>,
) -> Result<NoContent, ProblemDetails> {
    if conditions.if_match.is_some_and(|it| it == "old") {
        return Err(ProblemDetails::new(StatusCode::PRECONDITION_FAILED));
    }
    if conditions.x_copies.unwrap_or_default() > u32::from(app.copies_most) {
        return Err(ProblemDetails::new(StatusCode::UNPROCESSABLE_ENTITY).detail("too many"));
    }
    tracing::debug!(page.id, page.number, length = text.len(), "replaced");
    Ok(NoContent)
}

/// What changes of a book.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Change {
    Rename { title: String },
    Move { shelf: u8, row: Option<u8> },
}

/// Changes a book later
#[patch("/books/{id}", since = 2)]
fn change(Path((id,)): Path<(u64,)>, Json(change): Json<Change>) -> Accepted<u64> {
    match change {
        Change::Rename { title } => tracing::debug!(title, "to be renamed"),
        Change::Move { shelf, row } => tracing::debug!(shelf, row, "to be moved"),
    }
    Accepted(id)
}

/// Removes a book
#[deprecated = "books are for ever"]
#[delete("/books/{id}", since = 1, until = 2)]
fn remove(Path(_id): Path<u64>) {}

/// The cover of a book
#[get("/covers/{id}")]
fn cover(Path(id): Path<u64>, _stop: Stop) -> Option<Bytes> {
    (id < 3).then(|| Bytes::from_static(b"a picture"))
}

/// The page of the library
#[get("/")]
fn home() -> Html<&'static str> {
    Html("<!doctype html><title>Library</title>")
}

/// Where the library was before
#[get("/library")]
fn moved() -> Redirect {
    Redirect::permanent("/")
}

/// Whatever the caller said
#[post("/echo")]
fn echo(Raw(headers): Raw<HeaderMap>, body: Bytes) -> Raw<Response> {
    let kind = headers.get("content-type").cloned();
    let mut response = Response::new(body.into());
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    Raw(response)
}

fn main() -> Exit {
    let api = updraft::api![
        add,
        list,
        list_with_genres,
        show,
        replace,
        replace_page,
        change,
        remove,
        cover,
        home,
        moved,
        echo
    ];
    updraft::service!(Library).api(api).main()
}
