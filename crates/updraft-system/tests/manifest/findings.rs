//! What is found wrong, and where: golden files, read by eye.

use updraft_system::{Problem, parse_manifest};

/// The problems as a person would want to see them in a terminal.
pub(crate) fn draw(text: &str, problems: &[Problem]) -> String {
    let mut drawn = String::new();
    for problem in problems {
        let (line, column) = problem.line_column(text);
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let length = text[problem.span.clone()].lines().next().unwrap_or_default().chars().count();
        let indent = " ".repeat(column - 1);
        let marks = "^".repeat(length.max(1));
        drawn += &format!("{line}:{column} {}: {}\n", problem.code, problem.message);
        drawn += &format!("    {source}\n    {indent}{marks} {}\n", problem.label);
        if let Some(help) = &problem.help {
            drawn += &format!("    help: {help}\n");
        }
    }
    drawn
}

fn found(text: &str) -> String {
    match parse_manifest(text) {
        Ok(system) => panic!("nothing was found in\n{text}\n{system:#?}"),
        Err(problems) => draw(text, &problems),
    }
}

#[test]
fn ten_different_mistakes_are_ten_findings_in_one_report() {
    let text = "\
system = \"Shop\"

[resource]
db   = { kind = \"postgress\" }
jobs = { kind = \"queue\", attempts = 3 }

[service.web]
path  = \"../web\"
run   = \"node server.js\"
needs = [\"api\"]
route = \"shop\"

[service.api]
build = { run = \"make\", keep = \"dist\" }
needs = [\"db\", \"pricng\"]
config = { PAGE_SIZE = \"int\", PORT = \"int\" }
[service.api.process]
web = { run = \"api serve\", ready = { every = \"5 seconds\", http = \"/readyz\" } }

[service.pricing]
run = \"\"
";
    let problems = parse_manifest(text).unwrap_err();
    assert_eq!(problems.len(), 10, "{}", draw(text, &problems));
    let mut codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 10, "{codes:?}");
    insta::assert_snapshot!(draw(text, &problems));
}

#[test]
fn mistakes_in_the_text_do_not_hide_the_others() {
    insta::assert_snapshot!(found(
        "system = shop
[service.web]
run = \"serve
path = \"/abs\"
needs = [\"nowhere\"]
[service.web]
run = \"again\"
stop = \"5s\"
[service.api
run = \"x\"
"
    ));
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    // The manifest of the design, with all that it names.
    insta::assert_snapshot!(found(include_str!("future.toml")));
}

#[test]
fn each_kind_of_mistake_has_its_place() {
    let mut all = String::new();
    for (title, body) in MISTAKES {
        let text = format!("system = \"x\"\n{body}\n");
        all += &format!("# {title}\n{}\n", found(&text));
    }
    insta::assert_snapshot!(all);
}

const MISTAKES: &[(&str, &str)] = &[
    (
        "audits of nobody",
        "[service.api]\nrun = \"a\"\n[check.apl.web]\n[check.api.wed]\n[check.api.worker]",
    ),
    (
        "audits that cannot be",
        "[service.a]\nrun = \"a\"\n[check.a.web]\nslow = \"/x\"\njourney = [{ do = \"GET x\", save = { a = \"b\" } }]\n\
         waive = [{ id = \"IX.idle\", because = \"x\", until = 10:00:00 }]",
    ),
    ("nothing at all", ""),
    ("neither run nor process", "[service.a]\npath = \"a\""),
    ("both run and process", "[service.a]\nrun = \"a\"\nprocess = { web = \"a\" }"),
    ("no process in the table", "[service.a.process]"),
    ("a key of another table", "[service.a]\nrun = \"a\"\nstop = \"5s\"\nwithin = \"5s\""),
    ("a name twice", "[service.a]\nrun = \"a\"\n[resource]\na = { kind = \"sql\" }"),
    ("a key twice", "[service.a]\nrun = \"a\"\nrun = \"b\""),
    ("a table twice", "[service.a]\nrun = \"a\"\n[service.a]\npath = \"b\""),
    ("wrong types", "service = 3\nresource = [1]"),
    ("a list with a wrong item", "[service.a]\nrun = \"a\"\nneeds = [\"a\", 3]"),
    ("build of a wrong type", "[service.a]\nrun = \"a\"\nbuild = 3"),
    ("an unknown preset", "[service.a]\nrun = \"a\"\nbuild = \"crago\""),
    ("reserved names", "[service.updraft]\nrun = \"a\"\n[service.a.process]\nbuild = \"b\""),
    ("a name to mend", "[service.My_Api]\nrun = \"a\""),
    ("no kind", "[resource]\ndb = {}"),
    ("kind of a wrong type", "[resource]\ndb = { kind = 1 }"),
    ("a key of another kind", "[resource]\ndb = { kind = \"sql\", version = \"1\" }"),
    ("a bad version", "[resource]\ndb = { kind = \"redis\", version = \">=7\" }"),
    ("attempts", "[resource]\nq = { kind = \"queue\", max_attempts = 0 }"),
    (
        "which database",
        "[resource]\na = { kind = \"sql\" }\nb = { kind = \"sql\" }\nq = { kind = \"queue\" }",
    ),
    (
        "no such database",
        "[resource]\nq = { kind = \"queue\", on = \"db\" }\nda = { kind = \"sql\" }",
    ),
    (
        "not a database",
        "[resource]\nq = { kind = \"queue\", on = \"r\" }\nr = { kind = \"redis\" }",
    ),
    (
        "ways to roll",
        "[service.a.process]\nweb = { run = \"a\", roll = \"exclusiv\" }\n\
         b = { run = \"b\", roll = { surge = 0, redy = 3, settle = \"long\" } }\n\
         c = { run = \"c\", roll = true }",
    ),
    (
        "scale",
        "[service.a.process]\nweb = { run = \"a\", scale = 1001 }\nb = { run = \"b\", scale = -1 }",
    ),
    ("a probe of nothing", "[service.a.process]\nweb = { run = \"a\", ready = {}, live = {} }"),
    (
        "a probe of two",
        "[service.a.process]\nweb = { run = \"a\", ready = { tcp = true, log = \"x\" } }",
    ),
    ("tcp = false", "[service.a.process]\nweb = { run = \"a\", ready = { tcp = false } }"),
    ("a bad pattern", "[service.a.process]\nweb = { run = \"a\", ready = { log = \"(ready\" } }"),
    ("a bad probe path", "[service.a.process]\nweb = { run = \"a\", ready = \"readyz\" }"),
    (
        "spans",
        "[service.a.process]\nweb = { run = \"a\", stop = \"10\" }\nb = { run = \"b\", ready = { tcp = true, within = \"0s\" } }\nc = { run = \"c\", stop = \"1000h\" }",
    ),
    (
        "paths that lead out",
        "[service.a]\nrun = \"a\"\npath = \"/srv\"\nbuild = { run = \"b\", keep = [\"a/../../b\"] }",
    ),
    (
        "a circle of three",
        "[service.a]\nrun = \"a\"\nafter = [\"b\"]\n[service.b]\nrun = \"b\"\nafter = [\"c.web\"]\n[service.c]\nrun = \"c\"\nafter = [\"a\"]\n[service.d]\nrun = \"d\"\nafter = [\"a\"]",
    ),
    ("after itself", "[service.a]\nrun = \"a\"\nafter = [\"a\"]"),
    (
        "after what cannot be waited for",
        "[resource]\ndb = { kind = \"sql\" }\n[service.a]\nrun = \"a\"\nafter = [\"db\", \"b.t\", \"b.x\", \"a.m\", \"bb\"]\ntask = { m = { run = \"m\", when = \"release\" } }\n[service.b]\nrun = \"b\"\ntask = { t = { run = \"t\" } }",
    ),
    (
        "given twice",
        "[service.a]\nrun = \"a\"\nneeds = [\"b\", \"b\"]\nafter = [\"b\", \"b\"]\n[service.b]\nrun = \"b\"",
    ),
    (
        "a need that does not listen",
        "[service.a]\nrun = \"a\"\nneeds = [\"b\"]\n[service.b.process]\nworker = \"b\"",
    ),
    ("a route to nothing", "[service.a]\nroute = \"/\"\n[service.a.process]\nworker = \"a\""),
    (
        "the same route",
        "[service.a]\nrun = \"a\"\nroute = \"/x\"\n[service.b]\nrun = \"b\"\nroute = \"/x/\"",
    ),
    (
        "DATABASE_URL twice",
        "[resource]\ndatabase = { kind = \"cache\" }\ndb = { kind = \"sql\" }\n[service.a]\nrun = \"a\"\nneeds = [\"db\", \"database\"]\n[service.b]\nrun = \"b\"\nneeds = [\"db\"]\nconfig = { DATABASE_URL = \"url\" }",
    ),
    (
        "operations of what has none",
        "[resource]\ndb = { kind = \"sql\" }\n[service.a]\nrun = \"a\"\nneeds = [\"db:GET /x\", \"db:read\", \"t:GET /x\"]\n[service.t]\nrun = \"t\"\nprotocol = \"tcp\"\noperation = { \"GET /x\" = {} }\nroute = \"/t\"",
    ),
    (
        "operations that are none",
        "[service.a]\nrun = \"a\"\nneeds = [\"b:post /x\", \"b:/x\", \"b:GET /{x\", \"b:\"]\n[service.b]\nrun = \"b\"\noperation = { \"GET x\" = {}, \"GET /a/../b\" = {} }",
    ),
    (
        "operations that are not declared",
        "[service.a]\nrun = \"a\"\nneeds = [\"b:GET /quote/{id}\", \"b:GET /quotes/{name}\", \"b:PATCH /other/place\"]\n[service.b]\nrun = \"b\"\noperation = { \"GET /quotes/{id}\" = {} }",
    ),
    (
        "operations and the whole",
        "[service.a]\nrun = \"a\"\nneeds = [\"b\", \"b:GET /x\", \"c:GET /x/{y}\", \"c\", \"c:GET /x/{z}\"]\n[service.b]\nrun = \"b\"\n[service.c]\nrun = \"c\"",
    ),
    (
        "ambiguous operations",
        "[service.a]\nrun = \"a\"\n[service.a.operation]\n\"GET /b/{x}\" = {}\n\"GET /b/{a}\" = { timeout = \"0s\" }\n\"POST /b/{a}\" = { idempotent = 1, prio = \"high\" }",
    ),
    (
        "calls of what is not called",
        "[resource]\ndb = { kind = \"sql\" }\n[service.a]\nrun = \"a\"\nneeds = [\"b\", \"db\"]\n[service.a.calls]\ndb = {}\nc = {}\nbb = {}\n[service.b]\nrun = \"b\"\n[service.c]\nrun = \"c\"\ncalls.a = {}",
    ),
    (
        "calls in a wrong form",
        "[service.a]\nrun = \"a\"\nneeds = [\"a\"]\n[service.a.calls.a]\ntimeout = 2\nattempt_timeout = \"20s\"\nretry = { on = [\"conect\", \"404\", \"503\", \"503\"], attempts = 0, budget = \"+3/s\", backoff = \"1s\" }\nbreaker = { failures = \"0%\", at_most = \"101%\", open = \"1s\" }\nconcurrency = 0\nrate = \"0/s\"\nbalance = \"leastrequest\"\nhop = \"h3\"",
    ),
    (
        "retries that never happen",
        "[service.a]\nrun = \"a\"\nneeds = [\"a\", \"b\", \"c\"]\ncalls.a.retry = { on = [] }\ncalls.b.retry = { on = [\"timeout\"] }\ncalls.c.retry = true\n[service.b]\nrun = \"b\"\n[service.c]\nrun = \"c\"",
    ),
    (
        "requests over tcp",
        "[resource]\nr = { kind = \"redis\" }\n[service.a]\nrun = \"a\"\nneeds = [\"r\", \"t\"]\n[service.a.calls]\nr = { timeout = \"1s\", attempt_timeout = \"1s\", hop = \"h1\", balance = \"header:x\" }\nt = { retry = { on = [\"connect\", \"503\"] } }\n[service.t]\nrun = \"t\"\nprotocol = \"tcp\"\ntraffic = { split = { web = 1 }, sticky = \"header:x\", mirror = { to = \"web\" }, rules = [{ abort = 503 }] }",
    ),
    (
        "versions that are not there",
        "[service.a.process]\nweb = \"a\"\nnext = { run = \"a\", version = \"v42\" }\n[service.a.traffic]\nsplit = { v41 = 90, v42 = 10 }\nmirror = { to = \"v4\" }\nrules = [{ route = \"nowhere\" }, { mirror = \"V42\" }]",
    ),
    (
        "traffic that does nothing",
        "[service.a]\nrun = \"a\"\n[service.b]\nrun = \"b\"\n[service.a.traffic]\nsticky = \"user\"\nrules = [\n  { name = \"x\", route = \"web\", share = \"5%\" },\n  { name = \"x\", abort = 503, status = 308 },\n  { match = { from = \"b\", header = \"a b\", method = \"get\", path = \"x\" }, delay = \"0s\" },\n  { match = { from = [\"c\"] }, abort = 99, delay = \"1s\" },\n  { redirect = \"new\", status = 304 },\n  { rewrite = { from = \"/a\" } },\n  { name = \"none\" },\n]",
    ),
    (
        "a split to nobody",
        "[service.a]\nrun = \"a\"\ntraffic.split = { web = 0 }\n[service.b]\nrun = \"b\"\ntraffic = { sticky = \"cookie:a\", mirror = { to = \"web\" }, rules = [{ name = \"mirror\", route = \"web\" }] }",
    ),
    (
        "requests that nothing serves",
        "[service.a]\nprotocol = \"grpc\"\noperation = { \"GET /\" = {} }\ntraffic = { split = { v1 = 1 } }\n[service.a.process]\nnext = { run = \"a\", version = \"v1\" }",
    ),
    (
        "the mesh",
        "[service.a]\nrun = \"a\"\n[mesh]\nauthorization = \"audt\"\nmtls = true\naccess_log = \"yes\"\notlp = \"127.0.0.1:4318\"\ningress = 8080\nadmin = 8080\nlimits = { head_bytes = 1, streams = 0, drain = \"0s\", keepalive = \"1s\" }",
    ),
    (
        "keys of the wire in the wrong place",
        "timeout = \"1s\"\n[service.a]\nrun = \"a\"\nretry = false\nsplit = {}\nmtls = \"always\"\nversion = \"v1\"",
    ),
    (
        "limits that cannot be",
        "[service.a.process]\nb = { run = \"b\", limits = { memory = \"256MB\", cpu = 0, files = 3, pids = \"64\" } }\nc = { run = \"c\", limits = { memory = 1000, cpu = \"half\", file = 64 } }\nd = { run = \"d\", limits = { memory = \"1MiB\", cpu = 2000.5 } }\ne = { run = \"e\", limits = { memory = 0.5, cpu = nan } }\n[service.a.task]\nt = { run = \"t\", limits = { cpu = -1 }, memory = \"1GiB\" }",
    ),
    (
        "confinement that cannot be",
        "[service.a.process]\nb = { run = \"b\", writable = \"data\" }\nc = { run = \"c\", writable = [\"../data\", \"/srv\", \"data\", \"data\", \"\"] }\nd = { run = \"d\", capabilities = [\"CAP_NET_BIND_SERVICE\", \"net_raw\", \"KILL\", \"KILL\"], writeable = [] }\n[service.e]\nrun = \"e\"\nlimits = {}\nwritable = []",
    ),
    (
        "rules of no load",
        "[service.a.process]\nweb = { run = \"a\", scale = {} }\nb = { run = \"b\", scale = { min = 3, max = 2, cpu = \"70\", concurency = 2 } }\nc = { run = \"c\", scale = { min = 0, max = 2, cpu = \"0%\", per = 5 } }",
    ),
    (
        "rules of what is not there",
        "[resource]\njobs = { kind = \"queue\" }\ndb = { kind = \"sql\" }\n[service.a]\nneeds = [\"db\"]\n[service.a.process]\nweb = { run = \"a\", scale = { max = 2, queue = \"job\", per = 1 } }\nb = { run = \"b\", scale = { max = 2, queue = \"db\" } }\nc = { run = \"c\", scale = { max = 2, queue = \"jobs\", per = 0 } }\nd = { run = \"d\", scale = { max = 2, concurrency = 9 } }\n[service.t]\nprotocol = \"tcp\"\nprocess.web = { run = \"t\", scale = { max = 2, concurrency = 9 } }",
    ),
    (
        "rules of odd times",
        "[service.a.process]\nweb = { run = \"a\", scale = { max = 2, cpu = \"70%\", every = \"50ms\", stabilize = { up = \"2h\", donw = \"1m\" }, step = { up = 0 } } }",
    ),
    (
        "schedules that never are",
        "[service.a]\nrun = \"a\"\n[service.a.task]\na = { run = \"a\", every = \"0 3 * *\" }\nb = { run = \"b\", every = \"0 0 30 2 *\", timezone = \"Europe/Berln\" }\nc = { run = \"c\", every = \"*/5 * * * * *\", timezone = \"my zone\", overlap = \"skp\", missed = \"all\" }\nd = { run = \"d\", timezone = \"UTC\", overlap = \"skip\", missed = \"once\" }\ne = { run = \"e\", every = \"@daily\", when = \"release\", tty = true }\nf = { run = \"f\", evry = \"@daily\", tty = \"yes\" }",
    ),
    ("a task called like a process", "[service.a]\nrun = \"a\"\ntask = { web = { run = \"x\" } }"),
    (
        "configuration",
        "[service.a]\nrun = \"a\"\nneeds = [\"b\"]\n[service.b]\nrun = \"b\"\n[service.a.config]\nB_URL = \"url\"\nUPDRAFT_X = \"int\"\nlow = \"int\"\nA = \"integer\"\nB = { type = \"int\", default = \"many\" }\nC = { type = \"int\", max = 5, default = 6 }\nD = { one_of = [] }\nE = { one_of = [\"a\", \"a\"], default = \"b\" }\nF = { type = \"secret\", default = \"hunter2\" }\nG = { type = \"url\", min = 1 }\nH = { type = \"int\", min = 1.5 }\nI = { type = \"int\", min = 3, max = 2 }\nJ = { default = 1 }\nK = { type = \"int\", one_of = [\"1\"] }",
    ),
];
