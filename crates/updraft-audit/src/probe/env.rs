//! `X.env`: the program does the same on another machine: in another time zone, another
//! language, under another name and mask, at another home.

use std::collections::BTreeMap;

use super::exercise::targets;
use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Feature, Setup};
use crate::report::Moment;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const ENV: Dynamic = Dynamic {
    id: ProbeId::XEnv,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::Pid1],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::TellsZone], Verdict::Warn),
    ],
};

/// What two machines may differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    Zone,
    Language,
    Hostname,
    Umask,
    Home,
}

const ALL: [Difference; 5] = [
    Difference::Zone,
    Difference::Language,
    Difference::Hostname,
    Difference::Umask,
    Difference::Home,
];

/// What a program answered, by path.
type Answers = BTreeMap<String, Answered>;

/// One answer, in words whose places can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    status: u16,
    kind: String,
    words: Vec<String>,
}

/// Whether two runs answer the same.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Compared {
    /// In so many answers.
    Same(usize),
    /// Not here, in one sentence.
    Differs(String),
}

async fn look(bench: Bench) -> Seen {
    let plain = || Setup::new(bench.shape);
    let changed = match altered(&bench, &ALL) {
        Ok(changed) => changed,
        Err(seen) => return seen,
    };
    let (first, again, other) = (plain(), plain(), changed);
    let (first, again, other) =
        tokio::join!(answers(&bench, &first), answers(&bench, &again), answers(&bench, &other));
    let ((first, timeline), (again, _)) = match (first, again) {
        (Ok(first), Ok(again)) => (first, again),
        (Err(seen), _) | (_, Err(seen)) => return seen,
    };
    let other = match other {
        Ok((other, _)) => other,
        // It came up twice as it is.
        Err(seen) => {
            return Seen::warn(format!(
                "with another time zone, language, host name, mask and home it does not come up: {}",
                seen.evidence
            ))
            .reproduced_by(pasted(&bench));
        }
    };
    let mut seen = match compare(&first, &again, &other) {
        Compared::Same(0) => Seen::unknown(
            "no two runs of it in the same surroundings answer alike, so nothing can be compared",
        ),
        Compared::Same(count) => Seen::pass(format!(
            "{count} answers are the same with another time zone, language, host name, mask and \
             home"
        )),
        Compared::Differs(_) => named(&bench, &first, &again).await,
    };
    seen.timeline = timeline;
    seen
}

/// Which of the differences it is, with one run for each.
async fn named(bench: &Bench, first: &Answers, again: &Answers) -> Seen {
    let mut setups = Vec::new();
    for difference in ALL {
        match altered(bench, &[difference]) {
            Ok(setup) => setups.push((difference, setup)),
            Err(seen) => return seen,
        }
    }
    let runs = setups.iter().map(|(_, setup)| answers(bench, setup));
    let plain = Setup::new(bench.shape);
    let (runs, third) = tokio::join!(futures_util::future::join_all(runs), answers(bench, &plain));
    // What has changed since, a clock for one, is no difference of surroundings.
    let third = match third {
        Ok((third, _)) => third,
        Err(seen) => return seen,
    };
    let mut found = Vec::new();
    for ((difference, _), run) in setups.iter().zip(runs) {
        let Ok((run, _)) = run else { continue };
        let compared = [compare(first, again, &run), compare(first, &third, &run)];
        if let [Compared::Differs(_), Compared::Differs(how)] = compared {
            found.push(format!("{}: {how}", difference.words()));
        }
    }
    if found.is_empty() {
        return Seen::unknown(
            "with everything of its surroundings changed it answers otherwise, and with one thing \
             at a time it does not",
        );
    }
    Seen::warn(format!("its answers depend on where it runs: {}", found.join("; ")))
        .reproduced_by(pasted(bench))
}

impl Difference {
    const fn words(self) -> &'static str {
        match self {
            Self::Zone => "with another time zone",
            Self::Language => "in another language",
            Self::Hostname => "under another host name",
            Self::Umask => "with another file mode mask",
            Self::Home => "with another home",
        }
    }
}

fn altered(bench: &Bench, differences: &[Difference]) -> Result<Setup, Seen> {
    let mut setup = Setup::new(bench.shape);
    for difference in differences {
        setup = match difference {
            Difference::Zone => setup.variable("TZ", Some("Pacific/Kiritimati")),
            Difference::Language => {
                setup.variable("LANG", Some("tr_TR.UTF-8")).variable("LC_ALL", Some("tr_TR.UTF-8"))
            }
            Difference::Hostname => Setup { hostname: Some("elsewhere".to_owned()), ..setup },
            Difference::Umask => Setup { umask: Some(0o077), ..setup },
            Difference::Home => {
                let home = bench.lab.place();
                let home = home
                    .map_err(|error| Seen::unknown(format!("there is no other home: {error}")))?;
                setup.variable("HOME", Some(&home.to_string_lossy()))
            }
        };
    }
    Ok(setup)
}

/// Runs it in given surroundings and asks it for a few things.
async fn answers(bench: &Bench, setup: &Setup) -> Result<(Answers, Vec<Moment>), Seen> {
    let running = bench.start_with(setup).await?;
    let within = bench.limit(std::time::Duration::from_secs(5));
    let mut answers = Answers::new();
    for target in targets(&bench.subject) {
        if let Ok(answer) = Request::get(&target).send(running.address(), within).await {
            let kind = answer.header("content-type").unwrap_or_default().to_owned();
            let words = words(&answer.text());
            answers.insert(target, Answered { status: answer.status, kind, words });
        }
    }
    Ok((answers, running.end().await))
}

/// Letters and digits, and each other character by itself: what varies is mostly one word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for character in text.chars() {
        let belongs = character.is_alphanumeric();
        match words.last_mut() {
            Some(last) if open && belongs => last.push(character),
            _ => words.push(character.to_string()),
        }
        open = belongs;
    }
    words
}

/// Compares `other` with `first`, but for the words in which two runs in the same surroundings
/// differ.
fn compare(first: &Answers, again: &Answers, other: &Answers) -> Compared {
    let mut same = 0;
    for (target, one) in first {
        let Some(two) = again.get(target) else { continue };
        // Where nothing lines up, nothing is said.
        if one.status != two.status || one.words.len() != two.words.len() {
            continue;
        }
        let Some(it) = other.get(target) else {
            return Compared::Differs(format!("GET {target} is not answered"));
        };
        if it.status != one.status || it.kind != one.kind {
            return Compared::Differs(format!(
                "GET {target} is answered with {} instead of {}",
                it.status, one.status
            ));
        }
        if it.words.len() != one.words.len() {
            return Compared::Differs(difference(target, one, it));
        }
        let pairs = one.words.iter().zip(&two.words).zip(&it.words);
        if pairs.clone().any(|((one, two), it)| one == two && one != it) {
            return Compared::Differs(difference(target, one, it));
        }
        same += 1;
    }
    Compared::Same(same)
}

/// The first place where two answers differ.
fn difference(target: &str, one: &Answered, it: &Answered) -> String {
    const WORDS: usize = 12;
    const BEFORE: usize = 4;
    let pairs = one.words.iter().zip(&it.words);
    let at = pairs.take_while(|(one, it)| one == it).count().saturating_sub(BEFORE);
    let shown = |words: &[String]| {
        let shown: String = words.iter().skip(at).take(WORDS).map(String::as_str).collect();
        shown.trim().to_owned()
    };
    format!("GET {target} says `{}` instead of `{}`", shown(&it.words), shown(&one.words))
}

fn pasted(bench: &Bench) -> String {
    let (folder, line) = (bench.subject.folder.to_string_lossy(), bench.subject.line());
    let (folder, variable) =
        (shell_words::quote(&folder).into_owned(), &bench.subject.port_variable);
    format!(
        "cd {folder}; umask 077; {variable}=8080 {line} & TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 HOME=$(mktemp -d) {variable}=8081 {line} & sleep 2; diff <(curl -s localhost:8080/) <(curl -s localhost:8081/); kill %1 %2"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> Answers {
        let kind = "text/plain".to_owned();
        let answered = Answered { status: 200, kind, words: words(text) };
        [("/".to_owned(), answered)].into()
    }

    #[test]
    fn only_what_stays_the_same_in_the_same_surroundings_is_compared() {
        let table = [
            ("a 1 b", "a 2 b", "a 3 b", true),
            ("a 1 b", "a 2 b", "a 3 c", false),
            ("at 10:00", "at 10:00", "at 23:00", false),
            ("pid 100", "pid 101", "pid 1020", true),
            ("same", "same", "same", true),
            ("same", "same", "same and more", false),
        ];
        for (first, again, other, same) in table {
            let compared = compare(&answers(first), &answers(again), &answers(other));
            assert_eq!(compared == Compared::Same(1), same, "{other}: {compared:?}");
        }
        let nothing = compare(&answers("a"), &answers("a b"), &answers("a"));
        assert_eq!(nothing, Compared::Same(0), "nothing lines up");
    }

    #[test]
    fn the_difference_is_shown_with_both_sides() {
        let first = answers("zone: UTC");
        let Compared::Differs(how) = compare(&first, &first, &answers("zone: LINT")) else {
            panic!("it differs");
        };
        assert_eq!(how, "GET / says `zone: LINT` instead of `zone: UTC`");
    }
}
