//! A storm in a glass of water: a real server that is slowed, broken, stopped and killed
//! while calls go on, once through a policy and once with retries only.
//!
//! `cargo run -p updraft-resilience --example storm` takes about 25 s, with `--fast` 8 s.
//! In a pipe it prints plain lines.

mod load;
mod meter;
mod scenes;
mod server;
mod view;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use load::Client;
use meter::Meter;
use scenes::{Act, SCENES, Scene};
use server::Server;
use updraft_resilience::breaker::State;
use view::{Moment, View};

/// How often the picture moves.
const TICK: Duration = Duration::from_millis(100);
/// The last scene waits so long for the circuit to close.
const PATIENCE: Duration = Duration::from_secs(10);

const USAGE: &str = "usage: storm [--fast]\n";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words[..] {
        [] => play(false),
        ["--fast"] => play(true),
        ["--serve", parent] => server::serve(parent).map(|()| Ended::Played).map_err(Into::into),
        _ => {
            view::complain(USAGE);
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(Ended::Played) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(130),
        // Whoever read it has seen enough, as with `| head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            view::complain(&format!("storm: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// How it came to its end.
#[derive(PartialEq, Eq)]
enum Ended {
    Played,
    Interrupted,
}

fn play(fast: bool) -> Result<Ended, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // On this thread, because the children end with the thread that started them.
    runtime.block_on(async {
        let mut stage = Stage::set(fast).await?;
        let ended = stage.play().await;
        // The picture first, so that nothing is drawn over the farewell.
        stage.view.close()?;
        for server in &mut stage.servers {
            server.kill().await?;
        }
        if matches!(ended, Ok(Ended::Played)) {
            stage.view.summary(&stage.guarded)?;
        }
        ended
    })
}

/// Two servers with the same fate, and their clients.
struct Stage {
    fast: bool,
    servers: [Server; 2],
    guarded: Client,
    plain: Client,
    meters: [Meter; 2],
    view: View,
    ticks: Interval,
    began: Instant,
}

impl Stage {
    async fn set(fast: bool) -> Result<Self, Box<dyn Error>> {
        let servers = [Server::start().await?, Server::start().await?];
        let guarded = Client::guarded(servers[0].target())?;
        let plain = Client::plain(servers[1].target())?;
        let meters = [Meter::new(&guarded), Meter::new(&plain)];
        let view = View::open(fast)?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { fast, servers, guarded, plain, meters, view, ticks, began: Instant::now() })
    }

    async fn play(&mut self) -> Result<Ended, Box<dyn Error>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        self.guarded.send_load();
        self.plain.send_load();
        tokio::select! {
            ended = self.scenes() => ended.map(|()| Ended::Played),
            _ = interrupt.recv() => Ok(Ended::Interrupted),
            _ = terminate.recv() => Ok(Ended::Interrupted),
        }
    }

    async fn scenes(&mut self) -> Result<(), Box<dyn Error>> {
        let total: f64 = SCENES.iter().map(|scene| scene.seconds(self.fast)).sum();
        self.began = Instant::now();
        for (index, scene) in SCENES.iter().enumerate() {
            for server in &mut self.servers {
                act(server, scene.act).await?;
            }
            self.view.begin(scene)?;
            let starts = [self.meters[0].totals(), self.meters[1].totals()];
            self.watch(scene, total, index + 1 == SCENES.len()).await?;
            let shares = [0, 1].map(|side: usize| self.meters[side].totals().since(&starts[side]));
            self.view.end(scene, shares)?;
        }
        Ok(())
    }

    /// Shows a scene until its time is over; the last one until all is well again.
    async fn watch(&mut self, scene: &Scene, total: f64, last: bool) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + Duration::from_secs_f64(scene.seconds(self.fast));
        loop {
            let now = self.ticks.tick().await;
            self.meters[0].sample(&self.guarded);
            self.meters[1].sample(&self.plain);
            let snapshot = self.guarded.snapshot();
            let state = snapshot.breaker.as_ref().map_or(State::Closed, |breaker| breaker.state);
            self.view.tick(&Moment {
                scene,
                seconds: self.began.elapsed().as_secs_f64(),
                total,
                snapshot,
                opened: self.guarded.opened(),
                figures: [self.meters[0].figures(), self.meters[1].figures()],
            })?;
            let waits = last && state != State::Closed && now < until + PATIENCE;
            if now >= until && !waits {
                return Ok(());
            }
        }
    }
}

async fn act(server: &mut Server, act: Act) -> io::Result<()> {
    match act {
        Act::Tell(command) => server.tell(command).await,
        Act::Stop => server.stop(),
        Act::Continue => server.go_on(),
        Act::Kill => server.kill().await,
        Act::Restart => server.restart().await,
    }
}
