//! One suite for all kinds of queues, on real servers: what a store promises.

/// Runs each law on each kind.
macro_rules! on_every_kind {
    ($($law:ident),* $(,)?) => {
        on_every_kind!(@ sqlite Sqlite $($law)*);
        on_every_kind!(@ postgres Postgres $($law)*);
        on_every_kind!(@ redis Redis $($law)*);
        on_every_kind!(@ nats Nats $($law)*);
    };
    (@ $module:ident $kind:ident $($law:ident)*) => {
        mod $module {
            use crate::queue::conformance::bench::{Kind, run};
            $(
                #[test]
                fn $law() {
                    run(Kind::$kind, super::$law);
                }
            )*
        }
    };
}

#[path = "conformance_tests/bench.rs"]
mod bench;
#[path = "conformance_tests/life.rs"]
mod life;
#[path = "conformance_tests/reference.rs"]
mod reference;
#[path = "conformance_tests/rules.rs"]
mod rules;
#[path = "conformance_tests/trouble.rs"]
mod trouble;
