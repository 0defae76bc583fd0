//! One blob on its way from a registry: checked while it comes, and resumed where it was cut.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::Bytes;
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::document::{MANIFEST_MOST, digest_of};
use super::error::RegistryError;
use super::place::Place;
use super::progress::Progress;
use super::retry::Patience;
use super::upload::PROGRESS;
use super::{Call, Registry, Reply};
use crate::{Descriptor, Digesting, Layout};

/// What has come of a blob. The file is gone when this is dropped.
struct Partial<'a> {
    blob: &'a Descriptor,
    temporary: NamedTempFile,
    file: File,
    digesting: Digesting,
    length: u64,
}

impl<'a> Partial<'a> {
    /// Beside the layout's blobs, so that it can be moved there.
    fn new(layout: &Layout, blob: &'a Descriptor) -> std::io::Result<Self> {
        let temporary = tempfile::Builder::new()
            // As drafts are called, so that those of the dead are swept.
            .prefix(&format!("draft-{}-", std::process::id()))
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(layout.folder())?;
        let file = File::from_std(temporary.reopen()?);
        Ok(Self { blob, temporary, file, digesting: Digesting::default(), length: 0 })
    }

    async fn restart(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        (self.digesting, self.length) = (Digesting::default(), 0);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes).await?;
        self.digesting.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> RegistryError {
        RegistryError::File { action: "write", path: self.temporary.path().to_owned(), source }
    }

    /// It becomes the layout's blob when it is what it should be.
    async fn keep(mut self, layout: &Layout) -> Result<(), RegistryError> {
        let got = self.digesting.clone().finish();
        if got != self.blob.digest {
            return Err(RegistryError::Digest {
                what: "the blob that came".to_owned(),
                expected: self.blob.digest.clone(),
                got: got.to_string(),
            });
        }
        self.file.flush().await.map_err(|error| self.failed(error))?;
        self.file.sync_all().await.map_err(|error| self.failed(error))?;
        let path = layout.blob(&self.blob.digest);
        let kept = self.temporary.persist(&path);
        kept.map(drop).map_err(|error| RegistryError::File {
            action: "write",
            path,
            source: error.error,
        })
    }
}

impl Registry {
    /// Sees to it that the layout has the blob; how many bytes came for it.
    pub(super) async fn get_blob(
        &self,
        place: &Place,
        blob: &Descriptor,
        layout: &Layout,
        progress: &Progress,
    ) -> Result<u64, RegistryError> {
        let path = layout.blob(&blob.digest);
        let same_size = std::fs::metadata(&path).is_ok_and(|file| file.len() == blob.size);
        if same_size && digest_of(&path).await.is_ok_and(|digest| digest == blob.digest) {
            progress.tell(&blob.digest, blob.size, blob.size);
            return Ok(0);
        }
        let partial = Partial::new(layout, blob);
        let mut partial = partial.map_err(|source| RegistryError::File {
            action: "write to",
            path: layout.folder().to_owned(),
            source,
        })?;
        let mut patience = Patience::new(self.limits());
        let (mut mark, mut came) = (0, 0);
        loop {
            let fetched = self.fetch(place, &mut partial, progress, &mut came).await;
            let Err(error) = fetched else { break };
            let out_of_range = error.status() == Some(416);
            // A server that ends early may go on where it ended.
            let is_short = matches!(error, RegistryError::Length { longer: false, .. });
            if !(error.is_transient() || out_of_range || is_short) {
                return Err(error);
            }
            if mark + PROGRESS <= partial.length {
                mark = partial.length;
                patience.renew();
            }
            patience.wait(error).await?;
            if out_of_range {
                partial.restart().await.map_err(|error| partial.failed(error))?;
            }
        }
        partial.keep(layout).await?;
        Ok(came)
    }

    async fn fetch(
        &self,
        place: &Place,
        partial: &mut Partial<'_>,
        progress: &Progress,
        came: &mut u64,
    ) -> Result<(), RegistryError> {
        let (blob, start) = (partial.blob, partial.length);
        let mut call = Call::new(Method::GET, place.blob(&blob.digest));
        if 0 < start {
            let range = HeaderValue::from_str(&format!("bytes={start}-"));
            call = range.map_or_else(
                |_never| Call::new(Method::GET, place.blob(&blob.digest)),
                |range| call.with(header::RANGE, range),
            );
        }
        let reply =
            self.expect(place, &call, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        match reply.status() {
            StatusCode::PARTIAL_CONTENT => same_range(&reply, start)?,
            // Without ranges there is only all of it.
            _ if 0 < start => partial.restart().await.map_err(|error| partial.failed(error))?,
            _ => {}
        }
        let (line, mut body) = (reply.line, reply.response.into_body());
        let length = |longer| RegistryError::Length {
            what: format!("the blob {}", blob.digest),
            expected: blob.size,
            longer,
        };
        while let Some(bytes) = self.transport.next(&mut body, &line).await? {
            *came += bytes.len() as u64;
            if blob.size < partial.length + bytes.len() as u64 {
                return Err(length(true));
            }
            partial.write(&bytes).await.map_err(|error| partial.failed(error))?;
            progress.tell(&blob.digest, partial.length, blob.size);
        }
        if partial.length < blob.size { Err(length(false)) } else { Ok(()) }
    }

    /// A whole manifest, or another document of its size, with the header of its answer.
    pub(super) async fn document(
        &self,
        place: &Place,
        call: &Call,
    ) -> Result<(HeaderMap, Bytes), RegistryError> {
        let mut patience = Patience::new(self.limits());
        loop {
            let read = async {
                let reply = self.expect(place, call, &[StatusCode::OK]).await?;
                let headers = reply.response.headers().clone();
                let body = reply.response.into_body();
                Ok((headers, self.transport.whole(body, MANIFEST_MOST, &reply.line).await?))
            };
            match read.await {
                Err(error) if RegistryError::is_transient(&error) => patience.wait(error).await?,
                other => return other,
            }
        }
    }
}

/// `bytes START-…`: another range would be glued to the wrong place.
fn same_range(reply: &Reply, start: u64) -> Result<(), RegistryError> {
    let range = reply.header(header::CONTENT_RANGE.as_str()).unwrap_or_default();
    let first = range.strip_prefix("bytes ").and_then(|range| range.split_once('-'));
    if first.is_some_and(|(first, _)| first.trim().parse() == Ok(start)) {
        return Ok(());
    }
    Err(RegistryError::Unusable {
        what: format!("the answer to {}", reply.line),
        problem: format!("is not the range from {start} that was asked for"),
    })
}
