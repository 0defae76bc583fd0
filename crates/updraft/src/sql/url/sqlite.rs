//! `sqlite:///absolute/file.db` and `sqlite:file.db`.

use std::path::PathBuf;

/// The file and the parameters of a `sqlite:` URL; our parameters never reach the driver,
/// because it is given the path alone. Errors name no part of the text.
pub(crate) fn sqlite_file(text: &str) -> Result<(PathBuf, Vec<(String, String)>), String> {
    let Some(rest) = text.strip_prefix("sqlite:") else {
        let scheme = text.contains(':');
        let wrong =
            if scheme { "has a scheme that this build does not have" } else { "is not a URL" };
        return Err(wrong.to_owned());
    };
    if rest.starts_with(':') {
        return Err(
            "names a database in memory, which is gone with its connection: name a file".to_owned()
        );
    }
    let absolute = rest.starts_with('/');
    if !absolute && rest.split(['/', '?']).any(|part| part == "..") {
        return Err("leaves the working directory: give the absolute path".to_owned());
    }
    let url = if absolute { text.to_owned() } else { format!("sqlite:///{rest}") };
    let url = url::Url::parse(&url).map_err(|_not_url| "is not a URL".to_owned())?;
    let no_file = || "does not name a file: sqlite:///absolute/path/file.db".to_owned();
    let path = url.to_file_path().map_err(|()| no_file())?;
    if path.file_name().is_none() || url.path().ends_with('/') {
        return Err(no_file());
    }
    let path = if absolute {
        path
    } else {
        path.strip_prefix("/").map_err(|_relative| no_file())?.to_owned()
    };
    let parameters = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned()));
    Ok((path, parameters.collect()))
}
