//! One kind of problem: a variant with its attribute, its doc comment and its fields.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Field, Fields, LitInt, LitStr, Token, Type};

use super::detail::Detail;
use crate::findings::Findings;
use crate::operation::texts;

/// Members that every problem document has (RFC 9457), and `errors`, which is ours.
const TAKEN: [&str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

/// A sound variant.
pub(super) struct Variant {
    pub(super) ident: Ident,
    pub(super) form: Form,
}

/// What it is made of.
pub(super) enum Form {
    /// Another problem, told as it is.
    Transparent(Box<Source>),
    /// A kind of its own.
    Kind(Box<Kind>),
}

/// A field that holds an error.
pub(super) struct Source {
    ty: Type,
    from: bool,
}

/// What the attribute and the doc comment say.
pub(super) struct Kind {
    status: u16,
    uri: Option<String>,
    title: String,
    detail: Option<Detail>,
    retry_after: Option<RetryAfter>,
    members: Vec<Member>,
    source: Option<Source>,
}

enum RetryAfter {
    Seconds(u32),
    Field(Ident),
}

/// A named field.
struct Member {
    ident: Ident,
    ty: Type,
    /// It is in the document.
    told: bool,
}

/// What is written in `#[problem(…)]` of a variant.
#[derive(Default)]
struct Options {
    status: Option<u16>,
    transparent: bool,
    uri: Option<String>,
    title: Option<String>,
    detail: Option<LitStr>,
    retry_after: Option<u32>,
}

impl Options {
    fn read(attributes: &[Attribute], findings: &mut Findings) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|it| it.path().is_ident("problem")) {
            let read = attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
                while !input.is_empty() {
                    options.field(input)?;
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            });
            findings.keep(read);
        }
        options
    }

    fn field(&mut self, input: syn::parse::ParseStream<'_>) -> syn::Result<()> {
        if input.peek(LitInt) {
            let number: LitInt = input.parse()?;
            let status = number.base10_parse::<u16>().ok();
            self.status = status.filter(|status| (400..=599).contains(status));
            return match self.status {
                Some(_) => Ok(()),
                None => Err(syn::Error::new(number.span(), "a problem has a status of 400 to 599")),
            };
        }
        // `type` is a keyword.
        let name = input.call(Ident::parse_any)?;
        let word = name.to_string();
        if word == "transparent" {
            self.transparent = true;
            return Ok(());
        }
        let known = ["type", "title", "detail", "retry_after"];
        if !known.contains(&&*word) {
            let say = "a variant knows its status, `type`, `title`, `detail`, `retry_after` and `transparent`";
            return Err(syn::Error::new(name.span(), say));
        }
        input.parse::<Token![=]>()?;
        match &*word {
            "type" => self.uri = Some(input.parse::<LitStr>()?.value()),
            "title" => self.title = Some(input.parse::<LitStr>()?.value()),
            "detail" => self.detail = Some(input.parse()?),
            _ => self.retry_after = Some(input.parse::<LitInt>()?.base10_parse()?),
        }
        Ok(())
    }
}

impl Variant {
    pub(super) fn read(variant: &syn::Variant, findings: &mut Findings) -> Option<Self> {
        let options = Options::read(&variant.attrs, findings);
        let ident = variant.ident.clone();
        if options.transparent {
            let source = source(variant, findings);
            return source.map(|source| Self { ident, form: Form::Transparent(Box::new(source)) });
        }
        let Some(status) = options.status else {
            let say = "say which status this problem has: `#[problem(409)]`, or \
                `#[problem(transparent)]` for one that holds another problem";
            findings.add(&variant.ident, say);
            return None;
        };
        let mut kind = Kind {
            status,
            uri: None,
            title: String::new(),
            detail: None,
            retry_after: options.retry_after.map(RetryAfter::Seconds),
            members: Vec::new(),
            source: None,
        };
        match &variant.fields {
            Fields::Unit => {}
            Fields::Unnamed(_) => kind.source = Some(source(variant, findings)?),
            Fields::Named(fields) => {
                for field in &fields.named {
                    kind.member(field, findings);
                }
            }
        }
        kind.name(variant, options, findings);
        Some(Self { ident, form: Form::Kind(Box::new(kind)) })
    }

    /// What `?` makes it of.
    pub(super) fn from(&self) -> Option<&Type> {
        let source = match &self.form {
            Form::Transparent(source) => Some(&**source),
            Form::Kind(kind) => kind.source.as_ref(),
        };
        source.filter(|source| source.from).map(|source| &source.ty)
    }

    /// The arm that makes its document.
    pub(super) fn details(&self) -> TokenStream {
        let ident = &self.ident;
        match &self.form {
            Form::Transparent(_) => quote! {
                Self::#ident(problem) => ::updraft::Problem::into_details(problem),
            },
            Form::Kind(kind) => kind.details(ident),
        }
    }

    /// What the contract is told.
    pub(super) fn describe(&self) -> TokenStream {
        match &self.form {
            Form::Transparent(source) => {
                let ty = &source.ty;
                quote_spanned!(ty.span()=> <#ty as ::updraft::Problem>::describe(shape);)
            }
            Form::Kind(kind) => {
                let constant = kind.constant();
                let members = kind.members.iter().filter(|it| it.told).map(|member| {
                    let (name, ty) = (member.ident.unraw().to_string(), &member.ty);
                    quote_spanned!(ty.span()=> .member::<#ty>(#name))
                });
                quote!(shape.members(&#constant)#(#members)*.told();)
            }
        }
    }
}

/// The one field of a variant that holds an error.
fn source(variant: &syn::Variant, findings: &mut Findings) -> Option<Source> {
    let Fields::Unnamed(fields) = &variant.fields else {
        findings.add(&variant.ident, "this holds one problem: `Other(#[from] OtherProblem)`");
        return None;
    };
    let mut all = fields.unnamed.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => {
            let from = only.attrs.iter().any(|it| it.path().is_ident("from"));
            Some(Source { ty: only.ty.clone(), from })
        }
        _ => {
            let say = "a variant without names holds one error; fields with names are members \
                of the document";
            findings.add(&variant.fields, say);
            None
        }
    }
}

impl Kind {
    fn member(&mut self, field: &Field, findings: &mut Findings) {
        let Some(ident) = field.ident.clone() else { return };
        let mut told = true;
        for attribute in field.attrs.iter().filter(|it| it.path().is_ident("problem")) {
            let read = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    told = false;
                } else if meta.path.is_ident("retry_after") {
                    told = false;
                    self.retry_after = Some(RetryAfter::Field(ident.clone()));
                } else {
                    return Err(meta.error("a field knows `skip` and `retry_after`"));
                }
                Ok(())
            });
            findings.keep(read);
        }
        let name = ident.unraw().to_string();
        if told && TAKEN.contains(&&*name) {
            let say = format!("every problem has a member `{name}`: call the field something else");
            findings.add(&ident, say);
        }
        self.members.push(Member { ident, ty: field.ty.clone(), told });
    }

    /// Title, detail and type, from the attribute or the doc comment.
    fn name(&mut self, variant: &syn::Variant, options: Options, findings: &mut Findings) {
        let fields: Vec<_> = self.members.iter().map(|it| it.ident.unraw().to_string()).collect();
        let (first, rest) = texts(&variant.attrs);
        let name = variant.ident.unraw().to_string();
        // What a fault of the service is called tells callers nothing.
        let hidden = self.status == 500 && self.source.is_some();
        let changes = Detail::names_any(&first, &fields);
        let spoken = words(&name, ' ');
        let title = match (&options.title, first.is_empty() || changes) {
            (Some(title), _) => title.clone(),
            (None, false) => first.trim_end_matches('.').to_owned(),
            (None, true) => capital(&spoken),
        };
        let text = match &options.detail {
            Some(text) => text.value(),
            None if changes => first,
            None => rest.split("\n\n").next().unwrap_or_default().replace('\n', " "),
        };
        if !text.is_empty() && !hidden {
            match Detail::read(&text, &fields) {
                Ok(detail) => self.detail = Some(detail),
                Err(say) => findings.add(&variant.ident, format!("the detail: {say}")),
            }
        }
        if hidden && options.title.is_none() && options.uri.is_none() {
            self.title = "Internal Server Error".to_owned();
            return;
        }
        let own = || format!("/docs#problem-{}", words(&name, '-'));
        self.uri = Some(options.uri.unwrap_or_else(own));
        self.title = title;
    }

    fn constant(&self) -> TokenStream {
        let (status, title) = (self.status, &self.title);
        let option = |text: Option<&str>| match text {
            Some(text) => quote!(::core::option::Option::Some(#text)),
            None => quote!(::core::option::Option::None),
        };
        let uri = option(self.uri.as_deref());
        let detail = option(self.detail.as_ref().map(|detail| &*detail.template));
        let retry_after = self.retry_after.is_some();
        quote! {
            const {
                ::updraft::ProblemKind {
                    status: #status,
                    uri: #uri,
                    title: #title,
                    detail: #detail,
                    retry_after: #retry_after,
                }
            }
        }
    }

    fn details(&self, ident: &Ident) -> TokenStream {
        let constant = self.constant();
        let detail = self.detail.as_ref().map(|detail| {
            let (template, names) = (&detail.template, detail.idents());
            match detail.names.is_empty() && !template.contains(['{', '}']) {
                true => quote!(.detail(#template)),
                false => quote!(.detail(::std::format!(#template, #(#names = #names),*))),
            }
        });
        let members = self.members.iter().filter(|it| it.told).map(|member| {
            let (name, ident) = (member.ident.unraw().to_string(), &member.ident);
            quote!(.member(#name, &#ident))
        });
        let retry_after = self.retry_after.as_ref().map(|after| match after {
            RetryAfter::Seconds(seconds) => quote!(.retry_after(#seconds)),
            RetryAfter::Field(field) => quote!(.retry_after(#field)),
        });
        let document = quote! {
            ::updraft::ProblemDetails::of(&#constant)#detail #(#members)* #retry_after
        };
        if self.source.is_some() {
            return quote!(Self::#ident(source) => #document.caused_by(source),);
        }
        let used = |member: &&Member| {
            let name = member.ident.unraw().to_string();
            let retries =
                matches!(&self.retry_after, Some(RetryAfter::Field(it)) if *it == member.ident);
            let said = self.detail.as_ref().is_some_and(|it| it.names.contains(&name));
            member.told || retries || said
        };
        let names = self.members.iter().filter(used).map(|member| &member.ident);
        match self.members.is_empty() {
            true => quote!(Self::#ident => #document,),
            false => quote!(Self::#ident { #(#names,)* .. } => #document,),
        }
    }
}

/// The words of a name: `OutOfStock` is `out of stock`.
fn words(name: &str, between: char) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(between);
        }
        words.extend(character.to_lowercase());
    }
    words
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + characters.as_str()
}
