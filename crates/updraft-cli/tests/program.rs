//! The program as a shell sees it. What it does with a system is tested in `integration-tests`,
//! which in the gate runs the program that cargo builds for this file.

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    fn updraft(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_updraft")).args(arguments).output().unwrap()
    }

    #[test]
    fn it_says_its_version_and_what_it_is_for() {
        let version = updraft(&["--version"]);
        let said = String::from_utf8(version.stdout).unwrap();
        assert!(said.starts_with(&format!("updraft {}", env!("CARGO_PKG_VERSION"))), "{said}");
        let help = updraft(&["--help"]);
        assert_eq!((version.status.code(), help.status.code()), (Some(0), Some(0)));
        assert!(String::from_utf8(help.stdout).unwrap().contains("updraft.toml"));
    }

    #[test]
    fn an_unknown_verb_is_a_mistake_of_the_caller() {
        let unknown = updraft(&["fly"]);
        assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
        assert!(unknown.stdout.is_empty());
        assert!(String::from_utf8(unknown.stderr).unwrap().contains("fly"));
    }
}
