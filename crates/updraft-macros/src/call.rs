//! The new body of a guarded function: the old one, as the attempts of calls through its
//! policies, the outermost first.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ItemFn;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::function::{Argument, Passing, error_span, output};
use crate::layer::{Layer, Source};

/// Everything that the body is made of.
pub(crate) struct Call<'a> {
    pub(crate) function: &'a ItemFn,
    pub(crate) arguments: &'a [Argument],
    pub(crate) layers: &'a [Layer],
}

impl Call<'_> {
    /// The new body, without its braces.
    pub(crate) fn body(&self) -> TokenStream {
        let innermost_repeat = self.layers.iter().rposition(Layer::repeats);
        let mut content = self.old_body();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let innermost = index + 1 == self.layers.len();
            let arguments = if layer.repeats() {
                self.own_arguments(innermost_repeat == Some(index))
            } else {
                TokenStream::new()
            };
            let operation = self.operation(layer, &arguments, &content, innermost);
            content = self.layer(layer, index, innermost, &operation);
        }
        content
    }

    fn is_async(&self) -> bool {
        self.function.sig.asyncness.is_some()
    }

    /// An async block does not say what it gives, and `?` must know it: a `return` that is
    /// never reached does.
    fn old_body(&self) -> TokenStream {
        let statements = &self.function.block.stmts;
        if !self.is_async() {
            return quote!(#(#statements)*);
        }
        let (output, outcome) = (output(self.function), local("outcome"));
        let hint = quote! {
            if let ::core::option::Option::Some(#outcome) =
                ::updraft_resilience::attributes::expansion::no_outcome::<#output>()
            {
                return #outcome;
            }
        };
        quote!(#hint #(#statements)*)
    }

    /// What each attempt gets of the arguments.
    fn own_arguments(&self, innermost: bool) -> TokenStream {
        let own = self.arguments.iter().filter_map(|argument| {
            let Argument { name, ty, mutable, passing } = argument;
            let mutable = (*mutable && innermost).then(|| quote!(mut));
            let value = match passing {
                Passing::Shared if mutable.is_none() => return None,
                Passing::Shared => quote!(#name),
                Passing::Exclusive => quote!(&mut *#name),
                Passing::Owned => {
                    // Where it cannot be cloned, the argument is to blame.
                    let span = ty.span().resolved_at(Span::mixed_site());
                    quote_spanned!(span=> ::core::clone::Clone::clone(&#name))
                }
            };
            Some(quote!(let #mutable #name = #value;))
        });
        quote!(#(#own)*)
    }

    /// A closure that starts an attempt.
    fn operation(
        &self,
        layer: &Layer,
        arguments: &TokenStream,
        content: &TokenStream,
        innermost: bool,
    ) -> TokenStream {
        let span = error_span(self.function);
        let expansion = quote_spanned!(span=> ::updraft_resilience::attributes::expansion);
        let (once, once_blocking) =
            (quote_spanned!(span=> once), quote_spanned!(span=> once_blocking));
        if self.is_async() {
            return if layer.repeats() {
                quote!(move |_| { #arguments async move { #content } })
            } else {
                quote!(#expansion::#once(async move { #content }))
            };
        }
        let output = innermost.then(|| {
            let output = output(self.function);
            quote!(-> #output)
        });
        if layer.repeats() {
            quote!(|_| #output { #arguments #content })
        } else {
            quote!(#expansion::#once_blocking(|| #output { #content }))
        }
    }

    /// The call of an operation through the policy of a layer.
    fn layer(
        &self,
        layer: &Layer,
        index: usize,
        innermost: bool,
        operation: &TokenStream,
    ) -> TokenStream {
        let (policy, options) = (local("policy"), local("options"));
        let result = Ident::new("outcome", error_span(self.function));
        let source = match &layer.source {
            Source::Own { clock, config, .. } => {
                let clock = clock.as_ref().map_or_else(
                    || quote!(::updraft_resilience::Clock::system()),
                    ToTokens::to_token_stream,
                );
                self.own_policy(layer, &clock, config, innermost)
            }
            Source::Given { policy, .. } => quote!(&#policy),
        };
        let once = (!layer.repeats()).then(|| quote!(.once()));
        let priority = match &layer.source {
            Source::Given { priority: Some(priority), .. } => Some(quote!(.priority(#priority))),
            _ => None,
        };
        let call = if self.is_async() {
            quote!(#policy.call_with(#options, #operation).await)
        } else {
            quote!(#policy.call_blocking_with(#options, #operation))
        };
        let is_own = matches!(layer.source, Source::Own { .. });
        let flat = (!innermost && is_own)
            .then(|| quote!(.map_err(::updraft_resilience::attributes::expansion::flatten)));
        let outcome = if self.is_for_the_caller(index) {
            let span = error_span(self.function);
            quote_spanned! {span=>
                ::updraft_resilience::attributes::expansion::for_the_caller(#result #flat)
            }
        } else {
            quote!(#result #flat)
        };
        quote! {
            let #options = ::updraft_resilience::policy::CallOptions::new() #once #priority;
            let #policy = #source;
            let #result = #call;
            #outcome
        }
    }

    /// The function's error goes to its caller, and to the classifier of a policy that was
    /// there before; policies of the function's own tell refusals from failures.
    fn is_for_the_caller(&self, index: usize) -> bool {
        let Some(outer) = index.checked_sub(1) else { return true };
        matches!(self.layers[outer].source, Source::Given { .. })
    }

    /// A static of its own block, so that the body cannot see it.
    fn own_policy(
        &self,
        layer: &Layer,
        clock: &TokenStream,
        config: &TokenStream,
        innermost: bool,
    ) -> TokenStream {
        let name = self.name(layer);
        let expansion = quote!(::updraft_resilience::attributes::expansion);
        let (ty, build) = if innermost {
            (quote!(::updraft_resilience::policy::Policy), quote!(#expansion::policy))
        } else {
            let ty = quote!(
                #expansion::OuterPolicy
            );
            (ty, quote!(#expansion::outer_policy))
        };
        quote! {{
            static POLICY: ::std::sync::LazyLock<#ty> = ::std::sync::LazyLock::new(|| {
                #build(#name, #clock, ::updraft_resilience::policy::PolicyConfig {
                    #config,
                    ..::core::default::Default::default()
                })
            });
            &*POLICY
        }}
    }

    fn name(&self, layer: &Layer) -> TokenStream {
        if let Source::Own { name: Some(name), .. } = &layer.source {
            return quote!(#name);
        }
        let path = own_name(self.function, self.layers, layer);
        quote!(::core::concat!(::core::module_path!(), "::", #path))
    }
}

/// The name of a policy that was given none, below that of its module.
pub(crate) fn own_name(function: &ItemFn, layers: &[Layer], layer: &Layer) -> String {
    let own = |layer: &&Layer| matches!(layer.source, Source::Own { .. });
    let function = function.sig.ident.unraw();
    if layers.iter().filter(own).count() > 1 {
        format!("{function}::{}", layer.kind.name())
    } else {
        function.to_string()
    }
}

/// A variable that the body of the function cannot see.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
