//! `updraft graph`: who calls whom, as declared and as seen on the wire.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;
use updraft_system::Name;
use updraft_system::mesh::Protocol;

use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::quantity::{latency, percent, rate};
use crate::running::Addressed;
use crate::table::{Cell, Table};
use crate::topology::{Link, Node, NodeKind, Topology};
use crate::verb::top::EdgeLine;
use crate::wire_rates::{self, Standing};

const TITLES: [&str; 6] = ["EDGE", "PROTOCOL", "RPS", "ERR%", "P99", "NOTE"];
const RIGHT: &[usize] = &[2, 3, 4];

/// Show who calls whom, and how that goes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft graph
  updraft graph --dot | dot -Tsvg > graph.svg
  updraft graph --mermaid           for Markdown
  updraft graph --json | jq '.edges[] | select(.used | not)'

Edges are those of the manifest; rates are of one second, as in `updraft top`. An edge that
nobody has used since the start is pale. Of a system that does not run, the manifest is shown.")]
pub(crate) struct GraphArgs {
    /// Write it for Graphviz
    #[arg(long, conflicts_with_all = ["mermaid", "json"])]
    dot: bool,
    /// Write it for Mermaid
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

pub(crate) async fn run(global: &Global, args: GraphArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let (topology, runs) = match addressed.client().await? {
        Some(client) => {
            let edges = wire_rates::now(&client).await?;
            (Topology::of(&client.graph().await?, edges), true)
        }
        None => (Topology::of(&addressed.dir.system()?, Vec::new()), false),
    };
    if !runs {
        output::say(format!("{} is not running", addressed.name));
    }
    let drawing = Drawing { name: &addressed.name, topology: &topology, runs };
    if global.json {
        output::json_result(&drawing.to_json())?;
    } else if args.dot {
        output::result(drawing.to_dot())?;
    } else if args.mermaid {
        output::result(drawing.to_mermaid())?;
    } else {
        output::result(drawing.to_table())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A topology on its way to a reader.
struct Drawing<'a> {
    name: &'a Name,
    topology: &'a Topology,
    runs: bool,
}

/// The graph as scripts read it.
#[derive(Serialize)]
struct GraphJson<'a> {
    system: &'a Name,
    running: bool,
    nodes: Vec<NodeJson<'a>>,
    edges: Vec<LinkJson<'a>>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    name: &'a Name,
    kind: &'static str,
    resource: Option<&'static str>,
}

#[derive(Serialize)]
struct LinkJson<'a> {
    from: &'a Name,
    to: &'a Name,
    protocol: Option<Protocol>,
    through_gateway: Option<bool>,
    used: bool,
    now: Option<EdgeLine<'a>>,
}

impl Drawing<'_> {
    fn to_json(&self) -> GraphJson<'_> {
        let node = |node: &'_ Node| match node.kind {
            NodeKind::Resource(kind) => (node.kind.as_str(), Some(kind)),
            _ => (node.kind.as_str(), None),
        };
        let nodes = self.topology.nodes.iter().map(|it| {
            let (kind, resource) = node(it);
            NodeJson { name: &it.name, kind, resource }
        });
        let links = self.topology.links.iter().map(|link| LinkJson {
            from: &link.from,
            to: &link.to,
            protocol: link.protocol,
            through_gateway: self.runs.then_some(link.seen.is_some()),
            used: link.was_used(),
            now: link.seen.as_ref().map(EdgeLine::of),
        });
        GraphJson {
            system: self.name,
            running: self.runs,
            nodes: nodes.collect(),
            edges: links.collect(),
        }
    }

    fn to_table(&self) -> Table {
        let mut table = Table::new(&TITLES, RIGHT);
        for node in &self.topology.nodes {
            let out: Vec<&Link> =
                self.topology.links.iter().filter(|link| link.from == node.name).collect();
            let called = self.topology.links.iter().any(|link| link.to == node.name);
            if out.is_empty() && called {
                continue;
            }
            table.row([Cell::styled(node.name.as_str(), Style::new().bold())]);
            for (number, link) in out.iter().enumerate() {
                let arrow = if number + 1 == out.len() { "└─▶" } else { "├─▶" };
                table.row(self.row(link, arrow));
            }
        }
        table
    }

    fn row(&self, link: &Link, arrow: &str) -> [Cell; 6] {
        let pale = if link.was_used() { Style::new() } else { Style::new().dimmed() };
        let resource = self.kind_of(&link.to).map(|kind| format!(" ({kind})")).unwrap_or_default();
        let name = Cell::styled(format!("{arrow} {}{resource}", link.to), pale);
        let protocol = Cell::styled(link.protocol.map_or("", Protocol::as_str), pale);
        let Some(edge) = &link.seen else {
            let note = if self.runs { "past the gateway" } else { "" };
            let none = Cell::default;
            return [name, protocol, none(), none(), none(), Cell::styled(note, pale)];
        };
        let calls = &edge.rates.calls;
        let (worst, _) = edge.worst();
        let note = match worst {
            _ if edge.report.tunnels.active > 0 => {
                Cell::new(format!("{} connections", edge.report.tunnels.active))
            }
            Standing::Closed if link.was_used() => Cell::default(),
            Standing::Closed => Cell::styled("not used yet", pale),
            worst => Cell::styled(worst.as_str(), AnsiColor::Red.on_default()),
        };
        let errors = if calls.error_share > 0.0 { AnsiColor::Red.on_default() } else { pale };
        [
            name,
            protocol,
            Cell::styled(rate(calls.rps), pale),
            Cell::styled(percent(calls.error_share), errors),
            Cell::styled(calls.p99.map_or("-".to_owned(), latency), pale),
            note,
        ]
    }

    fn kind_of(&self, name: &Name) -> Option<&'static str> {
        let node = self.topology.nodes.iter().find(|node| node.name == *name)?;
        match node.kind {
            NodeKind::Resource(kind) => Some(kind),
            _ => None,
        }
    }

    fn to_dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR\n  node [shape=box]\n", self.name);
        for node in &self.topology.nodes {
            let shape = match node.kind {
                NodeKind::Outside => " [shape=circle]",
                NodeKind::Service => "",
                NodeKind::Resource(_) => " [shape=cylinder]",
            };
            // Writing to a string does not fail.
            let _written = writeln!(text, "  \"{}\"{shape}", node.name);
        }
        for link in &self.topology.links {
            let style = if link.was_used() { "" } else { ", style=dashed" };
            let label = label(link).join("\\n");
            let Link { from, to, .. } = link;
            let _written = writeln!(text, "  \"{from}\" -> \"{to}\" [label=\"{label}\"{style}]");
        }
        text + "}"
    }

    fn to_mermaid(&self) -> String {
        let mut text = "graph LR".to_owned();
        let nodes = &self.topology.nodes;
        // Names such as `end` are words of Mermaid.
        let id = |name: &Name| {
            let place = nodes.iter().position(|node| node.name == *name);
            format!("n{}", place.unwrap_or(nodes.len()))
        };
        for node in nodes {
            let name = &node.name;
            let shape = match node.kind {
                NodeKind::Outside => format!("((\"{name}\"))"),
                NodeKind::Service => format!("[\"{name}\"]"),
                NodeKind::Resource(_) => format!("[(\"{name}\")]"),
            };
            let _written = write!(text, "\n  {}{shape}", id(name));
        }
        for link in &self.topology.links {
            let arrow = if link.was_used() { "-->" } else { "-.->" };
            let label = label(link).join(" ");
            let label = if label.is_empty() { label } else { format!("|\"{label}\"|") };
            let (from, to) = (id(&link.from), id(&link.to));
            let _written = write!(text, "\n  {from} {arrow}{label} {to}");
        }
        text
    }
}

/// What stands at an arrow.
fn label(link: &Link) -> Vec<String> {
    let mut label: Vec<String> = link.protocol.iter().map(|it| it.as_str().to_owned()).collect();
    if let Some(edge) = link.seen.as_ref().filter(|edge| edge.was_used()) {
        let calls = &edge.rates.calls;
        label.push(format!("{}/s", rate(calls.rps)));
        if calls.error_share > 0.0 {
            label.push(format!("{}% failed", percent(calls.error_share)));
        }
        label.extend(calls.p99.map(|p99| format!("p99 {}", latency(p99))));
    }
    label
}

#[cfg(test)]
mod tests {
    use updraft_system::System;

    use super::*;
    use crate::verb::top::tests::{busy, report};
    use crate::wire_rates::Edge;

    fn shop() -> System {
        updraft_system::parse_manifest(
            "system = \"shop\"\n[resource]\ndb = { kind = \"sql\" }\n\
             [service.web]\nrun = \"a\"\nneeds = [\"cart\", \"end\"]\nroute = \"/\"\n\
             [service.cart]\nrun = \"a\"\nneeds = [\"end\", \"db\", \"web\"]\n\
             [service.end]\nrun = \"a\"\n\
             [service.alone.process]\nworker = \"a\"\n",
        )
        .unwrap()
    }

    fn drawn(draw: impl FnOnce(&Drawing<'_>) -> String) -> String {
        let quiet = Edge { report: report("web", "end"), rates: Default::default() };
        let seen = vec![
            busy("cart", "end", 10, 5, 2_000_000),
            busy("web", "cart", 40, 0, 4_000_000),
            busy("ingress", "web", 20, 0, 8_000_000),
            quiet,
        ];
        let topology = Topology::of(&shop(), seen);
        let name = "shop".parse().unwrap();
        let text = draw(&Drawing { name: &name, topology: &topology, runs: true });
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn the_graph_begins_outside() {
        insta::assert_snapshot!(drawn(|drawing| drawing.to_table().to_string()));
    }

    #[test]
    fn graphviz_draws_it() {
        insta::assert_snapshot!(drawn(|drawing| drawing.to_dot()));
    }

    #[test]
    fn mermaid_draws_it() {
        insta::assert_snapshot!(drawn(|drawing| drawing.to_mermaid()));
    }

    #[test]
    fn a_system_that_does_not_run_has_its_declared_edges() {
        let topology = Topology::of(&shop(), Vec::new());
        assert_eq!(topology.links.len(), 6);
        assert!(topology.links.iter().all(|link| !link.was_used() && link.seen.is_none()));
        assert_eq!(topology.nodes.len(), 6);
    }
}
