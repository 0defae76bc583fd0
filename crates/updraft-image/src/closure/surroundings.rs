//! What programs look for around them and an empty image has not: who they are, how names are
//! looked up, where temporary files go, and whom to trust.

use std::fs;

use super::harvest::digest;
use super::host::Host;
use super::{ClosureError, HarvestedFile, unreadable};
use crate::tree::Content;
use crate::{NOBODY, Owner, Tree};

/// Where distributions keep the authorities that TLS clients trust, all in one file.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where most TLS libraries look for them.
const AUTHORITIES_AT: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What an image has besides programs and libraries: `/etc/passwd` and `/etc/group` with the
/// user, `/etc/nsswitch.conf`, and `/tmp` for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Who runs; `nonroot` with the number 65532 by default.
    pub user: Owner,
    /// The host's certificates of authorities are there as well. Default: no.
    pub certificates: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { user: NOBODY, certificates: false }
    }
}

impl Surroundings {
    /// Adds them to a layer; gives what was taken from the host.
    ///
    /// # Errors
    ///
    /// [`ClosureError`] when certificates are asked for and the host has none.
    pub fn add_to(&self, tree: &mut Tree, host: &Host) -> Result<Vec<HarvestedFile>, ClosureError> {
        let Owner { uid, gid } = self.user;
        let mut users = "root:x:0:0:root:/root:/sbin/nologin\n".to_owned();
        let mut groups = "root:x:0:\n".to_owned();
        if uid != 0 {
            users.push_str(&format!("nonroot:x:{uid}:{gid}:nonroot:/:/sbin/nologin\n"));
        }
        if gid != 0 {
            groups.push_str(&format!("nonroot:x:{gid}:\n"));
        }
        tree.add_bytes("/etc/passwd", users, false)?;
        tree.add_bytes("/etc/group", groups, false)?;
        let names = "passwd: files\ngroup: files\nhosts: files dns\n";
        tree.add_bytes("/etc/nsswitch.conf", names, false)?;
        tree.add_folder("/tmp", 0o1777, Owner::default())?;
        if self.certificates {
            authorities(tree, host).map(|file| vec![file])
        } else {
            Ok(Vec::new())
        }
    }
}

fn authorities(tree: &mut Tree, host: &Host) -> Result<HarvestedFile, ClosureError> {
    for path in AUTHORITIES {
        let here = host.at(path);
        let Some(found) = host.find(path).map_err(unreadable(&here))? else { continue };
        let here = host.at(&found.path);
        let size = fs::metadata(&here).map_err(unreadable(&here))?.len();
        let (digest, _) = digest(&here).map_err(unreadable(&here))?;
        tree.add_file(AUTHORITIES_AT, Content::Host(here), size, false)?;
        let path = AUTHORITIES_AT.to_owned();
        return Ok(HarvestedFile { path, digest, package: None });
    }
    let why = "this machine has no certificates of authorities: install ca-certificates";
    let error = std::io::Error::new(std::io::ErrorKind::NotFound, why);
    Err(unreadable(&host.at(AUTHORITIES_AT))(error))
}
