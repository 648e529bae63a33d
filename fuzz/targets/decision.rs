// SPDX-License-Identifier: Apache-2.0
//! The whole decision, compared with the naive reference: what is allowed, what it is called, and what is missing.
#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::decision::Status;
use cors_policy::facts::{Facts, Field, MethodKind, Site};
use cors_policy::origins;
use cors_policy::preflight::Missing;
use cors_policy::{Methods, Origins, OriginsBuilder, RequestHeaders, Rules};
use cors_policy_fuzz::reference::{self, Configuration};
use cors_policy_fuzz::requests;
use libfuzzer_sys::fuzz_target;
use regex::bytes::Regex;

type Built = (Arc<Origins>, Vec<Regex>);

thread_local! {
    static BUILT: RefCell<HashMap<u8, Rc<Built>>> = RefCell::default();
}

fn built(number: u8, configuration: &Configuration) -> Rc<Built> {
    BUILT.with_borrow_mut(|built| built.entry(number).or_insert_with(|| Rc::new(build(configuration))).clone())
}

fn build(configuration: &Configuration) -> Built {
    let mut builder = OriginsBuilder::default();
    for value in &configuration.origins {
        builder.add(value.as_bytes(), ()).expect("a right origin");
    }
    for value in &configuration.expressions {
        builder.add_expression(value.as_bytes(), ()).expect("a right expression");
    }
    let (origins, _) = builder.build();
    let compiled = configuration.expressions.iter().map(|value| reference::compile(value).unwrap()).collect();
    (Arc::new(origins), compiled)
}

fn rules(configuration: &Configuration, origins: &Arc<Origins>) -> Rules {
    let mut headers = RequestHeaders::default();
    for name in &configuration.headers {
        headers.add(name.as_bytes()).expect("a right header");
    }
    let mut methods = Methods::safelisted();
    if let Some(names) = &configuration.methods {
        methods = Methods::default();
        for name in names {
            methods.add(name.as_bytes()).expect("a right method");
        }
    }
    Rules {
        origins: origins.clone(),
        files: Rc::default(),
        methods: Arc::new(methods),
        headers: Arc::new(headers),
        credentials: configuration.credentials,
        enforce: configuration.enforce,
    }
}

fn field(values: &[Vec<u8>]) -> Field<'_> {
    let mut field = Field::Absent;
    values.iter().for_each(|value| field.add(value));
    field
}

fuzz_target!(|input: &[u8]| {
    let Some((number, flags, asked)) = requests::read(input) else { return };
    let configuration = requests::configuration(number, flags);
    let built = built(number, &configuration);
    let (origins, expressions) = &*built;
    let rules = rules(&configuration, origins);

    let lines = asked.request_headers.join(&b","[..]);
    let mut site = Site::default();
    asked.sites.iter().for_each(|value| site.add(value));
    let origin = field(&asked.origins);
    let facts = Facts {
        method: match &asked.method[..] {
            "GET" | "HEAD" => MethodKind::Read,
            "OPTIONS" => MethodKind::Options,
            _ => MethodKind::Other,
        },
        origin,
        request_method: field(&asked.request_methods),
        request_headers: &lines,
        private_network: false,
        site,
        is_of_host: origin.is_of_host(asked.host.as_deref().unwrap_or_default()),
    };
    let mut looked = false;
    let grant = rules.grant(facts.origin, || {
        looked = true;
        origins::evaluated(&asked.variable, facts.origin.one())
    });
    // A variable is evaluated only if it makes a difference.
    assert!(!looked || !origins.is_any());
    let status = match rules.rejects(&facts, grant) {
        true => Status::Rejected,
        false => rules.explain(&facts, Rules::decide(&facts, grant)),
    };

    let expected = reference::decide(&configuration, expressions, &asked);
    let missing = match status {
        Status::PreflightMethodDenied | Status::PreflightHeaderDenied => rules.missing(&facts).collect(),
        _ => Vec::new(),
    };
    let found = reference::Decision {
        status: status.as_str(),
        allow_origin: grant.value(&facts).map(<[u8]>::to_vec),
        missing: missing.iter().map(|(Missing::Method(name) | Missing::Header(name))| name.to_vec()).collect(),
    };
    assert_eq!(found, expected, "{:?} {:?} {asked:?}", configuration.origins, configuration.expressions);

    // The same without the variable, which the header filter's short way asks for.
    if let (Some(origin), false) = (facts.origin.one(), origins.is_any()) {
        assert_eq!(origins.allows(origin), reference::allows(&configuration, expressions, origin));
    }
});
