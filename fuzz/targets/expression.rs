// SPDX-License-Identifier: Apache-2.0
//! An expression (the first line) against origins (the others), compared with the `regex` crate.
#![no_main]

use cors_policy::{origin, OriginsBuilder};
use cors_policy_fuzz::reference;
use libfuzzer_sys::{fuzz_target, Corpus};

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut lines = input.split(|&b| b == b'\n');
    let Some(source) = lines.next() else { return Corpus::Reject };
    // What takes long to compile has been seen to be refused, or to be done in time: counted repetitions of counted
    // repetitions, and many steps that anything may take, after one that repeats.
    let wide = source.iter().filter(|&b| b".[\\".contains(b)).count();
    if source.len() > 60 || wide > 10 || source.iter().filter(|&&b| b == b'{').count() > 1 {
        return Corpus::Reject;
    }
    let mut builder = OriginsBuilder::default();
    match builder.add_expression(source, ()) {
        Ok(doubts) => {
            for doubt in doubts {
                assert!(doubt.is_warning() && !doubt.to_string().contains('\n'));
            }
        }
        Err(problem) => {
            assert!(!problem.is_warning() && !problem.to_string().contains('\n'), "{problem:?}");
            return Corpus::Keep;
        }
    }
    let (origins, _) = builder.build();
    let text = std::str::from_utf8(source).unwrap();
    // Under `(?x)` a comment would take the reference's own bracket.
    let Some(expected) = reference::compile(text).filter(|_| !text.contains('#')) else { return Corpus::Keep };
    for line in lines {
        let wanted = origin::parse(line).is_some() && expected.is_match(line);
        assert_eq!(origins.allows(line), wanted, "{text:?} {:?}", String::from_utf8_lossy(line));
    }
    Corpus::Keep
});
