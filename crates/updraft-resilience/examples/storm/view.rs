//! What one sees: on a terminal a table that grows above a picture that moves, in a pipe
//! plain lines.

mod bars;
mod lines;

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Effects, Style};

use crate::load::{BUDGET, Client, PER_SECOND};
use crate::meter::{Figures, Totals};
use crate::scenes::Scene;
use bars::{bar, curve, places};
use updraft_resilience::breaker::State;
use updraft_resilience::policy::PolicySnapshot;

const BOLD: Style = Style::new().effects(Effects::BOLD);
const DIM: Style = Style::new().effects(Effects::DIMMED);
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CARE: Style = AnsiColor::Yellow.on_default();
const GUARDED: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = AnsiColor::Magenta.on_default();

/// No cursor, and no line that goes on in the next.
const BEGIN: &str = "\x1b[?25l\x1b[?7l";
const END: &str = "\x1b[?7h\x1b[?25h";

/// Everything at one moment.
pub(crate) struct Moment<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) seconds: f64,
    pub(crate) total: f64,
    pub(crate) snapshot: PolicySnapshot,
    pub(crate) opened: u64,
    /// With a policy, and with retries only.
    pub(crate) figures: [Figures; 2],
}

/// A row of the table.
struct Row {
    name: &'static str,
    shares: [Totals; 2],
}

/// Where it is shown. Dropped, it leaves the terminal as it was.
pub(crate) struct View {
    live: bool,
    colour: bool,
    /// Lines of the picture that is on the screen.
    height: usize,
    /// In a pipe: how long between two lines, and how many there were.
    pause: f64,
    printed: f64,
    rows: Vec<Row>,
    table_shown: bool,
}

impl View {
    pub(crate) fn open(fast: bool) -> io::Result<Self> {
        let output = io::stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = output.is_terminal() && !dumb;
        let colour = AutoStream::choice(&output) != ColorChoice::Never;
        let pause = if fast { 0.5 } else { 1.0 };
        let (rows, table_shown) = (Vec::new(), false);
        let view = Self { live, colour, height: 0, pause, printed: 0.0, rows, table_shown };
        print(&if live { format!("{BEGIN}{}", view.head()) } else { lines::head() })?;
        Ok(view)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A scene begins.
    pub(crate) fn begin(&self, scene: &Scene) -> io::Result<()> {
        if self.live {
            return Ok(());
        }
        print(&format!("# {}\n", scene.says))
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, moment: &Moment<'_>) -> io::Result<()> {
        if self.live {
            let picture = self.picture(moment);
            let mut frame = self.erased();
            self.height = picture.len();
            for line in picture {
                frame.push_str(&line);
                frame.push_str("\x1b[K\n");
            }
            return print(&frame);
        }
        if moment.seconds < (self.printed + 1.0) * self.pause {
            return Ok(());
        }
        self.printed += 1.0;
        print(&lines::line(self.printed * self.pause, moment))
    }

    /// A scene has ended: its row joins the table.
    pub(crate) fn end(&mut self, scene: &Scene, shares: [Totals; 2]) -> io::Result<()> {
        self.rows.push(Row { name: scene.name, shares });
        if !self.live {
            return Ok(());
        }
        let frame = self.erased();
        self.height = 0;
        let row = self.rows.last().map(|row| self.row(row)).unwrap_or_default();
        print(&format!("{frame}{row}"))
    }

    /// Takes the picture away, and gives the terminal back.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.live) {
            return Ok(());
        }
        self.table_shown = true;
        let frame = self.erased();
        self.height = 0;
        print(&format!("{frame}{END}"))
    }

    /// What it all came to. The table is there already on a terminal.
    pub(crate) fn summary(&self, guarded: &Client) -> io::Result<()> {
        let mut text = String::from("\n");
        if !self.table_shown {
            text.push_str(&self.head());
            self.rows.iter().for_each(|row| text.push_str(&self.row(row)));
            text.push('\n');
        }
        let [policy, plain] = [0, 1].map(|side: usize| {
            let loads = self.rows.iter().map(|row| row.shares[side].load());
            loads.fold(0.0, f64::max)
        });
        text.push_str(&format!(
            "The circuit opened {} times and closed {} times.\n\
             The budget refused {} retries.\n\
             At worst the target got {policy:.1} requests for each call; \
             with retries only it got {plain:.1}.\n\
             Every server has ended.\n",
            guarded.opened(),
            guarded.closed(),
            guarded.not_granted(),
        ));
        print(&text)
    }

    /// The way back to the first line of the picture.
    fn erased(&self) -> String {
        if self.height == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.height) }
    }

    fn head(&self) -> String {
        let head = format!(
            "{:12}{:>22}{:>22}\n{:12}{:>12}{:>10}{:>12}{:>10}\n",
            "",
            "with a policy",
            "retries only",
            "the server",
            "answered",
            "load",
            "answered",
            "load",
        );
        self.paint(BOLD, &head)
    }

    fn row(&self, row: &Row) -> String {
        let [policy, plain] = row.shares.map(|share| {
            let percent = share.answered_percent();
            let style = match percent {
                90.. => GOOD,
                30.. => CARE,
                _ => BAD,
            };
            let load = format!("{:>9.1}x", share.load());
            let heavy = if share.load() > 1.5 { BAD } else { Style::new() };
            self.paint(style, &format!("{percent:>10} %")) + &self.paint(heavy, &load)
        });
        format!("{:12}{policy}{plain}\n", row.name)
    }

    /// The lines of the picture.
    fn picture(&self, moment: &Moment<'_>) -> Vec<String> {
        let [policy, plain] = &moment.figures;
        let side_by_side = |name: &str, left: String, right: String| {
            format!("  {}  {left}   {right}", self.paint(DIM, &format!("{name:8}")))
        };
        let speed = |style: Style, figures: &Figures| {
            let answered = figures.second.answered;
            let text = format!("{answered:>4}/s");
            self.paint(style, &bar(answered as f64 / PER_SECOND, 20)) + &text + "  "
        };
        let load = |figures: &Figures| {
            let load = figures.second.load();
            let style = if load > 1.5 { BAD } else { GOOD };
            self.paint(style, &bar(load / 4.0, 20)) + &format!(" {load:>4.1}x ")
        };
        let latency = |figures: &Figures| match figures.latency {
            Some((half, most)) => {
                format!("{:<27}", format!("{} ms, 99 %: {} ms", half.as_millis(), most.as_millis()))
            }
            None => format!("{:<27}", "nothing answered"),
        };
        let curves = |style: Style, figures: &Figures| {
            self.paint(style, &curve(&figures.curve, PER_SECOND / 10.0, 27))
        };
        let title = |style: Style, text: &str| self.paint(style, &format!("{text:<27}"));
        let mut lines = vec![
            String::new(),
            format!("  {}", self.paint(BOLD, moment.scene.says)),
            String::new(),
            side_by_side("", title(GUARDED, "with a policy"), title(PLAIN, "retries only")),
            side_by_side("answered", speed(GUARDED, policy), speed(PLAIN, plain)),
            side_by_side("load", load(policy), load(plain)),
            side_by_side("latency", latency(policy), latency(plain)),
            side_by_side("", curves(GUARDED, policy), curves(PLAIN, plain)),
            String::new(),
        ];
        lines.extend(self.parts(moment));
        let time = bar(moment.seconds / moment.total, 64);
        lines.push(String::new());
        lines.push(format!("  {}", self.paint(DIM, &time)));
        lines
    }

    /// The parts of the policy.
    fn parts(&self, moment: &Moment<'_>) -> Vec<String> {
        let second = &moment.figures[0].second;
        let part = |name: &str, what: String| {
            format!("  {}  {what}", self.paint(DIM, &format!("{name:8}")))
        };
        let state = state(&moment.snapshot);
        let lamp = match state {
            State::Closed => GOOD,
            State::HalfOpen => CARE,
            State::Open => BAD,
        };
        let lamp = self.paint(lamp, &format!("● {:10}", state.name().replace('_', "-")));
        let bulkhead = moment.snapshot.bulkhead.unwrap_or_default();
        let (used, waiting) = (bulkhead.in_use, bulkhead.queued);
        let taken = self.paint(GUARDED, &places('█', '·', used, bulkhead.max));
        let queue = self.paint(CARE, &places('▒', '·', waiting, 24));
        let balance = moment.snapshot.retry_budget.unwrap_or_default();
        let budget = self.paint(GOOD, &bar(balance / f64::from(BUDGET.burst), 20));
        vec![
            part("circuit", format!("{lamp} opened {} times", moment.opened)),
            part("bulkhead", format!("{taken} {queue}  {used:>2} run, {waiting:>2} wait")),
            part(
                "budget",
                format!(
                    "{budget} {balance:>4.1} left, {:>2}/s used, {:>2}/s refused",
                    second.retries, second.not_granted
                ),
            ),
            part(
                "refused",
                format!(
                    "open {:>3}/s, full {:>3}/s, late {:>3}/s; failed {:>3}/s",
                    second.open, second.full, second.late, second.failed
                ),
            ),
        ]
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Nothing is left to be done where the terminal is gone.
        drop(self.close());
    }
}

fn state(snapshot: &PolicySnapshot) -> State {
    snapshot.breaker.as_ref().map_or(State::Closed, |breaker| breaker.state)
}

fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Says what went wrong.
pub(crate) fn complain(text: &str) {
    // Where nobody listens there is nobody to tell.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
