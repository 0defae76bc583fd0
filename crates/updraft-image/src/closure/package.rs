//! Which package of the distribution a file belongs to, by the database of dpkg.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use super::host::Host;
use super::{ClosureError, unreadable};

const DATABASE: &str = "/var/lib/dpkg";

/// The largest list, status file or statement of licences that is read.
const FILE_MOST: u64 = 64 << 20;

/// The most packages that are looked at.
const PACKAGES_MOST: usize = 100_000;

/// Folders that are the same with and without `/usr` before them since the two were merged.
const MERGED: [&str; 6] =
    ["/usr/lib/", "/usr/lib64/", "/usr/lib32/", "/usr/libx32/", "/usr/bin/", "/usr/sbin/"];

/// A package of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Such as `libc6`.
    pub name: String,
    /// Such as `2.36-9+deb12u10`.
    pub version: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// The distribution's own word for itself, such as `debian`.
    pub vendor: String,
    /// Its name and version, such as `debian-12`; empty where it has none.
    pub distribution: String,
    /// The licences that the package names, in its own words, sorted.
    pub licences: Vec<String>,
}

/// The package of each of these files, by path without links. Files that no package claims
/// are not in the answer, nor is any on a host without dpkg.
pub(super) fn owners(
    host: &Host,
    paths: &[&str],
) -> Result<BTreeMap<String, Package>, ClosureError> {
    let mut wanted = HashMap::new();
    for path in paths {
        wanted.insert((*path).to_owned(), *path);
        if MERGED.iter().any(|folder| path.starts_with(folder)) {
            wanted.insert(path.trim_start_matches("/usr").to_owned(), *path);
        }
    }
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for list in lists(host)? {
        let text = text(host, &format!("{DATABASE}/info/{list}.list"))?;
        for line in text.lines() {
            if let Some(path) = wanted.get(line) {
                found.insert(path, list.clone());
            }
        }
    }
    if found.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: BTreeSet<&String> = found.values().collect();
    let packages = packages(host, &names)?;
    let owner =
        |(path, list): (&str, String)| Some((path.to_owned(), packages.get(&list)?.clone()));
    Ok(found.into_iter().filter_map(owner).collect())
}

/// The names of all lists of files, `NAME` or `NAME:ARCHITECTURE`, sorted.
fn lists(host: &Host) -> Result<BTreeSet<String>, ClosureError> {
    let folder = host.at(&format!("{DATABASE}/info"));
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(unreadable(&folder)(error)),
    };
    let mut lists = BTreeSet::new();
    for entry in entries.take(PACKAGES_MOST * 16) {
        let name = entry.map_err(unreadable(&folder))?.file_name();
        if let Some(list) = name.to_str().and_then(|name| name.strip_suffix(".list")) {
            lists.insert(list.to_owned());
        }
    }
    Ok(lists)
}

/// What the status file says of packages, by the names of their lists.
fn packages(
    host: &Host,
    names: &BTreeSet<&String>,
) -> Result<HashMap<String, Package>, ClosureError> {
    let status = text(host, &format!("{DATABASE}/status"))?;
    let (vendor, distribution) = distribution(host)?;
    let mut packages = HashMap::new();
    for stanza in status.split("\n\n") {
        let field = |key: &str| {
            let mut lines = stanza.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(": ")?.to_owned()))
        };
        let (Some(name), Some(version), Some(architecture)) =
            (field("Package"), field("Version"), field("Architecture"))
        else {
            continue;
        };
        let full = format!("{name}:{architecture}");
        let list = [&full, &name].into_iter().find(|it| names.contains(it)).cloned();
        // A package that is removed keeps its stanza, but owns no libraries any more.
        let is_there = field("Status").is_some_and(|status| status.ends_with(" installed"));
        if let (Some(list), true) = (list, is_there) {
            let licences = licences(host, &name)?;
            let (vendor, distribution) = (vendor.clone(), distribution.clone());
            let package = Package { name, version, architecture, vendor, distribution, licences };
            packages.insert(list, package);
        }
    }
    Ok(packages)
}

/// The distribution's word for itself, and the same with its version.
fn distribution(host: &Host) -> Result<(String, String), ClosureError> {
    let text = text(host, "/etc/os-release")?;
    let field = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"').to_owned()).filter(|it| !it.is_empty())
    };
    let vendor = field("ID").unwrap_or_else(|| "debian".to_owned());
    let version = field("VERSION_ID").or_else(|| field("VERSION_CODENAME"));
    let distribution = version.map(|version| format!("{vendor}-{version}"));
    Ok((vendor, distribution.unwrap_or_default()))
}

/// The short names of the licences in a machine-readable statement (DEP 5).
fn licences(host: &Host, package: &str) -> Result<Vec<String>, ClosureError> {
    let text = text(host, &format!("/usr/share/doc/{package}/copyright"))?;
    if !text.lines().take(5).any(|line| line.starts_with("Format:")) {
        return Ok(Vec::new());
    }
    let names = text.lines().filter_map(|line| line.strip_prefix("License:"));
    let names: BTreeSet<&str> = names.map(str::trim).filter(|name| !name.is_empty()).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// A text of the host; empty where there is none.
fn text(host: &Host, path: &str) -> Result<String, ClosureError> {
    let bytes = host.read(path, FILE_MOST).map_err(unreadable(Path::new(path)))?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}
