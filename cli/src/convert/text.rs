// SPDX-License-Identifier: Apache-2.0
//! Changing a text without changing its layout, and showing what changed.

use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

use super::nginx::Edit;

/// What takes the place of a removed directive until its line is known to be empty. nginx accepts no such character.
const REMOVED: char = '\0';

/// The text after some changes. What is replaced by nothing leaves no empty line behind.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        changed.push_str(&text[at..span.start]);
        at = span.end;
        if replacement.is_empty() {
            changed.push(REMOVED);
            continue;
        }
        let line = &text[text[..span.start].rfind('\n').map_or(0, |newline| newline + 1)..span.start];
        let rest = text[span.end..].lines().next().unwrap_or_default().trim();
        let is_insertion = span.is_empty();
        let is_whole_line = line.trim().is_empty() && (is_insertion || rest.is_empty() || rest.starts_with('#'));
        let separator = if is_whole_line { format!("{newline}{line}") } else { " ".to_owned() };
        changed.push_str(&replacement.split('\n').collect::<Vec<_>>().join(&separator));
        if is_insertion {
            changed.push_str(&separator);
        }
    }
    changed.push_str(&text[at..]);
    without_removed(&changed)
}

fn without_removed(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.split_inclusive('\n').peekable();
    while let Some(line) = rest.next() {
        if !line.contains(REMOVED) {
            lines.push(line.to_owned());
            continue;
        }
        let mut kept = String::new();
        for part in line.split(REMOVED) {
            let part =
                if kept.is_empty() && !line.starts_with(part) { part.trim_start_matches([' ', '\t']) } else { part };
            kept.push_str(if kept.ends_with([' ', '\t']) { part.trim_start_matches([' ', '\t']) } else { part });
        }
        if !kept.trim().is_empty() {
            let end = if line.ends_with("\r\n") {
                "\r\n"
            } else if line.ends_with('\n') {
                "\n"
            } else {
                ""
            };
            lines.push(kept.trim_end().to_owned() + end);
            continue;
        }
        // One empty line is enough, and none at the start or the end of a block.
        let is_blank = |line: &&str| line.trim().is_empty();
        let is_start = lines.last().is_none_or(|line| line.trim().is_empty() || line.trim_end().ends_with('{'));
        if is_start && rest.peek().is_some_and(is_blank) {
            rest.next();
        }
        let is_end = rest.peek().is_none_or(|line| line.trim().starts_with('}'));
        if is_end && lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
    }
    lines.concat()
}

/// A unified diff.
pub fn diff(name: &str, before: &str, after: &str) -> String {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_lines(&input);
    let printer = BasicLineDiffPrinter(&input.interner);
    let hunks = diff.unified_diff(&printer, UnifiedDiffConfig::default(), &input).to_string();
    if hunks.is_empty() {
        return hunks;
    }
    format!("--- {name}\n+++ {name}\n{hunks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edits: &[(&str, &str)]) -> String {
        let mut at = 0;
        let edits: Vec<_> = edits
            .iter()
            .map(|(old, new)| {
                let start = at + text[at..].find(old).unwrap();
                at = start + old.len();
                (start..at, new.to_string())
            })
            .collect();
        apply(text, &edits)
    }

    #[test]
    fn lines_and_parts_of_lines() {
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let rows: [Row<'_>; 9] = [
            ("a;\n  b;\nc;\n", &[("b;", "")], "a;\nc;\n"),
            ("a;\n  b;\nc;\n", &[("b;", "x;\ny;")], "a;\n  x;\n  y;\nc;\n"),
            ("a;\r\n  b;\r\nc;\r\n", &[("b;", "x;\ny;")], "a;\r\n  x;\r\n  y;\r\nc;\r\n"),
            ("{ a; b; c; }", &[("a;", "x;\ny;"), ("b;", "")], "{ x; y; c; }"),
            ("  a; b;\n", &[("a;", ""), ("b;", "")], ""),
            ("  a; # why\n", &[("a;", "")], "  # why\n"),
            ("a;\n\n  if {\n x;\n}\n\nb;\n", &[("if {\n x;\n}", "")], "a;\n\nb;\n"),
            ("{\n  a;\n\n  b;\n}\n", &[("a;", "")], "{\n  b;\n}\n"),
            ("{\n  a;\n\n  b;\n}\n", &[("b;", "")], "{\n  a;\n}\n"),
        ];
        for (text, edits, expected) in rows {
            assert_eq!(edited(text, edits), expected, "{text}");
        }
    }

    #[test]
    fn diffs() {
        assert_eq!(diff("f", "a\nb\n", "a\nb\n"), "");
        let shown = diff("f", "a\nb\nc\n", "a\nx\nc\n");
        assert!(shown.starts_with("--- f\n+++ f\n@@ -1,3 +1,3 @@\n") && shown.contains("-b\n+x\n"), "{shown}");
    }
}
