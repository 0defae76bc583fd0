//! Go: `go.mod` fixes each version, `go.sum` what is in it.

use std::path::Path;

use super::{Reading, Weight, text};

const MANIFEST: &str = "go.mod";
const SUMS: &str = "go.sum";

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(manifest) = text::read(&path) else { return Some(reading.unreadable(MANIFEST)) };
    let wanted = Module::read(&manifest);
    reading.dependencies = wanted.required.len();
    if wanted.required.is_empty() {
        return Some(reading);
    }
    let vendored = folder.join("vendor/modules.txt");
    if let Some(vendored_text) = text::read(&vendored) {
        let missing = wanted
            .required
            .iter()
            .find(|(module, version, _)| !vendored_text.contains(&format!("# {module} {version}")));
        if let Some((module, version, _)) = missing {
            reading.fail(format!("vendor/modules.txt does not have `{module} {version}`"));
        }
        reading.lock = Some(vendored);
        return Some(reading);
    }
    let mut sums = text::read(&folder.join(SUMS)).unwrap_or_default();
    reading.lock = Some(folder.join(SUMS)).filter(|sums| sums.is_file());
    for above in folder.ancestors() {
        sums.push_str(&text::read(&above.join("go.work.sum")).unwrap_or_default());
    }
    let is_in_sums = |module: &str, version: &str| {
        sums.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(module)
                && words.next().and_then(|word| word.split('/').next()) == Some(version)
        })
    };
    let all_replaced = wanted.required.iter().all(|(module, ..)| wanted.is_replaced(module));
    let is_in_workspace = folder.ancestors().any(|above| above.join("go.work").is_file());
    if reading.lock.is_none() && sums.is_empty() && !all_replaced && !is_in_workspace {
        reading.fail(format!("{MANIFEST} requires modules, and there is no {SUMS}"));
        return Some(reading);
    }
    for (module, version, is_direct) in &wanted.required {
        // What only a dependency requires may be pruned, and what is replaced is elsewhere.
        if *is_direct && !wanted.is_replaced(module) && !is_in_sums(module, version) {
            // A workspace can replace modules of its members.
            let weight = if is_in_workspace { Weight::Unknown } else { Weight::Fail };
            reading.add(weight, format!("{SUMS} does not have `{module} {version}`"));
        }
    }
    Some(reading)
}

#[derive(Default)]
struct Module {
    /// Module, version, and whether the program itself uses it.
    required: Vec<(String, String, bool)>,
    replaced: Vec<String>,
}

impl Module {
    fn read(text: &str) -> Self {
        let mut module = Self::default();
        let mut block = String::new();
        for line in text.lines() {
            let (line, comment) = line.split_once("//").unwrap_or((line, ""));
            let mut words: Vec<&str> =
                line.split_whitespace().map(|word| word.trim_matches('"')).collect();
            match *words {
                [")"] => block.clear(),
                [verb, "("] => verb.clone_into(&mut block),
                [] => {}
                _ => {
                    let verb =
                        if block.is_empty() { words.remove(0).to_owned() } else { block.clone() };
                    module.add(&verb, &words, comment.trim().starts_with("indirect"));
                }
            }
        }
        module
    }

    fn add(&mut self, verb: &str, words: &[&str], is_indirect: bool) {
        match (verb, words) {
            ("require", [module, version]) => {
                self.required.push(((*module).to_owned(), (*version).to_owned(), !is_indirect));
            }
            ("replace", [module, ..]) => self.replaced.push((*module).to_owned()),
            _ => {}
        }
    }

    fn is_replaced(&self, module: &str) -> bool {
        self.replaced.iter().any(|one| one == module)
    }
}
