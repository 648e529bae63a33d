// SPDX-License-Identifier: Apache-2.0
//! Values that may contain variables (<https://nginx.org/en/docs/dev/development_guide.html#http_complex_values>).

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_array_t, ngx_command_t, ngx_http_compile_complex_value_t, ngx_http_complex_value_t, ngx_int_t, ngx_str_t,
    ngx_uint_t, NGX_DECLINED, NGX_OK,
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
    /// Those of its variables that may change the rest of it.
    variables: Option<NonNull<ngx_uint_t>>,
}

impl ComplexValue {
    /// Compiles `value`, an argument of the directive that is being read; `None` if that fails: nginx has logged why.
    pub fn compile(cf: &mut Configuration<'_>, value: &ngx_str_t) -> Option<ComplexValue> {
        let mut value = *value;
        // SAFETY: all zero is what nginx's own modules start from.
        let mut compiled: ngx_http_complex_value_t = unsafe { std::mem::zeroed() };
        // SAFETY: all zero is what nginx's own modules start from.
        let mut request: ngx_http_compile_complex_value_t = unsafe { std::mem::zeroed() };
        request.cf = cf.as_ptr();
        request.value = &mut value;
        request.complex_value = &mut compiled;
        // SAFETY: the three pointers are valid for the call.
        let result = unsafe { ngx_http_compile_complex_value(&mut request) };
        let variables = variables_beside_others(&compiled);
        (result == NGX_OK as ngx_int_t).then_some(ComplexValue { compiled, variables })
    }

    /// The value for a request; `None` if nginx could not evaluate it.
    pub fn evaluate<'r>(&self, r: &mut Request<'r>) -> Option<&'r [u8]> {
        let mut result = ngx_str_t::empty();
        let value = ptr::from_ref(&self.compiled).cast_mut();
        // SAFETY: the list is nginx's, of this value, which nginx only reads.
        let code = unsafe { r.evaluating(self.variables, |r| ngx_http_complex_value(r.as_ptr(), value, &mut result)) };
        // SAFETY: the result lives in the request's pool or longer.
        code.is_ok_and(|code| code == NGX_OK as ngx_int_t).then(|| unsafe { r.slice(&result) })
    }
}

/// Values of which one that is neither empty nor `0` counts, as in `proxy_cache_bypass`. They live as long as the
/// configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Predicates {
    array: NonNull<ngx_array_t>,
    /// Whether it is one, which nginx can test as it is.
    is_one: bool,
}

impl Predicates {
    /// Adds the arguments of the directive that is being read to `predicates`; `Err` if that fails: nginx has logged why.
    pub fn read(cf: &mut Configuration<'_>, predicates: Option<Predicates>) -> Result<Option<Predicates>, ()> {
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
            return Ok(NonNull::new(array).map(|array| {
                let predicates = Predicates { array, is_one: false };
                let values = predicates.values();
                Predicates { is_one: values.len() == 1 && variables_beside_others(&values[0]).is_none(), ..predicates }
            }));
        }
        Err(())
    }

    fn values(&self) -> &[ngx_http_complex_value_t] {
        // SAFETY: the array is what `ngx_http_set_predicate_slot` made of such values.
        unsafe { self.array.as_ref().as_slice() }
    }

    /// Whether one of the values is neither empty nor `0` for a request.
    pub fn test(self, r: &mut Request<'_>) -> Result<bool, OutOfMemory> {
        // SAFETY: the array is what `ngx_http_set_predicate_slot` made, and lives as long as the configuration.
        let all = unsafe { self.array.as_ref() };
        if self.is_one {
            return test(r, all, None);
        }
        // One at a time, so that each sees the location's captures.
        for value in self.values() {
            let one = ngx_array_t { elts: ptr::from_ref(value).cast_mut().cast(), nelts: 1, ..*all };
            if test(r, &one, variables_beside_others(value))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What tells these from other predicates.
    pub fn identity(self) -> *const c_void {
        self.array.as_ptr().cast_const().cast()
    }
}

fn test(
    r: &mut Request<'_>,
    predicates: &ngx_array_t,
    variables: Option<NonNull<ngx_uint_t>>,
) -> Result<bool, OutOfMemory> {
    let predicates = ptr::from_ref(predicates).cast_mut();
    // SAFETY: the list is nginx's, of a value in the array, which nginx only reads.
    match unsafe { r.evaluating(variables, |r| ngx_http_test_predicates(r.as_ptr(), predicates)) }? {
        code if code == NGX_OK as ngx_int_t => Ok(false),
        code if code == NGX_DECLINED as ngx_int_t => Ok(true),
        _ => Err(OutOfMemory),
    }
}

/// nginx's list of a value's variables, if there is something beside one that an expression in a `map` may change: another variable, or
/// `$1` and its like.
fn variables_beside_others(value: &ngx_http_complex_value_t) -> Option<NonNull<ngx_uint_t>> {
    let has_captures = |text: &[u8]| text.windows(2).any(|pair| matches!(pair, [b'$', b'1'..=b'9']));
    // SAFETY: nginx's list has at least one variable, and ends with -1.
    let has_others = |list: &NonNull<ngx_uint_t>| unsafe { *list.as_ptr().add(1) != ngx_uint_t::MAX };
    NonNull::new(value.flushes).filter(|list| has_others(list) || has_captures(value.value.as_bytes()))
}
