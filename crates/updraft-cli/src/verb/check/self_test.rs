//! `updraft check --self-test`: whether the probes can tell good from bad on this machine.

use std::process::ExitCode;

use updraft_audit::{Audit, JudgedControl, Request, Verdict};

use crate::failure::{Class, Outcome};
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use crate::table::{Cell, Table};

const TITLES: [&str; 5] = ["PROBE", "SHAPE", "PROGRAM", "EXPECTED", "SAYS"];

/// Shows what each probe says of programs whose verdicts are known. It fails when one says
/// something else; `unknown` is no lie, and is shown.
pub(super) async fn run(audit: &Audit, global: &Global, request: &Request) -> Outcome {
    let progress = std::cell::RefCell::new(Progress::start(global.json));
    let told = |judged: &JudgedControl| {
        let text = format!("testing {}: {} is {}", judged.id, judged.control, judged.got);
        progress.borrow_mut().show(&text);
    };
    let judged = audit.self_test(request, told).await;
    drop(progress);
    if global.json {
        output::json_result(&judged)?;
    } else {
        output::result(table(&judged))?;
    }
    let lies = |one: &&JudgedControl| one.got != one.expected && one.got != Verdict::Unknown;
    let lies: Vec<_> = judged.iter().filter(lies).collect();
    for lie in &lies {
        output::say(format!("{} of {}: {}", lie.id, lie.control, lie.evidence));
    }
    Ok(if lies.is_empty() { ExitCode::SUCCESS } else { Class::Finding.code().into() })
}

fn table(judged: &[JudgedControl]) -> String {
    let mut table = Table::new(&TITLES, &[]);
    for one in judged {
        let shape = one.shape.map_or("", |shape| shape.as_str());
        table.row([
            Cell::new(one.id.as_str()),
            Cell::new(shape),
            Cell::new(one.control.as_str()),
            Cell::new(one.expected.as_str()),
            Cell::new(one.got.as_str()),
        ]);
    }
    table.lines().join("\n")
}
