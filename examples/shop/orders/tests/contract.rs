//! The committed contract is the one that this release keeps.

#[cfg(test)]
use std::process::Command;

#[test]
fn the_committed_contract_is_that_of_this_release() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let mut check = Command::new(env!("CARGO_BIN_EXE_orders"));
    let output = check.args(["contract", "check", "--exact", file]).env_clear().output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}write it anew: orders contract print > openapi.json");
}
