//! Health as metrics: what probes were told, and why.

use std::sync::atomic::Ordering;

use super::{Health, Probe, lock};
use crate::drain::Phase;
use crate::metrics::{Exposed, Kind, Text, labels};

impl Exposed for Health {
    fn write(&self, text: &mut Text<'_>) {
        for (name, help, probe) in [
            ("updraft_live", "1: the process can still do its work.", Probe::Live),
            ("updraft_started", "1: the process has started.", Probe::Startup),
            ("updraft_ready", "1: the process wants to be given work.", Probe::Ready),
        ] {
            text.family(name, Kind::Gauge, help);
            text.gauge(name, "", u8::from(self.objections(probe).is_empty()));
        }
        let (name, now) = ("updraft_phase", self.phase());
        text.family(name, Kind::Gauge, "1 for the phase of its life that the process is in.");
        for phase in Phase::ALL {
            text.gauge(name, &labels([("phase", phase.name())]), u8::from(phase == now));
        }
        let name = "updraft_phase_seconds";
        text.family(name, Kind::Gauge, "How long the process was, or is, in a phase.");
        for (phase, span) in self.phases() {
            text.gauge(name, &labels([("phase", phase.name())]), span.as_secs_f64());
        }
        self.write_conditions(text);
        self.write_attachments(text);
    }
}

impl Health {
    fn write_conditions(&self, text: &mut Text<'_>) {
        let name = "updraft_condition_met";
        text.family(name, Kind::Gauge, "1: this condition of readiness holds.");
        for condition in &*lock(&self.shared.conditions) {
            let labels = labels([("condition", condition.name())]);
            text.gauge(name, &labels, u8::from(condition.is_met()));
        }
    }

    fn write_attachments(&self, text: &mut Text<'_>) {
        let watched = lock(&self.shared.watched).clone();
        let name = "updraft_attachment_up";
        text.family(name, Kind::Gauge, "1: the attachment answers.");
        for attachment in &watched {
            let labels = labels([("attachment", attachment.name()), ("kind", attachment.kind())]);
            text.gauge(name, &labels, u8::from(attachment.is_up()));
        }
        let name = "updraft_attachment_checks";
        text.family(name, Kind::Counter, "Checks of attachments, by outcome.");
        for attachment in &watched {
            for (outcome, count) in [("ok", &attachment.good), ("failed", &attachment.bad)] {
                let labels = labels([("attachment", attachment.name()), ("outcome", outcome)]);
                text.counter(name, &labels, count.load(Ordering::Relaxed));
            }
        }
        let name = "updraft_attachment_check_duration_seconds";
        text.family(name, Kind::Histogram, "How long checks of attachments took.");
        for attachment in &watched {
            let labels = labels([("attachment", attachment.name())]);
            text.histogram(name, &labels, &attachment.took.snapshot());
        }
    }
}
