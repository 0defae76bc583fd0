//! Which requests a rule is for, on the command line and in words.

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::Name;
use updraft_system::mesh::{HeaderMatch, Matches, PathTemplate};

use crate::completion;

/// The conditions that every rule takes.
#[derive(Debug, Default, Args)]
pub(super) struct MatchArgs {
    /// Only with this header: `NAME`, or `NAME=VALUE`; may be given several times
    #[arg(long = "header", value_name = "NAME[=VALUE]")]
    headers: Vec<String>,
    /// Only of this path, such as `/p/{id}`
    #[arg(long, value_name = "TEMPLATE")]
    path: Option<PathTemplate>,
    /// Only of this method; may be given several times
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// Only of this caller; may be given several times
    #[arg(long = "from", value_name = "CALLER")]
    #[arg(add = ArgValueCandidates::new(completion::services))]
    callers: Vec<Name>,
}

impl From<MatchArgs> for Matches {
    fn from(args: MatchArgs) -> Self {
        Self {
            methods: args.methods,
            path: args.path,
            headers: args.headers.into_iter().map(HeaderMatch::from).collect(),
            callers: args.callers,
        }
    }
}

/// Which requests, in words; nothing: all.
pub(super) fn in_words(matches: &Matches) -> String {
    let mut words = Vec::new();
    words.extend((!matches.methods.is_empty()).then(|| matches.methods.join("|")));
    words.extend(matches.path.as_ref().map(|path| path.as_str().to_owned()));
    words.extend(matches.headers.iter().map(|header| String::from(header.clone())));
    let callers: Vec<&str> = matches.callers.iter().map(Name::as_str).collect();
    words.extend((!callers.is_empty()).then(|| format!("from {}", callers.join("|"))));
    words.join(", ")
}
