//! Whatever the environment holds: nothing panics, each problem is named once and nothing
//! else is, and no output holds a value that may be secret.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::write;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use url::Url;

use super::*;

const CANARY: &str = "c4n4ry";

#[derive(Debug, PartialEq, crate::Variable)]
enum Region {
    EuWest,
    UsEast,
}

/// One of each kind of variable.
#[derive(crate::App)]
#[expect(dead_code, reason = "it is read from variables, and never attached")]
struct Zoo {
    /// Days
    #[env(default = 30, range = 1..=365)]
    overdue_days: u16,
    /// Currency
    #[env(one_of = ["EUR", "USD"])]
    currency: String,
    /// Key
    mail_key: Secret,
    /// Token
    api_token: Option<String>,
    /// Region
    #[env(default = "eu-west")]
    region: Region,
    /// Codes
    codes: Vec<u16>,
    /// Share
    share: Option<f64>,
    /// Size
    #[env(default = "64KiB", range = "1KiB"..)]
    cache_size: ByteSize,
    /// Zone
    zone: Option<TimeZone>,
    /// Patience
    #[env(default = "5s", range = "1ms"..="1h")]
    patience: Duration,
    /// Where reports go
    report_url: Option<Url>,
    /// Prices
    pricing: crate::Client,
}

/// How many variables were read, without those of the client's policy, which are tried with it.
fn read_variables(config: &Config) -> usize {
    let of_policy = |name: &str| name.starts_with("PRICING_") && name != "PRICING_URL";
    config.declared().iter().filter(|declared| !of_policy(declared.variable)).count()
}

/// A variable: its name, whether it must be set, a sound text, and a text that is refused,
/// where there is one.
const VARIABLES: [(&str, bool, &str, Option<&str>); 12] = [
    ("OVERDUE_DAYS", false, "365", Some("366c4n4ry")),
    ("CURRENCY", true, "EUR", Some("c4n4ry")),
    ("MAIL_KEY", true, "c4n4ry", None),
    ("API_TOKEN", false, "c4n4ry", None),
    ("REGION", false, "us-east", Some("US c4n4ry")),
    ("CODES", true, "1, 2,3", Some("1,c4n4ry")),
    ("SHARE", false, "0.5", Some("0,5c4n4ry")),
    ("CACHE_SIZE", false, "1KiB", Some("5 c4n4ry")),
    ("ZONE", false, "UTC", Some("Moon/c4n4ry")),
    ("PATIENCE", false, "1h", Some("soon c4n4ry")),
    ("REPORT_URL", false, "https://u:c4n4ry@host/p?k=c4n4ry#c4n4ry", Some("//c4n4ry")),
    ("PRICING_URL", true, "http://127.0.0.1:80", Some("http://u:c4n4ry@h/?c4n4ry")),
];

/// How a variable is set.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Missing,
    Empty,
    Sound,
    Malformed,
    Huge,
    NotUnicode,
    NearMiss,
    SoundFile,
    MalformedFile,
    EmptyFile,
    HugeFile,
    MissingFile,
    NotUnicodeFileName,
    Both,
}

fn setting() -> impl Strategy<Value = Setting> {
    use Setting::{
        Both, Empty, EmptyFile, Huge, HugeFile, Malformed, MalformedFile, Missing, MissingFile,
        NearMiss, NotUnicode, NotUnicodeFileName, Sound, SoundFile,
    };
    let rare = prop::sample::select(vec![
        Missing,
        Empty,
        Malformed,
        Huge,
        NotUnicode,
        NearMiss,
        MalformedFile,
        EmptyFile,
        HugeFile,
        MissingFile,
        NotUnicodeFileName,
        Both,
    ]);
    // Sound ones are frequent, so that there are reports with few problems, and none.
    prop_oneof![4 => Just(Sound), 2 => Just(SoundFile), 4 => rare]
}

/// What is set, and the variable that must be reported for it.
fn set(
    number: usize,
    setting: Setting,
    folder: &Path,
) -> (Vec<(OsString, OsString)>, Option<String>) {
    let (name, required, sound, malformed) = VARIABLES[number];
    let by_file = format!("{name}_FILE");
    let file = |kind: &str| folder.join(format!("{kind}-{number}")).into_os_string();
    let broken = OsString::from_vec([CANARY.as_bytes(), &[0xff]].concat());
    let own = Some(name.to_owned());
    let missing = own.clone().filter(|_| required);
    let plain = |value: OsString, problem| (vec![(name.into(), value)], problem);
    let filed = |path: OsString, problem: bool| {
        (vec![(by_file.clone().into(), path)], problem.then(|| by_file.clone()))
    };
    match setting {
        Setting::Missing => (Vec::new(), missing),
        Setting::Empty => plain(OsString::new(), missing),
        Setting::Sound => plain(sound.into(), None),
        Setting::Malformed => match malformed {
            Some(text) => plain(text.into(), own),
            None => plain(sound.into(), None),
        },
        Setting::Huge => plain(CANARY.repeat(20_000).into(), own.filter(|_| malformed.is_some())),
        Setting::NotUnicode => plain(broken, own),
        Setting::NearMiss => {
            let name = format!("{name}X");
            (vec![(name.into(), CANARY.into())], missing)
        }
        Setting::SoundFile => filed(file("sound"), false),
        Setting::MalformedFile => filed(file("malformed"), malformed.is_some()),
        Setting::EmptyFile => filed(file("empty"), true),
        Setting::HugeFile => filed(folder.join("huge").into(), true),
        Setting::MissingFile => filed(folder.join(CANARY).into(), true),
        Setting::NotUnicodeFileName => filed(broken, true),
        Setting::Both => (vec![(name.into(), sound.into()), (by_file.into(), file("sound"))], own),
    }
}

fn files(folder: &Path) {
    for (number, (_, _, sound, malformed)) in VARIABLES.into_iter().enumerate() {
        let file = |kind: &str| folder.join(format!("{kind}-{number}"));
        write(file("sound"), format!("{sound}\n")).unwrap();
        write(file("malformed"), malformed.unwrap_or(sound)).unwrap();
        write(file("empty"), "").unwrap();
    }
    write(folder.join("huge"), CANARY.repeat(20_000)).unwrap();
}

/// Everything that people are shown.
fn outputs(config: &Config) -> Vec<String> {
    let report = config.report();
    let reported = report.iter().flat_map(|report| {
        [report.to_string(), report.in_colour().to_string(), format!("{report:?}")]
    });
    let release = crate::Release::of_build("zoo", "1.0.0").running(config);
    let shown = [
        config.explanation(),
        config.explanation_json().to_string(),
        config.attachments(),
        config.attachments_json().to_string(),
        config.example(),
        config.help(),
        config.fingerprint(),
        format!("{config:?}"),
        format!("{:?}", config.near_misses()),
        format!("{release:?}"),
    ];
    reported.chain(shown).collect()
}

#[test]
fn every_problem_is_named_once_and_no_value_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let cases = prop::collection::vec(setting(), VARIABLES.len());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let law = |settings: Vec<Setting>| {
        let mut variables = Vec::new();
        let mut expected = BTreeSet::new();
        let mut near = 0;
        for (number, setting) in settings.into_iter().enumerate() {
            let (set, problem) = set(number, setting, folder.path());
            variables.extend(set);
            expected.extend(problem);
            near += usize::from(matches!(setting, Setting::NearMiss));
        }
        let mut config = Config::from_os_variables(variables);
        let read = Zoo::read(&mut config);
        prop_assert_eq!(read.is_ok(), expected.is_empty());
        prop_assert_eq!(read_variables(&config), VARIABLES.len());
        prop_assert_eq!(config.near_misses().len(), near);
        let report = config.report();
        let named: Vec<_> = report.iter().flat_map(ConfigReport::variables).collect();
        prop_assert_eq!(named.len(), expected.len());
        prop_assert_eq!(
            named.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
            expected.clone()
        );
        let text = report.map(|report| report.to_string()).unwrap_or_default();
        for variable in &expected {
            prop_assert_eq!(text.matches(&format!("\n  {variable} ")).count(), 1);
        }
        for output in outputs(&config) {
            prop_assert!(!output.contains(CANARY), "{}", output);
        }
        Ok(expected.is_empty())
    };
    runner.run(&cases, |settings| law(settings).map(|_is_sound| ())).unwrap();
    // And with nothing wrong at all, which chance alone seldom brings.
    for setting in [Setting::Sound, Setting::SoundFile] {
        assert!(law(vec![setting; VARIABLES.len()]).unwrap(), "{setting:?}");
    }
}

#[test]
fn each_field_has_the_value_of_its_own_variable() {
    let variables = [
        ("OVERDUE_DAYS", "7"),
        ("CURRENCY", "USD"),
        ("MAIL_KEY", "key"),
        ("API_TOKEN", "token"),
        ("REGION", "us-east"),
        ("CODES", "1, 2"),
        ("SHARE", "0.25"),
        ("CACHE_SIZE", "2KiB"),
        ("ZONE", "UTC"),
        ("PATIENCE", "7s"),
        ("REPORT_URL", "https://u:p@host/?k=v"),
        ("PRICING_URL", "http://pricing.example"),
    ];
    let own = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut config = Config::from_variables(own);
    let (days, currency, key, token, region, codes, share, size, zone, patience, url, pricing) =
        Zoo::read(&mut config).unwrap();
    assert_eq!((days, currency.as_str(), key.expose()), (7, "USD", "key"));
    assert_eq!((token.as_deref(), region, codes), (Some("token"), Region::UsEast, vec![1, 2]));
    assert_eq!((share, size, zone), (Some(0.25), ByteSize::new(2048), Some(TimeZone::UTC)));
    assert_eq!(patience, Duration::from_secs(7));
    assert_eq!(url.unwrap().as_str(), "https://u:p@host/?k=v");
    assert_eq!(pricing.url.show(), "http://pricing.example");
}

proptest! {
    /// Names, and values for them, that nobody has thought of.
    #[test]
    fn any_environment_is_read_to_an_end(
        names in prop::collection::vec(prop::sample::select(VARIABLES.to_vec()), 0..12),
        values in prop::collection::vec(any::<Vec<u8>>(), 12),
        others in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8),
    ) {
        let own = names.into_iter().map(|(name, ..)| name.as_bytes().to_vec()).zip(values);
        let all = own.chain(others).map(|(name, value)| {
            (OsString::from_vec(name), OsString::from_vec(value))
        });
        let mut config = Config::from_os_variables(all);
        drop(Zoo::read(&mut config));
        prop_assert_eq!(read_variables(&config), VARIABLES.len());
        drop(outputs(&config));
    }
}
