//! Policies as attributes of the functions that they guard.
//!
//! ```
//! use updraft_resilience::{Rejection, circuit_breaker, policy, retry};
//!
//! #[derive(Debug)]
//! enum FetchError {
//!     Io(std::io::Error),
//!     Refused(Rejection),
//! }
//!
//! impl From<Rejection> for FetchError {
//!     fn from(rejection: Rejection) -> Self {
//!         Self::Refused(rejection)
//!     }
//! }
//!
//! # mod orders { pub async fn get(id: u64) -> Result<String, std::io::Error> { Ok(format!("order {id}")) } }
//! #[retry(attempts = 3, wait = exponential(min = "100ms", max = "2s"))]
//! #[circuit_breaker(failure_threshold = 5, recovery_timeout = "60s", name = "orders")]
//! async fn fetch(id: u64) -> Result<String, FetchError> {
//!     orders::get(id).await.map_err(FetchError::Io)
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! assert!(matches!(fetch(7).await.as_deref(), Ok("order 7")));
//!
//! // Nothing is hidden: the policy is found by its name, from the first call on.
//! let orders = policy::handle("orders").expect("it has been called");
//! orders.breaker().expect("it has one").force_open();
//! assert!(matches!(fetch(7).await, Err(FetchError::Refused(Rejection::Open { .. }))));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The policy
//!
//! Each attribute but [`guard`](macro@guard) makes a policy of its own: a static inside of
//! the function, which is there from the first call on, and which all calls share, also those
//! of a generic function with different types. It is found by
//! [`policy::handle`](crate::policy::handle) and listed by
//! [`policy::snapshots`](crate::policy::snapshots), and its handle shows and changes it. Its
//! name is the `name` of the attribute. Without one it is the path of the function,
//! `module_path!()` and the name of the function, such as `shop::orders::fetch`; where a
//! function has several such policies, the name of the attribute is added:
//! `shop::orders::fetch::retry`. The path does not tell methods of different types in one
//! module apart: give those names.
//!
//! # Functions
//!
//! They may be async or blocking, generic, free or methods, also of traits. They give a
//! `Result<T, E>` where `E: From<Rejection>`, by that name or by an alias that ends in
//! `Result`; a refusal comes out as such an `E`. `anyhow::Error` and
//! `Box<dyn Error + Send + Sync>` are fine. Methods take `&self`, or `&mut self` where there
//! is one attempt, or they block.
//!
//! [`retry`](macro@retry), and [`guard`](macro@guard) without `once`, may run the body more
//! than once: each attempt then gets its own clone of the arguments, so they must be `Clone`;
//! references are lent again. The others run it once, and move the arguments: nothing is
//! cloned, whatever the configuration is changed to.
//!
//! # Several of them
//!
//! They nest in the order in which they are written, the outermost first. What an inner one
//! refuses is no failure to those around it: it is not tried again, and not counted. What an
//! inner one cuts off because it took too long is a failure.
//!
//! ```
//! use updraft_resilience::{bulkhead, circuit_breaker, retry, timeout};
//! # type Error = Box<dyn std::error::Error + Send + Sync>;
//!
//! // At most ten seconds, for up to four attempts. The circuit hears of each attempt. A place
//! // is held while an attempt runs, not while one waits. Each has a second.
//! #[timeout(total = "10s")]
//! #[retry(attempts = 4)]
//! #[circuit_breaker(failure_rate = 0.5, window = "10s")]
//! #[bulkhead(max = 32)]
//! #[timeout("1s", name = "one attempt of quote")]
//! async fn quote(symbol: String) -> Result<f64, Error> {
//! #   let _ = symbol;
//!     // Ask somebody.
//!     Ok(41.5)
//! }
//!
//! // The circuit hears of a call with all its attempts as one.
//! #[circuit_breaker(failure_threshold = 3)]
//! #[retry]
//! async fn quote_patiently(symbol: String) -> Result<f64, Error> {
//! #   let _ = symbol;
//!     // Ask somebody.
//!     Ok(41.5)
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # assert_eq!(quote("A".to_owned()).await.unwrap(), 41.5);
//! # assert_eq!(quote_patiently("A".to_owned()).await.unwrap(), 41.5);
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A policy with several parts is both faster and seen as one; where the usual order is right
//! build one with [`Policy::named`](crate::Policy::named) and use [`guard`](macro@guard).
//! Attributes are known by the last word of their path, so import them by their own names. An
//! attribute of another crate that stands below ours, such as `#[tracing::instrument]`, is
//! around all of them.

#[doc(hidden)]
pub mod expansion;

/// ```
/// use updraft_resilience::bulkhead;
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
///
/// // 32 reports at once; 64 callers wait for their turn, each for a second.
/// #[bulkhead(max = 32, queue = 64, max_wait = "1s", name = "reports")]
/// fn report(month: u32) -> Result<String, Error> {
///     Ok(format!("report of month {month}"))
/// }
///
/// assert_eq!(report(5)?, "report of month 5");
/// let places = updraft_resilience::policy::handle("reports").and_then(|it| it.bulkhead());
/// assert_eq!(places.map(|places| places.snapshot().in_use), Some(0));
/// # Ok::<(), Error>(())
/// ```
pub use updraft_macros::bulkhead;

/// ```
/// use updraft_resilience::{Rejection, circuit_breaker};
///
/// #[derive(Debug, PartialEq)]
/// enum PayError {
///     Declined,
///     Refused(Rejection),
/// }
///
/// impl From<Rejection> for PayError {
///     fn from(rejection: Rejection) -> Self {
///         Self::Refused(rejection)
///     }
/// }
///
/// #[circuit_breaker(failure_threshold = 5, recovery_timeout = "60s")]
/// fn pay(cents: u64) -> Result<(), PayError> {
///     if cents > 100 { Err(PayError::Declined) } else { Ok(()) }
/// }
///
/// for _ in 0..5 {
///     assert_eq!(pay(500), Err(PayError::Declined));
/// }
/// // Five in a row: for a minute nobody is asked.
/// assert!(matches!(pay(5), Err(PayError::Refused(Rejection::Open { .. }))));
/// ```
pub use updraft_macros::circuit_breaker;

/// ```
/// use std::sync::LazyLock;
/// use std::time::Duration;
/// use updraft_resilience::{Policy, Priority, guard};
/// use updraft_resilience::retry::RetryConfig;
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
///
/// struct Shop {
///     orders: Policy,
/// }
///
/// impl Shop {
///     // As often as the policy of this shop says.
///     #[guard(policy = self.orders)]
///     async fn fetch(&self, id: u64) -> Result<String, Error> {
///         Ok(format!("order {id}"))
///     }
///
///     // Once at most, and before others.
///     #[guard(policy = self.orders, once, priority = Priority::Critical)]
///     async fn pay(&self, id: u64) -> Result<(), Error> {
/// #       let _ = id;
///         Ok(())
///     }
/// }
///
/// static STOCK: LazyLock<Policy> = LazyLock::new(|| {
///     let policy = Policy::named("stock").attempt_timeout(Duration::from_secs(1)).build();
///     policy.expect("a sound policy")
/// });
///
/// #[guard(policy = STOCK)]
/// fn stock(item: &str) -> Result<u32, Error> {
///     Ok(item.len() as u32)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let orders = Policy::named("shop orders").retry(RetryConfig::default()).build()?;
/// let shop = Shop { orders };
/// assert_eq!(shop.fetch(7).await?, "order 7");
/// shop.pay(7).await?;
/// assert_eq!(stock("nail")?, 4);
/// # Ok::<(), Error>(()) })?;
/// # Ok::<(), Error>(())
/// ```
pub use updraft_macros::guard;

/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use updraft_resilience::retry;
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
///
/// static ASKED: AtomicU32 = AtomicU32::new(0);
///
/// #[retry(
///     attempts = 3,
///     wait = exponential(min = "1ms", max = "10ms"),
///     jitter = "equal",
///     elapsed = "30s"
/// )]
/// async fn lookup(name: String) -> Result<usize, Error> {
///     if ASKED.fetch_add(1, Ordering::Relaxed) < 2 {
///         Err("not yet")?;
///     }
///     Ok(name.len())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// assert_eq!(lookup("nail".to_owned()).await?, 4);
/// assert_eq!(ASKED.load(Ordering::Relaxed), 3);
/// # Ok::<(), Error>(()) })?;
/// # Ok::<(), Error>(())
/// ```
pub use updraft_macros::retry;

/// ```
/// use std::time::Duration;
/// use updraft_resilience::timeout;
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
///
/// #[timeout("20ms")]
/// async fn answer(after: Duration) -> Result<u32, Error> {
///     tokio::time::sleep(after).await;
///     Ok(42)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// assert_eq!(answer(Duration::ZERO).await?, 42);
/// let late = answer(Duration::from_secs(60)).await.unwrap_err();
/// assert_eq!(late.to_string(), "the time of the attempt is over");
/// # Ok::<(), Error>(()) })?;
/// # Ok::<(), Error>(())
/// ```
pub use updraft_macros::timeout;
