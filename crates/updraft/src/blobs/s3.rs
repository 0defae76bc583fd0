//! Blobs in S3, and in what speaks like it.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::http::Connector;
use super::url::S3Place;
use crate::BoxError;

/// How often a request is sent again that may be: what a server answers with "slow down".
const RETRIES: usize = 2;

/// The first pause before that.
const PAUSE: Duration = Duration::from_millis(100);

/// A variable, what it sets, what it is, and whether it is a secret.
pub(super) type Declared = (&'static str, AmazonS3ConfigKey, &'static str, bool);

/// What is read of the environment beside the URL; the names are those of Amazon's own tools.
pub(super) const VARIABLES: [Declared; 10] = [
    (
        "AWS_ACCESS_KEY_ID",
        AmazonS3ConfigKey::AccessKeyId,
        "the key that names the caller to S3",
        false,
    ),
    (
        "AWS_SECRET_ACCESS_KEY",
        AmazonS3ConfigKey::SecretAccessKey,
        "the secret that belongs to AWS_ACCESS_KEY_ID",
        true,
    ),
    (
        "AWS_SESSION_TOKEN",
        AmazonS3ConfigKey::Token,
        "the token of keys that are lent for a time",
        true,
    ),
    ("AWS_REGION", AmazonS3ConfigKey::Region, "the region of the bucket", false),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
        "the file with the token of a workload's identity",
        false,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn, "the role that the token stands for", false),
    (
        "AWS_ROLE_SESSION_NAME",
        AmazonS3ConfigKey::RoleSessionName,
        "the name of this process in that role",
        false,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        "where a container gets its keys, on ECS",
        false,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
        "where a container gets its keys, on EKS",
        false,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
        "the file with the token for that place",
        false,
    ),
];

/// What those variables say.
pub(super) type Credentials = Vec<(AmazonS3ConfigKey, String)>;

/// A client of the bucket; it connects when first asked for something.
///
/// # Errors
///
/// When the settings do not fit together.
pub(super) fn store(
    place: &S3Place,
    credentials: &Credentials,
    timeout: Duration,
) -> Result<Arc<dyn ObjectStore>, BoxError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&place.bucket)
        .with_virtual_hosted_style_request(place.virtual_host)
        .with_http_connector(Connector { timeout })
        .with_retry(RetryConfig {
            backoff: BackoffConfig { init_backoff: PAUSE, ..BackoffConfig::default() },
            max_retries: RETRIES,
            retry_timeout: timeout,
        });
    for (key, value) in credentials {
        builder = builder.with_config(*key, value);
    }
    if let Some(region) = &place.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &place.endpoint {
        builder = builder
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http");
    }
    let store = builder.build()?;
    Ok(match &place.prefix {
        Some(prefix) => Arc::new(PrefixStore::new(store, prefix.as_str())),
        None => Arc::new(store),
    })
}
