//! One moving line on a terminal while something goes on; elsewhere a plain line
//! for each phase.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// From one picture of the spinner to the next.
const TICK: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Spinner(ProgressBar),
    /// The phase that was told last: the first word.
    Plain(String),
    Silent,
}

impl Progress {
    /// A line on stderr; a program that reads JSON gets none.
    pub(crate) fn start(json: bool) -> Self {
        let shape = match (json, output::stderr_is_terminal()) {
            (true, _) => Shape::Silent,
            (false, true) => Shape::Spinner(spinner()),
            (false, false) => Shape::Plain(String::new()),
        };
        Self { shape }
    }

    /// A line on a terminal, and nothing elsewhere.
    pub(crate) fn moving() -> Self {
        let terminal = output::stderr_is_terminal();
        Self { shape: if terminal { Shape::Spinner(spinner()) } else { Shape::Silent } }
    }

    /// Whether the line moves, so that nothing else may be written meanwhile.
    pub(crate) fn moves(&self) -> bool {
        matches!(self.shape, Shape::Spinner(_))
    }

    /// Says what goes on now.
    pub(crate) fn show(&mut self, text: &str) {
        match &mut self.shape {
            Shape::Spinner(bar) => bar.set_message(text.to_owned()),
            Shape::Plain(told) => {
                let phase = text.split([' ', ',']).next().unwrap_or_default();
                if told != phase {
                    *told = phase.to_owned();
                    output::say(text);
                }
            }
            Shape::Silent => {}
        }
    }

    /// Lets `act` write to the terminal, where the line moves out of the way meanwhile.
    pub(crate) fn pause(&self, act: impl FnOnce()) {
        match &self.shape {
            Shape::Spinner(bar) => bar.suspend(act),
            Shape::Plain(_) | Shape::Silent => act(),
        }
    }

    /// Takes the moving line away, for good.
    pub(crate) fn clear(&mut self) {
        if let Shape::Spinner(bar) = &self.shape {
            bar.finish_and_clear();
            self.shape = Shape::Silent;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // `wide_msg` is cut at the terminal's edge; a wrapped line could not be taken back.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
