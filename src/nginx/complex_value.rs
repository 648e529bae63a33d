// SPDX-License-Identifier: Apache-2.0
//! Values that may contain variables (<https://nginx.org/en/docs/dev/development_guide.html#http_complex_values>).

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_array_t, ngx_command_t, ngx_http_compile_complex_value_t, ngx_http_complex_value_t, ngx_int_t, ngx_str_t,
    NGX_DECLINED, NGX_OK,
};

use super::configuration::Configuration;
use super::fallible::{
    ngx_http_compile_complex_value, ngx_http_complex_value, ngx_http_set_predicate_slot, ngx_http_test_predicates,
};
use super::request::Request;
use super::OutOfMemory;

/// A value that is evaluated for each request.
pub struct ComplexValue {
    compiled: ngx_http_complex_value_t,
    reads_captures: bool,
}

impl ComplexValue {
    /// Compiles `value`, an argument of the directive that is being read; `None` if that fails: nginx has logged why.
    pub fn compile(cf: &mut Configuration<'_>, value: &ngx_str_t) -> Option<ComplexValue> {
        let mut value = *value;
        let reads_captures = reads_captures(value.as_bytes());
        // SAFETY: all zero is what nginx's own modules start from.
        let mut compiled: ngx_http_complex_value_t = unsafe { std::mem::zeroed() };
        // SAFETY: all zero is what nginx's own modules start from.
        let mut request: ngx_http_compile_complex_value_t = unsafe { std::mem::zeroed() };
        request.cf = cf.as_ptr();
        request.value = &mut value;
        request.complex_value = &mut compiled;
        // SAFETY: the three pointers are valid for the call.
        let result = unsafe { ngx_http_compile_complex_value(&mut request) };
        (result == NGX_OK as ngx_int_t).then_some(ComplexValue { compiled, reads_captures })
    }

    /// The value for a request; `None` if nginx could not evaluate it.
    pub fn evaluate<'r>(&self, r: &mut Request<'r>) -> Option<&'r [u8]> {
        let mut result = ngx_str_t::empty();
        let value = ptr::from_ref(&self.compiled).cast_mut();
        // SAFETY: nginx only reads the compiled value.
        let code = evaluate(r, &self.compiled, self.reads_captures, |r| unsafe {
            ngx_http_complex_value(r.as_ptr(), value, &mut result)
        });
        // SAFETY: the result lives in the request's pool or longer.
        code.is_ok_and(|code| code == NGX_OK as ngx_int_t).then(|| unsafe { r.slice(&result) })
    }
}

/// Values of which one that is neither empty nor `0` counts, as in `proxy_cache_bypass`. They live as long as the
/// configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Predicates {
    array: NonNull<ngx_array_t>,
    reads_captures: bool,
}

impl Predicates {
    /// Adds the arguments of the directive that is being read to `predicates`; `Err` if that fails: nginx has logged why.
    pub fn read(cf: &mut Configuration<'_>, predicates: Option<Predicates>) -> Result<Option<Predicates>, ()> {
        let before = predicates.is_some_and(|predicates| predicates.reads_captures);
        let reads_captures = before || cf.arguments().iter().any(|value| reads_captures(value.as_bytes()));
        // `ngx_http_set_predicate_slot` starts an array if it finds NGX_CONF_UNSET_PTR, and adds to it if it finds one.
        let mut array: *mut ngx_array_t = match predicates {
            Some(Predicates { array, .. }) => array.as_ptr(),
            None => ptr::without_provenance_mut(usize::MAX),
        };
        let mut command = ngx_command_t::empty();
        let field = ptr::from_mut(&mut array).cast::<c_void>();
        // SAFETY: with offset 0, `field` is the pointer that the function sets; it reads the arguments from `cf`.
        let result = unsafe { ngx_http_set_predicate_slot(cf.as_ptr(), &mut command, field) };
        if result.is_null() {
            return Ok(NonNull::new(array).map(|array| Predicates { array, reads_captures }));
        }
        Err(())
    }

    /// Whether one of the values is neither empty nor `0` for a request.
    pub fn test(self, r: &mut Request<'_>) -> Result<bool, OutOfMemory> {
        // SAFETY: the array is what `ngx_http_set_predicate_slot` made, and lives as long as the configuration.
        let all = unsafe { self.array.as_ref() };
        // One at a time, so that each sees the location's captures.
        for at in 0..all.nelts {
            // SAFETY: there is an element, which is such a value.
            let value = unsafe { all.elts.cast::<ngx_http_complex_value_t>().add(at) };
            let mut one = ngx_array_t { elts: value.cast(), nelts: 1, ..*all };
            // SAFETY: as above; nginx only reads the array.
            let code = evaluate(r, unsafe { &*value }, self.reads_captures, |r| unsafe {
                ngx_http_test_predicates(r.as_ptr(), &mut one)
            })?;
            match code {
                code if code == NGX_OK as ngx_int_t => {}
                code if code == NGX_DECLINED as ngx_int_t => return Ok(true),
                _ => return Err(OutOfMemory),
            }
        }
        Ok(false)
    }

    /// What tells these from other predicates.
    pub fn identity(self) -> *const c_void {
        self.array.as_ptr().cast_const().cast()
    }
}

/// Whether a value has `$1` or its like in it.
fn reads_captures(value: &[u8]) -> bool {
    value.windows(2).any(|pair| matches!(pair, [b'$', b'1'..=b'9']))
}

/// Has `read` evaluate `value`, and restores the captures of the location.
#[inline]
fn evaluate<'r, T>(
    r: &mut Request<'r>,
    value: &ngx_http_complex_value_t,
    reads_captures: bool,
    read: impl FnOnce(&mut Request<'r>) -> T,
) -> Result<T, OutOfMemory> {
    if reads_captures && !value.flushes.is_null() {
        // SAFETY: nginx has made the list, and ends it with -1.
        return unsafe { r.after_variables(value.flushes, |r| r.keeping_captures(read)) }?;
    }
    r.keeping_captures(read)
}
