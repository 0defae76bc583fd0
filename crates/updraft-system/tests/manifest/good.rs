//! Manifests that are right, one for each thing that a manifest can say.

/// All of them, each with a name for failures.
pub(crate) const GOOD: &[(&str, &str)] = &[
    ("the least", "system = 'x'\n[service.web]\nrun = 'serve'\n"),
    ("resources alone", "system = 'x'\n[resource]\ndb = { kind = 'postgres' }\n"),
    ("the shop", include_str!("../../../../examples/shop/updraft.toml")),
    ("the reference's example", include_str!("../../src/manifest/example.toml")),
    (
        "each kind of resource",
        "system = 'x'
        [resource]
        a = { kind = 'sql' }
        b = { kind = 'cache' }
        c = { kind = 'queue', max_attempts = 1 }
        d = { kind = 'blob' }
        e = { kind = 'postgres', version = '17' }
        f = { kind = 'redis', version = '7' }
        g = { kind = 'nats', version = '2.9' }
        h = { kind = 'queue', on = 'a' }",
    ),
    (
        "each form of a probe",
        "system = 'x'
        [service.s.process]
        a = 'run a'
        b = { run = 'b', ready = '/', live = '/livez' }
        c = { run = 'c', ready = { http = '/r', within = '5m', every = '250ms', timeout = '2s', failures = 1 } }
        d = { run = 'd', ready = { tcp = true } }
        e = { run = 'e', ready = { log = 'ready in \\d+ ms' }, live = { http = '/l', every = '1h30m', timeout = '1s', failures = 9 } }
        f = { run = 'f', scale = 0, stop = '0s' }
        g = { run = 'g', scale = 1000 }",
    ),
    (
        "each form of a build",
        "system = 'x'
        [service.a]
        run = 'a'
        build = 'cargo'
        [service.b]
        run = 'b'
        path = 'services/b'
        build = { run = 'make' }
        [service.c]
        run = 'c'
        path = './c'
        build = { run = 'npm ci', keep = ['dist', 'node_modules/.bin'] }",
    ),
    (
        "each type of configuration",
        "system = 'x'
        [service.a]
        run = 'a'
        [service.a.config]
        A = 'string'
        B = 'secret'
        C = { type = 'url', default = 'https://example.com/' }
        D = { type = 'bool', default = true }
        E = { type = 'int', min = -5, max = 0x10, default = 16 }
        F = { type = 'float', min = 0, max = 1.5, default = 1e-3 }
        G = { type = 'duration', default = '1h30m' }
        H = { one_of = ['a', 'b'] }
        I_2 = { type = 'secret' }
        J = { type = 'int', default = '12' }",
    ),
    (
        "tasks",
        "system = 'x'
        [service.a]
        run = 'a'
        [service.a.task]
        migrate = { run = 'm', when = 'release' }
        console = { run = 'c', when = 'manual', timeout = '20m' }
        other = { run = 'o' }
        [service.b]
        run = 'b'
        after = ['a', 'a.web', 'a.migrate']",
    ),
    (
        "databases by their own names",
        "system = 'x'
        [resource]
        database = { kind = 'sql' }
        db = { kind = 'postgres' }
        [service.a]
        run = 'a'
        needs = ['database']
        [service.b]
        run = 'b'
        needs = ['database', 'db']",
    ),
    (
        "needs in a circle and of itself",
        "system = 'x'
        [service.a]
        run = 'a'
        needs = ['b', 'a']
        [service.b]
        run = 'b'
        needs = ['a']
        after = ['a']",
    ),
    (
        "dotted keys and inline tables over several lines",
        "system = 'x'
        service.a.run = 'a'
        service.a.config = {
            A = 'url',   # with a comment
            B = { one_of = [
                'x',
            ], },
        }
        service.b = {
            process = {
                web = { run = 'b', },
            },
            needs = ['a',],
        }",
    ),
];
