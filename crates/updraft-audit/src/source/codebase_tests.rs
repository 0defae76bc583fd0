//! Repositories as they are found, made with Git itself.

use super::super::trees::{Folder, git};
use super::*;
use crate::verdict::Verdict;

#[test]
fn a_folder_that_is_as_committed_passes_from_every_place_in_it() {
    let folder = Folder::committed(&[("a/main.py", "x"), ("b/main.py", "y")]);
    for place in [".", "a", "b"] {
        let seen = look(&folder.tree_at(place));
        assert_eq!(seen.verdict, Verdict::Pass, "{place}: {seen:?}");
    }
}

#[test]
fn what_is_not_committed_is_a_warning_to_the_service_that_holds_it() {
    let cases: &[(&str, &[u8], &str)] =
        &[("a/main.py", b"changed", "a/main.py"), ("a/new.py", b"n", "a/new.py")];
    for (path, text, named) in cases {
        let folder = Folder::committed(&[("a/main.py", "x"), ("b/main.py", "y")]);
        folder.write(path, text);
        let seen = look(&folder.tree_at("a"));
        assert_eq!(seen.verdict, Verdict::Warn, "{seen:?}");
        assert!(seen.evidence.contains(named), "{seen:?}");
        assert_eq!(look(&folder.tree_at("b")).verdict, Verdict::Pass, "the other service");
    }
}

#[test]
fn what_is_ignored_does_not_make_a_folder_unclean() {
    let folder = Folder::committed(&[(".gitignore", "target\n"), ("main.rs", "x")]);
    folder.write("target/a", b"b");
    assert_eq!(look(&folder.tree()).verdict, Verdict::Pass);
}

#[test]
fn a_folder_without_version_control_fails() {
    let folder = Folder::with(&[("main.py", "x"), (".git/config", "an empty repository")]);
    let seen = look(&folder.tree());
    assert_eq!(seen.verdict, Verdict::Fail, "{seen:?}");
}

#[test]
fn a_repository_that_tracks_nothing_here_is_a_warning() {
    let folder = Folder::committed(&[(".gitignore", "dist\n"), ("a", "x")]);
    folder.write("dist/server.js", b"x");
    let seen = look(&folder.tree_at("dist"));
    assert_eq!(seen.verdict, Verdict::Warn, "{seen:?}");
    assert!(seen.evidence.contains("tracks no file"), "{seen:?}");

    let unborn = Folder::with(&[("a", "x")]);
    unborn.git(&["init", "-q", "."]);
    assert_eq!(look(&unborn.tree()).verdict, Verdict::Warn);
    unborn.git(&["add", "a"]);
    let seen = look(&unborn.tree());
    assert!(seen.verdict == Verdict::Warn && seen.evidence.contains("no commit"), "{seen:?}");
}

#[test]
fn worktrees_submodules_and_shallow_clones_are_repositories() {
    let folder = Folder::committed(&[("main.py", "x")]);
    folder.commit();
    folder.git(&["worktree", "add", "-q", "other"]);
    let seen = look(&folder.tree_at("other"));
    assert_eq!(seen.verdict, Verdict::Pass, "{seen:?}");

    let outer = Folder::committed(&[("top", "x")]);
    let url = format!("file://{}", folder.path().display());
    outer.git(&["submodule", "--quiet", "add", &url, "inner"]);
    outer.commit();
    assert_eq!(look(&outer.tree_at("inner")).verdict, Verdict::Pass);
    let seen = look(&outer.tree());
    assert_eq!(seen.facts.get("submodules"), Some(&crate::report::Fact::Number(1.0)), "{seen:?}");

    let clone = Folder::with(&[]);
    git(&clone.path(), &["clone", "-q", "--depth", "1", &url, "c"]);
    let seen = look(&clone.tree_at("c"));
    assert!(seen.verdict == Verdict::Pass && seen.evidence.contains("shallow"), "{seen:?}");
}

#[test]
fn other_systems_are_found_and_only_what_is_seen_of_them_is_said() {
    for (mark, verdict) in [
        (".hg/store", Verdict::Unknown),
        (".svn/wc.db", Verdict::Unknown),
        (".jj/repo", Verdict::Pass),
    ] {
        let folder = Folder::with(&[(mark, ""), ("a/main.py", "x")]);
        let seen = look(&folder.tree_at("a"));
        assert_eq!(seen.verdict, verdict, "{mark}: {seen:?}");
    }
}

#[test]
fn a_repository_that_git_refuses_is_unknown() {
    let folder = Folder::committed(&[("main.py", "x")]);
    folder.write(".git/index", b"not an index");
    let seen = look(&folder.tree());
    assert_eq!(seen.verdict, Verdict::Unknown, "{seen:?}");
}

#[test]
fn a_program_in_the_configuration_of_the_repository_does_not_run() {
    let folder = Folder::committed(&[("main.py", "x")]);
    let trace = folder.path().join(".git/ran");
    let program = format!("touch {}; false", trace.display());
    folder.git(&["config", "core.fsmonitor", &program]);
    assert_eq!(look(&folder.tree()).verdict, Verdict::Pass);
    assert!(!trace.exists(), "the monitor ran");
}

#[test]
fn the_list_of_changes_is_read_with_renamings_and_odd_names() {
    let status = b"R  new\0old name\0 M a b\0?? \xff\0D  gone\0";
    let (changed, untracked) = changes(status);
    assert_eq!(changed, ["new", "a b", "gone"]);
    assert_eq!(untracked, ["\u{fffd}"]);
}
