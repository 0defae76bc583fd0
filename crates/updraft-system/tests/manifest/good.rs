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
        "each form of a limit and of confinement",
        "system = 'x'
        [service.a.process]
        a = { run = 'a', limits = {}, writable = [], capabilities = [] }
        b = { run = 'b', limits = { memory = '256MiB', cpu = '50%', files = 16, pids = 1 } }
        c = { run = 'c', limits = { memory = '1.5Gi', cpu = 0.5 }, writable = ['.', 'data/x'] }
        d = { run = 'd', limits = { memory = 536870912, cpu = 2 } }
        e = { run = 'e', limits = { cpu = '500m' }, capabilities = ['NET_BIND_SERVICE', 'BPF'] }
        f = { run = 'f', limits = { cpu = 5e-1, memory = '8 MiB' } }
        [service.a.task]
        t = { run = 't', limits = { memory = '1GiB' }, writable = ['out'], capabilities = ['KILL'] }",
    ),
    (
        "scaling by each load",
        "system = 'x'
        [resource]
        jobs = { kind = 'queue' }
        [service.a]
        needs = ['jobs']
        [service.a.process]
        web = { run = 'a', scale = { min = 1, max = 10, cpu = '70%', concurrency = 20 } }
        b = { run = 'b', scale = { min = 0, max = 20, queue = 'jobs', per = 50, every = '1s', stabilize = { up = '10s', down = '0s' }, step = { up = 2, down = 1 } } }
        c = { run = 'c', scale = { max = 1, cpu = '10000%' } }",
    ),
    (
        "tasks by the calendar",
        "system = 'x'
        [service.a]
        run = 'a'
        [service.a.task]
        b = { run = 'b', every = '0 3 * * *' }
        c = { run = 'c', every = '@daily', timezone = 'Europe/Berlin', overlap = 'queue', missed = 'once', timeout = '20m' }
        d = { run = 'd', every = '*/5 9-17 * JAN-MAR MON-FRI', timezone = 'utc', overlap = 'allow', missed = 'skip' }
        e = { run = 'e', tty = true }",
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
        "each form of a need",
        "system = 'x'
        [resource]
        db = { kind = 'postgres' }
        [service.a]
        run = 'a'
        needs = ['b', 'db', 'c:POST /send', 'c:GET /box/{id}', 'd:* /any/{*rest}', 'e']
        [service.b]
        run = 'b'
        [service.c]
        run = 'c'
        operation = { 'POST /send' = {}, 'GET /box/{id}' = {}, 'GET /box/{id}/raw' = {} }
        [service.d]
        run = 'd'
        protocol = 'grpc'
        [service.e]
        run = 'e'
        protocol = 'tcp'",
    ),
    (
        "each key of an operation",
        "system = 'x'
        [service.a]
        run = 'a'
        protocol = 'h2c'
        [service.a.operation.'GET /quotes/{id}']
        idempotent = false
        timeout = '2s'
        priority = 'critical'
        [service.a.operation]
        'POST /quotes/{name}' = { priority = 'background' }
        '* /quotes/{id}' = {}
        'GET /quotes/{*rest}' = {}
        'GET /quotes/new' = {}",
    ),
    (
        "each key of calls",
        "system = 'x'
        [resource]
        db = { kind = 'postgres' }
        [service.a]
        run = 'a'
        needs = ['b', 'c', 'd', 'db']
        [service.a.calls.b]
        timeout = '2s'
        attempt_timeout = '500ms'
        idle = '1m'
        retry = { on = ['connect', 'reset', 'timeout', 'grpc-unavailable', '429', '503'], attempts = 2, budget = '12.5%' }
        breaker = { consecutive = 1, failures = '0.01%', open_for = '1ms', at_most = '0%' }
        concurrency = 1
        queue = 0
        rate = '100/m'
        balance = 'header:X-User'
        hop = 'h1'
        [service.a.calls]
        c = { retry = false, balance = 'round-robin' }
        d = { balance = 'cookie:sid', retry = {} }
        db = { idle = '2h', retry = { on = ['connect'] }, breaker = {}, balance = 'least-request', concurrency = 10 }
        [service.b]
        run = 'b'
        [service.c]
        run = 'c'
        protocol = 'tcp'
        [service.d]
        run = 'd'",
    ),
    (
        "each form of traffic",
        "system = 'x'
        [service.a]
        run = 'a'
        needs = ['b:GET /x']
        [service.b.process]
        web = 'b'
        next = { run = 'b2', version = 'v42' }
        also = { run = 'b2', version = 'v42', scale = 0 }
        worker = 'w'
        [service.b.traffic]
        split = { web = 90, v42 = 10 }
        sticky = 'cookie:sid'
        mirror = { to = 'v42', share = '5%', match = { method = ['GET', 'HEAD'], path = '/q/{id}' } }
        [[service.b.traffic.rules]]
        name = 'slow'
        match = { header = ['x-fault', 'x-user=ann'], path = '/', method = 'GET', from = 'a' }
        delay = '300ms'
        share = '5%'
        [[service.b.traffic.rules]]
        match = { from = ['a'] }
        abort = 503
        [[service.b.traffic.rules]]
        route = 'v42'
        [[service.b.traffic.rules]]
        redirect = '/new?x=1'
        status = 308
        [[service.b.traffic.rules]]
        redirect = 'https://example.com/new'
        [[service.b.traffic.rules]]
        rewrite = { from = '/api', to = '/' }
        [[service.b.traffic.rules]]
        mirror = 'web'
        share = '0%'",
    ),
    (
        "a split of connections",
        "system = 'x'
        [service.b]
        protocol = 'tcp'
        traffic.split = { v1 = 1, v2 = 0 }
        [service.b.process]
        web = { run = 'b', version = 'v1' }
        b2 = { run = 'b', version = 'v2' }",
    ),
    (
        "each key of the mesh",
        "system = 'x'
        [service.a]
        run = 'a'
        [mesh]
        authorization = 'audit'
        mtls = 'always'
        access_log = true
        otlp = 'http://127.0.0.1:4318'
        ingress = 8080
        proxy_protocol = true
        admin = 65535
        [mesh.limits]
        connections = 1
        head_bytes = 1024
        head_fields = 1
        head_timeout = '1ms'
        keep_alive = '1s'
        upstream_idle = '1s'
        connect_timeout = '1s'
        streams = 1
        replay_bytes = 0
        tunnel_idle = '1h'
        tunnel_linger = '1s'
        drain = '0s'",
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
