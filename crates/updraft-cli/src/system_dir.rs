//! Which system a command is about: the manifest, found from a folder upwards.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use updraft_engine::StateDir;
use updraft_system::release::ManifestForm;
use updraft_system::{Name, System, parse_manifest, parse_procfile};

use crate::failure::Failure;
use crate::problems::ManifestProblems;

/// The manifest's file name.
pub(crate) const MANIFEST: &str = "updraft.toml";
/// What is enough to start without a manifest.
pub(crate) const PROCFILE: &str = "Procfile";

/// The folder of a system and the text of its manifest.
#[derive(Debug)]
pub(crate) struct SystemDir {
    /// The folder, without symbolic links: it tells checkouts apart.
    pub(crate) directory: PathBuf,
    form: Form,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Manifest,
    Procfile,
}

impl SystemDir {
    /// The nearest `updraft.toml` in `start` or above it, else the `Procfile` in `start`.
    pub(crate) fn find(start: &Path) -> Result<Self, Failure> {
        let start = canonical(start)?;
        for directory in start.ancestors() {
            if let Some(found) = Self::open(directory, Form::Manifest)? {
                return Ok(found);
            }
        }
        Self::open(&start, Form::Procfile)?.ok_or_else(|| {
            Failure::usage(format!(
                "no {MANIFEST} in {} or above it, and no {PROCFILE} in it",
                start.display()
            ))
            .help("`updraft init` writes a manifest; `-C DIR` names another folder")
        })
    }

    /// The system of exactly this folder.
    pub(crate) fn at(directory: &Path) -> Result<Self, Failure> {
        let directory = canonical(directory)?;
        for form in [Form::Manifest, Form::Procfile] {
            if let Some(found) = Self::open(&directory, form)? {
                return Ok(found);
            }
        }
        Err(Failure::usage(format!("no {MANIFEST} and no {PROCFILE} in {}", directory.display()))
            .help("`updraft init` writes a manifest"))
    }

    /// Whether a system can be started from this very folder.
    pub(crate) fn is_at(directory: &Path) -> bool {
        directory.join(MANIFEST).is_file() || directory.join(PROCFILE).is_file()
    }

    /// The sound graph, or every problem of the manifest.
    pub(crate) fn system(&self) -> Result<System, Failure> {
        let parsed = match self.form {
            Form::Manifest => parse_manifest(&self.text),
            Form::Procfile => parse_procfile(&self.text, &name_of_folder(&self.directory)),
        };
        parsed.map_err(|problems| {
            let file = shown(&self.file());
            Failure::Manifest(ManifestProblems { file, text: self.text.clone(), problems })
        })
    }

    /// The system's name, also from a manifest with problems: a system that runs
    /// can be looked at and stopped while its manifest is being rewritten.
    pub(crate) fn name(&self) -> Result<Name, Failure> {
        match self.form {
            Form::Procfile => Ok(name_of_folder(&self.directory)),
            Form::Manifest => {
                let (table, _) = DeTable::parse_recoverable(&self.text);
                let name = table.get_ref().get("system").and_then(|name| name.get_ref().as_str());
                match name.and_then(|name| name.parse().ok()) {
                    Some(name) => Ok(name),
                    None => self.system().map(|system| system.name),
                }
            }
        }
    }

    /// The text of the manifest, and how it is to be read.
    pub(crate) fn manifest(&self) -> (String, ManifestForm) {
        let form = match self.form {
            Form::Manifest => ManifestForm::Toml,
            Form::Procfile => ManifestForm::Procfile { system: name_of_folder(&self.directory) },
        };
        (self.text.clone(), form)
    }

    /// Where the state of this system lives.
    pub(crate) fn state(&self) -> Result<StateDir, Failure> {
        Ok(StateDir::locate(&self.name()?, &self.directory)?)
    }

    fn file(&self) -> PathBuf {
        self.directory.join(self.form.file_name())
    }

    fn open(directory: &Path, form: Form) -> Result<Option<Self>, Failure> {
        let file = directory.join(form.file_name());
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(Self { directory: directory.to_owned(), form, text })),
            Err(error) if is_absent(&file, &error) => Ok(None),
            Err(error) => {
                Err(Failure::usage(format!("cannot read {}", file.display())).because(&error))
            }
        }
    }
}

impl Form {
    fn file_name(self) -> &'static str {
        match self {
            Self::Manifest => MANIFEST,
            Self::Procfile => PROCFILE,
        }
    }
}

fn canonical(directory: &Path) -> Result<PathBuf, Failure> {
    let canonical = directory.canonicalize().map_err(|error| {
        Failure::usage(format!("cannot use the folder {}", directory.display())).because(&error)
    })?;
    if canonical.is_dir() {
        return Ok(canonical);
    }
    Err(Failure::usage(format!("{} is not a folder", directory.display())))
}

/// A folder above that cannot be searched is none that holds our manifest.
fn is_absent(file: &Path, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            true
        }
        io::ErrorKind::PermissionDenied => file.symlink_metadata().is_err(),
        _ => false,
    }
}

/// A path as people write it: relative where it lies below the working directory.
fn shown(file: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| file.strip_prefix(here).ok()).unwrap_or(file).to_owned()
}

/// A folder's name made a valid name, for systems without a manifest.
fn name_of_folder(directory: &Path) -> Name {
    let folder = directory.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let label: String =
        folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let label = label.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut = label.get(..Name::LENGTH_MAX).unwrap_or(label).trim_end_matches('-');
    cut.parse().unwrap_or_else(|_| fallback_name())
}

#[expect(clippy::expect_used, reason = "the text is a constant and a valid name")]
fn fallback_name() -> Name {
    "app".parse().expect("`app` is a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_a_name() {
        let long = "x".repeat(80);
        let cases = [
            ("shop", "shop"),
            ("My Shop_2", "my-shop-2"),
            ("2048-game", "game"),
            ("--a--", "a"),
            ("été", "t"),
            ("42", "app"),
            ("", "app"),
            (&long, &long[..63]),
        ];
        for (folder, expected) in cases {
            let name = name_of_folder(&Path::new("/srv").join(folder).join(""));
            let expected = if folder.is_empty() { "srv" } else { expected };
            assert_eq!(name.as_str(), expected, "{folder}");
        }
        assert_eq!(name_of_folder(Path::new("/")).as_str(), "app");
    }

    #[test]
    fn the_manifest_is_found_from_below_and_wins_over_a_procfile() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("orders/src");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(root.path().join("orders/Procfile"), "web: ./web\n").unwrap();
        std::fs::write(root.path().join(MANIFEST), "system = \"shop\"\n").unwrap();
        let found = SystemDir::find(&below).unwrap();
        assert_eq!(found.directory, root.path().canonicalize().unwrap());
        assert_eq!(found.name().unwrap().as_str(), "shop");
        let exact = SystemDir::at(&root.path().join("orders")).unwrap();
        assert_eq!(exact.name().unwrap().as_str(), "orders");
        assert!(matches!(SystemDir::at(&below), Err(Failure::Said(_))));
    }

    #[test]
    fn a_manifest_with_problems_still_tells_its_name() {
        let root = tempfile::tempdir().unwrap();
        let text = "system = \"shop\"\n[service.api]\nrun = \nnonsense = { = 1\n";
        std::fs::write(root.path().join(MANIFEST), text).unwrap();
        let found = SystemDir::at(root.path()).unwrap();
        assert_eq!(found.name().unwrap().as_str(), "shop");
        assert!(matches!(found.system(), Err(Failure::Manifest(_))));
    }
}
