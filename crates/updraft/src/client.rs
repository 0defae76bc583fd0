//! Calls of other services, found by their `<NAME>_URL`. Each client goes through one policy:
//! every call has a deadline and every answer a bound, what may be repeated is repeated within
//! a budget, and an address that fails is left alone, because a caller without these is only
//! as healthy as the other.

mod address;
mod attachment;
mod attempt;
mod call;
mod connect;
mod error;
mod field;
mod lease;
mod metrics;
mod reply;
mod resolve;
mod settings;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod verdict;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::header::InvalidHeaderValue;
use http::{HeaderValue, Method};
use updraft_resilience::policy::{PolicyConfig, PolicyHandle};
use updraft_resilience::{Clock, Invalid, Policy};

pub use call::{Call, segment};
pub use error::CallError;
pub use reply::Reply;
pub use url::ServiceUrl;

use address::Addresses;
use metrics::ClientSeries;
use settings::Settings;
use verdict::Meaning;

/// What a service can be asked: [`Untyped`] where nothing is known of it, else what
/// [`client!`](crate::client!) made of its contract.
pub trait Callee: Clone + Send + Sync + 'static {
    /// The version of the contract that it was made of; `None` where there is none.
    const VERSION: Option<&'static str> = None;

    /// The operations, called by this.
    fn of(caller: Untyped) -> Self;
}

/// A client of one service. Clones share connections, breakers and budget.
///
/// As the field `ledger` of an [`App`](crate::App) it is found by `LEDGER_URL`, and its policy
/// is changed by `LEDGER_TIMEOUT`, `LEDGER_RETRY_ATTEMPTS` and others (see the reference page
/// of the client). It derefs to the operations of the service: to [`Untyped`] where the
/// contract is not known.
///
/// ```
/// use updraft::{App, Client, Ctx, http::Json};
///
/// /// What the storefront calls.
/// #[derive(App)]
/// struct Storefront {
///     /// The service that knows prices
///     pricing: Client, // PRICING_URL
/// }
///
/// async fn price(app: Ctx<Storefront>) -> Result<Json<u32>, updraft::ProblemDetails> {
///     Ok(Json(app.pricing.get("/prices/KITE").send().await?.json()?))
/// }
/// ```
#[derive(Clone)]
pub struct Client<C: Callee = Untyped> {
    caller: Untyped,
    callee: C,
}

impl<C: Callee> Client<C> {
    fn new(caller: Untyped) -> Self {
        Self { callee: C::of(caller.clone()), caller }
    }

    /// Sets how long a call may take, from waiting for its turn to the last byte of the last
    /// attempt. The deadline of the request in hand makes it shorter, never longer. 5 s by
    /// default.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self::new(Untyped { timeout, ..self.caller })
    }

    /// The same client, whose calls carry this token (RFC 6750). It is shown nowhere.
    ///
    /// # Errors
    ///
    /// When the token has characters that no header can have.
    pub fn bearer(self, token: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(Self::new(Untyped { authorization: Some(value), ..self.caller }))
    }

    /// The same client with the operations of a contract.
    #[must_use]
    pub fn typed<D: Callee>(self) -> Client<D> {
        Client::new(self.caller)
    }

    /// For calls that the contract does not know.
    pub fn untyped(&self) -> &Untyped {
        &self.caller
    }
}

impl<C: Callee> Deref for Client<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.callee
    }
}

impl<C: Callee> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.caller.shared.name).finish()
    }
}

/// Makes calls of one service, whatever its contract. Clones share everything.
#[derive(Clone)]
pub struct Untyped {
    shared: Arc<Shared>,
    timeout: Duration,
    /// What every call proves itself by.
    authorization: Option<HeaderValue>,
}

/// What the clones of a client share.
struct Shared {
    name: &'static str,
    policy: Policy<Meaning>,
    addresses: Addresses,
    /// How long an attempt may take that another one may follow.
    attempt_timeout: Duration,
    /// The longest answer that is read, in bytes.
    answer_most: usize,
    /// Attempts may run beside each other, so a call that may not be repeated must say so.
    hedges: bool,
    /// What is asked for to learn whether the service is up; `None`: nothing is.
    ping: Option<String>,
    clock: Clock,
    series: Arc<ClientSeries>,
}

impl Callee for Untyped {
    fn of(caller: Untyped) -> Self {
        caller
    }
}

impl fmt::Debug for Untyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Untyped").field(&self.shared.name).finish()
    }
}

impl Untyped {
    /// # Errors
    ///
    /// When the policy of the settings cannot be.
    fn new(name: &'static str, settings: Settings) -> Result<Self, Invalid> {
        let Settings { url, policy, answer_most, ping, tls } = settings;
        let mut config = policy;
        // These three hold for an address or a single call, which the policy knows nothing of.
        let timeout = config.deadline.take().unwrap_or(settings::TIMEOUT);
        let attempt_timeout = config.attempt_timeout.take().unwrap_or(timeout);
        let breaker = config.breaker.take();
        let hedges = config.hedge.is_some();
        let clock = Clock::system();
        let policy = Policy::named(name).config(config).clock(clock.clone()).classifier(Meaning);
        let series = Arc::new(ClientSeries::new(name));
        let addresses = Addresses::new(url, breaker, tls, clock.clone(), Arc::clone(&series))?;
        let shared = Shared {
            name,
            policy: policy.build()?,
            addresses,
            attempt_timeout,
            answer_most,
            hedges,
            ping,
            clock,
            series,
        };
        Ok(Self { shared: Arc::new(shared), timeout, authorization: None })
    }

    /// A call of `path`, which begins with a slash and may have a query.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    /// A `GET` of `path`, which begins with a slash and may have a query.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// A `POST` to `path`. It is sent once: see [`Call::idempotent`].
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// A `PUT` to `path`.
    pub fn put(&self, path: &str) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// A `PATCH` of `path`. It is sent once: see [`Call::idempotent`].
    pub fn patch(&self, path: &str) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// A `DELETE` of `path`.
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Watches and changes the policy of retries, their budget, the rate limit and the
    /// bulkhead while the process runs. Breakers belong to addresses and are not in it.
    pub fn policy(&self) -> PolicyHandle {
        self.shared.policy.handle()
    }
}

impl ServiceUrl {
    /// A client of the service with the policy that holds where no variable changes it.
    pub fn client(&self) -> Client {
        match self.client_with("service", settings::policy()) {
            Ok(client) => client,
            // The policy is a constant of ours, and a test builds it.
            Err(_invalid) => unreachable!("the default policy is sound"),
        }
    }

    /// A client of the service under this name in logs and metrics, with this policy:
    /// `deadline` is the time of a call, `attempt_timeout` that of an attempt which another one
    /// may follow, and each address has a `breaker` of its own.
    ///
    /// ```
    /// use updraft::{ServiceUrl, Variable};
    /// use updraft_resilience::policy::PolicyConfig;
    ///
    /// let url = ServiceUrl::parse("http://127.0.0.1:8080").unwrap();
    /// let once = url.client_with("ledger", PolicyConfig::default())?;
    /// # Ok::<(), updraft_resilience::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that cannot be in the policy.
    pub fn client_with(&self, name: &'static str, policy: PolicyConfig) -> Result<Client, Invalid> {
        let settings = Settings::of(self.clone(), policy);
        Untyped::new(name, settings).map(Client::new)
    }
}
