//! The types of a contract: structs, enums and what is there already.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::docs;
use super::names::{ident, pascal, snake};
use super::shapes::{Shape, admits_null, members, requires, tag};

/// How deep schemas may lie in each other.
const DEPTH_MOST: usize = 64;

/// A type, and how it is handed over.
#[derive(Clone)]
pub(super) struct Type {
    pub(super) tokens: TokenStream,
    pub(super) is: Is,
}

/// What can be done with the values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// A text.
    Text,
    /// It has one form as text.
    Plain,
    /// Several of what has a form as text.
    Several,
    Other,
}

impl Type {
    fn plain(tokens: TokenStream) -> Self {
        Self { tokens, is: Is::Plain }
    }

    fn other(tokens: TokenStream) -> Self {
        Self { tokens, is: Is::Other }
    }
}

/// The types so far, and what is wrong.
pub(super) struct Types<'d> {
    pub(super) document: &'d Value,
    /// The types of the schemas that have a name.
    known: BTreeMap<&'d str, Type>,
    taken: BTreeSet<String>,
    items: Vec<TokenStream>,
    wrong: Vec<(String, String)>,
    depth: usize,
}

impl<'d> Types<'d> {
    pub(super) fn new(document: &'d Value) -> Self {
        // Names that the module has itself.
        let taken = ["Api", "String", "Vec", "Option", "Box"].map(str::to_owned).into();
        Self {
            document,
            known: BTreeMap::new(),
            taken,
            items: Vec::new(),
            wrong: Vec::new(),
            depth: 0,
        }
    }

    pub(super) fn wrong(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.wrong.push((place.into(), message.into()));
    }

    pub(super) fn finish(self) -> (Vec<TokenStream>, Vec<(String, String)>) {
        (self.items, self.wrong)
    }

    pub(super) fn push(&mut self, item: TokenStream) {
        self.items.push(item);
    }

    /// A name for a type that no other has.
    pub(super) fn free(&mut self, name: &str) -> Ident {
        let mut free = pascal(name);
        let is_version = |name: &str| {
            name.strip_prefix('V').is_some_and(|it| it.bytes().all(|digit| digit.is_ascii_digit()))
        };
        while is_version(&free) || self.taken.contains(&free) {
            free.push('_');
        }
        self.taken.insert(free.clone());
        ident(&free)
    }

    /// The type of a schema. `name` is what it is called if it needs a name.
    pub(super) fn of(&mut self, schema: &'d Value, name: &str, place: &str) -> Type {
        if DEPTH_MOST <= self.depth {
            self.wrong(place, format!("schemas lie in each other more than {DEPTH_MOST} deep"));
            return any();
        }
        self.depth += 1;
        let made = self.shaped(schema, name, place);
        self.depth -= 1;
        if admits_null(schema) { optional(made) } else { made }
    }

    fn shaped(&mut self, schema: &'d Value, name: &str, place: &str) -> Type {
        match Shape::of(schema) {
            Shape::Any => any(),
            Shape::Reference(name) => self.reference(name, place),
            Shape::Elsewhere(target) => {
                self.wrong(place, format!("`{target}` is not a schema of this document"));
                any()
            }
            Shape::Nullable(schema) => optional(self.of(schema, name, place)),
            Shape::Text(format) => text(format),
            Shape::OneOf(texts) => self.texts(schema, &texts, name),
            Shape::Whole { format, is_unsigned } => Type::plain(whole(format, is_unsigned)),
            Shape::Number { is_single: true } => Type::plain(quote!(f32)),
            Shape::Number { is_single: false } => Type::plain(quote!(f64)),
            Shape::Truth => Type::plain(quote!(bool)),
            Shape::List(items) => {
                let of = self.of(items, &format!("{name}Item"), place);
                let is =
                    if matches!(of.is, Is::Text | Is::Plain) { Is::Several } else { Is::Other };
                let of = of.tokens;
                Type { tokens: quote!(::std::vec::Vec<#of>), is }
            }
            Shape::Map(of) => {
                let of = self.of(of, &format!("{name}Value"), place).tokens;
                let text = quote!(::std::string::String);
                Type::other(quote!(::std::collections::BTreeMap<#text, #of>))
            }
            Shape::Object => {
                let own = self.free(name);
                self.object(&own, schema, None, place);
                Type::other(quote!(#own))
            }
            Shape::All(all) => self.all(schema, all, name, place),
            Shape::Choice(kinds) => self.choice(schema, &kinds, name, place),
        }
    }

    fn reference(&mut self, name: &'d str, place: &str) -> Type {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let Some(schema) = self.schema(name) else {
            self.wrong(place, format!("there is no schema `{name}`"));
            return any();
        };
        let place = format!("schema {name}");
        let is_own_type = match Shape::of(schema) {
            Shape::Object | Shape::OneOf(_) | Shape::Choice(_) => !admits_null(schema),
            _ => false,
        };
        if is_own_type {
            // It is known before it is made, since it may refer to itself.
            let own = self.free(name);
            let is =
                if matches!(Shape::of(schema), Shape::OneOf(_)) { Is::Plain } else { Is::Other };
            let known = Type { tokens: quote!(#own), is };
            self.known.insert(name, known.clone());
            match Shape::of(schema) {
                Shape::OneOf(texts) => self.text_enum(&own, schema, &texts),
                Shape::Choice(kinds) => self.choice_enum(&own, schema, &kinds, &place),
                _ => self.object(&own, schema, None, &place),
            }
            return known;
        }
        // A schema that is nothing but a reference to itself has no end.
        self.known.insert(name, any());
        let made = self.of(schema, name, &place);
        self.known.insert(name, made.clone());
        made
    }

    fn schema(&self, name: &str) -> Option<&'d Value> {
        self.document.get("components")?.get("schemas")?.get(name)
    }

    /// A struct with the members of an object, but for one.
    fn object(&mut self, own: &Ident, schema: &'d Value, without: Option<&str>, place: &str) {
        let mut fields = Vec::new();
        let mut taken = BTreeSet::new();
        let mut may_be_empty = true;
        for (name, member) in members(schema).into_iter().flatten() {
            if Some(&**name) == without {
                continue;
            }
            let place = format!("{place}, member {name}");
            let mut made = self.of(member, &format!("{own}{}", pascal(name)), &place);
            if self.is_around(member, &own.to_string()) {
                made = boxed(made);
            }
            let mut field = snake(name);
            while !taken.insert(field.clone()) {
                field.push('_');
            }
            let is_required = requires(schema, name);
            may_be_empty &= !is_required;
            fields.push(Self::field(name, &ident(&field), made, member, is_required));
        }
        if let Some(more) = schema.get("additionalProperties").filter(|it| it.is_object()) {
            let of = self.of(more, &format!("{own}More"), place).tokens;
            fields.push(quote! {
                /// Members beyond those above.
                #[serde(flatten)]
                pub more: ::std::collections::BTreeMap<::std::string::String, #of>,
            });
        }
        let about = docs(schema, &format!("{own} of the contract."));
        let default = may_be_empty.then(|| quote!(#[derive(Default)]));
        self.push(quote! {
            #about
            #[derive(
                Clone,
                Debug,
                PartialEq,
                ::updraft::contract_types::serde::Serialize,
                ::updraft::contract_types::serde::Deserialize,
            )]
            #default
            #[serde(crate = "::updraft::contract_types::serde")]
            pub struct #own {
                #(#fields)*
            }
        });
    }

    fn field(name: &str, field: &Ident, made: Type, member: &Value, required: bool) -> TokenStream {
        let about = docs(member, &format!("The member `{name}`."));
        let made = if required { made } else { optional(made) }.tokens;
        let omitted = (!required).then(
            || quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]),
        );
        quote! {
            #about
            #[serde(rename = #name)]
            #omitted
            pub #field: #made,
        }
    }

    /// Whether a value of this schema holds, and not behind a list or a map, one of the type
    /// that it is a member of.
    fn is_around(&self, schema: &'d Value, own: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            match Shape::of(schema) {
                Shape::Reference(name) if pascal(name) == own => return true,
                Shape::Reference(name) if seen.insert(name) => open.extend(self.schema(name)),
                Shape::Nullable(inner) => open.push(inner),
                Shape::Choice(all) => open.extend(all),
                Shape::All(all) => open.extend(all),
                Shape::Object => open.extend(members(schema).into_iter().flatten().map(|it| it.1)),
                _ => {}
            }
        }
        false
    }

    /// One type of all of these: the one schema that there is, or an object with the members of
    /// all.
    fn all(&mut self, schema: &'d Value, all: &'d [Value], name: &str, place: &str) -> Type {
        if let ([only], None) = (all, members(schema)) {
            return self.of(only, name, place);
        }
        let of_parts = all.iter().enumerate().map(|(number, part)| {
            let made = self.of(part, &format!("{name}Part{}", number + 1), place).tokens;
            let field = ident(&format!("part{}", number + 1));
            quote! {
                /// One part of it.
                #[serde(flatten)]
                pub #field: #made,
            }
        });
        let parts: Vec<_> = of_parts.collect();
        let own = self.free(name);
        let about = docs(schema, &format!("{own} of the contract."));
        self.push(quote! {
            #about
            #[derive(
                Clone,
                Debug,
                PartialEq,
                ::updraft::contract_types::serde::Serialize,
                ::updraft::contract_types::serde::Deserialize,
            )]
            #[serde(crate = "::updraft::contract_types::serde")]
            pub struct #own {
                #(#parts)*
            }
        });
        Type::other(quote!(#own))
    }

    fn texts(&mut self, schema: &'d Value, texts: &[(&'d str, &'d Value)], name: &str) -> Type {
        let own = self.free(name);
        self.text_enum(&own, schema, texts);
        Type::plain(quote!(#own))
    }

    /// An enum of texts.
    fn text_enum(&mut self, own: &Ident, schema: &Value, texts: &[(&str, &Value)]) {
        let mut taken = BTreeSet::new();
        let mut variants = Vec::new();
        for (text, said) in texts {
            let mut variant = pascal(text);
            while !taken.insert(variant.clone()) {
                variant.push('_');
            }
            variants.push((ident(&variant), *text, docs(said, &format!("`{text}`."))));
        }
        let declared = variants
            .iter()
            .map(|(variant, text, about)| quote!(#about #[serde(rename = #text)] #variant,));
        let written = variants.iter().map(|(variant, text, _)| quote!(Self::#variant => #text,));
        let about = docs(schema, &format!("{own} of the contract."));
        self.push(quote! {
            #about
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                PartialOrd,
                Ord,
                Hash,
                ::updraft::contract_types::serde::Serialize,
                ::updraft::contract_types::serde::Deserialize,
            )]
            #[serde(crate = "::updraft::contract_types::serde")]
            pub enum #own {
                #(#declared)*
            }

            impl ::core::fmt::Display for #own {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(match self { #(#written)* })
                }
            }
        });
    }

    fn choice(&mut self, schema: &'d Value, kinds: &[&'d Value], name: &str, place: &str) -> Type {
        let own = self.free(name);
        self.choice_enum(&own, schema, kinds, place);
        Type::other(quote!(#own))
    }

    /// An enum of kinds: by the member that tells them apart where there is one, else by what
    /// fits first.
    fn choice_enum(&mut self, own: &Ident, schema: &'d Value, kinds: &[&'d Value], place: &str) {
        let targets: Vec<&'d Value> = kinds.iter().map(|kind| self.target(kind)).collect();
        let tagged = tag(&targets);
        let mut variants = Vec::new();
        let mut taken = BTreeSet::new();
        for (number, (kind, target)) in kinds.iter().zip(&targets).enumerate() {
            let word = tagged.as_ref().and_then(|(_, words)| words.get(number).copied());
            let reference = match Shape::of(kind) {
                Shape::Reference(name) => Some(name),
                _ => None,
            };
            let mut variant = match (word, reference) {
                (Some(word), _) => pascal(word),
                (None, Some(name)) => pascal(name),
                (None, None) => format!("Kind{}", number + 1),
            };
            while !taken.insert(variant.clone()) {
                variant.push('_');
            }
            let of = match (&tagged, word) {
                (Some((tag, _)), Some(_)) => {
                    let name = self.free(&format!("{own}{variant}"));
                    self.object(&name, target, Some(tag), place);
                    Type::other(quote!(#name))
                }
                _ => self.of(kind, &format!("{own}{variant}"), place),
            };
            let of = if self.is_around(kind, &own.to_string()) { boxed(of) } else { of }.tokens;
            let about = docs(target, &format!("{variant}."));
            let rename = word.map(|word| quote!(#[serde(rename = #word)]));
            let variant = ident(&variant);
            variants.push(quote!(#about #rename #variant(#of),));
        }
        let told_apart = match tagged {
            Some((tag, _)) => quote!(tag = #tag),
            None => quote!(untagged),
        };
        let about = docs(schema, &format!("{own} of the contract."));
        self.push(quote! {
            #about
            #[derive(
                Clone,
                Debug,
                PartialEq,
                ::updraft::contract_types::serde::Serialize,
                ::updraft::contract_types::serde::Deserialize,
            )]
            #[serde(crate = "::updraft::contract_types::serde", #told_apart)]
            pub enum #own {
                #(#variants)*
            }
        });
    }

    /// What a schema refers to, or itself.
    pub(super) fn target(&self, schema: &'d Value) -> &'d Value {
        let mut schema = schema;
        for _ in 0..DEPTH_MOST {
            match Shape::of(schema) {
                Shape::Reference(name) => match self.schema(name) {
                    Some(target) => schema = target,
                    None => return schema,
                },
                _ => return schema,
            }
        }
        schema
    }
}

/// What no type of Rust says.
fn any() -> Type {
    Type::other(quote!(::updraft::contract_types::serde_json::Value))
}

fn boxed(of: Type) -> Type {
    let of = of.tokens;
    Type::other(quote!(::std::boxed::Box<#of>))
}

/// This or nothing; what may be nothing stays as it is.
fn optional(of: Type) -> Type {
    let Type { tokens, is } = of;
    let begins = tokens.to_string().replace(' ', "");
    match begins.starts_with("::core::option::Option<") {
        true => Type { tokens, is },
        false => Type { tokens: quote!(::core::option::Option<#tokens>), is },
    }
}

fn text(format: Option<&str>) -> Type {
    match format {
        Some("uuid") => Type::plain(quote!(::updraft::contract_types::uuid::Uuid)),
        Some("date-time") => Type::plain(quote!(::updraft::contract_types::jiff::Timestamp)),
        Some("date") => Type::plain(quote!(::updraft::contract_types::jiff::civil::Date)),
        _ => Type { tokens: quote!(::std::string::String), is: Is::Text },
    }
}

fn whole(format: Option<&str>, is_unsigned: bool) -> TokenStream {
    match format {
        Some("int8") => quote!(i8),
        Some("int16") => quote!(i16),
        Some("int32") => quote!(i32),
        Some("uint8") => quote!(u8),
        Some("uint16") => quote!(u16),
        Some("uint32") => quote!(u32),
        Some("uint64" | "uint") => quote!(u64),
        Some("int64" | "int") => quote!(i64),
        _ if is_unsigned => quote!(u64),
        _ => quote!(i64),
    }
}
