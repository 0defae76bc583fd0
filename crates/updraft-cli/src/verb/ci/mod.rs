//! `updraft ci`: the pipeline of a forge, which calls the same verbs as people do.

mod github;
mod gitlab;
mod pipeline;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use self::github::Dialect;
use self::pipeline::{Pipeline, Settings};
use crate::failure::{Class, Failure, Outcome};
use crate::generated::{self, Found};
use crate::global::Global;
use crate::output;
use crate::system_dir::SystemDir;

/// Write the pipeline of a forge, which checks, builds and releases by this command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft ci github --install 'cargo install --locked --path tools/updraft'
  updraft ci gitlab --image registry.example/updraft:1 --push registry.example/acme/shop
  updraft ci forgejo --runner docker --release-on production
  updraft ci github --check           is the file what would be written now?
  updraft ci github -o -              show it

The file carries a hash of itself: one that was edited by hand, or that updraft has not
written, is not overwritten. Its first job is `updraft ci FORGE --check`, so it stays current.
Exit code 1: --check has found a difference; 2: the file is not ours to overwrite.")]
pub(crate) struct CiArgs {
    /// Whose pipeline
    forge: Forge,
    /// The file; `-` shows it [default: where the forge looks for it]
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Change nothing; exit with 1 and the difference when the file is not current
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: Settings,
}

/// A forge that runs pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Forge {
    Github,
    Gitlab,
    Forgejo,
}

impl Forge {
    fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Forgejo => "forgejo",
        }
    }

    /// Where it looks for the file, from the root of the repository.
    fn file(self) -> &'static str {
        match self {
            Self::Github => ".github/workflows/updraft.yml",
            Self::Gitlab => ".gitlab-ci.yml",
            Self::Forgejo => ".forgejo/workflows/updraft.yml",
        }
    }
}

pub(crate) fn run(global: &Global, args: &CiArgs) -> Outcome {
    let shows = args.output.as_deref() == Some(Path::new("-"));
    if shows && args.check {
        return Err(Failure::usage("`--check` looks at a file, and `-o -` is none"));
    }
    let dir = SystemDir::find(&global.directory)?;
    let system = dir.system()?;
    let root = repository_of(&dir.directory).unwrap_or(&dir.directory);
    let usual = root.join(args.forge.file());
    let file = args.output.clone().unwrap_or_else(|| usual.clone());
    let folder = dir.directory.strip_prefix(root).unwrap_or(Path::new(""));
    let pipeline = Pipeline::of(&system, folder, args.settings.clone());
    if pipeline.services.is_empty() {
        return Err(Failure::usage(format!("{} has no service with a process", system.name)));
    }
    let elsewhere = if shows { None } else { elsewhere(root, &usual, &file)? };
    let text = text(&pipeline, args.forge, elsewhere.as_deref());
    if shows {
        output::result(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = Found::at(&file).map_err(|error| {
        Failure::environment(format!("cannot read {}", file.display())).because(&error)
    })?;
    if args.check {
        return check(global, &file, &found, &text);
    }
    found.replaceable(&file, instead(args.forge))?;
    let changed = !matches!(&found, Found::Ours(old) if *old == text);
    if changed {
        generated::write(&file, &text)?;
    }
    if global.json {
        output::json_result(&json!({ "file": file, "changed": changed }))?;
    } else {
        let (shown, what) = (file.display(), if changed { "wrote" } else { "is current:" });
        output::say(format!("{what} {shown}"));
        tell_needs(&args.settings, args.forge);
    }
    Ok(ExitCode::SUCCESS)
}

/// What to do instead of overwriting a file.
fn instead(forge: Forge) -> &'static str {
    match forge {
        Forge::Gitlab => {
            "`-o .gitlab/updraft.yml` writes another file, for `include: { local: … }` of yours; \
             `-o -` only shows it"
        }
        _ => {
            "move it away, or write another file with `-o FILE`: jobs of your own belong into a \
             workflow of their own; `-o -` only shows it"
        }
    }
}

/// What the pipeline cannot have of itself.
fn tell_needs(settings: &Settings, forge: Forge) {
    if settings.install.is_none() && settings.image.is_none() {
        output::say(
            "its runners must have `updraft` in their PATH; `--install COMMAND` or `--image IMAGE` \
             says how it comes there",
        );
    }
    if settings.push.is_some() {
        output::say(match forge {
            Forge::Gitlab => {
                "it pushes with the variable REGISTRY_AUTH_FILE, of type file: a containers-auth.json"
            }
            _ => "it pushes with the secret REGISTRY_AUTH: the text of a containers-auth.json",
        });
    }
}

fn check(global: &Global, file: &Path, found: &Found, text: &str) -> Outcome {
    let (state, difference) = match found {
        Found::Ours(old) if old == text => ("current", None),
        Found::Ours(old) => ("stale", Some(old.as_str())),
        Found::Edited(old) => ("edited", Some(old.as_str())),
        Found::Foreign => ("foreign", None),
        Found::Absent => ("absent", None),
    };
    let shown = file.display().to_string();
    let difference = difference.map(|old| generated::difference(&shown, old, text));
    if global.json {
        output::json_result(&json!({ "file": file, "state": state, "difference": difference }))?;
    } else if let Some(difference) = &difference {
        output::result(difference.trim_end())?;
    }
    let problem = match state {
        "current" => {
            if !global.json {
                output::say(format!("{shown} is current"));
            }
            return Ok(ExitCode::SUCCESS);
        }
        "stale" => "is not what would be written now",
        "edited" => "was edited by hand",
        "foreign" => "was not written by updraft",
        _ => "is not there",
    };
    if global.json {
        return Ok(Class::Finding.code().into());
    }
    let help = "the same command without `--check` writes it; commit the result";
    Err(Failure::finding(format!("{shown} {problem}")).help(help))
}

/// The text of the file, with its hash.
fn text(pipeline: &Pipeline, forge: Forge, elsewhere: Option<&str>) -> String {
    let document = match forge {
        Forge::Github => github::workflow(pipeline, Dialect::GitHub, elsewhere),
        Forge::Forgejo => github::workflow(pipeline, Dialect::Forgejo, elsewhere),
        Forge::Gitlab => gitlab::pipeline(pipeline, elsewhere),
    };
    let mut words = pipeline.words(forge.name(), false);
    words.extend(elsewhere.map(|file| format!("--output={file}")));
    let call = pipeline.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
    generated::sealed(&format!("Generated by `{call}`: not to be edited."), &document.render())
}

/// The root of the repository that a folder is in.
fn repository_of(folder: &Path) -> Option<&Path> {
    // A file in work trees and submodules.
    folder.ancestors().find(|folder| folder.join(".git").exists())
}

/// The path of the file within the repository, where it is not the usual one.
fn elsewhere(root: &Path, usual: &Path, file: &Path) -> Result<Option<String>, Failure> {
    let absolute = std::path::absolute(file).map_err(|error| {
        Failure::usage(format!("cannot use the path {}", file.display())).because(&error)
    })?;
    if absolute == usual {
        return Ok(None);
    }
    let outside = || {
        Failure::usage(format!(
            "{} is outside of the repository {}",
            file.display(),
            root.display()
        ))
        .help("`-o -` shows the pipeline, to be written anywhere")
    };
    // Of what is not there yet, the folder above that is there tells where it is.
    let there = absolute.ancestors().find(|path| path.exists()).ok_or_else(outside)?;
    let canonical = there.canonicalize().map_err(|_gone| outside())?;
    let rest = absolute.strip_prefix(there).map_err(|_never| outside())?;
    let whole = if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) };
    let within = whole.strip_prefix(root).map_err(|_elsewhere| outside())?;
    if whole == usual {
        return Ok(None);
    }
    Ok(Some(within.to_string_lossy().into_owned()))
}
