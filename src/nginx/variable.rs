// SPDX-License-Identifier: Apache-2.0
//! Variables (<https://nginx.org/en/docs/dev/development_guide.html#http_variables>).

use std::ptr;

use ngx::ffi::{
    ngx_hash_key_t, ngx_http_get_variable_pt, ngx_http_request_t, ngx_http_variable_t, ngx_http_variable_value_t,
    ngx_int_t, NGX_HTTP_VAR_NOCACHEABLE,
};
use ngx::http::{HttpModuleMainConf, NgxHttpCoreModule};

use super::configuration::Configuration;
use super::fallible::{ngx_http_add_variable, ngx_http_get_variable_index};
use super::request::Code;
use super::strings::{slice, string};

/// Whether the configuration defines a variable of this name (in lower case) already.
pub fn is_defined(cf: &Configuration<'_>, name: &str) -> bool {
    let Some(core) = NgxHttpCoreModule::main_conf(cf.fields()) else { return false };
    // SAFETY: nginx makes the table before it reads the `http` block, and keeps it until that has been read.
    let keys = unsafe { (*core.variables_keys).keys.as_slice::<ngx_hash_key_t>() };
    // SAFETY: the keys live as long as the table.
    keys.iter().any(|key| unsafe { slice(&key.key) } == name.as_bytes())
}

/// Defines a variable, whose value is computed each time that it is used.
pub fn add(cf: &mut Configuration<'_>, name: &'static str, get: ngx_http_get_variable_pt) -> Option<()> {
    let mut name = string(name.as_bytes());
    // SAFETY: nginx copies the name, and returns null or a variable of the configuration.
    let variable = unsafe { ngx_http_add_variable(cf.as_ptr(), &mut name, NGX_HTTP_VAR_NOCACHEABLE as _).as_mut() }?;
    variable.get_handler = get;
    Some(())
}

/// Adds a value to those that each request has, of a variable without a name, which nobody can look up; returns its index.
pub(super) fn add_nameless(cf: &mut Configuration<'_>) -> Option<usize> {
    // nginx gives out an index for a name only, and for each name once. So the name is taken away afterwards.
    // SAFETY: nginx calls us with a configuration, and copies the name.
    let index = usize::try_from(unsafe { ngx_http_get_variable_index(cf.as_ptr(), &mut string(b"cors kept")) }).ok()?;
    let core = NgxHttpCoreModule::main_conf_mut(cf.fields())?;
    // SAFETY: nginx has made the array, of variables.
    let variables = unsafe { core.variables.as_slice_mut::<ngx_http_variable_t>() };
    let variable = variables.get_mut(index)?;
    variable.name.len = 0;
    variable.get_handler = Some(not_found);
    Some(index)
}

unsafe extern "C" fn not_found(_: *mut ngx_http_request_t, v: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx calls it with the value to fill.
    unsafe { (*v).set_not_found(1) };
    Code::OK.0
}

/// The value of a variable that nginx asks for.
pub struct Value<'v>(&'v mut ngx_http_variable_value_t);

impl Value<'_> {
    /// # Safety
    /// `v` is what nginx has called a variable's entry with, and the value is not used after the call.
    pub unsafe fn from_ptr<'v>(v: *mut ngx_http_variable_value_t) -> Value<'v> {
        // SAFETY: the caller's promise.
        Value(unsafe { &mut *v })
    }

    /// Sets it to `value`, which lives as long as the request.
    pub fn set(self, value: &[u8]) -> Code {
        let v = self.0;
        v.set_len(u32::try_from(value.len()).unwrap_or(0));
        v.set_valid(1);
        v.set_no_cacheable(0);
        v.set_not_found(0);
        v.data = if value.is_empty() { ptr::null_mut() } else { value.as_ptr().cast_mut() };
        Code::OK
    }

    /// There is none, for the rest of the request: nginx keeps what is not found unless it may have changed.
    pub fn fail(self) -> Code {
        self.0.set_no_cacheable(0);
        Code::ERROR
    }
}
