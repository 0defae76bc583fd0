//! What is written in the brackets of an operation's attribute.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Ident, LitInt, LitStr, Token, bracketed, token};

use crate::findings::Findings;
use crate::nearest::nearest;

const FIELDS: [&str; 9] =
    ["idempotent", "scope", "scopes", "since", "until", "tag", "tags", "id", "path"];

/// The fields.
#[derive(Default)]
pub(super) struct Options {
    pub(super) path: Option<LitStr>,
    pub(super) scopes: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) since: Option<u32>,
    pub(super) until: Option<u32>,
    pub(super) id: Option<String>,
    /// Whether a key is required, where there are keys, and where that is said.
    pub(super) idempotent: Option<(bool, Ident)>,
}

impl Options {
    pub(super) fn read(fields: TokenStream, findings: &mut Findings) -> Self {
        let mut options = Self::default();
        let parser = |input: ParseStream<'_>| options.parse(input);
        if let Err(error) = parser.parse2(fields) {
            findings.take_in(error);
            return options;
        }
        if options.path.is_none() {
            let place = proc_macro2::Span::call_site();
            let say = "the template of the path is needed: `#[get(\"/orders/{id}\")]`";
            findings.take_in(syn::Error::new(place, say));
        }
        if let (Some(since), Some(until)) = (options.since, options.until)
            && until <= since
        {
            let say = "`until` is the first version without it, so it is more than `since`";
            findings.take_in(syn::Error::new(proc_macro2::Span::call_site(), say));
        }
        if options.since.is_none() && options.until.is_some() {
            let say = "`until` needs `since`: say in which version it came";
            findings.take_in(syn::Error::new(proc_macro2::Span::call_site(), say));
        }
        options
    }

    fn parse(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(LitStr) {
            self.path = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let mut wrong: Option<syn::Error> = None;
        while !input.is_empty() {
            if let Err(error) = self.field(input)? {
                match &mut wrong {
                    Some(all) => all.combine(error),
                    None => wrong = Some(error),
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// One field. What is wrong with its value alone does not keep the others from being read.
    fn field(&mut self, input: ParseStream<'_>) -> syn::Result<syn::Result<()>> {
        let name: Ident = input.parse()?;
        let word = name.to_string();
        if !FIELDS.contains(&&*word) {
            let say = match nearest(&word, &FIELDS) {
                Some(near) => format!("`{word}` is unknown; did you mean `{near}`?"),
                None => format!("`{word}` is unknown; known are {}", FIELDS.join(", ")),
            };
            return Err(syn::Error::new(name.span(), say));
        }
        if word == "idempotent" {
            return self.idempotent(name, input);
        }
        input.parse::<Token![=]>()?;
        match &*word {
            "path" => self.path = Some(input.parse()?),
            "scope" => self.scopes.push(input.parse::<LitStr>()?.value()),
            "scopes" => self.scopes.extend(list(input)?),
            "tag" => self.tags.push(input.parse::<LitStr>()?.value()),
            "tags" => self.tags.extend(list(input)?),
            "id" => self.id = Some(input.parse::<LitStr>()?.value()),
            _ => {
                let number: LitInt = input.parse()?;
                match number.base10_parse::<u32>().ok().filter(|version| *version > 0) {
                    Some(version) if word == "since" => self.since = Some(version),
                    Some(version) => self.until = Some(version),
                    None => {
                        let say = "a version is a whole number from 1";
                        return Ok(Err(syn::Error::new(number.span(), say)));
                    }
                }
            }
        }
        Ok(Ok(()))
    }
}

impl Options {
    /// `idempotent`, or the same with a value.
    fn idempotent(&mut self, name: Ident, input: ParseStream<'_>) -> syn::Result<syn::Result<()>> {
        if !input.peek(Token![=]) {
            self.idempotent = Some((true, name));
            return Ok(Ok(()));
        }
        input.parse::<Token![=]>()?;
        let wanted: LitStr = input.parse()?;
        match &*wanted.value() {
            "required" => self.idempotent = Some((true, name)),
            "optional" => self.idempotent = Some((false, name)),
            _ => {
                let say = "a key is \"required\", as without a value, or \"optional\"";
                return Ok(Err(syn::Error::new(wanted.span(), say)));
            }
        }
        Ok(Ok(()))
    }
}

fn list(input: ParseStream<'_>) -> syn::Result<Vec<String>> {
    if !input.peek(token::Bracket) {
        return Err(input.error("a list of texts is written `[\"one\", \"two\"]`"));
    }
    let within;
    bracketed!(within in input);
    let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&within)?;
    Ok(texts.iter().map(LitStr::value).collect())
}
