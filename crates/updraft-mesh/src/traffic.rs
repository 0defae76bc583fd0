//! Traffic control of one cluster: which rules are for a request, and what they make of it.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use updraft_system::Name;
use updraft_system::mesh::{
    Action, HeaderMatch, Matches, Mirror, Redirect, Rewrite, Share, Traffic, TrafficRule,
};

use std::time::Duration;

/// The rules of one cluster, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Name,
    matches: Matches,
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
    action: Action,
}

/// What the rules make of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course<'a> {
    /// Only endpoints of this version.
    pub(crate) version: Option<&'a Name>,
    /// Answered by a redirect.
    pub(crate) redirect: Option<&'a Redirect>,
    /// Another path.
    pub(crate) rewrite: Option<&'a Rewrite>,
    /// A copy goes there.
    pub(crate) mirror: Option<&'a Name>,
    /// Waits before it is sent.
    pub(crate) delay: Option<Duration>,
    /// Answered with this status.
    pub(crate) abort: Option<u16>,
    /// The rule that decided to redirect or abort: its name for events.
    pub(crate) rule: Option<&'a Name>,
}

impl Rules {
    /// Rules whose headers cannot be are left out: the configuration's check has told of them.
    pub(crate) fn new(traffic: &Traffic) -> Self {
        Self { rules: traffic.rules.iter().filter_map(Rule::new).collect() }
    }

    /// Whether there is nothing to ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What becomes of a request. Faults and mirrors of all rules that fit are done, of those
    /// that lead elsewhere the first.
    pub(crate) fn course(
        &self,
        caller: &Name,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        random: &mut fastrand::Rng,
    ) -> Course<'_> {
        let mut course = Course::default();
        let mut led = false;
        for rule in &self.rules {
            if !rule.fits(caller, method, path, headers) {
                continue;
            }
            match &rule.action {
                Action::Route(version) if !led => (course.version, led) = (Some(version), true),
                Action::Rewrite(rewrite) if !led => (course.rewrite, led) = (Some(rewrite), true),
                Action::Redirect(redirect) if !led => {
                    (course.redirect, course.rule, led) = (Some(redirect), Some(&rule.name), true);
                }
                Action::Route(_) | Action::Rewrite(_) | Action::Redirect(_) => {}
                Action::Mirror(Mirror { to, share }) => {
                    if course.mirror.is_none() && chosen(*share, random) {
                        course.mirror = Some(to);
                    }
                }
                Action::Delay { by, share } => {
                    if chosen(*share, random) {
                        course.delay = Some(course.delay.unwrap_or_default() + *by);
                    }
                }
                Action::Abort { status, share } => {
                    if course.abort.is_none() && chosen(*share, random) {
                        (course.abort, course.rule) = (Some(*status), Some(&rule.name));
                    }
                }
            }
        }
        course
    }
}

impl Rule {
    fn new(rule: &TrafficRule) -> Option<Self> {
        let header = |header: &HeaderMatch| {
            let name = header.name.parse().ok()?;
            let value = header.value.as_deref().map(HeaderValue::from_str).transpose().ok()?;
            Some((name, value))
        };
        Some(Self {
            name: rule.name.clone(),
            headers: rule.matches.headers.iter().map(header).collect::<Option<_>>()?,
            matches: rule.matches.clone(),
            action: rule.action.clone(),
        })
    }

    fn fits(&self, caller: &Name, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let Matches { methods, path: template, callers, .. } = &self.matches;
        (methods.is_empty() || methods.iter().any(|one| one == method.as_str()))
            && (callers.is_empty() || callers.contains(caller))
            && template.as_ref().is_none_or(|template| template.matches(path))
            && self.headers.iter().all(|(name, value)| match value {
                Some(value) => headers.get_all(name).iter().any(|given| given == value),
                None => headers.contains_key(name),
            })
    }
}

fn chosen(share: Share, random: &mut fastrand::Rng) -> bool {
    random.u32(..Share::WHOLE) < share.parts()
}

/// `uri` with the prefix of a rewrite replaced; as it is where the prefix does not fit.
pub(crate) fn rewritten(uri: &Uri, rewrite: &Rewrite) -> Option<Uri> {
    let from = rewrite.from.trim_end_matches('/');
    let rest = uri.path().strip_prefix(from)?;
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let to = rewrite.to.trim_end_matches('/');
    let path = match format!("{to}{rest}") {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        let traffic: Traffic = toml::from_str(text).unwrap();
        Rules::new(&traffic)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn course<'a>(rules: &'a Rules, method: Method, path: &str, fault: bool) -> Course<'a> {
        let mut headers = HeaderMap::new();
        if fault {
            headers.insert("x-fault", HeaderValue::from_static("yes"));
        }
        let mut random = fastrand::Rng::with_seed(1);
        rules.course(&name("storefront"), &method, path, &headers, &mut random)
    }

    #[test]
    fn faults_and_mirrors_add_up_and_the_first_that_leads_wins() {
        let rules = rules(
            r#"
            rules = [
                { name = "slow", match = { headers = ["x-fault"] }, delay = { by = "300ms" } },
                { name = "slower", match = { headers = ["x-fault=yes"] }, delay = { by = "1s" } },
                { name = "never", match = { headers = ["x-fault=no"] }, abort = { status = 500 } },
                { name = "new", match = { path = "/quotes/{id}", methods = ["GET"] }, route = "v42" },
                { name = "old", route = "v41" },
                { name = "copy", match = { callers = ["storefront"] }, mirror = { to = "v43" } },
                { name = "others", match = { callers = ["cart"] }, abort = { status = 503 } },
            ]"#,
        );
        let faulty = course(&rules, Method::GET, "/quotes/7", true);
        assert_eq!(faulty.delay, Some(Duration::from_millis(1300)));
        assert_eq!((faulty.version, faulty.mirror), (Some(&name("v42")), Some(&name("v43"))));
        assert_eq!(faulty.abort, None);
        let plain = course(&rules, Method::POST, "/quotes/7", false);
        assert_eq!((plain.delay, plain.version), (None, Some(&name("v41"))));
    }

    #[test]
    fn a_share_is_a_share() {
        let rules =
            rules(r#"rules = [{ name = "some", abort = { status = 503, share = "25%" } }]"#);
        let mut random = fastrand::Rng::with_seed(7);
        let aborted = (0..10_000).filter(|_| {
            let headers = HeaderMap::new();
            rules.course(&name("a"), &Method::GET, "/", &headers, &mut random).abort.is_some()
        });
        let aborted = aborted.count();
        assert!((2_300..2_700).contains(&aborted), "{aborted}");
    }

    #[test]
    fn a_rewrite_replaces_whole_segments() {
        for (from, to, uri, expected) in [
            ("/api", "/", "/api/quotes?x=1", Some("/quotes?x=1")),
            ("/api/", "/v2", "/api/quotes", Some("/v2/quotes")),
            ("/api", "/", "/api", Some("/")),
            ("/api", "/", "/apis", None),
            ("/", "/v1", "/quotes", Some("/v1/quotes")),
        ] {
            let rewrite = Rewrite { from: from.to_owned(), to: to.to_owned() };
            let uri: Uri = uri.parse().unwrap();
            let expected = expected.map(|text| text.parse::<Uri>().unwrap());
            assert_eq!(rewritten(&uri, &rewrite), expected, "{uri}");
        }
    }
}
