//! `#[get("/orders/{id}")]` and its siblings: a function becomes an operation of an API, with
//! all that its contract says.

mod options;
mod template;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, FnArg, GenericArgument, ItemFn, Lit, Meta, PathArguments, ReturnType,
    Type,
};

use crate::findings::Findings;
use options::Options;
use template::Template;

/// The method that an attribute names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn variant(self) -> Ident {
        let name = match self {
            Self::Get => "Get",
            Self::Post => "Post",
            Self::Put => "Put",
            Self::Patch => "Patch",
            Self::Delete => "Delete",
        };
        Ident::new(name, Span::call_site())
    }

    fn takes_body(self) -> bool {
        !matches!(self, Self::Get | Self::Delete)
    }
}

/// Expands the attribute. What is wrong is reported beside the function itself, so that
/// whatever names it is not reported too.
pub(crate) fn expand(method: Method, fields: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let hint = syn::Error::new(error.span(), "an operation is a function");
            let error = hint.into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut findings = Findings::default();
    let options = Options::read(fields, &mut findings);
    check_function(&function, &mut findings);
    let arguments = arguments(&function, &mut findings);
    let template = options.path.as_ref().and_then(|path| Template::read(path, &mut findings));
    if let Some(template) = &template {
        check_path(template, &arguments, &mut findings);
    }
    check_body(method, &arguments, &mut findings);
    check_idempotent(method, &options, &mut findings);
    match (findings.into_result(), template) {
        (Ok(()), Some(template)) => {
            implementation(method, &options, &template, &function, &arguments)
        }
        (Ok(()), None) => TokenStream::new(),
        (Err(error), _) => {
            let error = error.into_compile_error();
            let (visibility, name) = (&function.vis, &function.sig.ident);
            quote! {
                #error
                #[expect(non_camel_case_types, reason = "an operation is called as its function")]
                #visibility enum #name {}
            }
        }
    }
}

fn check_function(function: &ItemFn, findings: &mut Findings) {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        findings.add(&signature.generics, "an operation has no type parameters");
    }
    if let ReturnType::Type(_, output) = &signature.output
        && let Type::ImplTrait(output) = &**output
    {
        let say = "the contract needs the name of the type: write it, or `Raw<Response>`";
        findings.add(output, say);
    }
}

/// One argument.
struct Argument {
    ty: Type,
    /// The last word of its type: `Path` of `updraft::http::Path<u32>`.
    word: String,
    /// The first type within its angle brackets.
    within: Option<Type>,
}

fn arguments(function: &ItemFn, findings: &mut Findings) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for argument in &function.sig.inputs {
        match argument {
            FnArg::Receiver(receiver) => {
                findings.add(receiver, "an operation has no `self`: read `Ctx<…>` of the App");
            }
            FnArg::Typed(typed) => match &*typed.ty {
                Type::Reference(reference) => {
                    findings.add(reference, "an operation owns what it reads: write no reference");
                }
                Type::ImplTrait(of) => findings.add(of, "an operation names what it reads"),
                ty => arguments.push(argument_of(ty)),
            },
        }
    }
    let contexts: Vec<_> = arguments.iter().filter(|it| it.word == "Ctx").collect();
    if let [_, second, ..] = *contexts {
        findings.add(&second.ty, "an operation is of one App: one argument is its `Ctx`");
    }
    arguments
}

fn argument_of(ty: &Type) -> Argument {
    let last = match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let within = last.and_then(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(list) => list.args.iter().find_map(|it| match it {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        }),
        _ => None,
    });
    let word = last.map(|segment| segment.ident.to_string()).unwrap_or_default();
    Argument { ty: ty.clone(), word, within }
}

impl Argument {
    /// What `Path<…>` holds, also within `Valid<…>`.
    fn path(&self) -> Option<&Type> {
        match (&*self.word, &self.within) {
            ("Path", Some(within)) => Some(within),
            ("Valid", Some(Type::Path(inner))) => {
                let last = inner.path.segments.last().filter(|it| it.ident == "Path")?;
                let PathArguments::AngleBracketed(list) = &last.arguments else { return None };
                list.args.iter().find_map(|it| match it {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                })
            }
            _ => None,
        }
    }

    /// Whether it may read anything, so that nothing can be said of it here.
    fn is_raw(&self) -> bool {
        matches!(&*self.word, "Raw" | "RawBody")
    }

    fn reads_body(&self) -> bool {
        match &*self.word {
            "Json" | "Bytes" | "String" | "RawBody" => true,
            "Valid" => !self.within.as_ref().is_some_and(|within| {
                matches!(&*argument_of(within).word, "Query" | "Path" | "Headers")
            }),
            _ => false,
        }
    }
}

fn check_path(template: &Template, arguments: &[Argument], findings: &mut Findings) {
    let paths: Vec<_> = arguments.iter().filter_map(Argument::path).collect();
    let count = template.names.len();
    match *paths {
        [] if count == 0 || arguments.iter().any(Argument::is_raw) => {}
        [] => {
            let names = template.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let names = names.join(", ");
            let say = format!("nothing reads {names} of the path: take a `Path<…>`");
            findings.add(&template.literal, say);
        }
        [ty] if count == 0 => findings.add(ty, "the path has no `{parameter}` to read"),
        [Type::Tuple(tuple)] if tuple.elems.len() != count => {
            let types = tuple.elems.len();
            findings.add(tuple, format!("the path has {count} parameters, and this reads {types}"));
        }
        [_] => {}
        [_, second, ..] => findings.add(second, "the path is read once: take a tuple or a struct"),
    }
}

fn check_body(method: Method, arguments: &[Argument], findings: &mut Findings) {
    let bodies: Vec<_> = arguments.iter().filter(|it| it.reads_body()).collect();
    match *bodies {
        [first, ..] if !method.takes_body() => {
            let say = "a request of this method has no body; read the path, the query or headers";
            findings.add(&first.ty, say);
        }
        [_, second, ..] => findings.add(&second.ty, "the body is read once"),
        _ => {}
    }
}

fn check_idempotent(method: Method, options: &Options, findings: &mut Findings) {
    if let Some((_, place)) = &options.idempotent
        && !matches!(method, Method::Post | Method::Patch)
    {
        let say = "keys are for `post` and `patch`: the other methods are idempotent by themselves";
        findings.add(place, say);
    }
}

fn implementation(
    method: Method,
    options: &Options,
    template: &Template,
    function: &ItemFn,
    arguments: &[Argument],
) -> TokenStream {
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let docs: Vec<_> = function.attrs.iter().filter(|it| it.path().is_ident("doc")).collect();
    let attributes: Vec<_> =
        function.attrs.iter().filter(|it| !it.path().is_ident("deprecated")).cloned().collect();
    let function_only = ItemFn { attrs: Vec::new(), ..function.clone() };
    let declaration = declaration(method, options, template, function);
    let (app, generics) = app(arguments);
    let describe = describe(&app, function, arguments);
    let answer = answer(method, &app, function, arguments);
    let fields = path_fields(template, arguments);
    quote! {
        #(#attributes)*
        #function_only

        // In the namespace of types alone: the function keeps its name, and so do variables.
        #(#docs)*
        #[derive(Clone, Copy, Debug)]
        #[expect(non_camel_case_types, reason = "an operation is called as its function")]
        #visibility enum #name {}

        #[automatically_derived]
        impl #generics ::updraft::Operation<#app> for #name {
            const DECLARATION: &'static ::updraft::Declaration = &#declaration;

            #describe

            #answer
        }

        #fields
    }
}

/// The `App` of the operation, and the parameter that stands for it where any will do.
fn app(arguments: &[Argument]) -> (TokenStream, TokenStream) {
    let own = arguments.iter().find(|it| it.word == "Ctx").and_then(|it| it.within.as_ref());
    match own {
        Some(app) => (quote!(#app), TokenStream::new()),
        None => (quote!(AnyApp), quote!(<AnyApp: ::updraft::App>)),
    }
}

fn declaration(
    method: Method,
    options: &Options,
    template: &Template,
    function: &ItemFn,
) -> TokenStream {
    let method = method.variant();
    let path = &template.literal;
    let name = options
        .id
        .clone()
        .unwrap_or_else(|| syn::ext::IdentExt::unraw(&function.sig.ident).to_string());
    let (summary, description) = texts(&function.attrs);
    let deprecated = function.attrs.iter().any(|it| it.path().is_ident("deprecated"));
    let (tags, scopes) = (&options.tags, &options.scopes);
    let number = |number: &Option<u32>| match number {
        Some(number) => quote!(::core::option::Option::Some(#number)),
        None => quote!(::core::option::Option::None),
    };
    let (since, until) = (number(&options.since), number(&options.until));
    let idempotent = match &options.idempotent {
        Some((true, _)) => quote!(Some(::updraft::IdempotencyKey::Required)),
        Some((false, _)) => quote!(Some(::updraft::IdempotencyKey::Optional)),
        None => quote!(None),
    };
    quote! {
        ::updraft::Declaration {
            method: ::updraft::Method::#method,
            path: #path,
            id: #name,
            module: ::core::module_path!(),
            summary: #summary,
            description: #description,
            deprecated: #deprecated,
            tags: &[#(#tags),*],
            scopes: &[#(#scopes),*],
            idempotent: ::core::option::Option::#idempotent,
            since: #since,
            until: #until,
        }
    }
}

fn describe(app: &TokenStream, function: &ItemFn, arguments: &[Argument]) -> TokenStream {
    let inputs = arguments.iter().map(|argument| {
        let ty = &argument.ty;
        quote_spanned!(ty.span()=> <#ty as ::updraft::Input<#app>>::describe(shape);)
    });
    let output = output(function);
    let output = quote_spanned!(output.span()=> <#output as ::updraft::Output>::describe(shape););
    quote! {
        fn describe(shape: &mut ::updraft::Shape<'_>) {
            #(#inputs)*
            #output
        }
    }
}

fn output(function: &ItemFn) -> Type {
    match &function.sig.output {
        ReturnType::Type(_, output) => (**output).clone(),
        ReturnType::Default => syn::parse_quote!(()),
    }
}

/// Reads every argument, so that one answer says all that is wrong, and calls the function.
fn answer(
    method: Method,
    app: &TokenStream,
    function: &ItemFn,
    arguments: &[Argument],
) -> TokenStream {
    let names: Vec<_> = (0..arguments.len()).map(|it| format_ident!("argument_{it}")).collect();
    // What reads the body comes last: a request that is refused anyway is not read whole.
    let mut order: Vec<usize> = (0..arguments.len()).collect();
    order.sort_by_key(|index| arguments.get(*index).is_some_and(Argument::reads_body));
    let reads = order.iter().filter_map(|index| {
        let (name, ty) = (names.get(*index)?, &arguments.get(*index)?.ty);
        let input = quote_spanned!(ty.span()=> <#ty as ::updraft::Input<#app>>);
        Some(quote! {
            let #name = refusal.keep(#input::read(received, app).await);
            if refusal.is_final() {
                return ::updraft::http::IntoResponse::into_response(refusal);
            }
        })
    });
    let types: Vec<_> = arguments.iter().map(|argument| &argument.ty).collect();
    let bodies = quote!(0 #(+ <#types as ::updraft::Input<#app>>::BODY as u8)*);
    let most = u8::from(method.takes_body());
    let output = output(function);
    let output = quote_spanned!(output.span()=> <#output as ::updraft::Output>);
    let name = &function.sig.ident;
    let pause = function.sig.asyncness.map(|_| quote!(.await));
    quote! {
        const ROUTED: bool = false #(|| <#types as ::updraft::Input<#app>>::ROUTED)*;

        // A future of an `async fn` has place for two of each argument.
        #[expect(unused_mut, reason = "there may be nothing to read")]
        fn answer(
            mut received: ::updraft::Received,
            app: ::updraft::Ctx<#app>,
        ) -> impl ::core::future::Future<Output = ::updraft::http::Response> + ::core::marker::Send {
            const { ::core::assert!(#bodies <= #most, "more arguments read the body than there are bodies") };
            async move {
                #[expect(unused_mut, reason = "there may be nothing to read")]
                let mut refusal = ::updraft::http::Refusal::default();
                let (received, app) = (&mut received, &app);
                #(#reads)*
                match (#(#names,)*) {
                    (#(::core::option::Option::Some(#names),)*) => {
                        #output::respond(#name(#(#names),*)#pause)
                    }
                    #[expect(unreachable_patterns, reason = "there may be nothing to read")]
                    _ => ::updraft::http::IntoResponse::into_response(refusal),
                }
            }
        }
    }
}

/// Makes the compiler look for the parameters of the path among the fields of the struct that
/// reads them.
fn path_fields(template: &Template, arguments: &[Argument]) -> TokenStream {
    let ty = arguments.iter().find_map(Argument::path);
    let Some(ty @ Type::Path(_)) = ty.filter(|_| template.names.len() > 1) else {
        return TokenStream::new();
    };
    let span = template.literal.span();
    let names = template.names.iter().map(|name| Ident::new(name, span));
    quote! {
        const _: fn(&#ty) = |read| {
            #(let _ = &read.#names;)*
        };
    }
}

/// The first paragraph of the doc comment on one line, and the others as they are.
pub(crate) fn texts(attributes: &[Attribute]) -> (String, String) {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
        .flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>())
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    let mut lines = lines.into_iter().skip_while(|line| line.is_empty());
    let first: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let rest: Vec<_> = lines.collect();
    (first.join(" ").trim().to_owned(), rest.join("\n").trim().to_owned())
}

#[cfg(test)]
#[path = "operation/operation_tests.rs"]
mod tests;
