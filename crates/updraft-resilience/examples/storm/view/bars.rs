//! Numbers as lengths.

use std::time::Duration;

const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A number without its fraction, zero where it is none.
fn index(number: f64) -> usize {
    // Durations check what a cast would cut off.
    let whole = Duration::try_from_secs_f64(number).map_or(0, |span| span.as_secs());
    usize::try_from(whole).unwrap_or(usize::MAX)
}

/// A share of a line of `width` signs, exact to an eighth of a sign.
pub(super) fn bar(share: f64, width: usize) -> String {
    let eighths = index(share.clamp(0.0, 1.0) * 8.0 * width as f64 + 0.5);
    let (full, rest) = (eighths / 8, eighths % 8);
    let mut text = "█".repeat(full);
    if full < width {
        text.push(EIGHTHS[rest]);
        text.push_str(&" ".repeat(width - full - 1));
    }
    text
}

/// One sign for each place: so many are taken, of so many.
pub(super) fn places(taken: char, free: char, count: u32, of: u32) -> String {
    (0..of).map(|place| if place < count { taken } else { free }).collect()
}

/// The latest values, each as a height; `full` is the whole height.
pub(super) fn curve(values: &[u64], full: f64, width: usize) -> String {
    // A sign stands for two values, so that it moves calmly.
    let pairs = values.rchunks(2).map(|pair| pair.iter().sum::<u64>() as f64 / pair.len() as f64);
    let height = |value: f64| HEIGHTS[index(value * 8.0 / full + 0.5).min(8)];
    let mut latest: Vec<char> = pairs.take(width).map(height).collect();
    latest.reverse();
    let known: String = latest.into_iter().collect();
    format!("{known:>width$}")
}
