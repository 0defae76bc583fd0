//! `VI.readonly`: the program works where it can write nothing but temporary files.

use super::exercise::{Exercise, exercise};
use super::{Bench, Control, Dynamic, Looking, always, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Feature, Setup, Unstartable};
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const READONLY: Dynamic = Dynamic {
    id: ProbeId::ViReadonly,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::ReadOnly],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::NeedsFolder], Verdict::Warn),
    ],
};

/// What became of a program in given surroundings.
enum Came {
    /// It was ready and was asked.
    Up(Exercise),
    /// It was not, with what it said.
    Down(String),
}

async fn look(bench: Bench) -> Seen {
    let sealed = Setup { read_only: true, ..Setup::new(bench.shape) };
    let open = Setup::new(bench.shape);
    let (mut timeline, mut refusals) = (Vec::new(), Vec::new());
    let started = bench.lab.start(&bench.subject, &sealed, bench.patience()).await;
    let came = match started {
        Ok(running) => {
            let done = exercise(&bench, &running).await;
            refusals.extend(running.output().all().into_iter().map(|line| line.text));
            timeline = running.end().await;
            Came::Up(done)
        }
        Err(error) => Came::Down(refusal(&error).unwrap_or_else(|| unready(&error))),
    };
    refusals.retain(|line| is_refusal(line));
    // Only the same without the seal tells what is owed to it.
    let plain = match &came {
        Came::Up(done) if done.failed.is_empty() => None,
        _ => match bench.start_with(&open).await {
            Ok(running) => {
                let done = exercise(&bench, &running).await;
                running.end().await;
                Some(done)
            }
            Err(seen) => return seen,
        },
    };
    let mut seen = verdict(&came, plain.as_ref(), refusals.first().map(String::as_str));
    if seen.verdict != Verdict::Pass {
        seen = seen.reproduced_by(pasted(&bench));
    }
    seen.timeline = timeline;
    seen
}

fn verdict(came: &Came, plain: Option<&Exercise>, refusal: Option<&str>) -> Seen {
    let done = match (came, plain) {
        (Came::Down(why), _) => {
            return Seen::warn(format!("with a read-only root it does not start: {why}"));
        }
        (Came::Up(done), None) => done,
        (Came::Up(done), Some(plain)) => {
            let owed = done.failed.iter().find(|failed| !plain.failed.contains(failed));
            if let Some(failed) = owed {
                return Seen::warn(format!(
                    "with a read-only root a request fails that does not fail otherwise: {failed}"
                ));
            }
            done
        }
    };
    let run = done.words();
    match refusal {
        Some(line) => {
            Seen::warn(format!("with a read-only root it runs {run}, and complains: {line}"))
        }
        None => Seen::pass(format!("it runs {run} where only temporary files can be written")),
    }
}

/// The line of a program that did not come up that says what it could not write.
fn refusal(error: &Unstartable) -> Option<String> {
    let (Unstartable::Ended { tail, .. } | Unstartable::NotReady { tail, .. }) = error else {
        return None;
    };
    tail.iter().find(|line| is_refusal(line)).map(|line| line.trim().to_owned())
}

/// Whether a line says that something cannot be written here.
fn is_refusal(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("read-only file system") || line.contains("erofs")
}

fn pasted(bench: &Bench) -> String {
    let folder = shell_words::quote(&bench.subject.folder.to_string_lossy()).into_owned();
    let inside = format!(
        "mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && {}",
        bench.pasted(8080)
    );
    format!("unshare --map-root-user --mount sh -c {}", shell_words::quote(&inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(failed: &[&str]) -> Exercise {
        let failed = failed.iter().map(|failed| (*failed).to_owned()).collect();
        Exercise { answered: 1, failed }
    }

    #[test]
    fn only_what_does_not_fail_otherwise_is_owed_to_the_seal() {
        let up = |failed: &[&str]| Came::Up(done(failed));
        let (same, other) = (done(&["GET /: 500"]), done(&[]));
        assert_eq!(verdict(&up(&[]), None, None).verdict, Verdict::Pass);
        assert_eq!(verdict(&up(&["GET /: 500"]), Some(&same), None).verdict, Verdict::Pass);
        assert_eq!(verdict(&up(&["GET /: 500"]), Some(&other), None).verdict, Verdict::Warn);
        assert_eq!(verdict(&up(&[]), None, Some("EROFS")).verdict, Verdict::Warn);
        assert_eq!(verdict(&Came::Down("x".into()), Some(&other), None).verdict, Verdict::Warn);
    }
}
