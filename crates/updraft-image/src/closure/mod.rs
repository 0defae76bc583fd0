//! What dynamically linked programs need to run where nothing is: their loader, and their
//! libraries with all that these need, taken from the machine that built them.

mod elf;
mod harvest;
mod host;
mod loader;
mod package;
mod surroundings;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::tree::{Content, What};
use crate::{Digest, Tree, TreeError};
use elf::Nature;

pub use host::Host;
pub use package::Package;
pub use surroundings::Surroundings;

/// Links of a tree that are followed to a program.
const LINKS_MOST: usize = 40;

/// How a program is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// By the kernel alone: it runs in an empty image.
    Static,
    /// By a loader, which looks for its libraries.
    Dynamic {
        /// The loader, such as `/lib64/ld-linux-x86-64.so.2`.
        loader: String,
    },
    /// By another program that reads it.
    Script {
        /// The first line without `#!`.
        interpreter: String,
    },
    /// It is no program that Linux starts.
    Unknown,
}

/// A loader and libraries as a layer, with where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    tree: Tree,
    files: Vec<HarvestedFile>,
    lacks: Vec<Lack>,
}

/// A file that was taken from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarvestedFile {
    /// In the image, with a leading slash.
    pub path: String,
    /// Of its content.
    pub digest: Digest,
    /// The package that it belongs to. `None` where no package says that it does.
    pub package: Option<Package>,
}

/// Programs cannot be made to run in an image of their own.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// All that is missing, at once.
    #[error("{}", Lines(.0))]
    Lacks(Vec<Lack>),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be in an image.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Something that a program needs and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// The image has no such program.
    Program {
        /// Its path in the image.
        program: String,
    },
    /// The program is a script, and what reads it is not in the image.
    Interpreter {
        /// Its path in the image.
        program: String,
        /// Its first line without `#!`.
        interpreter: String,
    },
    /// The file is no program for Linux.
    NoProgram {
        /// Its path in the image.
        program: String,
    },
    /// The program needs a loader, and the image is to have none.
    Scratch {
        /// Its path in the image.
        program: String,
        /// The loader that it names.
        loader: String,
    },
    /// The loader is not on this machine.
    Loader {
        /// The program's path in the image.
        program: String,
        /// The loader that it names.
        loader: String,
    },
    /// A library is not on this machine.
    Library {
        /// The path of the program or library that needs it.
        needed_by: String,
        /// The library's name.
        library: String,
    },
    /// The application has a folder where a library needs a link.
    Folder {
        /// Its path in the image.
        path: String,
    },
}

impl Closure {
    /// What the programs of `tree` need of `host`.
    ///
    /// `programs` are the paths in the image of what is started; all they need must be found.
    /// Other programs and libraries of the tree get what they need where it is found, and
    /// [`lacks`](Self::lacks) tells the rest: packages bring libraries for machines of all kinds.
    ///
    /// Programs that are static need nothing, and get nothing.
    ///
    /// # Errors
    ///
    /// [`ClosureError::Lacks`] with everything that is missing.
    ///
    /// ```
    /// use updraft_image::{Closure, Host, Tree};
    ///
    /// let mut tree = Tree::default();
    /// tree.add_host(&std::fs::canonicalize("/bin/sh")?, "/app/sh")?;
    /// let closure = Closure::of(&tree, &["/app/sh"], &Host::this())?;
    /// for file in closure.files() {
    ///     println!("{} {:?}", file.path, file.package);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(tree: &Tree, programs: &[&str], host: &Host) -> Result<Self, ClosureError> {
        harvest::of(tree, programs, host)
    }

    /// The files, as a layer.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The layer alone.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Where each file comes from, by path.
    pub fn files(&self) -> &[HarvestedFile] {
        &self.files
    }

    /// What programs that are not started first need and was not found.
    pub fn lacks(&self) -> &[Lack] {
        &self.lacks
    }

    /// Adds what programs look for around them.
    ///
    /// # Errors
    ///
    /// [`ClosureError`] when certificates are asked for and cannot be had.
    pub fn surround(&mut self, with: &Surroundings, host: &Host) -> Result<(), ClosureError> {
        self.files.extend(with.add_to(&mut self.tree, host)?);
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }
}

/// Where files of a tree come from that were taken from `host` at the paths they have there:
/// those of packages, and programs that are of none.
///
/// # Errors
///
/// [`ClosureError::Read`] when one of them cannot be read.
pub fn origins(tree: &Tree, host: &Host) -> Result<Vec<HarvestedFile>, ClosureError> {
    let taken = tree.nodes().filter_map(|(path, node)| match &node.what {
        What::File { content: Content::Host(here), .. } => Some((format!("/{path}"), here)),
        _ => None,
    });
    let taken: Vec<(String, &PathBuf)> = taken.collect();
    let paths: Vec<&str> = taken.iter().map(|(path, _)| path.as_str()).collect();
    let mut packages = package::owners(host, &paths)?;
    let mut files = Vec::new();
    for (path, here) in taken {
        let package = packages.remove(&path);
        let is_program = || matches!(linkage(here), Ok(Linkage::Static | Linkage::Dynamic { .. }));
        if package.is_some() || is_program() {
            let (digest, _) = harvest::digest(here).map_err(unreadable(here))?;
            files.push(HarvestedFile { path, digest, package });
        }
    }
    Ok(files)
}

/// How the program in a file of this machine is started.
///
/// # Errors
///
/// [`ClosureError::Read`] when it cannot be read, or is cut off.
pub fn linkage(program: &Path) -> Result<Linkage, ClosureError> {
    let read = || elf::nature(&File::open(program)?);
    let nature = read().map_err(unreadable(program))?;
    Ok(match nature {
        Nature::Script(interpreter) => Linkage::Script { interpreter },
        Nature::Other => Linkage::Unknown,
        Nature::Elf(elf) => match elf.interpreter {
            Some(loader) => Linkage::Dynamic { loader },
            None => Linkage::Static,
        },
    })
}

/// Checks that `programs`, by their paths in the image, run where nothing is but `tree`.
///
/// # Errors
///
/// [`ClosureError::Lacks`] with each one that does not, and what to do.
pub fn check_scratch(tree: &Tree, programs: &[&str]) -> Result<(), ClosureError> {
    let mut lacks = Vec::new();
    for program in programs {
        let name = || (*program).to_owned();
        match nature_in(tree, program)? {
            None => lacks.push(Lack::Program { program: name() }),
            Some(Nature::Other) => lacks.push(Lack::NoProgram { program: name() }),
            Some(Nature::Script(line)) => lacks.extend(script(tree, program, &line)),
            Some(Nature::Elf(elf)) => {
                let loader = elf.interpreter.filter(|loader| !tree.contains(loader));
                lacks.extend(loader.map(|loader| Lack::Scratch { program: name(), loader }));
            }
        }
    }
    if lacks.is_empty() { Ok(()) } else { Err(ClosureError::Lacks(lacks)) }
}

/// A script runs when what reads it is in the image too.
fn script(tree: &Tree, program: &str, line: &str) -> Option<Lack> {
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    let is_there = follow(tree, interpreter).is_some();
    (!is_there)
        .then(|| Lack::Interpreter { program: program.to_owned(), interpreter: line.to_owned() })
}

/// The file at a path of a tree, with its own path, through links of that tree.
fn follow<'a>(tree: &'a Tree, path: &str) -> Option<(String, &'a Content)> {
    let mut path = path.trim_start_matches('/').to_owned();
    for _ in 0..LINKS_MOST {
        match &tree.node(&path)?.what {
            What::File { content, .. } => return Some((format!("/{path}"), content)),
            What::Folder => return None,
            What::Link { target } => path = joined(&path, target)?,
        }
    }
    None
}

/// Where a link at `path` leads, without its leading slash. `None` is out of the image.
fn joined(path: &str, target: &str) -> Option<String> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => parent.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn nature_in(tree: &Tree, path: &str) -> Result<Option<Nature>, ClosureError> {
    let Some((path, content)) = follow(tree, path) else { return Ok(None) };
    nature_of(content).map(Some).map_err(unreadable(content.place(&path)))
}

fn nature_of(content: &Content) -> io::Result<Nature> {
    match content {
        Content::Bytes(bytes) => elf::nature(&**bytes),
        Content::Host(path) => elf::nature(&File::open(path)?),
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ClosureError + '_ {
    move |source| ClosureError::Read { path: path.to_owned(), source }
}

struct Lines<'a>(&'a [Lack]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, lack) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{lack}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { program } => {
                write!(f, "{program} is not in the image: add it to `keep`, or correct what is run")
            }
            Self::Interpreter { program, interpreter } => write!(
                f,
                "{program} is a script for `{interpreter}`, which the image has not: build on an \
                 image that has it (an OCI layout or a registry)"
            ),
            Self::NoProgram { program } => {
                write!(f, "{program} is no program: it is neither ELF nor a script with `#!`")
            }
            Self::Scratch { program, loader } => write!(
                f,
                "{program} is linked dynamically and needs {loader}, which `scratch` has not: use \
                 the base `closure`, or link it statically"
            ),
            Self::Loader { program, loader } => write!(
                f,
                "{program} needs the loader {loader}, which this machine has not: build on the \
                 system that it is for"
            ),
            Self::Library { needed_by, library } => write!(
                f,
                "{needed_by} needs {library}, which this machine has not: install the package \
                 that brings it"
            ),
            Self::Folder { path } => write!(
                f,
                "{path} is a folder of the application, and a link of this machine that libraries \
                 are behind: put the application's files elsewhere"
            ),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
