//! What Bundler, Composer, Maven and Gradle leave.

use super::*;

const GEMS: &str = "source 'https://rubygems.org'\n# gem 'old'\ngem \"rails\", \"~> 7\"\ngroup :test do\n  gem 'rspec' # a comment\nend\n";
const GEMS_LOCK: &str = "GEM\n  specs:\n    rails (7.1.0)\n\nDEPENDENCIES\n  rails (~> 7)\n  rspec!\n\nBUNDLED WITH\n   2.5\n";

const WHAT_BUNDLER_AND_COMPOSER_WOULD_REFUSE_FAILS: &[Case] = &[
    ("whole", "", &[("Gemfile", GEMS), ("Gemfile.lock", GEMS_LOCK)], Pass, ""),
    ("no lock", "", &[("Gemfile", GEMS)], Fail, "no Gemfile.lock"),
    ("added", "", &[("Gemfile", "gem 'puma'\n"), ("Gemfile.lock", GEMS_LOCK)], Fail, "`puma`"),
    (
        "added under a condition",
        "",
        &[("Gemfile", "if ENV['X']\n  gem 'puma'\nend\n"), ("Gemfile.lock", GEMS_LOCK)],
        Unknown,
        "`puma`",
    ),
    ("the newer names", "", &[("gems.rb", "gem('rails')\n"), ("gems.locked", GEMS_LOCK)], Pass, ""),
    (
        "Composer",
        "",
        &[
            (
                "composer.json",
                r#"{"require": {"php": "^8", "ext-json": "*", "A/b": "^1", "c/d": "1"}}"#,
            ),
            (
                "composer.lock",
                r#"{"packages": [{"name": "a/b", "version": "1.0.0", "replace": {"c/d": "*"}}]}"#,
            ),
        ],
        Pass,
        "",
    ),
    (
        "Composer, added",
        "",
        &[("composer.json", r#"{"require": {"a/x": "1"}}"#), ("composer.lock", "{}")],
        Fail,
        "`a/x`",
    ),
    ("Composer, no lock", "", &[("composer.json", r#"{"require": {"a/x": "1"}}"#)], Fail, ""),
    ("PHP alone", "", &[("composer.json", r#"{"require": {"php": "8"}}"#)], Pass, ""),
];

#[test]
fn what_bundler_and_composer_would_refuse_fails() {
    check(WHAT_BUNDLER_AND_COMPOSER_WOULD_REFUSE_FAILS);
}

#[test]
fn a_version_that_moves_is_a_warning() {
    let dependency =
        "<dependency><artifactId>web</artifactId><version>VERSION</version></dependency>";
    for (version, properties, verdict) in [
        ("6.1.0", "", Pass),
        ("${web}", "<properties><web>6.1.0</web></properties>", Pass),
        ("${web}", "", Unknown),
        ("[1,2)", "", Warn),
        ("6.2-SNAPSHOT", "", Warn),
        ("${web}", "<properties><web>LATEST</web></properties>", Warn),
    ] {
        let text = format!(
            "<project><!-- <dependency><version>LATEST</version></dependency> -->{properties}{}</project>",
            dependency.replace("VERSION", version)
        );
        let seen = look(&Folder::with(&[("pom.xml", &text)]).tree());
        assert_eq!(seen.verdict, verdict, "{version}: {seen:?}");
    }
    check(&[
        ("Gradle", "", &[("build.gradle.kts", "")], Unknown, "no gradle.lockfile"),
        (
            "Gradle, locked",
            "",
            &[("build.gradle", ""), ("gradle.lockfile", "")],
            Unknown,
            "there is a lockfile",
        ),
    ]);
}
