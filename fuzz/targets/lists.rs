// SPDX-License-Identifier: Apache-2.0
//! Lists: field lines, `Vary`, and the arguments of directives. A newline in the input separates lines.
#![no_main]

use cors_policy::{list, preflight, vary, ExposedHeaders, Methods, RequestHeaders};
use cors_policy_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|&b| b == b'\n').collect();
    for line in &lines {
        let elements: Vec<&[u8]> = list::elements(line).collect();
        assert_eq!(elements, reference::elements(line));
        assert_eq!(list::words(line).collect::<Vec<_>>(), reference::words(line));
        assert_eq!(list::is_token(line), reference::is_token(line));
        let method = match &elements[..] {
            [method] => Some(*method),
            _ => None,
        };
        assert_eq!(preflight::requested_method(line), method);
    }
    for names in [vary::SIMPLE, vary::PREFLIGHT] {
        let joined = names.joined();
        let wanted: Vec<&str> = joined.split(", ").collect();
        let missing: Vec<&[u8]> = names.missing_from(lines.iter().copied()).collect();
        let expected = reference::missing_from_vary(&lines, &wanted);
        assert_eq!(missing, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    // What a directive takes is what its value then says, and what its look-up finds.
    let (mut methods, mut headers, mut exposed) =
        (Methods::default(), RequestHeaders::default(), ExposedHeaders::default());
    let (first, rest) = lines.split_first().unwrap();
    for word in list::words(first) {
        let added = methods.add(word);
        assert!(added.is_err() || methods.allows(word) || word == b"*");
        let added = headers.add(word);
        assert!(added.is_err_and(|problem| !problem.is_warning()) || headers.allows(word, true));
        let _ = exposed.add(word);
    }
    for value in [methods.value(), headers.value(), exposed.value()] {
        assert!(list::elements(value.as_bytes()).all(list::is_token), "{value:?}");
    }
    for line in rest {
        for name in list::elements(line) {
            let listed = headers.value().split(", ").any(|other| other.as_bytes().eq_ignore_ascii_case(name));
            let any = headers.is_any() && reference::is_token(name);
            assert_eq!(headers.allows(name, true), listed || any);
            let alone = any && !name.eq_ignore_ascii_case(b"authorization");
            assert_eq!(headers.allows(name, false), listed || alone);
        }
    }
});
