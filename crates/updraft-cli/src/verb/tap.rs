//! `updraft tap`: live requests of an edge, as they end.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::tz::TimeZone;
use updraft_system::Name;
use updraft_system::mesh::{Share, TapEvent, TapHeader, Tapped};

use crate::completion;
use crate::failure::Outcome;
use crate::global::Global;
use crate::log_view::neutralise;
use crate::output;
use crate::quantity::{bytes, latency};
use crate::running::Addressed;

/// Show live requests, one in each line
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft tap                        everything
  updraft tap front:back             what front asks of back; as 'front->back', too
  updraft tap :back                  what anybody asks of it
  updraft tap ingress: --share 10%   a tenth of what comes in
  updraft tap :back --headers -n 1
  updraft tap --json | jq 'select(.status >= 500)'

A line has the time, who asks whom, method and path, the status, how long it took, bytes of
both bodies, attempts and the endpoint. Queries are never shown, and of headers only those
values that cannot be secrets. A shell takes `>` for itself: quote it, or write `:`.")]
pub(crate) struct TapArgs {
    /// Which edges: `FROM:TO`, `FROM`, `:TO`, or all
    #[arg(value_name = "EDGE")]
    #[arg(add = ArgValueCandidates::new(completion::services))]
    edge: Option<Ends>,
    /// Show headers, too
    #[arg(long)]
    headers: bool,
    /// Only this part of the requests
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    share: Share,
    /// End after so many requests
    #[arg(short = 'n', long = "count", value_name = "COUNT")]
    count: Option<u64>,
}

/// The ends of an edge; `None`: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ends {
    from: Option<Name>,
    to: Option<Name>,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as `FROM:TO`, `FROM` or `:TO`; with an arrow, quote it: 'FROM->TO'")]
struct InvalidEnds;

impl FromStr for Ends {
    type Err = InvalidEnds;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = |text: &str| match text {
            "" | "*" => Ok(None),
            text => text.parse().map(Some).ok().ok_or(InvalidEnds),
        };
        let parted = ["->", "→", ":"].iter().find_map(|arrow| text.split_once(arrow));
        let (from, to) = parted.unwrap_or((text, ""));
        Ok(Self { from: name(from)?, to: name(to)? })
    }
}

pub(crate) async fn run(global: &Global, args: TapArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let Ends { from, to } = args.edge.unwrap_or_default();
    let mut lines = client.tap(from.as_ref(), to.as_ref(), args.share).await?;
    let mut losses = Losses::default();
    let mut left = args.count;
    while left != Some(0) {
        let Some(tapped) = lines.next().await? else { break };
        let lost = losses.grown(&tapped);
        if lost > 0 {
            let TapEvent { from, to, .. } = &tapped.event;
            output::say(format!("{lost} requests from {from} to {to} were not shown: too many"));
        }
        if global.json {
            output::json_line(&tapped)?;
        } else {
            output::result(in_words(&tapped.event, args.headers))?;
        }
        left = left.map(|left| left - 1);
    }
    Ok(ExitCode::SUCCESS)
}

/// What each edge has lost so far.
#[derive(Debug, Default)]
struct Losses(BTreeMap<(Name, Name), u64>);

impl Losses {
    /// What was lost since the last line of the same edge.
    fn grown(&mut self, tapped: &Tapped) -> u64 {
        let edge = (tapped.event.from.clone(), tapped.event.to.clone());
        let before = self.0.insert(edge, tapped.dropped).unwrap_or(0);
        tapped.dropped.saturating_sub(before)
    }
}

fn in_words(event: &TapEvent, headers: bool) -> String {
    in_words_at(event, headers, &TimeZone::system())
}

fn in_words_at(event: &TapEvent, headers: bool, zone: &TimeZone) -> String {
    let dim = Style::new().dimmed();
    let bold = Style::new().bold();
    let time = event.time.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f");
    let TapEvent { from, to, request_bytes, response_bytes, attempts, .. } = event;
    let (method, path) = (neutralise(&event.method, false), neutralise(&event.path, false));
    let (status, colour) = status(event);
    let took = latency(Duration::from_micros(event.duration_us));
    let sizes = format!("{}/{}", size(*request_bytes), size(*response_bytes));
    let tries =
        if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
    let end = event.endpoint.map_or("-".to_owned(), |endpoint| endpoint.to_string());
    let mut text = format!(
        "{dim}{time}{dim:#} {from}→{to} {bold}{method} {path}{bold:#} {colour}{status}{colour:#} \
         {took} {sizes} {tries} {dim}{end}{dim:#}"
    );
    if headers {
        let all = [("> ", &event.request_headers), ("< ", &event.response_headers)];
        for (arrow, headers) in all {
            for TapHeader { name, value } in headers {
                let (name, value) = (neutralise(name, false), neutralise(value, false));
                text += &format!("\n    {arrow}{name}: {value}");
            }
        }
    }
    text
}

/// The status, or why there is none.
fn status(event: &TapEvent) -> (String, Style) {
    let status = event.status.map_or("no answer".to_owned(), |status| status.to_string());
    let text = match &event.refused {
        Some(reason) => format!("{status} (refused: {reason})"),
        None => status,
    };
    let colour = match event.status {
        _ if event.refused.is_some() => AnsiColor::Magenta.on_default(),
        Some(..400) => AnsiColor::Green.on_default(),
        Some(..500) => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Red.on_default().bold(),
    };
    (text, colour)
}

fn size(count: u64) -> String {
    bytes(count as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ends(text: &str) -> Result<(Option<String>, Option<String>), InvalidEnds> {
        let Ends { from, to } = text.parse()?;
        Ok((from.map(|it| it.to_string()), to.map(|it| it.to_string())))
    }

    #[test]
    fn an_edge_has_two_ends_and_each_may_be_any() {
        let some = |text: &str| Some(text.to_owned());
        for text in ["front->back", "front:back", "front→back"] {
            assert_eq!(ends(text).unwrap(), (some("front"), some("back")), "{text}");
        }
        for text in ["front", "front->", "front:", "front:*"] {
            assert_eq!(ends(text).unwrap(), (some("front"), None), "{text}");
        }
        for text in ["->back", ":back", "*->back"] {
            assert_eq!(ends(text).unwrap(), (None, some("back")), "{text}");
        }
        assert_eq!(ends(":").unwrap(), (None, None));
        // What is left when a shell has taken `>back` for itself.
        for text in ["front-", "Front", "a->b->c", "a b"] {
            let said = ends(text).unwrap_err().to_string();
            assert!(said.contains("quote it"), "{text}: {said}");
        }
    }

    fn tapped() -> Tapped {
        serde_json::from_value(json!({
            "share": "100%", "dropped": 0, "time": "2026-01-31T12:00:00.0425Z",
            "trace_id": "0", "span_id": "0", "request_id": "r", "from": "front", "to": "back",
            "operation": "GET /hello/{name}", "method": "GET", "path": "/hello/x\u{1b}[2J",
            "status": 503, "duration_us": 1234, "request_bytes": 0, "response_bytes": 4096,
            "attempts": 2, "endpoint": "127.0.0.1:4000", "refused": null, "protocol": "http1",
            "request_headers": [
                { "name": "accept", "value": "a\u{9b}b" },
                { "name": "authorization", "value": "<redacted>" },
            ],
            "response_headers": [{ "name": "content-length", "value": "4096" }],
        }))
        .unwrap()
    }

    #[test]
    fn a_request_is_one_line_and_moves_no_cursor() {
        let text = in_words_at(&tapped().event, true, &TimeZone::UTC);
        assert!(text.contains("\u{1b}[1m\u{1b}[31m503"), "{text:?}");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
        let refused = TapEvent {
            status: None,
            refused: Some("open".to_owned()),
            endpoint: None,
            attempts: 0,
            ..tapped().event
        };
        let text = in_words_at(&refused, false, &TimeZone::UTC);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn losses_are_told_once_for_each_edge() {
        let mut losses = Losses::default();
        let lost = |dropped, to: &str| {
            let tapped = tapped();
            let event = TapEvent { to: to.parse().unwrap(), ..tapped.event };
            Tapped { dropped, event, ..tapped }
        };
        assert_eq!(losses.grown(&lost(0, "back")), 0);
        assert_eq!(losses.grown(&lost(7, "back")), 7);
        assert_eq!(losses.grown(&lost(7, "back")), 0);
        assert_eq!(losses.grown(&lost(2, "db")), 2);
        assert_eq!(losses.grown(&lost(9, "back")), 2);
    }
}
