//! The examples of the README and of the reference pages are compiled, as those of the code are.

#[doc = include_str!("../README.md")]
struct Readme;

#[doc = include_str!("../../../docs/reference/configuration.md")]
struct Configuration;

#[doc = include_str!("../../../docs/reference/sql.md")]
struct Sql;

#[doc = include_str!("../../../docs/reference/cache.md")]
struct Cache;

#[doc = include_str!("../../../docs/reference/blobs.md")]
struct Blobs;

#[doc = include_str!("../../../docs/reference/jobs.md")]
struct Jobs;

#[cfg(feature = "ws")]
#[doc = include_str!("../../../docs/reference/http.md")]
struct Http;

#[cfg(feature = "jwt")]
#[doc = include_str!("../../../docs/reference/auth.md")]
struct Auth;

#[cfg(feature = "postgres")]
#[doc = include_str!("../../../docs/reference/idempotency.md")]
struct Idempotency;

#[doc = include_str!("../../../docs/reference/client.md")]
struct Client;

#[doc = include_str!("../../../docs/reference/contract.md")]
struct Contract;

#[doc = include_str!("../../../docs/reference/problems.md")]
struct Problems;

#[doc = include_str!("../../../docs/reference/health.md")]
struct Health;

#[doc = include_str!("../../../docs/reference/metrics.md")]
struct Metrics;

#[doc = include_str!("../../../docs/reference/telemetry.md")]
struct Telemetry;

#[cfg(feature = "testing")]
#[doc = include_str!("../../../docs/reference/test-servers.md")]
struct TestServers;

#[cfg(feature = "testing")]
#[doc = include_str!("../../../docs/guide/testing.md")]
struct Testing;
