//! The function that is guarded: what must hold of it, and its arguments.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    FnArg, ItemFn, Pat, PatIdent, PatType, PathArguments, Receiver, ReceiverKind, ReturnType,
    TraitItemFn, Type,
};

use crate::findings::Findings;

/// An argument with a name.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// Its name is declared `mut`.
    pub(crate) mutable: bool,
    pub(crate) passing: Passing,
}

/// How an argument comes in, as far as its type shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Owned,
    Shared,
    Exclusive,
}

impl Passing {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::Reference(reference) if reference.mutability.is_some() => Self::Exclusive,
            Type::Reference(_) => Self::Shared,
            Type::Paren(inner) => Self::of(&inner.elem),
            Type::Group(inner) => Self::of(&inner.elem),
            _ => Self::Owned,
        }
    }

    fn of_receiver(receiver: &Receiver) -> Self {
        match &receiver.kind {
            ReceiverKind::Reference(_, _, Some(_)) => Self::Exclusive,
            ReceiverKind::Reference(..) => Self::Shared,
            ReceiverKind::Typed(_, ty) => Self::of(ty),
            _ => Self::Owned,
        }
    }
}

/// Reads the item below the attribute.
pub(crate) fn read(item: TokenStream) -> syn::Result<ItemFn> {
    syn::parse2::<ItemFn>(item.clone()).map_err(|error| match syn::parse2::<TraitItemFn>(item) {
        Ok(declared) => syn::Error::new_spanned(
            declared.sig,
            "there is no body to guard: the attribute belongs to the implementation",
        ),
        Err(_) => {
            let mut all =
                syn::Error::new(error.span(), "only functions and methods can be guarded");
            all.combine(error);
            all
        }
    })
}

/// Looks for what keeps a function from being guarded at all. Its arguments are given back.
pub(crate) fn check(function: &ItemFn, findings: &mut Findings) -> Vec<Argument> {
    let signature = &function.sig;
    if let Some(constant) = &signature.constness {
        findings.add(constant, "a `const fn` cannot be guarded: it runs while compiling, too");
    }
    check_output(function, findings);
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => check_receiver(receiver, findings),
            FnArg::Typed(PatType { pat, ty, .. }) => match &**pat {
                Pat::Ident(PatIdent { by_ref: None, mutability, ident, subpat: None, .. }) => {
                    arguments.push(Argument {
                        name: ident.clone(),
                        ty: (**ty).clone(),
                        mutable: mutability.is_some(),
                        passing: Passing::of(ty),
                    });
                }
                Pat::Wild(_) => {}
                pattern => findings.add(
                    pattern,
                    "an argument of a guarded function needs a plain name, so that it can be \
                     handed to each attempt: take it apart in the body",
                ),
            },
        }
    }
    arguments
}

fn check_receiver(receiver: &Receiver, findings: &mut Findings) {
    if Passing::of_receiver(receiver) == Passing::Owned {
        findings.add(
            receiver,
            "a guarded method cannot take `self` by value: there would be nothing left for \
             another attempt; take `&self`",
        );
    }
}

/// A macro sees no types, so the name must tell: `Result`, or an alias that ends like it.
fn check_output(function: &ItemFn, findings: &mut Findings) {
    const REASON: &str = "a guarded function gives a `Result<T, E>` with `E: From<Rejection>` \
                          (or an alias that ends in `Result`), so that it can be refused";
    match &function.sig.output {
        ReturnType::Default => findings.add(&function.sig.ident, REASON),
        ReturnType::Type(_, ty) if is_result(ty) => {}
        ReturnType::Type(_, ty) => findings.add(ty, REASON),
    }
}

fn is_result(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result"))
        }
        Type::Paren(inner) => is_result(&inner.elem),
        Type::Group(inner) => is_result(&inner.elem),
        _ => false,
    }
}

/// Looks for what cannot be handed out again and again.
pub(crate) fn check_repeatable(function: &ItemFn, by: &str, findings: &mut Findings) {
    if function.sig.asyncness.is_none() {
        return;
    }
    for input in &function.sig.inputs {
        let exclusive = match input {
            FnArg::Receiver(receiver) => Passing::of_receiver(receiver) == Passing::Exclusive,
            FnArg::Typed(argument) => Passing::of(&argument.ty) == Passing::Exclusive,
        };
        if exclusive {
            let message = format_args!(
                "`#[{by}]` may start several attempts of an async function, and `&mut` can be \
                 lent to one only: take `&`, or something that can be cloned"
            );
            findings.add(input, message);
        }
    }
}

/// The type that the function gives, for places where `impl Trait` cannot be written.
pub(crate) fn output(function: &ItemFn) -> TokenStream {
    match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => {
            let mut ty = ty.clone();
            Inferred.visit_type_mut(&mut ty);
            quote!(#ty)
        }
    }
}

/// Where it is reported that a refusal cannot become the function's error: at the error, as
/// far as its type can be seen.
pub(crate) fn error_span(function: &ItemFn) -> Span {
    let ReturnType::Type(_, ty) = &function.sig.output else { return Span::mixed_site() };
    let mut place = ty.span();
    if let Type::Path(path) = &**ty
        && let Some(last) = path.path.segments.last()
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(error) = arguments.args.iter().nth(1)
    {
        place = error.span();
    }
    place.resolved_at(Span::mixed_site())
}

/// Puts `_` for each `impl Trait`.
struct Inferred;

impl VisitMut for Inferred {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(_) = ty {
            *ty = syn::parse_quote!(_);
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// Takes `mut` away from the arguments: attempts have their own, where it stands.
pub(crate) fn without_mut(function: &mut ItemFn) {
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(PatType { pat, .. }) = input
            && let Pat::Ident(name) = &mut **pat
        {
            name.mutability = None;
        }
    }
}
