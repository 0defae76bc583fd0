//! The frame around the body of a test: a service of its own with a runtime, a log and a clock
//! of its own, and the judgement at the end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Once};

use tokio::runtime::{Builder, Runtime};
use tracing::dispatcher::{self, DefaultGuard};

use super::app::{Stage, TestApp};
use super::setup::{Ready, Setup};
use super::{TestLogs, fail};
use crate::app::App;
use crate::clock::TestClock;
use crate::log;
use crate::process::{Outcome, Rehearsal};
use crate::release::Release;
use crate::service::Service;
use crate::telemetry::{Captured, Telemetry};

/// With this variable set to 1, tests whose server is not installed are left out.
const SKIP: &str = "UPDRAFT_TEST_SKIP_MISSING";

/// Threads of one service: two, so that what races does.
const THREADS: usize = 2;

thread_local! {
    /// What makes the log of its test the log of this thread.
    static OF_THREAD: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// What the body of a test can end with: nothing, or a `Result` of nothing.
pub trait Verdict: Sized {
    /// All is well.
    fn passed() -> Self;

    /// Why the test fails, if it does.
    fn failure(&self) -> Option<String>;
}

impl Verdict for () {
    fn passed() -> Self {}

    fn failure(&self) -> Option<String> {
        None
    }
}

impl<E: std::fmt::Debug> Verdict for Result<(), E> {
    fn passed() -> Self {
        Ok(())
    }

    fn failure(&self) -> Option<String> {
        self.as_ref().err().map(|error| format!("the test ended with {error:?}"))
    }
}

/// Runs the body of a test with a service of its own: what the attribute
/// [`test`](macro@crate::test) calls.
///
/// The service reads the variables of `setup`, is attached to what is the test's alone, and is
/// migrated. When the body has ended, the service drains, and a drain that is not clean fails
/// the test. A test that fails prints the log of its service.
///
/// # Panics
///
/// When the test fails. So it does when a server that `setup` needs is not installed, unless
/// the environment of the test says `UPDRAFT_TEST_SKIP_MISSING=1`.
#[track_caller]
pub fn run<A, F, R>(service: impl FnOnce() -> Service<A>, setup: Setup, body: F) -> R::Output
where
    A: App,
    F: FnOnce(TestApp<A>) -> R,
    R: Future,
    R::Output: Verdict,
{
    let service = service();
    let faults = service.api_faults();
    if !faults.is_empty() {
        fail(format_args!("the operations cannot be an API together: {}", faults.join("; ")));
    }
    let Ready { platform, parsed, isolated } = match setup.ready::<A>() {
        Ok(ready) => ready,
        Err(missing) if std::env::var_os(SKIP).is_some_and(|value| value == "1") => {
            tell(&format!("left out, since {SKIP}=1: {}", missing.0));
            return R::Output::passed();
        }
        Err(missing) => fail(format_args!("{}, or set {SKIP}=1", missing.0)),
    };
    let release: Release = *service.release();
    let idempotency = platform.idempotency;
    log_panics();
    let (telemetry, captured) = Telemetry::kept(&release, platform.telemetry.clone());
    let clock = TestClock::default();
    let _of_this_thread = OfThread::enter(&captured, &clock);
    let runtime = match runtime(&captured, &clock) {
        Ok(runtime) => runtime,
        Err(error) => fail(format_args!("cannot make a runtime: {error}")),
    };
    let rehearsed = {
        let _of_its_tasks = runtime.enter();
        Rehearsal::begin(platform, &release, &runtime, telemetry.handle())
    };
    let (life, context, web) = match rehearsed {
        Ok(rehearsed) => rehearsed,
        Err(error) => {
            fail(format_args!("the service cannot start: {}", super::logs::chain(&*error)))
        }
    };
    let judged = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let rehearsed = service.rehearse(parsed, &context, idempotency).await;
            drop(context);
            let stage = Stage::set(rehearsed, web, &life, &captured, clock).await;
            life.started();
            body(TestApp::on(Arc::new(stage))).await
        })
    }));
    let verdict = match judged {
        Ok(verdict) => verdict,
        Err(panic) => {
            tell(&TestLogs::of(&captured).to_string());
            runtime.shutdown_background();
            resume_unwind(panic);
        }
    };
    let outcome = runtime.block_on(life.end(&runtime));
    runtime.shutdown_background();
    drop((telemetry, isolated));
    let unclean = (outcome == Outcome::Failed)
        .then(|| "the service did not end cleanly; its log says why".to_owned());
    if let Some(why) = verdict.failure().or(unclean) {
        tell(&TestLogs::of(&captured).to_string());
        fail(why);
    }
    verdict
}

/// Has the log and the clock of a test on the thread of its body.
struct OfThread {
    _log: DefaultGuard,
}

impl OfThread {
    fn enter(captured: &Captured, clock: &TestClock) -> Self {
        TestClock::of_thread(Some(clock.clone()));
        Self { _log: dispatcher::set_default(&captured.dispatch) }
    }
}

impl Drop for OfThread {
    fn drop(&mut self) {
        TestClock::of_thread(None);
    }
}

fn runtime(captured: &Captured, clock: &TestClock) -> std::io::Result<Runtime> {
    let (dispatch, clock) = (captured.dispatch.clone(), clock.clone());
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("test-service")
        .on_thread_start(move || {
            TestClock::of_thread(Some(clock.clone()));
            OF_THREAD.with(|own| own.replace(Some(dispatcher::set_default(&dispatch))));
        })
        .on_thread_stop(|| drop(OF_THREAD.with(RefCell::take)))
        .enable_all()
        .build()
}

/// A panic of the service is a line of its log, as it is in a process. One of the test itself
/// is the harness's to tell.
fn log_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_service =
                OF_THREAD.try_with(|own| own.try_borrow().is_ok_and(|it| it.is_some()));
            match of_service {
                Ok(true) => log::log_panic(panic),
                _ => before(panic),
            }
        }));
    });
}

/// Says something that is shown when the test fails.
#[expect(clippy::print_stderr, reason = "the harness keeps it, and shows it when the test fails")]
fn tell(text: &str) {
    eprintln!("{text}");
}
