//! A terminal that shows one thing which changes, such as `updraft top`: the alternate screen
//! and single keys, both given back when it is dropped.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;

use anstream::ColorChoice;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

/// To the alternate screen, without cursor and without line wrap.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// And back.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears what is behind the cursor in its line.
const CLEAR_LINE: &str = "\x1b[K";
/// Clears what is below the cursor.
const CLEAR_BELOW: &str = "\x1b[J";
/// Ctrl-C and Ctrl-D: they come as keys.
const INTERRUPTS: [u8; 2] = [3, 4];

/// Keys that wait until they are looked at.
const KEYS_MAX: usize = 64;

/// The screen of one verb.
#[derive(Debug)]
pub(crate) struct Screen {
    keys: Option<mpsc::Receiver<u8>>,
    /// What the terminal was like.
    before: Option<Termios>,
    colours: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut single = before.clone();
            // Keys come at once and unseen. Ctrl-Z does nothing: it would leave the shell
            // with our screen.
            single.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            single.special_codes[SpecialCodeIndex::VMIN] = 1;
            single.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&stdin, OptionalActions::Now, &single)?;
        }
        let colours = anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let keys = before.as_ref().map(|_| keys()).transpose()?;
        let screen = Self { keys, before, colours };
        raw(ENTER)?;
        Ok(screen)
    }

    /// Shows these lines, as far as there is room for them.
    pub(crate) fn show(&self, lines: &[String]) -> io::Result<()> {
        let rows = tcgetwinsize(io::stdout().as_fd()).map_or(24, |size| usize::from(size.ws_row));
        let mut frame = HOME.to_owned();
        let hidden = lines.len().saturating_sub(rows.max(1));
        let shown = if hidden > 0 { rows.max(1) - 1 } else { lines.len() };
        let more = (hidden > 0).then(|| format!("… {} more", lines.len() - shown));
        let lines = lines.iter().take(shown).chain(&more);
        for (number, line) in lines.enumerate() {
            if number > 0 {
                frame.push('\n');
            }
            if self.colours {
                frame.push_str(line);
            } else {
                frame.push_str(&anstream::adapter::strip_str(line).to_string());
            }
            frame.push_str(CLEAR_LINE);
        }
        frame.push_str(CLEAR_BELOW);
        raw(&frame)
    }

    /// Returns when somebody wants to leave.
    pub(crate) async fn left(&mut self) {
        if let Some(keys) = &mut self.keys {
            while let Some(key) = keys.recv().await {
                if matches!(key, b'q' | b'Q') || INTERRUPTS.contains(&key) {
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Keys as they are typed. The thread that reads them ends with the process: a read of a
/// terminal has no other end.
fn keys() -> io::Result<mpsc::Receiver<u8>> {
    let (typed, keys) = mpsc::channel(KEYS_MAX);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        for key in io::stdin().lock().bytes() {
            let Ok(key) = key else { break };
            if typed.blocking_send(key).is_err() {
                break;
            }
        }
    })?;
    Ok(keys)
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        drop(raw(LEAVE));
        if let Some(before) = &self.before {
            tcsetattr(io::stdin(), OptionalActions::Now, before).unwrap_or_default();
        }
    }
}

fn raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
