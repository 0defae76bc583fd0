//! What is true only of the whole: no one part's suite can hold it. The other proofs are where
//! their parts are; `docs/reference/proofs.md` names them all.

#[cfg(test)]
mod canaries;
#[cfg(test)]
mod first_run;
#[cfg(test)]
#[expect(dead_code, reason = "the suites of the parts use the rest")]
#[path = "../process/support.rs"]
mod support;
