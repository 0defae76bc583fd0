//! A build by shell commands in the service's folder.

use std::path::{Path, PathBuf};

use updraft_system::Name;

use super::inputs::{Digest, Inputs};
use super::stage::Stamp;
use super::transcript::Transcript;
use super::{BuildError, BuildStep, Built, Method, Source, not_kept};

/// What is run, and what must be there afterwards.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// May use the network.
    pub(super) fetch: Option<String>,
    pub(super) run: String,
    /// Relative to the service.
    pub(super) keep: Vec<PathBuf>,
    /// A folder of programs, relative to the service.
    pub(super) programs: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct CommandBuild {
    recipe: Recipe,
    folder: PathBuf,
    inputs: Digest,
    cut: bool,
}

/// The inputs are all files of the folder that Git does not ignore, without what the
/// command makes.
pub(super) fn plan(
    source: &Source<'_>,
    recipe: Recipe,
    stamp: Stamp,
) -> Result<BuildStep, BuildError> {
    let kept: Vec<PathBuf> = recipe.keep.iter().map(|path| source.folder.join(path)).collect();
    let mut inputs = Inputs::new("command", source.base);
    if let Some(fetch) = &recipe.fetch {
        inputs.word("fetch", fetch.as_bytes());
    }
    inputs.word("run", recipe.run.as_bytes());
    for path in &recipe.keep {
        inputs.word("keep", path.as_os_str().as_encoded_bytes());
    }
    inputs.folder(source.folder, &kept).map_err(source.unreadable())?;
    let inputs = inputs.digest();
    let cut = source.conditions.network.is_cut();
    if stamp.inputs.as_ref() == Some(&inputs)
        && (stamp.cut || !cut)
        && kept.iter().all(|path| path.exists())
    {
        return Ok(BuildStep::Skip(recipe.built(source.folder, true, inputs)));
    }
    let shell = |text: String| ["/bin/sh".to_owned(), "-c".to_owned(), text].to_vec();
    let (fetch, run) = match (&recipe.fetch, cut) {
        (Some(fetch), true) => (Some(shell(fetch.clone())), recipe.run.clone()),
        (Some(fetch), false) => (None, format!("{{ {fetch}\n}} && {{ {}\n}}", recipe.run)),
        (None, _) => (None, recipe.run.clone()),
    };
    // Without a fetch step a command may fetch by itself.
    let run = match recipe.fetch {
        Some(_) => source.conditions.after_fetch(shell(run)),
        None => source.conditions.around(shell(run)),
    };
    // What is changed from here on was perhaps not seen by the command; the digest is
    // from before, so that it counts as a change next time.
    let build = CommandBuild { recipe, folder: source.folder.to_owned(), inputs, cut };
    Ok(source.run(fetch, run, Method::Command(build)))
}

impl CommandBuild {
    pub(super) fn run(&self) -> &str {
        match (&self.recipe.fetch, self.recipe.run.as_str()) {
            (Some(fetch), ":") => fetch,
            (_, run) => run,
        }
    }

    pub(super) fn fetch(&self) -> &str {
        self.recipe.fetch.as_deref().unwrap_or_default()
    }

    pub(super) fn finish(
        self,
        service: &Name,
        store: &Path,
        transcript: Transcript,
    ) -> Result<Built, BuildError> {
        let keep = &self.recipe.keep;
        if let Some(missing) = keep.iter().find(|path| !self.folder.join(path).exists()) {
            return Err(BuildError::NotKept {
                service: service.clone(),
                command: self.run().to_owned(),
                missing: missing.display().to_string(),
                output: transcript.into_text(),
            });
        }
        let stamp = Stamp { inputs: Some(self.inputs.clone()), cut: self.cut, cargo: None };
        stamp.write(store).map_err(not_kept(service))?;
        Ok(self.recipe.built(&self.folder, false, self.inputs))
    }
}

impl Recipe {
    fn built(&self, folder: &Path, skipped: bool, inputs: Digest) -> Built {
        let path_prefix = self.programs.iter().map(|programs| folder.join(programs)).collect();
        Built { path_prefix, skipped, inputs: Some(inputs) }
    }
}
