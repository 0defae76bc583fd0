//! A build by a shell command in the service's folder.

use std::path::{Path, PathBuf};

use updraft_system::Name;

use super::inputs::{Digest, Inputs};
use super::stage::Stamp;
use super::transcript::Transcript;
use super::{BuildError, BuildStep, Built, Method, Source, not_kept};

#[derive(Debug)]
pub(super) struct CommandBuild {
    run: String,
    folder: PathBuf,
    keep: Vec<PathBuf>,
    inputs: Digest,
}

/// The inputs are all files of the folder that Git does not ignore, without what the
/// command makes.
pub(super) fn plan(
    source: &Source<'_>,
    run: &str,
    keep: &[PathBuf],
    stamp: Stamp,
) -> Result<BuildStep, BuildError> {
    let kept: Vec<PathBuf> = keep.iter().map(|path| source.folder.join(path)).collect();
    let mut inputs = Inputs::new("command", source.base);
    inputs.word("run", run.as_bytes());
    for path in keep {
        inputs.word("keep", path.as_os_str().as_encoded_bytes());
    }
    inputs.folder(source.folder, &kept).map_err(source.unreadable())?;
    let inputs = inputs.digest();
    if stamp.inputs.as_ref() == Some(&inputs) && kept.iter().all(|path| path.exists()) {
        return Ok(BuildStep::Skip(built(true, inputs)));
    }
    // What is changed from here on was perhaps not seen by the command; the digest is
    // from before, so that it counts as a change next time.
    let build = CommandBuild {
        run: run.to_owned(),
        folder: source.folder.to_owned(),
        keep: keep.to_vec(),
        inputs,
    };
    let argv = ["/bin/sh", "-c", run].map(str::to_owned).into();
    Ok(source.run(argv, Method::Command(build)))
}

impl CommandBuild {
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn finish(
        self,
        service: &Name,
        store: &Path,
        transcript: Transcript,
    ) -> Result<Built, BuildError> {
        if let Some(missing) = self.keep.iter().find(|path| !self.folder.join(path).exists()) {
            return Err(BuildError::NotKept {
                service: service.clone(),
                command: self.run,
                missing: missing.display().to_string(),
                output: transcript.into_text(),
            });
        }
        let stamp = Stamp { inputs: Some(self.inputs.clone()), cargo: None };
        stamp.write(store).map_err(not_kept(service))?;
        Ok(built(false, self.inputs))
    }
}

fn built(skipped: bool, inputs: Digest) -> Built {
    Built { path_prefix: Vec::new(), skipped, inputs: Some(inputs) }
}
