//! `release!()`: what is known of a release when it is built. The commit and the list of
//! dependencies are put into the binary, because they cannot be found out where it runs.

mod git;
mod lock;

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::quote;

use crate::value::option;

/// Expands the macro in the package whose manifest is in `folder`.
pub(crate) fn expand(folder: Option<PathBuf>, package: &str, version: &str) -> TokenStream {
    let folder = folder.unwrap_or_default();
    let head = git::head(&folder);
    let lock = above(&folder, "Cargo.lock");
    let dependencies = lock.as_ref().and_then(|lock| {
        let text = std::fs::read_to_string(lock).ok()?;
        lock::dependencies(&text, package, version)
    });
    // Cargo compiles anew when a file of these changes.
    let files = head.iter().flat_map(|head| &head.files).chain(&lock);
    let files = files.filter_map(|file| file.to_str());
    let commit = option(head.as_ref().map(|head| {
        let commit = &head.commit;
        quote!(#commit)
    }));
    let dependencies = dependencies.unwrap_or_default();
    quote! {
        {
            #(const _: &[u8] = ::core::include_bytes!(#files);)*
            ::updraft::Release::of_build(
                ::core::env!("CARGO_PKG_NAME"),
                ::core::env!("CARGO_PKG_VERSION"),
            )
            .commit_of(&[
                ::core::option_env!("UPDRAFT_COMMIT"),
                ::core::option_env!("GIT_COMMIT"),
                ::core::option_env!("SOURCE_COMMIT"),
                #commit,
            ])
            .dependencies_of(#dependencies)
        }
    }
}

/// The nearest `name` in `folder` and the folders above it.
fn above(folder: &Path, name: &str) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(name)).find(|path| path.exists())
}
