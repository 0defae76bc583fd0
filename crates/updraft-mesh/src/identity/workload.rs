//! One service of a gateway and its certificate: the key is born here, the certificate is
//! fetched, served, and renewed at half its life, for as long as the gateway runs.
//!
//! Renewal looks at the clock of the wall again and again instead of trusting one timer: a
//! machine that slept, or whose clock was set, renews when it has to. A certificate is served
//! until it ends, however often its renewal fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use updraft_resilience::backoff::{Backoff, Jitter};
use updraft_system::mesh::{IdentityResponse, Served};

use super::bundle::{BundleError, Trust};
use super::clock::WallClock;
use super::issuer::{Issuer, IssuerError};
use super::key::{KeyError, KeyPair};
use super::proof;
use super::spiffe::SpiffeId;
use super::svid::{NotAnSvid, Svid};
use super::verifier::verify_chain;

/// Who this gateway is for one of its services.
pub(crate) struct Workload {
    id: SpiffeId,
    trust: Arc<Trust>,
    clock: WallClock,
    credential: ArcSwapOption<Credential>,
    served: watch::Sender<Served>,
    forced: Notify,
}

/// A certificate and its key.
struct Credential {
    certified: Arc<CertifiedKey>,
    not_before: UnixTime,
    not_after: UnixTime,
}

/// There is no new certificate; the old one is served on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    #[error("no key could be made for the service")]
    Key(#[source] KeyError),
    #[error("the issuer gave no certificate")]
    Issuer(#[source] IssuerError),
    #[error("the trust bundle of the issuer is of no use")]
    Bundle(#[source] BundleError),
    #[error("the issuer gave no certificate of a workload")]
    Svid(#[source] NotAnSvid),
    #[error("the issuer gave a certificate of {0}")]
    Stranger(SpiffeId),
    #[error("the issuer gave a certificate of another key")]
    OtherKey,
    #[error("the issuer gave a certificate that its own roots do not vouch for now")]
    Chain(#[source] rustls::Error),
}

/// How often the wall is looked at, and the bundle fetched: far below the overlap of roots.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Between two renewals there is at least this, however short the lives that an issuer gives.
const RENEWAL_MIN: Duration = Duration::from_secs(1);
/// The first and the longest wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Renewal is at half the life, give or take this part of the half, so that the services of
/// a system do not all ask at once.
const JITTER: f64 = 0.1;

impl Workload {
    /// A service without a certificate yet.
    pub(crate) fn new(id: SpiffeId, trust: Arc<Trust>, clock: WallClock) -> Self {
        let served = watch::Sender::new(Served {
            service: id.service().clone(),
            serial: None,
            not_after: None,
            issued: None,
            renewals: 0,
            failures: 0,
            last_error: None,
        });
        let credential = ArcSwapOption::empty();
        Self { id, trust, clock, credential, served, forced: Notify::new() }
    }

    pub(crate) const fn id(&self) -> &SpiffeId {
        &self.id
    }

    pub(crate) const fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    pub(crate) const fn clock(&self) -> &WallClock {
        &self.clock
    }

    /// What is served now, and each change of it.
    pub(crate) fn served(&self) -> watch::Receiver<Served> {
        self.served.subscribe()
    }

    /// Asks for a new certificate now; [`run`](Self::run) does it.
    pub(crate) fn rotate(&self) {
        self.forced.notify_one();
    }

    /// The certificate for a handshake; `None` when there is none yet, or it has ended.
    pub(crate) fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let credential = self.credential.load();
        let current = credential.as_ref()?;
        (self.clock.now() < current.not_after).then(|| Arc::clone(&current.certified))
    }

    /// Keeps a valid certificate at hand, until it is dropped.
    pub(crate) async fn run(&self, issuer: &impl Issuer) {
        let backoff = Backoff::exponential(BACKOFF.0, BACKOFF.1).jitter(Jitter::Equal);
        let mut random = fastrand::Rng::new();
        let mut retries = 0_u32;
        loop {
            if self.renew(issuer).await.is_ok() {
                retries = 0;
                self.until_due(issuer, random.f64()).await;
            } else {
                retries = retries.saturating_add(1);
                let wait = backoff.delay(retries, None, &mut random);
                tokio::select! {
                    () = sleep(wait) => {}
                    () = self.forced.notified() => {}
                }
            }
        }
    }

    /// One new certificate, if it can be had.
    ///
    /// # Errors
    ///
    /// What was served is served on.
    pub(crate) async fn renew(&self, issuer: &impl Issuer) -> Result<(), RenewError> {
        let obtained = self.obtain(issuer).await;
        match obtained {
            Ok((credential, serial)) => {
                let not_after = credential.not_after.as_secs();
                self.credential.store(Some(Arc::new(credential)));
                self.served.send_modify(|served| {
                    served.serial = Some(serial);
                    served.not_after = Some(not_after);
                    served.issued = Some(self.clock.now().as_secs());
                    served.renewals += 1;
                    served.last_error = None;
                });
                Ok(())
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    async fn obtain(&self, issuer: &impl Issuer) -> Result<(Credential, String), RenewError> {
        let key = KeyPair::generate().map_err(RenewError::Key)?;
        let request = proof::request(&self.id, &key).map_err(RenewError::Key)?;
        let response = issuer.issue(request).await.map_err(RenewError::Issuer)?;
        self.accept(&key, response)
    }

    /// Holds what was given against what was asked: nothing that a peer would refuse takes
    /// the place of a certificate that works.
    fn accept(
        &self,
        key: &KeyPair,
        response: IdentityResponse,
    ) -> Result<(Credential, String), RenewError> {
        self.trust.update(response.bundle.into()).map_err(RenewError::Bundle)?;
        let chain: Vec<CertificateDer<'static>> =
            response.chain.into_iter().map(|certificate| certificate.0.into()).collect();
        let (leaf, rest) = chain.split_first().ok_or(RenewError::OtherKey)?;
        let svid = Svid::parse(leaf).map_err(RenewError::Svid)?;
        if svid.id != self.id {
            return Err(RenewError::Stranger(svid.id));
        }
        if svid.public_key != key.spki() {
            return Err(RenewError::OtherKey);
        }
        verify_chain(&self.trust, leaf, rest, self.clock.now()).map_err(RenewError::Chain)?;
        let signing = key.for_tls().map_err(RenewError::Key)?;
        let credential = Credential {
            certified: Arc::new(CertifiedKey::new(chain, signing)),
            not_before: svid.not_before,
            not_after: svid.not_after,
        };
        Ok((credential, svid.serial))
    }

    /// Waits until the certificate has to be renewed, or someone asks for it; fetches the
    /// bundle meanwhile. `chance` is 0 to 1.
    async fn until_due(&self, issuer: &impl Issuer, chance: f64) {
        let Some(credential) = self.credential.load_full() else { return };
        let issued = self.clock.now().as_secs();
        let half = credential.not_after.as_secs().saturating_sub(issued) / 2;
        let part = 1.0 + JITTER * (2.0 * chance - 1.0);
        let life = Duration::from_secs(half).mul_f64(part).max(RENEWAL_MIN);
        let due = issued.saturating_add(life.as_secs());
        loop {
            let now = self.clock.now();
            let left = Duration::from_secs(due.saturating_sub(now.as_secs()));
            // A clock that was set back may find a certificate that does not hold yet.
            if left.is_zero() || now < credential.not_before {
                return;
            }
            tokio::select! {
                () = sleep(left.min(LOOK_AGAIN)) => {}
                () = self.forced.notified() => return,
            }
            self.fetch_bundle(issuer).await;
        }
    }

    async fn fetch_bundle(&self, issuer: &impl Issuer) {
        let fetched = match issuer.bundle().await {
            Ok(bundle) => self.trust.update(bundle.into()).map_err(RenewError::Bundle),
            Err(error) => Err(RenewError::Issuer(error)),
        };
        if let Err(error) = fetched {
            self.failed(&error);
        }
    }

    fn failed(&self, error: &RenewError) {
        let told = told(error);
        self.served.send_modify(|served| {
            served.failures += 1;
            served.last_error = Some(told);
        });
    }
}

/// An error with all that is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |told, source| format!("{told}: {source}"))
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "workload_tests.rs"]
mod tests;
