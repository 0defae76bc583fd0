//! The pages of the reference are what the table and its texts make, and the texts keep the
//! form that reports and pages rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::prose::Block;
use super::*;
use crate::catalogue::Language;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/probes")
}

fn pages() -> BTreeMap<String, String> {
    let of_probes = PROBES.iter().map(|probe| (format!("{}.md", probe.id), page(probe.id)));
    of_probes.chain([("README.md".to_owned(), index())]).collect()
}

#[test]
fn the_pages_of_the_reference_are_what_the_table_makes() {
    let (folder, made) = (folder(), pages());
    let names = || -> BTreeSet<String> {
        let entries = std::fs::read_dir(&folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for stale in names().iter().filter(|name| !made.contains_key(*name)) {
            std::fs::remove_file(folder.join(stale)).unwrap();
        }
        for (name, page) in &made {
            std::fs::write(folder.join(name), page).unwrap();
        }
    }
    assert_eq!(names(), made.keys().cloned().collect(), "a page too many or too few");
    for (name, page) in &made {
        let found = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(&found == page, "{name} is not what its texts make; run with UPDATE_DOCS=1");
    }
}

#[test]
fn an_explanation_holds_everything_that_is_known_of_a_probe() {
    for probe in PROBES {
        let text = Texts::carried().of(probe.id);
        let said = explain(probe.id);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let flat = words(&said);
        for (_, part) in parts(text) {
            for block in prose::blocks(part) {
                let Block::Paragraph(lines) = block else { continue };
                assert!(flat.contains(&words(&lines.join(" "))), "{}: {lines:?}", probe.id);
            }
        }
        for language in Language::ALL {
            assert!(said.contains(&format!("\n  {}\n", language.name())), "{}", probe.id);
            for block in prose::blocks(&text.mend[&language]) {
                let Block::Code(_, lines) = block else { continue };
                for line in lines {
                    assert!(said.contains(line), "{} in {language:?}: {line}", probe.id);
                }
            }
        }
        for needed in [probe.factor.name(), &probe.tier.to_string(), probe.id.as_str()] {
            assert!(said.contains(needed), "{}: {needed}", probe.id);
        }
        assert_eq!(said.contains("as process 1\n"), probe.shaped, "{}", probe.id);
        assert_eq!(said.contains("quick    yes\n"), probe.quick, "{}", probe.id);
    }
}

#[test]
fn an_explanation_fits_a_terminal_and_has_no_colour_and_no_fence() {
    for probe in PROBES {
        let text = Texts::carried().of(probe.id);
        let code: BTreeSet<&str> = text
            .mend
            .values()
            .flat_map(|mend| prose::blocks(mend))
            .filter_map(|block| match block {
                Block::Code(_, lines) => Some(lines),
                Block::Paragraph(_) => None,
            })
            .flatten()
            .map(str::trim)
            .collect();
        for line in explain(probe.id).lines() {
            assert!(!line.contains(['\u{1b}']) && !line.contains("```"), "{}: {line}", probe.id);
            assert_eq!(line, line.trim_end(), "{}", probe.id);
            let fits = line.chars().count() <= WIDTH || code.contains(line.trim());
            assert!(fits, "{}: {line}", probe.id);
        }
    }
}

/// What a report of one line shows of a mend.
fn first_line(mend: &str) -> &str {
    match prose::blocks(mend).first() {
        Some(Block::Paragraph(lines)) => lines.first().copied().unwrap_or_default(),
        _ => "",
    }
}

#[test]
fn a_mend_begins_with_one_sentence_that_stands_alone() {
    for probe in PROBES {
        for (language, mend) in &Texts::carried().of(probe.id).mend {
            let first = first_line(mend);
            let of = format!("{} in {}: {first:?}", probe.id, language.name());
            assert!(first.starts_with(|c: char| c.is_uppercase()), "{of}");
            assert!(first.ends_with(['.', ':']), "{of}");
            assert!(first.chars().count() <= 120, "{of}");
        }
    }
}

#[test]
fn titles_are_short_sentences_without_a_full_stop_and_all_different() {
    let mut seen = BTreeSet::new();
    for probe in PROBES {
        let title = Texts::carried().of(probe.id).title.as_str();
        assert!(seen.insert(title), "{title} is there twice");
        assert!(!title.ends_with('.') && !title.contains('\n'), "{}: {title}", probe.id);
        assert!((20..=90).contains(&title.chars().count()), "{}: {title}", probe.id);
    }
}

#[test]
fn code_is_fenced_in_pairs_and_names_its_language() {
    let known = [
        "rust",
        "python",
        "js",
        "go",
        "java",
        "kotlin",
        "sh",
        "toml",
        "properties",
        "json",
        "yaml",
        "xml",
        "sql",
        "dockerfile",
        "ini",
    ];
    for probe in PROBES {
        let text = Texts::carried().of(probe.id);
        for (_, part) in parts(text) {
            assert!(!part.contains("```"), "{}: code belongs to a mend", probe.id);
        }
        for (language, mend) in &text.mend {
            let fences = mend.lines().filter(|line| line.starts_with("```")).count();
            assert_eq!(fences % 2, 0, "{} in {}", probe.id, language.name());
            for block in prose::blocks(mend) {
                let Block::Code(of, lines) = block else { continue };
                assert!(known.contains(&of), "{} in {}: `{of}`", probe.id, language.name());
                assert!(!lines.is_empty(), "{} in {}", probe.id, language.name());
                let widest = lines.iter().map(|line| line.chars().count()).max();
                assert!(widest <= Some(110), "{} in {}", probe.id, language.name());
            }
        }
    }
}

#[test]
fn a_misspelt_id_finds_its_neighbour() {
    let cases = [
        ("IX.drian", Some(ProbeId::IxDrain)),
        ("ix-drain", Some(ProbeId::IxDrain)),
        ("drain", Some(ProbeId::IxDrain)),
        (" XI.stdot", Some(ProbeId::XiStdout)),
        ("X1.stdout", Some(ProbeId::XiStdout)),
        ("forward", Some(ProbeId::IxForward)),
        ("", None),
        ("something else", None),
    ];
    for (given, expected) in cases {
        let unknown = given.parse::<ProbeId>().unwrap_err();
        assert_eq!(unknown.nearest(), expected, "{given}");
    }
}
