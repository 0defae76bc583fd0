//! The operations of a contract as functions.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::messages::{Is, Type, Types};
use super::names::{ident, pascal, snake};
use super::problems::{self, Problems};
use super::{docs, text};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

/// Arguments that a function can have besides the parameters of its path.
const ARGUMENTS: [&str; 3] = ["path", "params", "body"];

/// Names of functions that the type of the operations has anyway.
const TAKEN: [&str; 2] = ["of", "clone"];

/// The functions of all operations.
pub(super) fn all(types: &mut Types<'_>) -> Vec<TokenStream> {
    let document = types.document;
    let mut functions = Vec::new();
    let mut taken: BTreeSet<String> = TAKEN.map(str::to_owned).into();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let place = format!("{} {path}", method.to_uppercase());
            let id = operation.get("operationId").and_then(Value::as_str);
            let mut name = snake(id.unwrap_or(&format!("{method} {path}")));
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let operation = Operation { path, method, item, operation, place, name };
            functions.push(operation.function(types));
        }
    }
    functions
}

struct Operation<'d> {
    path: &'d str,
    method: &'d str,
    item: &'d Value,
    operation: &'d Value,
    place: String,
    name: String,
}

/// A parameter of the query or a header.
struct Parameter<'d> {
    name: &'d str,
    is_header: bool,
    is_required: bool,
    field: Ident,
    made: Type,
    said: &'d Value,
}

/// What a function takes, and what it does with it.
#[derive(Default)]
struct Arguments {
    declared: Vec<TokenStream>,
    /// Statements that change `call`.
    applied: Vec<TokenStream>,
}

impl<'d> Operation<'d> {
    fn function(&self, types: &mut Types<'d>) -> TokenStream {
        let name = ident(&self.name);
        let mut arguments = Arguments::default();
        let path = self.path(types, &mut arguments);
        self.parameters(types, &mut arguments);
        self.body(types, &mut arguments);
        let (answer, read) = self.answer(types);
        let Problems { ty, check, wrap } = problems::of(types, self.operation, &pascal(&self.name));
        let about = docs(self.operation, &self.place);
        let errors = format!(" `{ty}`: what the contract names, and what every call can end with.")
            .replace(":: updraft :: ", "");
        let method = ident(&self.method.to_uppercase());
        let template = format!("{}{}", self.prefix(types), self.path);
        let deprecated = (self.operation.get("deprecated") == Some(&Value::Bool(true)))
            .then(|| quote!(#[deprecated = "the contract says so"]));
        let Arguments { declared, applied } = arguments;
        quote! {
            #about
            ///
            /// # Errors
            ///
            #[doc = #errors]
            #deprecated
            pub async fn #name(
                &self,
                #(#declared)*
            ) -> ::core::result::Result<#answer, #ty> {
                let path = #path;
                let call = self.0.call(::updraft::http::Method::#method, &path);
                let call = call.template(#template);
                #(#applied)*
                let reply = call.send().await.map_err(#wrap)?;
                #check
                reply.success().map_err(#wrap)?;
                #read.map_err(#wrap)
            }
        }
    }

    /// The path below which the server has the operation.
    fn prefix(&self, types: &Types<'d>) -> String {
        let servers = [self.operation, self.item, types.document];
        let url = servers.iter().map(|it| text(it, "/servers/0/url")).find(|url| !url.is_empty());
        let url = url.unwrap_or_default();
        // Where a service is, its variable says; below which path, the contract does.
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |begin| &rest[begin..]),
            None => url,
        };
        path.trim_end_matches('/').to_owned()
    }

    fn declared_parameters(&self, types: &mut Types<'d>) -> Vec<&'d Value> {
        let lists = [self.operation, self.item].map(|it| it.get("parameters"));
        let mut all: Vec<&Value> = Vec::new();
        for parameter in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let target = match parameter.get("$ref").and_then(Value::as_str) {
                Some(target) => target.strip_prefix('#').and_then(|it| types.document.pointer(it)),
                None => Some(parameter),
            };
            let Some(parameter) = target else {
                types.wrong(&*self.place, "a parameter refers to what is not in the document");
                continue;
            };
            let is_same = |it: &&Value| {
                it.get("name") == parameter.get("name") && it.get("in") == parameter.get("in")
            };
            // What the operation says goes before what the path says.
            if !all.iter().any(is_same) {
                all.push(parameter);
            }
        }
        all
    }

    /// The expression of the path, whose parameters are arguments in their order.
    fn path(&self, types: &mut Types<'d>, arguments: &mut Arguments) -> TokenStream {
        let declared = self.declared_parameters(types);
        let prefix = self.prefix(types);
        let mut pushed = vec![quote!(let mut path = ::std::string::String::from(#prefix);)];
        let mut rest = self.path;
        while let Some(begin) = rest.find('{') {
            let (before, after) = rest.split_at(begin);
            let Some(end) = after.find('}') else { break };
            let name = &after[1..end];
            rest = &after[end + 1..];
            pushed.push(quote!(path.push_str(#before);));
            let is_it = |it: &&&Value| text(it, "/in") == "path" && text(it, "/name") == name;
            let place = format!("{}, path parameter {name}", self.place);
            let Some(schema) = declared.iter().find(is_it).and_then(|it| it.get("schema")) else {
                types.wrong(place, "it is in the path and not among the parameters");
                continue;
            };
            let made = types.of(schema, &format!("{}{}", pascal(&self.name), pascal(name)), &place);
            let argument = argument(name);
            let ty = match made.is {
                Is::Text => quote!(&str),
                Is::Plain => made.tokens,
                Is::Several | Is::Other => {
                    types.wrong(place, "a path parameter is a text, a number or the like");
                    continue;
                }
            };
            arguments.declared.push(quote!(#argument: #ty,));
            pushed.push(quote!(path.push_str(&::updraft::contract_types::segment(#argument));));
        }
        pushed.push(quote!(path.push_str(#rest);));
        quote!({ #(#pushed)* path })
    }

    /// Parameters of the query and headers, which are one argument together.
    fn parameters(&self, types: &mut Types<'d>, arguments: &mut Arguments) {
        let mut parameters: Vec<Parameter<'d>> = Vec::new();
        let own = format!("{}Params", pascal(&self.name));
        for said in self.declared_parameters(types) {
            let (name, at) = (text(said, "/name"), text(said, "/in"));
            let is_required = said.get("required") == Some(&Value::Bool(true));
            let place = format!("{}, {at} parameter {name}", self.place);
            match at {
                "query" | "header" => {}
                "path" => continue,
                _ if is_required => {
                    types.wrong(place, "it is required, and a client sends none of this kind");
                    continue;
                }
                _ => continue,
            }
            if at == "header" && !is_token(name) {
                types.wrong(place, "it is no name of a header");
                continue;
            }
            let made = match said.get("schema") {
                Some(schema) => types.of(schema, &format!("{own}{}", pascal(name)), &place),
                None => {
                    types.wrong(place, "it has no schema");
                    continue;
                }
            };
            if made.is == Is::Other || (made.is == Is::Several && at == "header") {
                types.wrong(place, "it is a text, a number or the like, or in a query several");
                continue;
            }
            let mut field = snake(name);
            while parameters.iter().any(|it| it.field == field) {
                field.push('_');
            }
            let field = ident(&field);
            let is_header = at == "header";
            parameters.push(Parameter { name, is_header, is_required, field, made, said });
        }
        if parameters.is_empty() {
            return;
        }
        let own = types.free(&own);
        types.push(self.parameter_type(&own, &parameters));
        arguments.declared.push(quote!(params: &#own,));
        arguments.applied.extend(parameters.iter().map(Parameter::applied));
    }

    fn parameter_type(&self, own: &Ident, parameters: &[Parameter<'_>]) -> TokenStream {
        let fields = parameters.iter().map(|parameter| {
            let Parameter { name, field, said, .. } = parameter;
            let about = docs(said, &format!("`{name}`."));
            let ty = parameter.ty();
            quote!(#about pub #field: #ty,)
        });
        let may_be_empty = parameters.iter().all(|it| !it.is_required || it.made.is == Is::Several);
        let default = may_be_empty.then(|| quote!(#[derive(Default)]));
        let about = format!("Query and headers of `{}`.", self.name);
        quote! {
            #[doc = #about]
            #[derive(Clone, Debug, PartialEq)]
            #default
            pub struct #own {
                #(#fields)*
            }
        }
    }

    fn body(&self, types: &mut Types<'d>, arguments: &mut Arguments) {
        let Some(body) = self.operation.get("requestBody") else { return };
        let is_required = body.get("required") == Some(&Value::Bool(true));
        let content = body.get("content").and_then(Value::as_object);
        let Some((media, said)) = content
            .and_then(|all| all.get_key_value("application/json").or_else(|| all.iter().next()))
        else {
            types.wrong(&*self.place, "its body has no media type");
            return;
        };
        let is_json = media == "application/json" || media.ends_with("+json");
        let (ty, sent) = match said.get("schema") {
            Some(schema) if is_json => {
                let name = format!("{}Body", pascal(&self.name));
                let place = format!("{}, body", self.place);
                let ty = types.of(schema, &name, &place).tokens;
                (quote!(&#ty), quote!(call.json(body)))
            }
            _ => {
                let media = if media.contains('*') { "application/octet-stream" } else { media };
                let value = quote!(::updraft::http::HeaderValue::from_static(#media));
                (quote!(::updraft::http::Bytes), quote!(call.body(#value, body)))
            }
        };
        if is_required {
            arguments.declared.push(quote!(body: #ty,));
            arguments.applied.push(quote!(let call = #sent;));
        } else {
            arguments.declared.push(quote!(body: ::core::option::Option<#ty>,));
            arguments.applied.push(quote! {
                let call = match body {
                    ::core::option::Option::Some(body) => #sent,
                    ::core::option::Option::None => call,
                };
            });
        }
    }

    /// The type of a successful answer, and the expression that reads it from `reply`.
    fn answer(&self, types: &mut Types<'d>) -> (TokenStream, TokenStream) {
        let responses = self.operation.get("responses").and_then(Value::as_object);
        let good = responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        let mut found: Vec<(TokenStream, TokenStream)> = Vec::new();
        for (status, response) in good {
            let content = response.get("content").and_then(Value::as_object);
            let made = match content.filter(|it| !it.is_empty()) {
                None => {
                    (quote!(()), quote!(::core::result::Result::<(), ::updraft::CallError>::Ok(())))
                }
                Some(content) => {
                    match content.get("application/json").and_then(|it| it.get("schema")) {
                        Some(schema) => {
                            let name = format!("{}Answer", pascal(&self.name));
                            let place = format!("{}, answer {status}", self.place);
                            (types.of(schema, &name, &place).tokens, quote!(reply.json()))
                        }
                        None => (
                            quote!(::updraft::http::Bytes),
                            quote!(::core::result::Result::<_, ::updraft::CallError>::Ok(
                                reply.into_body()
                            )),
                        ),
                    }
                }
            };
            if found.iter().all(|(known, _)| known.to_string() != made.0.to_string()) {
                found.push(made);
            }
        }
        match found.len() {
            1 => found.swap_remove(0),
            // What it is depends on the status, or is not said.
            _ => (
                quote!(::updraft::Reply),
                quote!(::core::result::Result::<_, ::updraft::CallError>::Ok(reply)),
            ),
        }
    }
}

/// The argument of a parameter of the path.
fn argument(name: &str) -> Ident {
    let mut argument = snake(name);
    if ARGUMENTS.contains(&&*argument) {
        argument.push('_');
    }
    ident(&argument)
}

/// Whether a header can have this name (RFC 9110 §5.6.2).
fn is_token(name: &str) -> bool {
    let held = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(held)
}

impl Parameter<'_> {
    fn ty(&self) -> TokenStream {
        let ty = &self.made.tokens;
        let may_be_nothing = ty.to_string().replace(' ', "").starts_with("::core::option::Option<");
        match self.is_required || self.made.is == Is::Several || may_be_nothing {
            true => quote!(#ty),
            false => quote!(::core::option::Option<#ty>),
        }
    }

    /// The statement that puts it into `call`.
    fn applied(&self) -> TokenStream {
        let Self { name, is_header, field, .. } = self;
        let put = match (is_header, name.eq_ignore_ascii_case("idempotency-key")) {
            (true, true) => quote!(call.idempotency_key(value)),
            (true, false) => {
                let name = name.to_ascii_lowercase();
                quote!(call.header_text(::updraft::http::HeaderName::from_static(#name), value))
            }
            (false, _) => quote!(call.query(#name, value)),
        };
        let otherwise = match *is_header && name.eq_ignore_ascii_case("idempotency-key") {
            // The contract has the header, so repeating does no harm.
            true => quote!(call.idempotent()),
            false => quote!(call),
        };
        let is_optional =
            self.ty().to_string().replace(' ', "").starts_with("::core::option::Option<");
        match (self.made.is, is_optional) {
            (Is::Several, false) => quote! {
                let call = params.#field.iter().fold(call, |call, value| #put);
            },
            (Is::Several, true) => quote! {
                let call = params.#field.iter().flatten().fold(call, |call, value| #put);
            },
            (_, true) => quote! {
                let call = match &params.#field {
                    ::core::option::Option::Some(value) => #put,
                    ::core::option::Option::None => #otherwise,
                };
            },
            (_, false) => quote! {
                let call = { let value = &params.#field; #put };
            },
        }
    }
}
