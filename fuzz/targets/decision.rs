//! The whole decision, compared with the naive reference: what is allowed, what it is called, and what is missing.
#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::facts::{Facts, Field, MethodKind};
use cors_policy::origins;
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
    let (origins, _) = builder.build().unwrap_or_else(|_| panic!("expressions that are not large"));
    let compiled = configuration.expressions.iter().map(|value| reference::compile(value).unwrap()).collect();
    (Arc::new(origins), compiled)
}

fn policy(configuration: &Configuration, origins: &Arc<Origins>) -> Rules {
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
    let policy = policy(&configuration, origins);

    let request = Facts {
        method: match &asked.method[..] {
            "GET" | "HEAD" => MethodKind::Read,
            "OPTIONS" => MethodKind::Options,
            _ => MethodKind::Other,
        },
        origin: field(&asked.origins),
        request_method: field(&asked.request_methods),
        sec_fetch_site: asked.sites.first().map(Vec::as_slice),
        host: asked.host.as_deref(),
    };
    let mut looked = false;
    let decision = policy.decide(&request, || {
        looked = true;
        origins::evaluated(&asked.variable, request.origin.one())
    });
    let lines = asked.request_headers.iter().map(Vec::as_slice);
    let explained = policy.explain(decision, &request, lines);
    assert_eq!(explained.grant, decision.grant);
    assert_eq!(explained.status.is_preflight(), decision.status.is_preflight());
    // A variable is evaluated only where it makes a difference.
    assert!(!looked || !origins.is_any());

    let expected = reference::decide(&configuration, expressions, &asked);
    let found = reference::Decision {
        status: explained.status.as_str(),
        allow_origin: explained.grant.value().map(<[u8]>::to_vec),
        missing: explained.missing.to_vec(),
    };
    assert_eq!(found, expected, "{:?} {:?} {asked:?}", configuration.origins, configuration.expressions);

    // The same without the variable, which the header filter's short way asks for.
    if let (Some(origin), false) = (request.origin.one(), origins.is_any()) {
        assert_eq!(origins.allows(origin), reference::allows(&configuration, expressions, origin));
    }
});
