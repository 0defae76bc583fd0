//! What is written in `#[env(…)]` above a field.

use proc_macro2::Span;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{
    Expr, ExprLit, Field, GenericArgument, Lit, PathArguments, RangeLimits, Token, Type, UnOp,
};

use crate::fields::{Fields, Known, word};
use crate::findings::Findings;
use crate::value;

const KNOWN: Known = Known {
    owner: "`#[env]`",
    keys: &["name", "default", "range", "one_of", "example"],
    words: &["secret", "shared"],
    alone: None,
};

/// Names of variables that hold secrets end so.
const SECRETS: [&str; 10] = [
    "ACCESS_KEY",
    "API_KEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PRIVATE_KEY",
    "SECRET",
    "TOKEN",
];

/// Words of other crates for structs inside of structs.
const NESTING: [&str; 4] = ["flatten", "nested", "prefix", "group"];

/// The options of one field, as the environment would say their values.
#[derive(Default)]
pub(super) struct Options {
    pub(super) name: Option<String>,
    pub(super) default: Option<String>,
    pub(super) example: Option<String>,
    pub(super) range: Option<Range>,
    pub(super) one_of: Vec<String>,
    pub(super) secret: bool,
    pub(super) shared: bool,
}

/// The least and the greatest value.
pub(super) struct Range {
    pub(super) least: Option<String>,
    pub(super) most: Option<String>,
}

impl Options {
    pub(super) fn read(field: &Field, findings: &mut Findings) -> Self {
        let given = Fields::sort(&KNOWN, Span::call_site(), expressions(field, findings), findings);
        let mut options = Self {
            name: given.value("name", findings, variable),
            default: given.value("default", findings, text_of),
            example: given.value("example", findings, text_of),
            range: given.value("range", findings, range),
            one_of: given.value("one_of", findings, one_of).unwrap_or_default(),
            secret: given.has("secret"),
            shared: given.has("shared"),
        };
        options.secret |= options.is_secret_by_name(field);
        Self::check_type(&field.ty, &given, findings);
        options.check_default(&given, findings);
        options
    }

    /// Whether it is a plain text whose name says that it is a secret.
    fn is_secret_by_name(&self, field: &Field) -> bool {
        let of_field = field.ident.as_ref().map(|ident| ident.to_string().to_uppercase());
        let name = self.name.clone().or(of_field).unwrap_or_default();
        let inner = inner(&field.ty).unwrap_or(&field.ty);
        is(inner, "String") && SECRETS.iter().any(|word| name.ends_with(word))
    }

    /// Options that say nothing for a field of this type.
    fn check_type(ty: &Type, given: &Fields, findings: &mut Findings) {
        if is(ty, "Option")
            && let Some(default) = given.get("default")
        {
            let message = "with a default it is never missing: take the `Option` away";
            findings.add(default, message);
        }
        if is(ty, "Vec")
            && let Some(range) = given.get("range")
        {
            findings.add(range, "a list has no `range`");
        }
        if let (Some(range), Some(_)) = (given.get("range"), given.get("one_of")) {
            findings.add(range, "`range` and `one_of` exclude each other");
        }
    }

    /// A default that its own declaration refuses.
    fn check_default(&self, given: &Fields, findings: &mut Findings) {
        for (key, text) in [("default", &self.default), ("example", &self.example)] {
            let (Some(place), Some(text)) = (given.get(key), text) else { continue };
            if !self.one_of.is_empty() && !self.one_of.contains(text) {
                findings.add(place, format_args!("the {key} is none of `one_of`"));
            }
            if let Some(range) = &self.range
                && let Ok(number) = text.parse::<i128>()
                && range.excludes(number)
            {
                findings.add(place, format_args!("the {key} is not within `range`"));
            }
        }
    }
}

impl Range {
    fn excludes(&self, number: i128) -> bool {
        let bound = |text: &Option<String>| text.as_ref().and_then(|it| it.parse::<i128>().ok());
        bound(&self.least).is_some_and(|least| number < least)
            || bound(&self.most).is_some_and(|most| most < number)
    }
}

/// All that stands in the field's attributes, but for words of other crates.
fn expressions(field: &Field, findings: &mut Findings) -> Vec<Expr> {
    let mut all = Vec::new();
    for attribute in field.attrs.iter().filter(|it| it.path().is_ident("env")) {
        let tokens = findings.keep(attribute.meta.require_list()).map(|list| list.tokens.clone());
        let parsed =
            tokens.map(|tokens| Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens));
        all.extend(parsed.and_then(|parsed| findings.keep(parsed)).into_iter().flatten());
    }
    all.retain(|expression| {
        let key = match expression {
            Expr::Assign(assign) => word(&assign.left),
            other => word(other),
        };
        let nesting = key.filter(|key| NESTING.iter().any(|word| key == word));
        if nesting.is_some() {
            let message = "variables are flat (factor III), so an App has no groups: write each \
                           field out";
            findings.add(expression, message);
        }
        nesting.is_none()
    });
    all
}

/// The name of a variable.
fn variable(value: &Expr) -> syn::Result<String> {
    let name = value::text(value)?.value();
    let capital = |c: char| c.is_ascii_uppercase() || c == '_';
    let sound = name.starts_with(capital) && name.chars().all(|c| capital(c) || c.is_ascii_digit());
    if sound {
        return Ok(name);
    }
    let message = "a variable is written in capitals, digits and `_`, such as \"MAX_AGE\"";
    Err(syn::Error::new_spanned(value, message))
}

/// A literal as the environment would say it.
fn text_of(value: &Expr) -> syn::Result<String> {
    let text = match value {
        Expr::Lit(ExprLit { lit, .. }) => of_literal(lit),
        Expr::Unary(minus) if matches!(minus.op, UnOp::Neg(_)) => match &*minus.expr {
            Expr::Lit(ExprLit { lit: lit @ (Lit::Int(_) | Lit::Float(_)), .. }) => {
                of_literal(lit).map(|text| format!("-{text}"))
            }
            _ => None,
        },
        _ => None,
    };
    let message = "must be a text in quotes, a number, or `true` or `false`";
    text.ok_or_else(|| syn::Error::new_spanned(value, message))
}

fn of_literal(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Str(text) => Some(text.value()),
        Lit::Char(letter) => Some(letter.value().to_string()),
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Bool(truth) => Some(truth.value.to_string()),
        _ => None,
    }
}

fn range(value: &Expr) -> syn::Result<Range> {
    let message = "is written like `1..=365`, `1..` or `..=365`; other values than numbers are \
                   in quotes, such as `\"1s\"..=\"5m\"`";
    let refused = || syn::Error::new_spanned(value, message);
    let Expr::Range(range) = value else { return Err(refused()) };
    if matches!(range.limits, RangeLimits::HalfOpen(_)) && range.end.is_some()
        || range.start.is_none() && range.end.is_none()
    {
        return Err(refused());
    }
    let bound = |end: &Option<Box<Expr>>| end.as_ref().map(|end| text_of(end)).transpose();
    let range = Range { least: bound(&range.start)?, most: bound(&range.end)? };
    let most = range.most.as_ref().and_then(|most| most.parse().ok());
    match most.is_some_and(|most| range.excludes(most)) {
        true => Err(syn::Error::new_spanned(value, "holds no value")),
        false => Ok(range),
    }
}

fn one_of(value: &Expr) -> syn::Result<Vec<String>> {
    match value {
        Expr::Array(array) if !array.elems.is_empty() => array.elems.iter().map(text_of).collect(),
        _ => Err(syn::Error::new_spanned(value, "is written like `[\"EUR\", \"USD\"]`")),
    }
}

/// Whether the type is of this name.
fn is(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == name),
        _ => false,
    }
}

/// What an `Option` or `Vec` is of.
fn inner(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}
