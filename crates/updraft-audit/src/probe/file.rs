//! `III.file`: the program's configuration is not in files that differ from deploy to deploy.
//!
//! Files of that kind are watched while it runs. Those that it opens are taken away, and it is
//! run again: what does not change anything is a file that it does without.

mod likely;
mod watch;

use std::path::{Path, PathBuf};

use super::contract::setup;
use super::group::{Ways, ways};
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::control::site::FILE as CONTROL_FILE;
use crate::lab::{Feature, Setup};
use crate::report::Moment;
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;
use likely::{is_environment, likely};
use watch::Watch;

/// A word that no text has: nothing is taken out of the answers.
const NO_NAME: &str = "\0";

pub(super) const FILE: Dynamic = Dynamic {
    id: ProbeId::IiiFile,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::Overlay],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_file),
        Control::new(&[Behaviour::ReadsFile], Verdict::Fail).with(with_file),
    ],
};

fn with_file(subject: &mut Subject) {
    // Without it the probe cannot tell the controls apart, and says so.
    drop(std::fs::write(subject.folder.join(CONTROL_FILE), "GREETING=hello\n"));
}

async fn look(bench: Bench) -> Seen {
    let likely = likely(&bench.subject.folder);
    if likely.is_empty() {
        return Seen::pass("there is no file in its folder that differs from deploy to deploy");
    }
    let (opened, with, timeline) = match observed(&bench, &likely).await {
        Ok(observed) => observed,
        Err(seen) => return seen,
    };
    if opened.is_empty() {
        let mut seen = Seen::pass(format!("it opened none of {}", listed(&likely)));
        seen.timeline = timeline;
        return seen;
    }
    let plain = setup(&bench);
    let (same, without) =
        tokio::join!(ways(&bench, &plain, NO_NAME), without(&bench, &opened, &[]));
    let same = match same {
        Ok((same, _)) => same,
        Err(seen) => return seen,
    };
    let mut seen = match without.map(|without| changes(&with, &same, without)) {
        Err(seen) => seen,
        Ok(None) => Seen::warn(format!("it opens {} and does without", listed(&opened))),
        Ok(Some(change)) => harmful(&bench, &opened, &with, &same, &change).await,
    };
    seen = seen
        .listing("opened", opened.iter().map(|path| path.display().to_string()).collect())
        .reproduced_by(again(&bench, &opened));
    seen.timeline = timeline;
    seen
}

/// What a program does that depends on files. One whose variables could come as well from the
/// environment keeps the factor: the file is a comfort of development.
async fn harmful(
    bench: &Bench,
    opened: &[PathBuf],
    with: &Ways,
    same: &Ways,
    change: &str,
) -> Seen {
    let files = listed(opened);
    if opened.iter().all(|path| is_environment(path)) {
        let texts = opened.iter().map(|path| {
            std::fs::read_to_string(bench.subject.folder.join(path)).unwrap_or_default()
        });
        let variables: Vec<_> = texts.flat_map(|text| likely::variables(&text)).collect();
        match without(bench, opened, &variables).await {
            Ok(without) if changes(with, same, without.clone()).is_none() => {
                return Seen::warn(format!(
                    "it takes variables from {files}; it does without when its environment has \
                     them"
                ));
            }
            Ok(_) => {}
            Err(seen) => return seen,
        }
    }
    Seen::fail(format!("without {files} {change}: its configuration comes from there"))
}

fn listed(paths: &[PathBuf]) -> String {
    const SHOWN_MAX: usize = 5;
    let mut shown: Vec<_> =
        paths.iter().take(SHOWN_MAX).map(|path| path.display().to_string()).collect();
    if paths.len() > SHOWN_MAX {
        shown.push(format!("{} more", paths.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

/// Which of these files it opens, and how it behaves.
async fn observed(
    bench: &Bench,
    likely: &[PathBuf],
) -> Result<(Vec<PathBuf>, Ways, Vec<Moment>), Seen> {
    let lost =
        |error: std::io::Error| Seen::unknown(format!("its files cannot be watched: {error}"));
    let place = bench.lab.place().map_err(lost)?;
    let watch = Watch::open(&place, &bench.subject.folder, likely).map_err(lost)?;
    let setup = Setup { shown: watch.shown().to_vec(), ..setup(bench) };
    let (ways, timeline) = ways(bench, &setup, NO_NAME).await?;
    Ok((watch.opened().map_err(lost)?, ways, timeline))
}

/// How it behaves without these files; `Err` inside: it does not start, for this reason.
async fn without(
    bench: &Bench,
    files: &[PathBuf],
    variables: &[(String, String)],
) -> Result<Result<Ways, String>, Seen> {
    let place = bench.lab.place().and_then(|place| {
        for file in files {
            take_away(&place, file)?;
        }
        Ok(place)
    });
    let place =
        place.map_err(|error| Seen::unknown(format!("a file cannot be taken away: {error}")))?;
    let setup = variables.iter().fold(setup(bench), |setup, (name, value)| {
        // What its environment has already comes first, as with every reader of such files.
        let given = bench.subject.environment.contains_key(name);
        if given { setup } else { setup.variable(name, Some(value)) }
    });
    let setup = Setup { copy: Some(place), ..setup };
    Ok(ways(bench, &setup, NO_NAME).await.map(|(ways, _)| ways).map_err(|seen| seen.evidence))
}

/// Says in the upper folder of an overlay that a file is not there (overlayfs: "whiteouts").
fn take_away(upper: &Path, file: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let whiteout = upper.join(file);
    if let Some(folder) = whiteout.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0)?)
}

/// What changed without the files, in words.
fn changes(with: &Ways, same: &Ways, without: Result<Ways, String>) -> Option<String> {
    match without {
        Err(why) => Some(format!("it does not start ({why})")),
        Ok(without) => {
            let differing = with.other_answers(same, &without);
            (!differing.is_empty()).then(|| format!("it changes {}", differing.join(", ")))
        }
    }
}

fn again(bench: &Bench, opened: &[PathBuf]) -> String {
    let folder = &bench.subject.folder;
    let quoted = |path: &Path| shell_words::quote(&path.to_string_lossy()).into_owned();
    let moved: Vec<_> = opened.iter().map(|path| quoted(path)).collect();
    format!(
        "copy=$(mktemp -d) && cp -a {}/. $copy && cd $copy && rm {} && {}={} {}",
        quoted(folder),
        moved.join(" "),
        bench.subject.port_variable,
        8080,
        bench.subject.line()
    )
}
