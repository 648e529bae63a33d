//! The directives: their table, and for each the function that reads its arguments.
//!
//! A mistake does not stop nginx from reading on, so that all of them are found at once; the configuration fails when it
//! has been read.

use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use cors_policy::{list, rule, scalar, Problem, Reason};
use ngx::core::NGX_CONF_ERROR;
use ngx::ffi::{
    ngx_array_t, ngx_command_t, ngx_conf_t, ngx_http_compile_complex_value_t, ngx_http_complex_value_t, ngx_parse_time,
    ngx_str_t, ngx_uint_t, NGX_CONF_1MORE, NGX_CONF_TAKE1, NGX_ERROR, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET,
    NGX_HTTP_MAIN_CONF, NGX_HTTP_SRV_CONF, NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN, NGX_OK,
};
use ngx::http::HttpModuleMainConf;
use ngx::ngx_string;

use crate::barrier::guard;
use crate::fallible::{ngx_http_compile_complex_value, ngx_http_set_predicate_slot};
use crate::location::{LocationConf, MainConf, Own};
use crate::messages::Place;
use crate::Module;

/// How long browsers keep a preflight's answer at the most, in seconds: Firefox a day, Chromium two hours.
const LONGEST_MAX_AGE: u64 = 86400;

/// One directive as it is read.
struct Directive<'a> {
    cf: &'a mut ngx_conf_t,
    name: &'static str,
    place: Place,
    /// The arguments.
    values: &'a [ngx_str_t],
    own: &'a mut Own,
    main: &'a mut MainConf,
}

impl Directive<'_> {
    fn say(&mut self, problem: &Problem) {
        self.main.messages.say(self.cf.log, Some(self.name), problem, &self.place);
    }

    fn check(&mut self, result: Result<(), Problem>) {
        if let Err(problem) = result {
            self.say(&problem);
        }
    }

    fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(ngx_str_t::as_bytes)
    }

    /// Adds each word of all arguments to a list.
    fn add_words(&mut self, mut add: impl FnMut(&mut Own, &[u8]) -> Result<(), Problem>) {
        for value in self.values {
            self.add_words_of(value.as_bytes(), &mut add);
        }
    }

    fn add_words_of(&mut self, value: &[u8], mut add: impl FnMut(&mut Own, &[u8]) -> Result<(), Problem>) {
        let result = list::check_argument(value, self.arguments());
        self.check(result);
        for word in list::words(value) {
            let result = add(self.own, word);
            self.check(result);
        }
    }

    /// The value of a directive that may stand once; `None`, and something said, where it is not right.
    fn scalar<T>(&mut self, is_set: bool, read: impl FnOnce(&[u8]) -> Result<T, Reason>) -> Option<T> {
        let value = self.values.first().map_or(&b""[..], ngx_str_t::as_bytes);
        let problem = if is_set {
            Problem::new(self.name.as_bytes(), Reason::DuplicateDirective)
        } else {
            match read(value) {
                Ok(value) => return Some(value),
                Err(reason) => scalar::problem(value, reason),
            }
        };
        self.say(&problem);
        None
    }

    fn flag(&mut self, is_set: bool) -> Option<bool> {
        // In any case, as nginx reads its own flags.
        self.scalar(is_set, |value| match value.to_ascii_lowercase().as_slice() {
            b"on" => Ok(true),
            b"off" => Ok(false),
            _ => Err(Reason::NotFlag),
        })
    }
}

macro_rules! directives {
    ($( $arity:ident $name:ident; )+) => {
        /// What nginx knows of the directives.
        pub static mut COMMANDS: [ngx_command_t; [$( stringify!($name) ),+].len() + 1] = [
            $( {
                unsafe extern "C" fn entry(cf: *mut ngx_conf_t, _: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
                    // SAFETY: nginx calls it with this module's configuration of the level.
                    unsafe { read(cf, conf, stringify!($name), $name) }
                }
                ngx_command_t {
                    name: ngx_string!(stringify!($name)),
                    type_: (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | $arity) as ngx_uint_t,
                    set: Some(entry),
                    conf: NGX_HTTP_LOC_CONF_OFFSET,
                    offset: 0,
                    post: ptr::null_mut(),
                }
            }, )+
            ngx_command_t::empty(),
        ];
    };
}

directives! {
    NGX_CONF_TAKE1 cors;
    NGX_CONF_1MORE cors_allow_origin;
    NGX_CONF_1MORE cors_allow_origin_regex;
    NGX_CONF_1MORE cors_allow_methods;
    NGX_CONF_1MORE cors_allow_headers;
    NGX_CONF_TAKE1 cors_allow_credentials;
    NGX_CONF_1MORE cors_expose_headers;
    NGX_CONF_TAKE1 cors_max_age;
    NGX_CONF_TAKE1 cors_allow_private_network;
    NGX_CONF_TAKE1 cors_preflight;
    NGX_CONF_TAKE1 cors_preflight_status;
    NGX_CONF_TAKE1 cors_override;
    NGX_CONF_1MORE cors_bypass;
    NGX_CONF_TAKE1 cors_enforce;
    NGX_CONF_TAKE1 cors_reject_status;
    NGX_CONF_TAKE1 cors_dry_run;
    NGX_CONF_TAKE1 cors_log_level;
}

/// # Safety
/// `cf` is what nginx called the directive with, and `conf` this module's configuration of the level.
unsafe fn read(cf: *mut ngx_conf_t, conf: *mut c_void, name: &'static str, set: fn(&mut Directive<'_>)) -> *mut c_char {
    // SAFETY: the caller's promise; nginx reads one directive at a time.
    let (cf, conf) = unsafe { (&mut *cf, &mut *conf.cast::<LocationConf>()) };
    let Some(main) = Module::main_conf_mut(cf) else { return NGX_CONF_ERROR };
    let log = cf.log;
    guard(
        || log,
        NGX_CONF_ERROR,
        || {
            let place = main.messages.place(cf);
            let own = conf.own();
            own.note(name, &place);
            // SAFETY: nginx has put the directive's name and its arguments there, and keeps them while it is read.
            let args: &[ngx_str_t] = unsafe { (*cf.args).as_slice() };
            set(&mut Directive { values: args.get(1..).unwrap_or_default(), cf, name, place, own, main });
            ptr::null_mut()
        },
    )
}

fn cors(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.cors.is_some()) {
        d.own.settings.cors = Some(value);
    }
}

fn cors_allow_origin(d: &mut Directive<'_>) {
    d.own.has_origins = true;
    if list::is_empty(d.arguments()) {
        d.say(&Problem::new(d.values[0].as_bytes(), Reason::EmptyOrigins));
        return;
    }
    for value in d.values {
        let bytes = value.as_bytes();
        if !bytes.contains(&b'$') || rule::is_expression(bytes) {
            let place = d.place.clone();
            d.add_words_of(bytes, |own, word| own.origins.add(word, place.clone()));
            continue;
        }
        if has_own_variable(bytes) {
            d.say(&Problem::new(bytes, Reason::OwnVariable));
        }
        if list::words(bytes).any(|word| matches!(word, b"$http_origin" | b"${http_origin}")) {
            d.own.origins.add_reflection(bytes, d.place.clone());
        }
        match compile(d.cf, value) {
            Some(expression) => d.own.variables.push(expression),
            None => d.main.messages.fail(),
        }
        let result = d.own.origins.add_variable();
        d.check(result);
    }
    let result = d.own.origins.check_wildcard_is_alone();
    d.check(result);
}

/// Whether a value takes `$cors_status` or `$cors_origin`, which are what comes of it.
fn has_own_variable(value: &[u8]) -> bool {
    value.split(|&b| b == b'$').skip(1).any(|rest| {
        let name = rest.strip_prefix(b"{").unwrap_or(rest);
        let end = name.iter().position(|&b| !b.is_ascii_alphanumeric() && b != b'_').unwrap_or(name.len());
        // nginx does not look at the case of a variable's name.
        [&b"cors_status"[..], b"cors_origin"].iter().any(|own| own.eq_ignore_ascii_case(&name[..end]))
    })
}

/// Compiles a value with variables; where that fails nginx has said why.
fn compile(cf: &mut ngx_conf_t, value: &ngx_str_t) -> Option<ngx_http_complex_value_t> {
    let mut value = *value;
    // SAFETY: all zero is what nginx's own modules start from.
    let mut compiled: ngx_http_complex_value_t = unsafe { std::mem::zeroed() };
    let mut request: ngx_http_compile_complex_value_t = unsafe { std::mem::zeroed() };
    request.cf = cf;
    request.value = &mut value;
    request.complex_value = &mut compiled;
    // SAFETY: the three pointers are valid for the call.
    let result = unsafe { ngx_http_compile_complex_value(&mut request) };
    (result == NGX_OK as isize).then_some(compiled)
}

fn cors_allow_origin_regex(d: &mut Directive<'_>) {
    d.own.has_origins = true;
    for value in d.values {
        match d.own.origins.add_expression(value.as_bytes(), d.place.clone()) {
            Ok(doubts) => doubts.iter().for_each(|doubt| d.say(doubt)),
            Err(problem) => d.say(&problem),
        }
    }
    let result = d.own.origins.check_wildcard_is_alone();
    d.check(result);
}

/// A list that belongs to the level that is being read.
fn list<T: Default>(setting: &mut Option<Arc<T>>) -> &mut T {
    Arc::get_mut(setting.get_or_insert_default()).expect("a list is shared only when its level has been read")
}

fn cors_allow_methods(d: &mut Directive<'_>) {
    d.add_words(|own, word| list(&mut own.settings.methods).add(word));
    let result = list(&mut d.own.settings.methods).check_wildcard_is_alone();
    d.check(result);
}

fn cors_allow_headers(d: &mut Directive<'_>) {
    d.add_words(|own, word| list(&mut own.settings.headers).add(word));
}

fn cors_expose_headers(d: &mut Directive<'_>) {
    d.own.settings.exposed_place = Some(d.place.clone());
    d.add_words(|own, word| list(&mut own.settings.exposed).add(word));
    let result = list(&mut d.own.settings.exposed).check_wildcard_is_alone();
    d.check(result);
}

fn cors_allow_credentials(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.credentials.is_some()) {
        d.own.settings.credentials = Some(value);
    }
}

fn cors_max_age(d: &mut Directive<'_>) {
    let read = |value: &[u8]| {
        let mut string = crate::request::string(value);
        // SAFETY: nginx only reads the string.
        match unsafe { ngx_parse_time(&mut string, 1) } {
            seconds if seconds == NGX_ERROR as isize => Err(Reason::NotTime),
            seconds => u64::try_from(seconds).map_err(|_| Reason::NotTime),
        }
    };
    if let Some(seconds) = d.scalar(d.own.settings.max_age.is_some(), read) {
        d.own.settings.max_age = Some(seconds);
        if seconds > LONGEST_MAX_AGE {
            d.say(&Problem::new(d.values[0].as_bytes(), Reason::LongMaxAge));
        }
    }
}

fn cors_allow_private_network(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.private_network.is_some()) {
        d.own.settings.private_network = Some(value);
    }
}

fn cors_preflight(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.preflight.is_some()) {
        d.own.settings.preflight = Some(value);
    }
}

fn cors_preflight_status(d: &mut Directive<'_>) {
    let read = |value: &[u8]| match value {
        b"200" => Ok(200),
        b"204" => Ok(204),
        _ => Err(Reason::NotPreflightStatus),
    };
    if let Some(status) = d.scalar(d.own.settings.preflight_status.is_some(), read) {
        d.own.settings.preflight_status = Some(status);
    }
}

fn cors_override(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.overrides.is_some()) {
        d.own.settings.overrides = Some(value);
    }
}

fn cors_bypass(d: &mut Directive<'_>) {
    for value in d.values.iter().map(ngx_str_t::as_bytes).filter(|value| has_own_variable(value)) {
        d.say(&Problem::new(value, Reason::OwnVariable));
    }
    // `ngx_http_set_predicate_slot` starts an array where it finds NGX_CONF_UNSET_PTR, and adds to it where it finds one.
    let mut predicates: *mut ngx_array_t =
        d.own.settings.bypass.map_or(ptr::without_provenance_mut(usize::MAX), NonNull::as_ptr);
    let mut command = ngx_command_t::empty();
    // SAFETY: with offset 0 the pointer is the field that the function sets; it reads the arguments from `cf`.
    let result =
        unsafe { ngx_http_set_predicate_slot(d.cf, &mut command, ptr::from_mut(&mut predicates).cast::<c_void>()) };
    if result.is_null() {
        d.own.settings.bypass = NonNull::new(predicates);
    } else {
        d.main.messages.fail();
    }
}

fn cors_enforce(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.enforce.is_some()) {
        d.own.settings.enforce = Some(value);
    }
}

fn cors_reject_status(d: &mut Directive<'_>) {
    let read = |value: &[u8]| {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let status = text.parse().ok().filter(|_| text.len() == 3);
        status.filter(|status| (400..600).contains(status)).ok_or(Reason::NotRejectStatus)
    };
    if let Some(status) = d.scalar(d.own.settings.reject_status.is_some(), read) {
        d.own.settings.reject_status = Some(status);
    }
}

fn cors_dry_run(d: &mut Directive<'_>) {
    if let Some(value) = d.flag(d.own.settings.dry_run.is_some()) {
        d.own.settings.dry_run = Some(value);
    }
}

fn cors_log_level(d: &mut Directive<'_>) {
    let read = |value: &[u8]| match value {
        b"info" => Ok(NGX_LOG_INFO as ngx_uint_t),
        b"notice" => Ok(NGX_LOG_NOTICE as ngx_uint_t),
        b"warn" => Ok(NGX_LOG_WARN as ngx_uint_t),
        b"error" => Ok(NGX_LOG_ERR as ngx_uint_t),
        _ => Err(Reason::NotLogLevel),
    };
    if let Some(level) = d.scalar(d.own.settings.log_level.is_some(), read) {
        d.own.settings.log_level = Some(level);
    }
}
