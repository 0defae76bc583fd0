//! Which values break a contract, and what comes of a program that meets them.

use super::*;
use crate::verdict::Verdict;

fn types() -> Vec<ConfigType> {
    vec![
        ConfigType::String,
        ConfigType::Secret,
        ConfigType::Url,
        ConfigType::Bool,
        ConfigType::Int { min: None, max: None },
        ConfigType::Int { min: Some(7), max: Some(8) },
        ConfigType::Int { min: None, max: Some(-3) },
        ConfigType::Int { min: Some(7), max: None },
        ConfigType::Float { min: None, max: None },
        ConfigType::Float { min: Some(0.1), max: Some(0.2) },
        ConfigType::Float { min: None, max: Some(-1.0) },
        ConfigType::Duration,
        ConfigType::OneOf { values: vec!["a".into(), "b".into()] },
    ]
}

#[test]
fn made_up_values_keep_the_contract_and_wrong_ones_break_it() {
    for shape in types() {
        let key = ConfigKey { shape: shape.clone(), default: None };
        let value = valid("A_KEY", &key);
        assert_eq!(shape.check(&value), Ok(()), "{shape:?}");
        let wrong = malformed(&shape);
        assert!(wrong.is_none_or(|wrong| shape.check(wrong).is_err()), "{shape:?}");
        let another = other("A_KEY", &key, &value);
        let sound = |another: &String| *another != value && shape.check(another).is_ok();
        let single = matches!(
            shape,
            ConfigType::Int { max: Some(-3), .. } | ConfigType::Float { max: Some(-1.0), .. }
        );
        assert_eq!(another.as_ref().is_some_and(sound), !single, "{shape:?} {another:?}");
    }
}

#[test]
fn what_can_have_one_value_only_has_no_other() {
    let shape = ConfigType::OneOf { values: vec!["a".into()] };
    assert_eq!(other("A", &ConfigKey { shape, default: None }, "a"), None);
    let shape = ConfigType::Int { min: Some(3), max: Some(3) };
    assert_eq!(other("A", &ConfigKey { shape, default: None }, "3"), None);
}

#[test]
fn a_variable_is_named_by_itself_or_by_its_words() {
    let table = [
        ("PAGE_SIZE is required", "PAGE_SIZE", true),
        ("ValidationError: page_size\n  Field required", "PAGE_SIZE", true),
        ("missing --page-size <N>", "PAGE_SIZE", true),
        ("config.pageSize must be a number", "PAGE_SIZE", true),
        ("KeyError: 'KEY'", "KEY", true),
        ("monkey business", "KEY", false),
        ("something is wrong", "PAGE_SIZE", false),
        ("SIZE is wrong", "PAGE_SIZE", false),
    ];
    for (line, variable, expected) in table {
        assert_eq!(names(line, variable), expected, "{line}");
    }
}

#[test]
fn only_a_program_that_runs_on_fails() {
    let ended = |code, named| Fate::Ended { how: Ended::Code(code), named };
    let table = [
        (vec![ended(1, true), ended(78, true)], Verdict::Pass),
        (vec![ended(1, true), ended(1, false)], Verdict::Warn),
        (vec![ended(0, true)], Verdict::Warn),
        (vec![Fate::Ended { how: Ended::Signal(11), named: true }], Verdict::Warn),
        (vec![ended(1, false), Fate::Ready], Verdict::Fail),
        (vec![Fate::Hung(Duration::from_secs(5)), ended(1, true)], Verdict::Fail),
        (vec![ended(1, true), Fate::Unseen("no port".into())], Verdict::Unknown),
        (vec![Fate::Ready, Fate::Unseen("no port".into())], Verdict::Fail),
    ];
    for (fates, expected) in table {
        let fates: Vec<_> = fates.into_iter().map(|fate| ("without A".to_owned(), fate)).collect();
        assert_eq!(judged(&fates, String::new()).verdict, expected, "{fates:?}");
    }
}
