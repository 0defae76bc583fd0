//! The timeline of a trial, drawn: who did what when, on one line for each of them.

use std::collections::BTreeSet;

use super::super::text::{printable, quoted};
use crate::report::{Lane, Moment};

/// The width of the drawing, in its own units: about pixels.
const WIDTH: f64 = 900.0;
/// Where the time begins: before it stand the names of the lanes.
const LEFT: f64 = 88.0;
/// Where it ends: most trials end in a crowd, whose labels should find room behind it.
const RIGHT: f64 = WIDTH - 190.0;
/// No label goes further.
const EDGE: f64 = WIDTH - 4.0;
const ROW: f64 = 19.0;
/// Above and below the rows of a lane.
const PADDING: f64 = 5.0;
const AXIS: f64 = 24.0;
/// Between the middle of a dot and its label.
const GAP: f64 = 8.0;
/// Half of the width of a dot, with room around it.
const DOT: f64 = 6.0;
/// A label no wider than this finds room on one side of each dot.
const LABEL_WIDEST: f64 = (EDGE - LEFT) / 2.0 - GAP;
/// Moments that are drawn of the beginning and of the end each; nobody can look at more.
const DRAWN: usize = 40;
/// About how many marks the axis has.
const TICKS: f64 = 8.0;
/// With more acts of the audit than this their lines would hide what they should divide.
const ACTS: usize = 8;

/// One moment with the place of its label.
#[derive(Debug)]
struct Placed<'a> {
    moment: &'a Moment,
    x: f64,
    row: u32,
    label: String,
    /// Whether the label stands before the dot.
    before: bool,
}

impl Placed<'_> {
    /// What it covers of its row.
    fn extent(&self) -> (f64, f64) {
        let width = GAP + text_width(&self.label);
        if self.before { (self.x - width, self.x + DOT) } else { (self.x - DOT, self.x + width) }
    }
}

/// The timeline as SVG, for a page that has its styles; empty where nothing happened.
pub(super) fn svg(moments: &[Moment]) -> String {
    let mut moments: Vec<&Moment> = moments.iter().filter(|one| one.at_ms.is_finite()).collect();
    // A sort that keeps what happened at one time in the order it was written.
    moments.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    let left_out = moments.len().saturating_sub(2 * DRAWN);
    moments.drain(DRAWN.min(moments.len())..(DRAWN + left_out).min(moments.len()));
    let span = moments.iter().map(|one| one.at_ms).fold(1.0, f64::max);
    let lanes: BTreeSet<Lane> = moments.iter().map(|one| one.lane).collect();
    if lanes.is_empty() {
        return String::new();
    }
    let (mut bands, mut dots, mut top) = (String::new(), String::new(), 0.0);
    for (at, lane) in lanes.into_iter().enumerate() {
        let ours = moments.iter().copied().filter(|one| one.lane == lane);
        let placed = place(ours, span);
        let rows = placed.iter().map(|one| one.row + 1).max().unwrap_or(1);
        let height = f64::from(rows) * ROW + 2.0 * PADDING;
        let shade = if at % 2 == 0 { "even" } else { "odd" };
        bands.push_str(&format!(
            "<rect class=\"lane {shade}\" y=\"{top:.1}\" width=\"{WIDTH}\" height=\"{height:.1}\"/>\
             <text class=\"who\" x=\"12\" y=\"{:.1}\">{}</text>",
            top + PADDING + ROW / 2.0,
            name(lane)
        ));
        placed.iter().for_each(|one| dots.push_str(&dot(one, top, shade)));
        top += height;
    }
    let note = match left_out {
        0 => String::new(),
        n => format!("<p class=\"note\">{n} moments in the middle are not drawn.</p>"),
    };
    format!(
        "<div class=\"timeline\"><svg viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" \
         aria-label=\"Timeline of {} ms\">{bands}{}{}{dots}</svg></div>{note}",
        top + AXIS,
        number(span),
        axis(span, top),
        acts(&moments, span, top),
    )
}

const fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Audit => "audit",
        Lane::Client => "client",
        Lane::Program => "program",
        Lane::Output => "output",
        Lane::Resource => "resource",
    }
}

fn at(ms: f64, span: f64) -> f64 {
    LEFT + (ms.clamp(0.0, span) / span) * (RIGHT - LEFT)
}

/// Gives each label the first row in which it covers no other.
fn place<'a>(moments: impl Iterator<Item = &'a Moment>, span: f64) -> Vec<Placed<'a>> {
    let mut placed: Vec<Placed<'a>> = Vec::new();
    for moment in moments {
        let label = fitting(&printable(&moment.what));
        let x = at(moment.at_ms, span);
        let before = x + GAP + text_width(&label) > EDGE;
        let mut one = Placed { moment, x, row: 0, label, before };
        let (from, to) = one.extent();
        while placed.iter().any(|other| {
            let (left, right) = other.extent();
            other.row == one.row && from < right && left < to
        }) {
            one.row += 1;
        }
        placed.push(one);
    }
    placed
}

/// As much of a label as finds room; the whole is shown when it is pointed at.
fn fitting(text: &str) -> String {
    if text_width(text) <= LABEL_WIDEST {
        return text.to_owned();
    }
    let mut label = String::new();
    let mut width = letter_width('…');
    for letter in text.chars() {
        width += letter_width(letter);
        if width > LABEL_WIDEST {
            break;
        }
        label.push(letter);
    }
    format!("{}…", label.trim_end())
}

fn text_width(text: &str) -> f64 {
    text.chars().map(letter_width).sum()
}

/// How wide a letter is at most, in the fonts that systems have for their interface, at 11.5 px.
const fn letter_width(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 3.7,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' | '"' => 4.7,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 11.6,
        'A'..='Z' | '&' | '=' | '+' | '<' | '>' | '~' => 8.8,
        ' '..='~' => 7.0,
        _ => 12.0,
    }
}

fn dot(one: &Placed<'_>, top: f64, shade: &str) -> String {
    let y = top + PADDING + ROW * (f64::from(one.row) + 0.5);
    let lane = name(one.moment.lane);
    let (text, anchor) =
        if one.before { (one.x - GAP, " text-anchor=\"end\"") } else { (one.x + GAP, "") };
    format!(
        "<g class=\"moment {lane} {shade}\"><title>{} ms, {lane}: {}</title>\
         <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text x=\"{text:.1}\" y=\"{y:.1}\"{anchor}>{}</text></g>",
        number(one.moment.at_ms),
        quoted(&one.moment.what),
        one.x,
        quoted(&one.label),
    )
}

/// Lines down from what the audit did: what comes after it is often its work.
fn acts(moments: &[&Moment], span: f64, height: f64) -> String {
    let acts = moments.iter().filter(|one| one.lane == Lane::Audit);
    let lines = acts.map(|one| {
        let x = at(one.at_ms, span);
        format!("<path class=\"act\" d=\"M{x:.1} 0V{height:.1}\"/>")
    });
    let lines: Vec<_> = lines.collect();
    if lines.len() > ACTS { String::new() } else { lines.concat() }
}

fn axis(span: f64, height: f64) -> String {
    let step = step(span);
    let marks = std::iter::successors(Some(0.0), |ms| Some(ms + step));
    let marks = marks.take_while(|ms| *ms <= span * 1.000_001);
    let last = (span / step + 1e-6).floor() * step;
    let marks = marks.map(|ms| {
        let x = at(ms, span);
        let unit = if ms + step / 2.0 > last { " ms" } else { "" };
        format!(
            "<path class=\"grid\" d=\"M{x:.1} 0V{:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}{unit}</text>",
            height + 4.0,
            height + 16.0,
            number(ms),
        )
    });
    marks.collect()
}

/// The distance of two marks: 1, 2 or 5 times a power of ten.
fn step(span: f64) -> f64 {
    let raw = span / TICKS;
    let power = 10_f64.powf(raw.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|step| *step >= raw).unwrap_or(raw)
}

/// At most two places, and no zeros at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
