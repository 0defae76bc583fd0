//! Follows what programs need from one library to the next, as their loader will.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::elf::{self, Elf, Nature};
use super::host::Host;
use super::loader::{By, Loader};
use super::package::owners;
use super::{Closure, ClosureError, HarvestedFile, Lack, follow, nature_in, script, unreadable};
use crate::tree::{Content, What};
use crate::{Digest, Digesting, Owner, Tree};

/// The most libraries of one image.
const LIBRARIES_MOST: usize = 4096;

/// From this version on the C library has names of hosts and users in itself.
const NAMES_INSIDE: &[u8] = b"GLIBC_2.34";

/// What looks up names in older C libraries; it is loaded when it is first needed.
const NAMES: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/// A program or library whose needs are followed.
struct Object {
    /// The folder that it is in: on this machine and in the image.
    origin: Place,
    /// In the image.
    path: String,
    elf: Elf,
    /// The folders that whoever needs it says to look into for it as well (`DT_RPATH`).
    inherited: Vec<Place>,
    /// It must have all that it needs.
    strict: bool,
    /// Which loader loads it.
    loader: String,
    /// Its loader finds it under a second name, beside the C library.
    aliased: bool,
}

#[derive(Clone)]
struct Place {
    here: PathBuf,
    image: String,
    from_origin: bool,
}

struct Harvest<'a> {
    host: &'a Host,
    application: &'a Tree,
    tree: Tree,
    /// Paths on this machine by paths in the image.
    taken: BTreeMap<String, PathBuf>,
    loaders: HashMap<String, Option<Loader>>,
    open: VecDeque<Object>,
    seen: HashSet<String>,
    lacks: BTreeSet<Lack>,
    fatal: BTreeSet<Lack>,
}

pub(super) fn of(tree: &Tree, programs: &[&str], host: &Host) -> Result<Closure, ClosureError> {
    let mut harvest = Harvest {
        host,
        application: tree,
        tree: Tree::default(),
        taken: BTreeMap::new(),
        loaders: HashMap::new(),
        open: VecDeque::new(),
        seen: HashSet::new(),
        lacks: BTreeSet::new(),
        fatal: BTreeSet::new(),
    };
    harvest.programs(programs)?;
    while let Some(object) = harvest.open.pop_front() {
        harvest.follow(&object)?;
    }
    harvest.finish()
}

impl Harvest<'_> {
    /// What is started, and then everything else of the application that can be loaded.
    fn programs(&mut self, programs: &[&str]) -> Result<(), ClosureError> {
        let mut first = None;
        for program in programs {
            let name = (*program).to_owned();
            match nature_in(self.application, program)? {
                None => drop(self.fatal.insert(Lack::Program { program: name })),
                Some(Nature::Other) => drop(self.fatal.insert(Lack::NoProgram { program: name })),
                Some(Nature::Script(line)) => {
                    self.fatal.extend(script(self.application, program, &line));
                }
                Some(Nature::Elf(elf)) => {
                    let Some((path, content)) = follow(self.application, program) else { continue };
                    let Some(loader) = elf.interpreter.clone() else { continue };
                    first.get_or_insert((loader.clone(), elf.machine));
                    self.root(&path, content, elf, loader, true);
                }
            }
        }
        let Some((loader, machine)) = first else { return Ok(()) };
        for (path, node) in self.application.nodes() {
            let What::File { content, size } = &node.what else { continue };
            if *size < 52 {
                continue;
            }
            let nature = super::nature_of(content);
            // Something that only looks like a library is nobody's program.
            let Ok(Nature::Elf(elf)) = nature else { continue };
            if elf.machine == machine {
                let loader = elf.interpreter.clone().unwrap_or_else(|| loader.clone());
                self.root(&format!("/{path}"), content, elf, loader, false);
            }
        }
        Ok(())
    }

    fn root(&mut self, path: &str, content: &Content, elf: Elf, loader: String, strict: bool) {
        if self.seen.insert(path.to_owned()) {
            let here = match content {
                Content::Host(here) => here.parent().unwrap_or(here).to_owned(),
                // Only what is written to an image has no place of its own.
                Content::Bytes(_) => PathBuf::new(),
            };
            let origin = Place { here, image: parent(path).to_owned(), from_origin: true };
            let path = path.to_owned();
            let (inherited, aliased) = (Vec::new(), false);
            self.open.push_back(Object { origin, path, elf, inherited, strict, loader, aliased });
        }
    }

    fn follow(&mut self, object: &Object) -> Result<(), ClosureError> {
        if !self.load(object)? {
            return Ok(());
        }
        for library in &object.elf.needed {
            let is_own = self.loader(&object.loader).is_some_and(|it| it.is(library));
            if !is_own && !self.library(object, library)? {
                let (needed_by, library) = (object.path.clone(), library.clone());
                self.lack(object.strict, Lack::Library { needed_by, library });
            }
        }
        Ok(())
    }

    /// Takes the loader of an object, once. Whether there is one.
    fn load(&mut self, object: &Object) -> Result<bool, ClosureError> {
        if !self.loaders.contains_key(&object.loader) {
            let read = Loader::of(self.host, &object.loader);
            let loader = read.map_err(unreadable(Path::new(&object.loader)))?;
            if let Some(loader) = &loader {
                self.system(&loader.path)?;
                if let Some(list) = &loader.list {
                    self.system(list)?;
                }
            }
            self.loaders.insert(object.loader.clone(), loader);
        }
        let is_there = self.loader(&object.loader).is_some();
        if !is_there {
            let (program, loader) = (object.path.clone(), object.loader.clone());
            self.lack(object.strict, Lack::Loader { program, loader });
        }
        Ok(is_there)
    }

    fn loader(&self, path: &str) -> Option<&Loader> {
        self.loaders.get(path)?.as_ref()
    }

    fn lack(&mut self, strict: bool, lack: Lack) {
        if strict {
            self.fatal.insert(lack);
        } else {
            self.lacks.insert(lack);
        }
    }

    /// Takes a library that `object` needs, and opens it. Whether it was found.
    fn library(&mut self, object: &Object, library: &str) -> Result<bool, ClosureError> {
        if library.contains('/') {
            let place = Place {
                here: self.host.at(parent(library)),
                image: parent(library).to_owned(),
                from_origin: false,
            };
            return self.try_place(object, &place, base(library), By::Default);
        }
        for place in folders(object, self.host) {
            if self.try_place(object, &place, library, By::Default)? {
                return Ok(true);
            }
        }
        if object.elf.no_defaults {
            return Ok(false);
        }
        let Some(loader) = self.loader(&object.loader) else { return Ok(false) };
        let candidates: Vec<(String, By)> = loader.candidates(library).collect();
        for (path, by) in candidates {
            let here = self.host.at(parent(&path));
            let place = Place { here, image: parent(&path).to_owned(), from_origin: false };
            if self.try_place(object, &place, base(&path), by)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the library of that name from that folder if it is there and for this machine.
    fn try_place(
        &mut self,
        object: &Object,
        place: &Place,
        name: &str,
        by: By,
    ) -> Result<bool, ClosureError> {
        let image = clean(&format!("{}/{name}", place.image));
        if follow(self.application, &image).is_some() {
            // The application brings it, and it is opened as a part of that.
            return Ok(true);
        }
        let here = place.here.join(name);
        let nature = match File::open(&here) {
            Ok(file) => elf::nature(&file),
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => Err(error),
        };
        let elf = match nature {
            Ok(Nature::Elf(elf)) if elf.machine == object.elf.machine => elf,
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(false),
            Err(error) => return Err(unreadable(&here)(error)),
        };
        let mut aliased = object.aliased && place.from_origin;
        let real = if self.host.at(&image) == here {
            self.system(&image)?
        } else {
            self.taken.insert(image.clone(), here.clone());
            None
        };
        if let (Some(real), Some(loader)) = (&real, self.loader(&object.loader))
            && (by == By::Cache || aliased)
            && !loader.is_musl
            && parent(real) != loader.home
        {
            // The image has no cache that would tell its loader about this folder.
            let alias = format!("{}/{name}", loader.home);
            aliased = true;
            if !self.tree.contains(&alias) && !self.taken.contains_key(&alias) {
                self.tree.add_link(&alias, &image)?;
            }
        }
        if self.seen.insert(image.clone()) {
            if self.seen.len() > LIBRARIES_MOST + self.application.len() {
                let why = io::Error::other("more than 4096 libraries are needed");
                return Err(unreadable(&here)(why));
            }
            let here = here.parent().unwrap_or(&here).to_owned();
            let origin = Place { here, image: parent(&image).to_owned(), from_origin: true };
            let inherited = passed_on(object, self.host);
            let (strict, loader) = (object.strict, object.loader.clone());
            self.open.push_back(Object {
                origin,
                path: image,
                elf,
                inherited,
                strict,
                loader,
                aliased,
            });
        }
        Ok(true)
    }

    /// Takes a file of the host with the links that lead to it; gives its path without links.
    fn system(&mut self, path: &str) -> Result<Option<String>, ClosureError> {
        let found = self.host.find(path).map_err(unreadable(Path::new(path)))?;
        let Some(found) = found else { return Ok(None) };
        for (link, target) in &found.links {
            if !self.application.contains(link) {
                self.tree.add_link(link, target)?;
            } else if let Some(node) = self.application.node(link)
                && matches!(node.what, What::Folder)
            {
                self.fatal.insert(Lack::Folder { path: link.clone() });
            }
        }
        self.taken.insert(found.path.clone(), self.host.at(&found.path));
        Ok(Some(found.path))
    }

    /// Older C libraries open what looks up names by themselves, so no header says it.
    fn names(&mut self) -> Result<(), ClosureError> {
        let libc = self.taken.iter().find(|(path, _)| base(path) == "libc.so.6");
        let Some((path, here)) = libc.map(|(path, here)| (path.clone(), here.clone())) else {
            return Ok(());
        };
        let content = fs::read(&here).map_err(unreadable(&here))?;
        if memchr::memmem::find(&content, NAMES_INSIDE).is_some() {
            return Ok(());
        }
        for name in NAMES {
            self.system(&format!("{}/{name}", parent(&path)))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Closure, ClosureError> {
        if !self.fatal.is_empty() {
            return Err(ClosureError::Lacks(self.fatal.into_iter().collect()));
        }
        self.names()?;
        let mut digests = Vec::new();
        for (path, here) in &self.taken {
            if self.application.contains(path) {
                continue;
            }
            let (digest, size) = digest(here).map_err(unreadable(here))?;
            let content = Content::Host(here.clone());
            let metadata = fs::metadata(here).map_err(unreadable(here))?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            self.tree.add_file(path, content, size, executable)?;
            let system = self.host.path_of(here);
            digests.push((path.clone(), system, digest));
        }
        let paths: Vec<&str> = digests.iter().filter_map(|(_, it, _)| it.as_deref()).collect();
        let packages = owners(self.host, &paths)?;
        let files = digests.into_iter().map(|(path, system, digest)| HarvestedFile {
            package: system.and_then(|system| packages.get(&system).cloned()),
            path,
            digest,
        });
        let files = files.collect();
        let tree = self.tree.owned_by(Owner::default());
        Ok(Closure { tree, files, lacks: self.lacks.into_iter().collect() })
    }
}

/// The folders that a program names itself, in the order of `ld.so(8)`.
fn folders(object: &Object, host: &Host) -> Vec<Place> {
    if object.elf.runpath.is_empty() {
        passed_on(object, host)
    } else {
        expanded(&object.elf.runpath, object, host)
    }
}

/// The folders for what an object needs, and all that its libraries need in turn.
fn passed_on(object: &Object, host: &Host) -> Vec<Place> {
    let mut places = expanded(&object.elf.rpath, object, host);
    places.extend(object.inherited.iter().cloned());
    places
}

fn expanded(folders: &[String], object: &Object, host: &Host) -> Vec<Place> {
    let origins = ["$ORIGIN", "${ORIGIN}"];
    let place = |folder: &String| {
        if let Some(rest) = origins.iter().find_map(|it| folder.strip_prefix(it)) {
            let here = object.origin.here.join(rest.trim_start_matches('/'));
            let image = clean(&format!("{}{rest}", object.origin.image));
            return Some(Place {
                here: PathBuf::from(clean(here.to_str()?)),
                image,
                from_origin: true,
            });
        }
        // What depends on the working folder or on the processor means nothing in an image.
        let image = (folder.starts_with('/') && !folder.contains('$')).then(|| clean(folder))?;
        Some(Place { here: host.at(&image), image, from_origin: false })
    };
    folders.iter().filter_map(place).collect()
}

/// A path without `.` and `..`, as it is when no link is on its way.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut digesting = Digesting::default();
    let mut piece = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((digesting.finish(), size)),
            Ok(read) => {
                digesting.update(piece.get(..read).unwrap_or_default());
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
