//! `updraft check` over the zoo: no wrong verdict, and as few without an answer as can be.
//!
//! The gate looks at a part that takes two minutes; `ZOO_ONLY=` (empty) takes all of it, which
//! takes five, and `ZOO_ONLY=node,uvicorn` the programs whose names contain one of these words.
//! `ZOO_REPEAT=10` goes through it ten times: `zoo/repeat.sh` does so under load.

use std::env;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration_tests::Turn;
use integration_tests::zoo::{Audited, Judgement, Matrix, Program, Supplies, Zoo, audit};

/// How many programs are audited at a time.
const LANES: usize = 4;
/// How many findings of a hundred may be without a verdict.
const UNDECIDED_MAX: usize = 3;
/// How long the zoo may take where nothing else runs.
const WITHIN: Duration = Duration::from_secs(240);

/// What the gate looks at: the table of shapes, and of each other kind some.
const GATE: &str = "node-exit0,node-exit3,node-none,node-deaf,shell-exec,shell-trap,shell-sh-c,\
    npm-start,python-plain,wsgiref,waitress,gunicorn,uvicorn,node-loopback,node-inspector,\
    python-debugger,node-any-port,python-pid-file,python-database,node-upload,python-cache,\
    python-daemon,node-compile,python-tool,node-dotenv-unused,node-stage,builds,tasks,\
    swap,carts,contracts";

/// The programs that this run is about.
fn chosen(zoo: &Zoo) -> Vec<&Program> {
    let only = env::var("ZOO_ONLY").unwrap_or_else(|_| GATE.to_owned());
    let wanted = |program: &&Program| only.split(',').any(|word| program.name.contains(word));
    let mut chosen: Vec<_> = zoo.program.iter().filter(wanted).collect();
    // Whole systems take longest: at the end nothing would run beside them.
    chosen.sort_by_key(|program| program.manifest.is_none());
    chosen
}

/// Audits them in lanes, in any order.
fn audits(programs: &[&Program], supplies: &Supplies) -> Vec<Result<Audited>> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<_> = programs.iter().map(|_| None).collect();
    let places = Mutex::new(&mut done);
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let audited = audit(program, supplies);
                    let took = audited.as_ref().map(|it| it.took.as_secs_f64()).unwrap_or_default();
                    let line = format!("{took:6.1} s  {}", program.name);
                    drop(writeln!(std::io::stdout(), "{line}"));
                    let place = programs.iter().position(|it| it.name == program.name);
                    if let (Some(place), Ok(mut places)) = (place, places.lock()) {
                        places[place] = Some(audited);
                    }
                }
            });
        }
    });
    done.into_iter().flatten().collect()
}

#[test]
fn every_program_of_the_zoo_gets_its_verdicts() -> Result<()> {
    let _turn = Turn::take("zoo")?;
    let (zoo, supplies) = (Zoo::read()?, Supplies::make()?);
    let programs = chosen(&zoo);
    let repeat = env::var("ZOO_REPEAT").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let mut matrix = Matrix::default();
    for _ in 0..repeat {
        let began = Instant::now();
        let audited = audits(&programs, &supplies);
        ensure!(audited.len() == programs.len(), "a lane has ended early");
        for (program, audited) in programs.iter().zip(audited) {
            match audited {
                Ok(audited) => matrix.add(program, &audited)?,
                Err(error) => matrix.add_failure(program, &error),
            }
        }
        println!("{} programs in {:.0} s", programs.len(), began.elapsed().as_secs_f64());
        if began.elapsed() > WITHIN {
            println!(
                "that is more than {WITHIN:?}: something else runs here, or the zoo has grown"
            );
        }
    }
    println!("{matrix}");
    ensure!(matrix.count(Judgement::Wrong) == 0, "wrong verdicts:\n{matrix}");
    let (right, undecided) = (matrix.count(Judgement::Right), matrix.count(Judgement::Undecided));
    ensure!(
        undecided * 100 <= UNDECIDED_MAX * (right + undecided).max(100),
        "too many are without a verdict:\n{matrix}"
    );
    Ok(())
}

#[test]
fn each_verdict_of_each_probe_has_two_programs() -> Result<()> {
    let zoo = Zoo::read()?;
    let mut few = Vec::new();
    for (probe, verdicts) in &zoo.verdicts {
        for verdict in verdicts.split(' ') {
            let programs = zoo.with(probe, verdict)?;
            if programs.len() < 2 {
                few.push(format!("{probe} {verdict}: {programs:?}"));
            }
        }
    }
    ensure!(few.is_empty(), "too few programs:\n{}", few.join("\n"));
    Ok(())
}
