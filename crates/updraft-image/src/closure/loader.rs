//! Where loaders look for libraries: that of the GNU C library (`ld.so(8)`) and that of musl.

use std::collections::HashMap;
use std::io;

use super::host::Host;

const CACHE: &str = "/etc/ld.so.cache";
const CACHE_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const CACHE_HEADER: usize = 48;
const CACHE_ENTRY: usize = 24;

/// The largest cache that is read; those of whole desktops have some 200 KB.
const CACHE_MOST: u64 = 16 << 20;

/// The longest list of musl's folders that is read.
const MUSL_PATH_MOST: u64 = 64 * 1024;

/// What musl's loader has in itself, whatever follows.
const MUSL_OWN: [&str; 7] =
    ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];

/// A loader of a host.
#[derive(Debug)]
pub(super) struct Loader {
    /// Its path, as programs name it.
    pub(super) path: String,
    pub(super) is_musl: bool,
    /// The first folder that it looks into without being told, without links.
    pub(super) home: String,
    /// The file that says in which folders it looks, where there is one.
    pub(super) list: Option<String>,
    /// Paths by names of libraries, as in the cache: several for several machines.
    cached: HashMap<String, Vec<String>>,
    defaults: Vec<String>,
}

/// How a library was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Cache,
    Default,
}

impl Loader {
    /// The loader at that path; `None` where there is none.
    pub(super) fn of(host: &Host, path: &str) -> io::Result<Option<Self>> {
        let Some(found) = host.find(path)? else { return Ok(None) };
        let parent = |path: &str| {
            path.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default()
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_musl = name.starts_with("ld-musl-");
        let mut loader = Self {
            path: path.to_owned(),
            is_musl,
            home: parent(&found.path),
            list: None,
            cached: HashMap::new(),
            defaults: Vec::new(),
        };
        if is_musl {
            let list = format!("/etc/{}.path", name.trim_end_matches(".so.1"));
            let folders = match host.read(&list, MUSL_PATH_MOST)? {
                Some(bytes) => {
                    loader.list = Some(list);
                    String::from_utf8_lossy(&bytes).into_owned()
                }
                None => "/lib:/usr/local/lib:/usr/lib".to_owned(),
            };
            let folders = folders.split([':', '\n']).map(str::trim);
            loader.defaults = folders.filter(|it| it.starts_with('/')).map(str::to_owned).collect();
        } else {
            if let Some(cache) = host.read(CACHE, CACHE_MOST)? {
                loader.cached = read_cache(&cache);
            }
            // Where the loader itself is, is where its C library was installed to.
            let known = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned);
            loader.defaults = [vec![loader.home.clone()], known.into()].concat();
        }
        Ok(Some(loader))
    }

    /// Whether the loader itself is that library.
    pub(super) fn is(&self, library: &str) -> bool {
        self.is_musl && MUSL_OWN.iter().any(|own| library.starts_with(own))
    }

    /// Where a library may be, best first, after the folders that programs name themselves.
    pub(super) fn candidates(&self, library: &str) -> impl Iterator<Item = (String, By)> {
        let cached = self.cached.get(library).into_iter().flatten();
        let defaults = self.defaults.iter().map(move |folder| format!("{folder}/{library}"));
        cached.map(|path| (path.clone(), By::Cache)).chain(defaults.map(|path| (path, By::Default)))
    }
}

/// The cache of `ldconfig`, in the format that it writes since glibc 2.2. What is only for
/// certain processors (`glibc-hwcaps`) is left out: an image runs on others too.
fn read_cache(bytes: &[u8]) -> HashMap<String, Vec<String>> {
    let mut cached: HashMap<String, Vec<String>> = HashMap::new();
    let Some(start) = memchr::memmem::find(bytes, CACHE_MAGIC) else { return cached };
    let table = bytes.get(start..).unwrap_or_default();
    let number = |at: usize| {
        let bytes = table.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let text = |at: u32| {
        let rest = table.get(usize::try_from(at).ok()?..)?;
        str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    };
    let count = number(CACHE_MAGIC.len()).and_then(|it| usize::try_from(it).ok());
    for entry in 0..count.unwrap_or_default().min(bytes.len() / CACHE_ENTRY) {
        let at = CACHE_HEADER + entry * CACHE_ENTRY;
        let (Some(name), Some(path)) =
            (number(at + 4).and_then(text), number(at + 8).and_then(text))
        else {
            break;
        };
        let is_plain = number(at + 16) == Some(0) && number(at + 20) == Some(0);
        if is_plain && path.starts_with('/') && !path.contains("/glibc-hwcaps/") {
            cached.entry(name.to_owned()).or_default().push(path.to_owned());
        }
    }
    cached
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_cache_is_read_as_ldconfig_reads_it() {
        let printed = Command::new("/sbin/ldconfig").arg("-p").output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        let bytes = std::fs::read(CACHE).unwrap();
        let cached = read_cache(&bytes);
        let mut seen = 0;
        for line in printed.lines().skip(1).filter(|line| !line.contains("hwcap")) {
            let Some((name, path)) = line.trim().split_once(" => ") else { continue };
            let name = name.split(" (").next().unwrap();
            assert!(cached[name].iter().any(|it| it == path), "{line}");
            seen += 1;
        }
        assert!(seen > 10, "{printed}");
    }

    #[test]
    fn a_damaged_cache_is_no_cache() {
        let bytes = std::fs::read(CACHE).unwrap();
        assert!(read_cache(b"").is_empty());
        for length in [1, 19, 20, 23, 47, 60, 100, bytes.len() / 2] {
            read_cache(&bytes[..length]);
        }
        let mut many = bytes.clone();
        many[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(!read_cache(&many).is_empty());
    }
}
