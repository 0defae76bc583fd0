//! Folders and passwords that only their owner may read.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::plan::ResourceError;
use crate::durable;

/// Bytes of randomness in a password: no guessing, whatever the rate.
const PASSWORD_BYTES: usize = 24;

/// Makes the folder with its parents; it is the owner's alone afterwards, even if it
/// was there before with wider permissions.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// The password kept in `path`, made at the first call.
pub(crate) fn password(path: &Path) -> Result<String, ResourceError> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {}
        Err(problem) => return Err(ResourceError::file("read", path, problem)),
    }
    let password = random()
        .map_err(|source| ResourceError::file("read", Path::new("/dev/urandom"), source))?;
    durable::write(path, format!("{password}\n").as_bytes())
        .map_err(|source| ResourceError::file("write", path, source))?;
    Ok(password)
}

/// Hexadecimal, so that no program's quoting rules and no URL need to escape it.
fn random() -> io::Result<String> {
    let mut bytes = [0; PASSWORD_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let first = password(&path).unwrap();
        assert_eq!(first.len(), 2 * PASSWORD_BYTES);
        assert_eq!(password(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(password(&folder.path().join("other")).unwrap(), first);
    }

    #[test]
    fn a_folder_becomes_private_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        make_folder(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        make_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
