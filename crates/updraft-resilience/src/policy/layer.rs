//! A policy as a tower layer. The service is always ready: readiness of the service below is
//! part of an attempt, so that a breaker refuses at once what a busy service would hold up,
//! timeouts bound the wait for readiness, and each attempt polls the very service it calls.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::call::Call;
use super::fallback::Fallback;
use super::keyed::KeyedPolicy;
use super::operation::{Attempt, Operation};
use super::options::CallOptions;
use super::{NoFallback, Policy};
use crate::{Classify, Error, RetryErrors};

/// How requests are treated: what becomes of them when there is another attempt, and what
/// each of them wishes. Implement it to retry by method, or to read priorities from headers.
pub trait Replay<Request>: Clone {
    /// The request of an attempt, and the one that is kept for the attempts after it.
    /// Where none is kept, there is no other attempt.
    fn split(&self, request: Request) -> (Request, Option<Request>);

    /// What this request wishes.
    fn options(&self, _request: &Request) -> CallOptions {
        CallOptions::new()
    }
}

/// Requests are cloned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloneRequest;

impl<Request: Clone> Replay<Request> for CloneRequest {
    fn split(&self, request: Request) -> (Request, Option<Request>) {
        (request.clone(), Some(request))
    }
}

/// Each request is sent once, such as those with a body that streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOnce;

impl<Request> Replay<Request> for SendOnce {
    fn split(&self, request: Request) -> (Request, Option<Request>) {
        (request, None)
    }

    fn options(&self, _request: &Request) -> CallOptions {
        CallOptions::new().once()
    }
}

/// Puts a policy around a service. Made by [`Policy::layer`].
pub struct PolicyLayer<C = RetryErrors, F = NoFallback, R = CloneRequest> {
    policy: Policy<C, F>,
    replay: R,
}

/// A service behind a policy. Its errors are [`Error`]s.
pub struct PolicyService<S, C = RetryErrors, F = NoFallback, R = CloneRequest> {
    service: S,
    policy: Policy<C, F>,
    replay: R,
}

impl<C, F> PolicyLayer<C, F> {
    pub(super) fn new(policy: Policy<C, F>) -> Self {
        Self { policy, replay: CloneRequest }
    }
}

impl<C, F, R> PolicyLayer<C, F, R> {
    /// Treats requests as `replay` says.
    #[must_use]
    pub fn replay<R2>(self, replay: R2) -> PolicyLayer<C, F, R2> {
        PolicyLayer { policy: self.policy, replay }
    }

    /// A policy of its own for each key of a request, such as its host; at most `capacity`
    /// of them.
    pub fn keyed<Request, K, G>(self, key: G, capacity: u32) -> KeyedLayer<K, G, C, F, R>
    where
        G: Fn(&Request) -> K,
        K: Hash + Eq + Clone + Send + Sync + 'static,
        C: Clone + Send + Sync + 'static,
        F: Clone + Send + Sync + 'static,
    {
        let policies = Arc::new(self.policy.keyed(capacity));
        KeyedLayer { policies, key, replay: self.replay }
    }
}

impl<S, C, F, R: Clone> Layer<S> for PolicyLayer<C, F, R> {
    type Service = PolicyService<S, C, F, R>;

    fn layer(&self, service: S) -> Self::Service {
        PolicyService { service, policy: self.policy.clone(), replay: self.replay.clone() }
    }
}

impl<S, Request, C, F, R> Service<Request> for PolicyService<S, C, F, R>
where
    S: Service<Request> + Clone,
    R: Replay<Request>,
    C: Classify<S::Response, S::Error>,
    F: Fallback<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = Call<Policy<C, F>, ServiceOperation<S, Request, R>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        through(self.policy.clone(), &self.service, &self.replay, request)
    }
}

/// Puts a policy for each key around a service. Made by [`PolicyLayer::keyed`].
pub struct KeyedLayer<K, G, C, F, R> {
    policies: Arc<KeyedPolicy<K, C, F>>,
    key: G,
    replay: R,
}

/// A service behind a policy for each key.
pub struct KeyedService<S, K, G, C, F, R> {
    service: S,
    policies: Arc<KeyedPolicy<K, C, F>>,
    key: G,
    replay: R,
}

impl<K, G, C, F, R> KeyedLayer<K, G, C, F, R> {
    /// The policies of all keys, to watch and change them.
    pub fn policies(&self) -> Arc<KeyedPolicy<K, C, F>> {
        Arc::clone(&self.policies)
    }
}

impl<S, K, G: Clone, C, F, R: Clone> Layer<S> for KeyedLayer<K, G, C, F, R> {
    type Service = KeyedService<S, K, G, C, F, R>;

    fn layer(&self, service: S) -> Self::Service {
        let (policies, key) = (Arc::clone(&self.policies), self.key.clone());
        KeyedService { service, policies, key, replay: self.replay.clone() }
    }
}

impl<S, Request, K, G, C, F, R> Service<Request> for KeyedService<S, K, G, C, F, R>
where
    S: Service<Request> + Clone,
    R: Replay<Request>,
    G: Fn(&Request) -> K,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    C: Classify<S::Response, S::Error> + Clone + Send + Sync + 'static,
    F: Fallback<S::Response, S::Error> + Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = Call<Policy<C, F>, ServiceOperation<S, Request, R>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let policy = self.policies.get(&(self.key)(&request));
        through(policy, &self.service, &self.replay, request)
    }
}

fn through<S, Request, C, F, R>(
    policy: Policy<C, F>,
    service: &S,
    replay: &R,
    request: Request,
) -> Call<Policy<C, F>, ServiceOperation<S, Request, R>>
where
    S: Service<Request> + Clone,
    R: Replay<Request>,
{
    let options = replay.options(&request);
    let (service, replay) = (service.clone(), replay.clone());
    Call::new(policy, ServiceOperation { service, replay, request: Some(request) }, options)
}

/// Requests to a tower service as an [`Operation`].
pub struct ServiceOperation<S, Request, R> {
    service: S,
    replay: R,
    request: Option<Request>,
}

impl<S, Request, R> Operation for ServiceOperation<S, Request, R>
where
    S: Service<Request> + Clone,
    R: Replay<Request>,
{
    type Value = S::Response;
    type Error = S::Error;
    type Future = ServiceAttempt<S, Request>;

    fn start(&mut self, _attempt: Attempt) -> Self::Future {
        let request = self.request.take().map(|request| {
            let (request, kept) = self.replay.split(request);
            self.request = kept;
            request
        });
        ServiceAttempt { state: State::Asking { service: self.service.clone(), request } }
    }

    fn can_repeat(&self) -> bool {
        self.request.is_some()
    }
}

pin_project! {
    /// One request: waits until the service is ready, then calls it.
    pub struct ServiceAttempt<S: Service<Request>, Request> {
        #[pin]
        state: State<S, S::Future, Request>,
    }
}

pin_project! {
    #[project = StateView]
    enum State<S, Fut, Request> {
        Asking { service: S, request: Option<Request> },
        Calling { #[pin] future: Fut },
    }
}

impl<S: Service<Request>, Request> Future for ServiceAttempt<S, Request> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateView::Calling { future } => return future.poll(cx),
                StateView::Asking { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    service.call(request)
                }
            };
            state.set(State::Calling { future });
        }
    }
}

impl<C, F, R: Clone> Clone for PolicyLayer<C, F, R> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), replay: self.replay.clone() }
    }
}

impl<S: Clone, C, F, R: Clone> Clone for PolicyService<S, C, F, R> {
    fn clone(&self) -> Self {
        let (service, policy) = (self.service.clone(), self.policy.clone());
        Self { service, policy, replay: self.replay.clone() }
    }
}

impl<K, G: Clone, C, F, R: Clone> Clone for KeyedLayer<K, G, C, F, R> {
    fn clone(&self) -> Self {
        let (policies, key) = (Arc::clone(&self.policies), self.key.clone());
        Self { policies, key, replay: self.replay.clone() }
    }
}

impl<S: Clone, K, G: Clone, C, F, R: Clone> Clone for KeyedService<S, K, G, C, F, R> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            policies: Arc::clone(&self.policies),
            key: self.key.clone(),
            replay: self.replay.clone(),
        }
    }
}

macro_rules! debug_by_name {
    ($($name:ident<$($parameter:ident),*>),*) => {$(
        impl<$($parameter),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

debug_by_name!(
    PolicyLayer<C, F, R>,
    PolicyService<S, C, F, R>,
    KeyedLayer<K, G, C, F, R>,
    KeyedService<S, K, G, C, F, R>,
    ServiceOperation<S, Request, R>
);

impl<S: Service<Request>, Request> fmt::Debug for ServiceAttempt<S, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAttempt").finish_non_exhaustive()
    }
}
