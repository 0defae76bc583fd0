//! Maven and Gradle: Maven has no lockfile, and Gradle's is an option; what can be seen is
//! whether a version is written that means another one tomorrow.

use std::path::Path;

use super::{Reading, text};

pub(super) fn maven(folder: &Path) -> Option<Reading> {
    const MANIFEST: &str = "pom.xml";
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(source) = text::read(&path) else { return Some(reading.unreadable(MANIFEST)) };
    let source = without_comments(&source);
    let dependencies: Vec<&str> = elements(&source, "dependency").collect();
    reading.dependencies = dependencies.len();
    let parent = elements(&source, "parent").next().unwrap_or_default();
    let is_of_moving_parent =
        elements(parent, "version").next().is_some_and(|version| is_moving(version.trim()));
    for dependency in &dependencies {
        let name = elements(dependency, "artifactId").next().unwrap_or("?");
        let Some(version) = elements(dependency, "version").next() else {
            // Of the parent or of an imported list, which have versions themselves.
            if is_of_moving_parent {
                reading.unknown(format!("the version of `{name}` is in a parent that is not read"));
            }
            continue;
        };
        match resolved(&source, version.trim()) {
            Some(version) if is_moving(version) => {
                reading
                    .warn(format!("the version `{version}` of `{name}` is another one tomorrow"));
            }
            Some(_) => {}
            None => reading.unknown(format!("the version `{version}` of `{name}` is elsewhere")),
        }
    }
    Some(reading)
}

/// The value of `${name}`, if the same file has it.
fn resolved<'a>(source: &'a str, version: &'a str) -> Option<&'a str> {
    let Some(name) = version.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return (!version.contains("${")).then_some(version);
    };
    let properties = elements(source, "properties").next()?;
    let value = elements(properties, name).next()?.trim();
    (!value.contains("${")).then_some(value)
}

fn is_moving(version: &str) -> bool {
    version.ends_with("-SNAPSHOT")
        || matches!(version, "LATEST" | "RELEASE")
        || (version.contains(',') && version.starts_with(['[', '(']))
}

fn without_comments(source: &str) -> String {
    let mut rest = source;
    let mut kept = String::with_capacity(source.len());
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

/// The insides of all elements of a name, which do not nest.
fn elements<'a>(source: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = source;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inside, after) = after.split_once(&close)?;
        rest = after;
        Some(inside)
    })
}

pub(super) fn gradle(folder: &Path) -> Option<Reading> {
    let manifest = ["build.gradle", "build.gradle.kts"]
        .into_iter()
        .find(|name| folder.join(name).is_file())?;
    let mut reading = Reading::of(manifest);
    let lock = folder.join("gradle.lockfile");
    let sums = folder.ancestors().map(|above| above.join("gradle/verification-metadata.xml"));
    let lock = std::iter::once(lock).chain(sums).find(|path| path.is_file());
    let what = match &lock {
        Some(_) => format!("there is a lockfile; {manifest} is a program, so that whether it fits"),
        None => format!(
            "there is no gradle.lockfile; {manifest} is a program, so that what it asks for"
        ),
    };
    reading.lock = lock;
    reading.unknown(format!("{what} is known to Gradle only"));
    Some(reading)
}
