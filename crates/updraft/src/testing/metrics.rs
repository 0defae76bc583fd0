//! Metrics as a test reads them: from the text that `/metrics` answers.

/// The sum of all series of this name with these labels.
///
/// # Errors
///
/// There is no metric of this name: a sentence that says so, with those that are like it.
pub(crate) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> Result<f64, String> {
    let mut sum = 0.0;
    let mut known = false;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let family = comment.split(' ').nth(1).unwrap_or_default();
            known |= !family.is_empty() && is_of(name, family);
            continue;
        }
        let Some((series, own, value)) = sample(line) else { continue };
        if series != name {
            continue;
        }
        known = true;
        let has = |(name, value): &(&str, &str)| {
            own.iter().any(|(known, text)| known == name && text == value)
        };
        if labels.iter().all(has) {
            sum += value;
        }
    }
    if known { Ok(sum) } else { Err(unknown(text, name)) }
}

/// Whether a series of this name can be one of the family.
fn is_of(name: &str, family: &str) -> bool {
    let rest = name.strip_prefix(family);
    rest.is_some_and(|rest| matches!(rest, "" | "_total" | "_count" | "_sum" | "_bucket"))
}

type Sample<'l> = (&'l str, Vec<(&'l str, String)>, f64);

/// Name, labels and value of a line such as `name{a="b"} 1 # {…} 1`.
fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, value) = rest.trim_start_matches(',').split_once("=\"")?;
            let (text, after) = quoted(value)?;
            labels.push((label, text));
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// A text up to its closing quote, and what is behind that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

fn unknown(text: &str, name: &str) -> String {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = families.filter_map(|line| line.split(' ').next());
    let mut near: Vec<(f64, &str)> =
        names.map(|other| (strsim::jaro_winkler(name, other), other)).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let near: Vec<_> = near.iter().take(3).map(|(_, name)| *name).collect();
    format!("there is no metric `{name}`; there are {}", near.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP jobs Jobs\n# TYPE jobs counter\n\
        jobs_total{kind=\"a\",outcome=\"done\"} 2 # {trace_id=\"x\"} 1.0\n\
        jobs_total{kind=\"b, \\\"c\\\"\",outcome=\"done\"} 3\n\
        # TYPE up gauge\nup 1\n# TYPE none counter\n# EOF\n";

    #[test]
    fn series_with_the_labels_are_added_up() {
        for (name, labels, expected) in [
            ("jobs_total", &[][..], 5.0),
            ("jobs_total", &[("kind", "a")], 2.0),
            ("jobs_total", &[("kind", "b, \"c\""), ("outcome", "done")], 3.0),
            ("jobs_total", &[("kind", "c")], 0.0),
            ("up", &[], 1.0),
            ("none_total", &[], 0.0),
        ] {
            let sum = sum(TEXT, name, labels).unwrap();
            assert!((sum - expected).abs() < f64::EPSILON, "{name} {labels:?}: {sum}");
        }
    }

    #[test]
    fn a_metric_that_is_not_there_is_an_error_that_names_one_that_is() {
        let wrong = sum(TEXT, "job_total", &[]).unwrap_err();
        assert!(wrong.contains("jobs"), "{wrong}");
    }
}
