// SPDX-License-Identifier: Apache-2.0
//! An `Origin` as it comes, and the same bytes as a value of `cors_allow_origin`.
#![no_main]

use cors_policy::rule::{self, Rule};
use cors_policy::{list, origin, Reason};
use cors_policy_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let ours = origin::parse(value);
    let theirs = reference::parse(value);
    match (&ours, &theirs) {
        (Some(ours), Some(theirs)) => {
            assert_eq!(ours.scheme, theirs.scheme.as_bytes());
            assert_eq!(ours.host, theirs.host.as_bytes());
            assert_eq!(ours.authority, theirs.authority().as_bytes());
        }
        (None, None) => {}
        _ => panic!("{ours:?} is not {theirs:?}"),
    }
    match rule::parse_rule(value) {
        Ok(Rule::Any) => assert_eq!(value, b"*"),
        Ok(Rule::Exact) => assert!(origin::is_named(value) || ours.is_some(), "permitted, but never sent"),
        Ok(Rule::Pattern(_)) => assert!(value.contains(&b'*') && ours.is_none()),
        Err(problem) => {
            assert!(!problem.to_string().contains('\n'));
            assert_ne!(problem.reason, Reason::Duplicate);
            for word in list::words(problem.suggestion.unwrap_or_default().as_bytes()) {
                let accepted = rule::parse_rule(word);
                assert!(accepted.is_ok(), "{word:?} is suggested, but {accepted:?}");
            }
        }
    }
});
