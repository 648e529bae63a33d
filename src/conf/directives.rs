// SPDX-License-Identifier: Apache-2.0
//! The directives: their table, and a function for each that takes more than one value.
//!
//! A mistake does not stop nginx from reading on, so that all of them are found at once; the configuration fails when it
//! has been read.

use std::ffi::{c_char, c_void, CStr};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use cors_policy::report::Format;
use cors_policy::{list, rule, scalar, Problem, Reason};
use ngx::core::NGX_CONF_ERROR;
use ngx::ffi::{
    ngx_command_t, ngx_conf_t, ngx_str_t, ngx_uint_t, NGX_CONF_1MORE, NGX_CONF_NOARGS, NGX_CONF_TAKE1,
    NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF, NGX_HTTP_SRV_CONF,
};

use super::argument::Directive;
use super::counting::ZoneSetting;
use super::level::{LocationConf, MainConf};
use super::settings::{LevelDirectives, Needs};
use crate::nginx::barrier::guard;
use crate::nginx::complex_value::{ComplexValue, Predicates};
use crate::nginx::configuration::Configuration;
use crate::nginx::zone;

/// A directive: how many values it takes, what it needs, and what reads it.
struct Row {
    name: &'static CStr,
    contexts: u32,
    arity: u32,
    needs: Needs,
    read: fn(&mut Directive<'_>),
}

const EVERYWHERE: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

const fn row(name: &'static CStr, arity: u32, needs: Needs, read: fn(&mut Directive<'_>)) -> Row {
    Row { name, contexts: EVERYWHERE, arity, needs, read }
}

/// All of them. Most directives with a single value are one row here and one in `settings.rs`.
static DIRECTIVES: [Row; 21] = {
    use Needs::{Nothing, OriginRule, Policy};
    const ONE: u32 = NGX_CONF_TAKE1;
    const MORE: u32 = NGX_CONF_1MORE;
    [
        row(c"cors", ONE, Nothing, |d| d.set(|s| &mut s.cors)),
        row(c"cors_allow_origin", MORE, Policy, cors_allow_origin),
        row(c"cors_allow_origin_regex", MORE, Policy, cors_allow_origin_regex),
        row(c"cors_allow_origin_file", MORE, Policy, cors_allow_origin_file),
        row(c"cors_allow_methods", MORE, OriginRule, cors_allow_methods),
        row(c"cors_allow_headers", MORE, OriginRule, cors_allow_headers),
        row(c"cors_allow_credentials", ONE, OriginRule, cors_allow_credentials),
        row(c"cors_expose_headers", MORE, OriginRule, cors_expose_headers),
        row(c"cors_max_age", ONE, OriginRule, |d| d.set(|s| &mut s.max_age)),
        row(c"cors_allow_private_network", ONE, OriginRule, |d| d.set(|s| &mut s.private_network)),
        row(c"cors_preflight", ONE, Policy, |d| d.set(|s| &mut s.preflight)),
        row(c"cors_preflight_status", ONE, OriginRule, |d| d.set(|s| &mut s.preflight_status)),
        row(c"cors_override", ONE, Policy, |d| d.set(|s| &mut s.overrides)),
        row(c"cors_bypass", MORE, Policy, cors_bypass),
        row(c"cors_enforce", ONE, Nothing, |d| d.set(|s| &mut s.enforce)),
        row(c"cors_reject_status", ONE, Policy, |d| d.set(|s| &mut s.reject_status)),
        row(c"cors_dry_run", ONE, Policy, |d| d.set(|s| &mut s.dry_run)),
        row(c"cors_log_level", ONE, Policy, |d| d.set(|s| &mut s.log_level)),
        Row { contexts: NGX_HTTP_MAIN_CONF, ..row(c"cors_zone", ONE, Nothing, cors_zone) },
        row(c"cors_zone_label", ONE, Policy, cors_zone_label),
        Row { contexts: NGX_HTTP_LOC_CONF, ..row(c"cors_report", NGX_CONF_NOARGS | ONE, Nothing, cors_report) },
    ]
};

/// What nginx knows of the directives; the offset of each is its place in [`DIRECTIVES`].
pub static mut COMMANDS: [ngx_command_t; DIRECTIVES.len() + 1] = {
    let mut commands = [const { ngx_command_t::empty() }; DIRECTIVES.len() + 1];
    let mut at = 0;
    while at < DIRECTIVES.len() {
        let Row { name, contexts, arity, .. } = &DIRECTIVES[at];
        commands[at] = ngx_command_t {
            name: ngx_str_t { len: name.count_bytes(), data: name.as_ptr().cast_mut().cast() },
            type_: (*contexts | *arity) as ngx_uint_t,
            set: Some(read),
            conf: NGX_HTTP_LOC_CONF_OFFSET,
            offset: at,
            post: ptr::null_mut(),
        };
        at += 1;
    }
    commands
};

unsafe extern "C" fn read(cf: *mut ngx_conf_t, command: *mut ngx_command_t, conf: *mut c_void) -> *mut c_char {
    let mut none = LevelDirectives::default();
    // SAFETY: nginx calls it with the configuration that it reads, a row of `COMMANDS`, and this module's configuration of
    // the level, one directive at a time.
    let (mut cf, row, conf) =
        unsafe { (Configuration::from_ptr(cf), &DIRECTIVES[(*command).offset], &mut *conf.cast::<LocationConf>()) };
    let log = cf.log();
    guard(
        || log,
        NGX_CONF_ERROR,
        || {
            let Some(main) = cf.main_mut::<MainConf>() else { return NGX_CONF_ERROR };
            let name = row.name.to_str().expect("an ASCII name");
            let place = main.messages.place(&cf);
            // A level has its own policy if a directive of a policy is set there.
            let (directives, report) = conf.parts();
            let level = if row.contexts == EVERYWHERE { directives.get_or_insert_default() } else { &mut none };
            level.note(name, row.needs, &place);
            let values = cf.arguments();
            (row.read)(&mut Directive { cf: &mut cf, name, place, values, level, main, report });
            ptr::null_mut()
        },
    )
}

fn cors_allow_origin(d: &mut Directive<'_>) {
    d.level.has_origins = true;
    if list::is_empty(d.arguments()) {
        return d.report(&Problem::new(d.values[0].as_bytes(), Reason::EmptyOrigins));
    }
    for value in d.values {
        let bytes = value.as_bytes();
        if !bytes.contains(&b'$') || rule::is_expression(bytes) {
            let place = d.place.clone();
            d.add_words_of(bytes, |level, word| level.origins.add(word, place.clone()));
            continue;
        }
        note_own_variables(d, bytes);
        if list::words(bytes).any(|word| matches!(word, b"$http_origin" | b"${http_origin}")) {
            d.level.origins.add_reflection(bytes, d.place.clone());
        }
        match ComplexValue::compile(d.cf, value) {
            Some(compiled) => d.level.variables.push(compiled),
            None => d.main.messages.fail(),
        }
        let result = d.level.origins.add_variable();
        d.check(result);
    }
    let result = d.level.origins.check_wildcard_is_alone();
    d.check(result);
}

/// Takes note if a value contains a variable of this module, which depends on the value. That is a mistake unless the
/// configuration defines a variable of the same name itself, which is known when all of it has been read.
fn note_own_variables(d: &mut Directive<'_>, value: &[u8]) {
    for rest in value.split(|&b| b == b'$').skip(1) {
        let name = rest.strip_prefix(b"{").unwrap_or(rest);
        let end = name.iter().position(|&b| !b.is_ascii_alphanumeric() && b != b'_').unwrap_or(name.len());
        // nginx ignores the case of variable names.
        d.main.note_variable(&name[..end].to_ascii_lowercase(), d.name, value, &d.place);
    }
}

fn cors_allow_origin_regex(d: &mut Directive<'_>) {
    d.level.has_origins = true;
    for value in d.values {
        match d.level.origins.add_expression(value.as_bytes(), d.place.clone()) {
            Ok(doubts) => doubts.iter().for_each(|doubt| d.report(doubt)),
            Err(problem) => d.report(&problem),
        }
    }
    let result = d.level.origins.check_wildcard_is_alone();
    d.check(result);
}

fn cors_allow_origin_file(d: &mut Directive<'_>) {
    d.level.has_origins = true;
    for value in d.values {
        let name = value.as_bytes();
        if name.is_empty() {
            d.report(&Problem::new(name, Reason::Empty));
        } else if name.contains(&b'$') {
            d.report(&Problem::new(name, Reason::Variable));
        } else if let Some(path) = d.cf.full_name(name) {
            let file = d.main.file(path, d.cf.log(), &d.place);
            if d.level.files.iter().any(|other| Rc::ptr_eq(other, &file)) {
                d.report(&Problem::new(name, Reason::Duplicate));
                continue;
            }
            let result = d.level.origins.add_file(file.concerns.iter().cloned());
            d.level.files.push(file);
            d.check(result);
        } else {
            d.main.messages.fail();
        }
    }
}

/// A list that belongs to the level that is being read.
fn list<T: Default>(setting: &mut Option<Arc<T>>) -> &mut T {
    Arc::get_mut(setting.get_or_insert_default()).expect("a list is shared only when its level has been read")
}

fn cors_allow_methods(d: &mut Directive<'_>) {
    d.add_words(|level, word| list(&mut level.settings.methods).add(word));
    let result = list(&mut d.level.settings.methods).check_wildcard_is_alone();
    d.check(result);
}

fn cors_allow_headers(d: &mut Directive<'_>) {
    d.add_words(|level, word| list(&mut level.settings.headers).add(word));
}

fn cors_allow_credentials(d: &mut Directive<'_>) {
    d.level.settings.credentials_place.get_or_insert_with(|| d.place.clone());
    d.set(|s| &mut s.credentials);
}

fn cors_expose_headers(d: &mut Directive<'_>) {
    d.level.settings.exposed_place = Some(d.place.clone());
    d.add_words(|level, word| list(&mut level.settings.exposed).add(word));
    let result = list(&mut d.level.settings.exposed).check_wildcard_is_alone();
    d.check(result);
}

fn cors_bypass(d: &mut Directive<'_>) {
    for value in d.values {
        note_own_variables(d, value.as_bytes());
    }
    match Predicates::read(d.cf, d.level.settings.bypass) {
        Ok(predicates) => d.level.settings.bypass = predicates,
        Err(()) => d.main.messages.fail(),
    }
}

fn cors_zone(d: &mut Directive<'_>) {
    let value = d.values[0].as_bytes();
    if d.main.zone.is_some() {
        return d.report(&Problem::new(d.name.as_bytes(), Reason::DuplicateDirective));
    }
    let (name, size) = match scalar::read_zone(value, zone::least_size()) {
        Ok(read) => read,
        Err(problem) => return d.report(&problem),
    };
    d.main.zone = Some(ZoneSetting { name: name.to_owned(), size, value: value.to_owned(), place: d.place.clone() });
}

fn cors_zone_label(d: &mut Directive<'_>) {
    let value = d.values[0].as_bytes();
    if d.level.settings.label.is_some() {
        return d.report(&Problem::new(d.name.as_bytes(), Reason::DuplicateDirective));
    }
    d.main.need_zone.push((d.name, d.place.clone()));
    match scalar::read_label(value) {
        Ok(label) => d.level.settings.label = Some(label.into()),
        Err(problem) => d.report(&problem),
    }
}

fn cors_report(d: &mut Directive<'_>) {
    if d.report.is_some() {
        return d.report(&Problem::new(d.name.as_bytes(), Reason::DuplicateDirective));
    }
    d.main.need_zone.push((d.name, d.place.clone()));
    *d.report = Some(None);
    let Some(value) = d.values.first().map(ngx_str_t::as_bytes) else { return };
    match Format::of_name(value) {
        Some(format) => *d.report = Some(Some(format)),
        None => d.report(&scalar::problem(value, Reason::NotReportFormat)),
    }
}
