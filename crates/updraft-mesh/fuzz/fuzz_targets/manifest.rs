//! The manifest with all that is said of the wire: no text makes its reader panic, each mistake has
//! its place in the text, and what was read without one is written and read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh_fuzz::{examples, sow};
use updraft_system::{System, parse_manifest};

fuzz_target!(
    init: sow(seeds()),
    |text: &str| {
        match parse_manifest(text) {
            Ok(system) => {
                let json = serde_json::to_string(&system).expect("it is written");
                let again: System = serde_json::from_str(&json).expect("it is read");
                assert_eq!(again, system);
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                for problem in problems {
                    assert!(!problem.message.is_empty() && problem.code.starts_with("manifest::"));
                    assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len());
                    assert!(text.is_char_boundary(problem.span.start), "{problem:?}");
                    assert!(text.is_char_boundary(problem.span.end), "{problem:?}");
                    let (line, column) = problem.line_column(text);
                    assert!((1..=text.split('\n').count()).contains(&line) && column >= 1);
                }
            }
        }
    }
);

fn seeds() -> Vec<Vec<u8>> {
    let pages = [
        include_str!("../../../../docs/reference/manifest.md"),
        include_str!("../../../../docs/guide/the-wire.md"),
    ];
    pages.iter().flat_map(|page| examples(page, "toml")).collect()
}
