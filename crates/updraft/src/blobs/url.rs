//! Where blobs are and how they are used: `file:///folder/`, `memory:` or
//! `s3://bucket/prefix`, with parameters.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::name::BlobName;
use crate::attachment::{Location, Parameters};
use crate::config::Variable;

const MAX_BYTES: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
const CONCURRENCY: NonZeroU32 = NonZeroU32::new(64).expect("it is above 0");

/// Where blobs are, and how they are used.
///
/// ```
/// use updraft::{BlobsUrl, Variable as _};
///
/// BlobsUrl::parse("file:///var/lib/shop/blobs/").unwrap();
/// BlobsUrl::parse("memory:").unwrap();
/// BlobsUrl::parse("file:relative").unwrap_err();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BlobsUrl {
    pub(super) place: Place,
    pub(super) max_bytes: u64,
    pub(super) timeout: Duration,
    pub(super) concurrency: NonZeroU32,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Memory,
    File(PathBuf),
    S3(S3Place),
}

/// A bucket, or a part of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct S3Place {
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<Url>,
    pub(super) virtual_host: bool,
}

impl std::fmt::Debug for BlobsUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BlobsUrl").field(&self.location().to_string()).finish()
    }
}

impl BlobsUrl {
    pub(super) fn location(&self) -> Location {
        match &self.place {
            Place::Memory => Location::new("memory", ""),
            Place::File(folder) => Location::new("file", format!("//{}", folder.display())),
            Place::S3(S3Place { bucket, prefix, .. }) => {
                let prefix = prefix.as_deref().unwrap_or_default();
                Location::new("s3", format!("//{bucket}/{prefix}"))
            }
        }
    }

    /// Whether each process has its own.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.place, Place::Memory)
    }
}

impl Variable for BlobsUrl {
    const EXPECTED: &'static str = "the URL of a place for blobs: file:///absolute/folder/, \
        s3://BUCKET/PREFIX?region=REGION (with endpoint=https://HOST for what speaks like S3), \
        or memory: for one in this process";

    fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let mut parameters = Parameters::take(&mut url);
        if url.fragment().is_some() {
            return Err("has a fragment, and a place for blobs takes none".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user name or password; keys are in AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY"
                .to_owned());
        }
        let place = match url.scheme() {
            "memory" if !url.has_host() && matches!(url.path(), "" | "/") => Place::Memory,
            "memory" => return Err("has something behind `memory:` that is no parameter".into()),
            "file" => file(text, &url)?,
            "s3" if cfg!(feature = "s3") => s3(&url, &mut parameters)?,
            "s3" => return Err("needs the feature `s3` of updraft".to_owned()),
            _ => return Err("has a scheme that no place for blobs has".to_owned()),
        };
        let max_bytes = parameters.bytes("max_bytes")?.unwrap_or(MAX_BYTES);
        let timeout = parameters.span("timeout")?.unwrap_or(TIMEOUT);
        let concurrency = parameters.positive("concurrency")?.and_then(NonZeroU32::new);
        parameters.end("a place for blobs")?;
        let concurrency = concurrency.unwrap_or(CONCURRENCY);
        Ok(Self { place, max_bytes, timeout, concurrency })
    }

    fn show(&self) -> String {
        self.location().to_string()
    }
}

fn file(text: &str, url: &Url) -> Result<Place, String> {
    let no_folder = || "does not name an absolute folder after file://".to_owned();
    // A URL parser makes `file:folder` absolute, which nobody meant.
    if !text.starts_with("file:/") || url.has_host() {
        return Err(no_folder());
    }
    url.to_file_path().map(Place::File).map_err(|()| no_folder())
}

fn s3(url: &Url, parameters: &mut Parameters) -> Result<Place, String> {
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
    let bucket = bucket.ok_or("does not name a bucket")?.to_owned();
    if url.port().is_some() {
        return Err("has a port; another server than Amazon's is named by endpoint=".to_owned());
    }
    let prefix = Some(url.path().trim_matches('/')).filter(|prefix| !prefix.is_empty());
    if prefix.is_some_and(|prefix| BlobName::parse(prefix).is_err()) {
        return Err("has a prefix that no blob could have as its name".to_owned());
    }
    let wrong = "has an `endpoint` that is not a URL such as https://s3.example";
    let endpoint = parameters.text("endpoint").map(|text| {
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.filter(|url| url.username().is_empty() && url.password().is_none()).ok_or(wrong)
    });
    let virtual_host = match parameters.text("virtual_host").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err("has a `virtual_host` that is neither true nor false".to_owned()),
    };
    Ok(Place::S3(S3Place {
        bucket,
        prefix: prefix.map(str::to_owned),
        region: parameters.text("region").filter(|region| !region.is_empty()),
        endpoint: endpoint.transpose()?,
        virtual_host,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_place_is_refused_and_never_repeated() {
        for wrong in [
            "",
            "canary",
            "memory:canary",
            "memory:?canary=1",
            "file:canary",
            "file://canary/folder/",
            "file:///folder/?canary=canary",
            "file:///folder/#canary",
            "ftp://canary/",
            "s3:///canary",
            "s3://canary:canary@bucket/",
            "s3://bucket:9000/canary",
            "s3://bucket/can//ary",
            "s3://bucket/?endpoint=canary",
            "s3://bucket/?endpoint=https://canary:canary@host/",
            "s3://bucket/?virtual_host=canary",
            "s3://bucket/?max_bytes=canary",
        ] {
            let error = BlobsUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("canary"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_folder_keeps_its_name() {
        let url = BlobsUrl::parse("file:///data/my%20shop/").unwrap();
        assert!(url.place == Place::File(PathBuf::from("/data/my shop/")));
    }
}
