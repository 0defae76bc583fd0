//! `ID.token`: what proves who a program is ends by itself.

use super::Tree;
use crate::seen::Seen;

/// A secret by its usual name that holds until somebody changes it, though whoever takes it takes
/// what ends by itself too.
struct Lasting {
    variable: &'static str,
    whose: &'static str,
    instead: &'static str,
    /// With this variable it is one of those that end.
    unless: Option<&'static str>,
}

const LASTING: &[Lasting] = &[
    Lasting {
        variable: "AWS_SECRET_ACCESS_KEY",
        whose: "AWS",
        instead: "AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN",
        unless: Some("AWS_SESSION_TOKEN"),
    },
    Lasting {
        variable: "AZURE_CLIENT_SECRET",
        whose: "Azure",
        instead: "AZURE_FEDERATED_TOKEN_FILE",
        unless: None,
    },
    Lasting {
        variable: "GOOGLE_CREDENTIALS",
        whose: "Google Cloud",
        instead: "GOOGLE_APPLICATION_CREDENTIALS with a file of workload identity federation",
        unless: None,
    },
    Lasting {
        variable: "VAULT_TOKEN",
        whose: "Vault",
        instead: "a login with the token of the platform (the auth method `jwt`)",
        unless: None,
    },
];

/// It never fails: what a secret is, and how long it holds, is not in its name.
pub(super) fn token(tree: &Tree) -> Seen {
    let declared = tree.declared.as_ref();
    let service = declared.and_then(|it| it.system.services.get(&it.service));
    let Some(service) = service else {
        return Seen::info("no manifest declares which secrets its configuration has");
    };
    let secrets: Vec<&str> = service
        .config
        .iter()
        .filter(|(_, key)| key.shape.is_secret())
        .map(|(name, _)| name.as_str())
        .collect();
    if secrets.is_empty() {
        return Seen::pass("its configuration has no secret with which it could prove who it is");
    }
    let told: Vec<String> = secrets.iter().filter_map(|name| lasting(name, &secrets)).collect();
    let names = secrets.iter().map(|name| (*name).to_owned()).collect();
    let evidence = match told.is_empty() {
        false => told.join("; "),
        true => format!(
            "whether these end by themselves is known to those who made them: {}",
            secrets.join(", ")
        ),
    };
    Seen::info(evidence).listing("secrets", names)
}

fn lasting(name: &str, all: &[&str]) -> Option<String> {
    let one = LASTING.iter().find(|one| one.variable == name)?;
    if one.unless.is_some_and(|other| all.contains(&other)) {
        return None;
    }
    let Lasting { variable, whose, instead, .. } = one;
    Some(format!(
        "{variable} holds until somebody changes it, and {whose} takes what ends by itself: {instead}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::source::Declared;
    use crate::source::trees::Folder;
    use crate::verdict::Verdict;

    fn seen(config: &str) -> Seen {
        let manifest =
            format!("system = 's'\n[service.web]\nrun = 'true'\nconfig = {{ {config} }}\n");
        let system = updraft_system::parse_manifest(&manifest).ok().unwrap();
        let (attached, deploys) = (BTreeMap::new(), Arc::new(Ok(Vec::new())));
        let (system, service) = (Arc::new(system), "web".parse().unwrap());
        let declared = Declared { system, service, attached, deploys };
        token(&Folder::with(&[]).tree().declared(declared))
    }

    #[test]
    fn a_secret_that_could_be_one_that_ends_is_told_with_what_to_take_instead() {
        let secret = |name: &str| format!("{name} = 'secret'");
        let aws = secret("AWS_SECRET_ACCESS_KEY");
        let of_a_while = format!("{aws}, {}", secret("AWS_SESSION_TOKEN"));
        let table = [
            (String::new(), Verdict::Pass, "no secret"),
            ("LIMIT = 'int'".to_owned(), Verdict::Pass, "no secret"),
            (secret("MAIL_KEY"), Verdict::Info, "MAIL_KEY"),
            (aws, Verdict::Info, "AWS_WEB_IDENTITY_TOKEN_FILE"),
            (of_a_while, Verdict::Info, "known to those who made them"),
        ];
        for (config, verdict, word) in table {
            let seen = seen(&config);
            assert_eq!(seen.verdict, verdict, "{config}");
            assert!(seen.evidence.contains(word), "{}", seen.evidence);
        }
    }

    #[test]
    fn without_a_manifest_there_is_nothing_to_tell() {
        assert_eq!(token(&Folder::with(&[]).tree()).verdict, Verdict::Info);
    }
}
