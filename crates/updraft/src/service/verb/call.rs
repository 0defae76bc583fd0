//! `call METHOD /path`: one request, answered in this process, without a network. It asks a
//! release what it would answer in this environment, with its own databases and queues.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use clap::{Arg, ArgAction, ArgMatches, Command};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt as _;

use crate::BoxError;
use crate::app::App;
use crate::auth::Caller;
use crate::process::{Kind, Start};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed};

/// Exit code: the command line is wrong.
const EXIT_USAGE: u8 = 2;

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    let command = Command::new("call")
        .about("Answers one request in this process, without a network")
        .after_help("Exits with 0 when the status is below 400, with 4 or 5 for 4xx and 5xx.")
        .arg(
            Arg::new("what")
                .value_names(["METHOD", "TARGET"])
                .num_args(1..=2)
                .required(true)
                .help("The method, GET unless it is given, and the path with its query"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .value_name("BODY")
                .help("A body of JSON; without a method it is a POST"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("BODY")
                .conflicts_with("json")
                .help("Any other body; name its type with -H 'Content-Type: …'"),
        )
        .arg(
            Arg::new("header")
                .short('H')
                .long("header")
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .help("A header of the request"),
        )
        .arg(
            Arg::new("scope")
                .long("scope")
                .value_name("SCOPE")
                .action(ArgAction::Append)
                .help("Calls as somebody who was granted this scope"),
        )
        .arg(
            Arg::new("include")
                .short('i')
                .long("include")
                .action(ArgAction::SetTrue)
                .help("Prints the status and the headers too"),
        );
    service.answers().then_some(command)
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let request = match request(matches) {
        Ok(request) => request,
        Err(refusal) => {
            // With standard error gone there is nobody to tell.
            drop(writeln!(std::io::stderr(), "{refusal}"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let include = matches.get_flag("include");
    let Booted { telemetry, runtime, platform, parsed, release } =
        match boot::boot::<A>(&service.release, "call", Kind::Question) {
            Ok(booted) => booted,
            Err(code) => return code,
        };
    let idempotency = platform.idempotency;
    let answered = Arc::new(Mutex::new(None));
    let answer = Arc::clone(&answered);
    let ended = boot::run(release, telemetry, runtime, platform, move |context| {
        Start::Task(boxed(async move {
            let (app, attaching) = service.attach_once(parsed, &context).await?;
            context.auth().start(&context);
            service.keep_keys(&attaching, &context, idempotency)?;
            let routes = service.api.into_routes(&service.release, &app);
            let response = routes.answer(request).await;
            let response = crate::web::explained(response).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((parts, body));
            Ok(())
        }))
    });
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((parts, body)) = answered else { return ended };
    match print(&parts, &body, include) {
        Ok(()) if parts.status.is_client_error() => ExitCode::from(4),
        Ok(()) if parts.status.is_server_error() => ExitCode::from(5),
        Ok(()) => ended,
        Err(_nobody_reads) => ExitCode::FAILURE,
    }
}

fn print(parts: &http::response::Parts, body: &[u8], include: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if include {
        writeln!(out, "{}", parts.status)?;
        for (name, value) in &parts.headers {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        writeln!(out)?;
    }
    out.write_all(body)?;
    if !body.is_empty() && !body.ends_with(b"\n") {
        writeln!(out)?;
    }
    out.flush()
}

/// The request that the command line means.
fn request(matches: &ArgMatches) -> Result<Request<Body>, BoxError> {
    let words: Vec<&String> = matches.get_many("what").into_iter().flatten().collect();
    let json: Option<&String> = matches.get_one("json");
    let body = json.or_else(|| matches.get_one("data"));
    let (method, target) = match *words {
        [method, target] => (method.to_uppercase(), target),
        [target] if body.is_some() => ("POST".to_owned(), target),
        [target] => ("GET".to_owned(), target),
        _ => return Err("call METHOD /path".into()),
    };
    let method: Method =
        method.parse().map_err(|error| format!("`{method}` is no method: {error}"))?;
    if !target.starts_with('/') {
        return Err("the target is a path of this service, such as /orders?limit=3".into());
    }
    let uri: Uri = target.parse().map_err(|error| format!("the target is no URI: {error}"))?;
    let mut request = Request::new(body.cloned().map_or_else(Body::empty, Body::from));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    if json.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for given in matches.get_many::<String>("header").into_iter().flatten() {
        // The value may be a secret: it is not said again.
        let wrong = "a header is written 'Name: value'";
        let (name, value) = given.split_once(':').ok_or(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|error| format!("{wrong}: {error}"))?;
        let value =
            HeaderValue::from_str(value.trim()).map_err(|error| format!("{wrong}: {error}"))?;
        headers.insert(name, value);
    }
    if let Some(scopes) = matches.get_many::<String>("scope") {
        request.extensions_mut().insert(Caller::of_command_line(scopes.cloned().collect()));
    }
    Ok(request)
}
