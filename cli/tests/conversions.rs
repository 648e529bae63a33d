// SPDX-License-Identifier: Apache-2.0
//! All that `cors convert` prints for realistic files: the new configuration, what could not be carried over, and what is different.
//!
//! Each file of cases has one with what is expected, whose name ends in `.expected`. A case begins with a line `#### NAME`.

mod common;

use std::fs;
use std::path::Path;

use common::cors;

/// The cases of a file: the name, and what is between it and the next.
fn cases(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n#### ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
}

fn check(file: &str, format: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let name = file.rsplit('/').next().unwrap();
    let expected_name = format!("{name}.expected");
    let text = fs::read_to_string(directory.join(file)).unwrap();
    let expected = fs::read_to_string(directory.join("conversions").join(&expected_name)).unwrap_or_default();
    let mut found = "What cors convert prints for the file without .expected in its name.\n".to_owned();
    for (title, input) in cases(&text) {
        let ran = cors(&["convert", "-", "--from", format], input);
        let title = title.split("; left:").next().unwrap();
        found += &format!("\n#### {title}\n{}==== {}\n{}", ran.out, ran.code.unwrap(), ran.err);
    }
    if found != expected {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&expected_name);
        fs::write(&path, &found).unwrap();
        for (found, expected) in cases(&found).into_iter().zip(cases(&expected)) {
            assert_eq!(found, expected, "{file}; what is found is in {}", path.display());
        }
        panic!("{file} and {expected_name} do not have the same cases; what is found is in {}", path.display());
    }
}

/// `tests/command/replay.py` compares the answers of nginx before and after these.
#[test]
fn conversions_that_are_replayed() {
    check("../../tests/command/configurations.nginx", "nginx");
}

#[test]
fn conversions_of_each_source() {
    for format in ["nginx", "django", "ingress", "gateway", "envoy"] {
        check(&format!("conversions/{format}.cases"), format);
    }
}
