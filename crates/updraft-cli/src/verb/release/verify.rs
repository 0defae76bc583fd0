//! `updraft release verify`: every file of the release store against its digest.

use std::process::ExitCode;

use crate::deploys::Deploys;
use crate::failure::{Class, Outcome};
use crate::global::Global;
use crate::output;

pub(super) fn run(global: &Global) -> Outcome {
    let store = Deploys::find(global)?.store;
    let damaged = store.verify()?;
    if global.json {
        output::json_result(&damaged)?;
    } else {
        for damage in &damaged {
            output::result(format!("{}: {} {}", damage.what, damage.path.display(), damage.why))?;
        }
    }
    if damaged.is_empty() {
        output::say("every file is what was written");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(Class::Finding.code().into())
}
