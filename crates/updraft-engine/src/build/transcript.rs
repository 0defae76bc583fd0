//! The output of a build, kept for the report of its failure.

use std::collections::VecDeque;

/// Beyond this the oldest lines are dropped. The compiler's errors of a large change fit.
const OUTPUT_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Transcript {
    pub(super) fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > OUTPUT_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len() + 1;
            self.dropped += 1;
        }
    }

    pub(super) fn into_text(self) -> String {
        let mut text = String::with_capacity(self.bytes);
        if self.dropped > 0 {
            text.push_str(&format!("… {} lines before are left out\n", self.dropped));
        }
        for line in self.lines {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept_and_the_rest_counted() {
        let mut transcript = Transcript::default();
        let line = "x".repeat(OUTPUT_BYTES_MAX / 4);
        for number in 0..6 {
            transcript.push(&format!("{number} {line}"));
        }
        let text = transcript.into_text();
        assert!(text.len() <= OUTPUT_BYTES_MAX + 100);
        assert!(text.starts_with("… 3 lines before are left out\n3 x"), "{}", &text[..60]);
    }
}
