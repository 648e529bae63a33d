// SPDX-License-Identifier: Apache-2.0
//! Evaluating variables without side effects on the request.

use std::{mem, ptr};

use ngx::ffi::{ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_variable_value_t};

use super::fallible::ngx_palloc;
#[cfg(ngx_feature = "pcre")]
use super::layout::REALLOC_CAPTURES;
use super::request::Request;
use super::OutOfMemory;

impl<'r> Request<'r> {
    /// Calls `evaluate` and restores the captures (`$1`, `$2`) of the location, which an expression in a `map` overwrites.
    pub(super) fn keeping_captures<T>(&mut self, evaluate: impl FnOnce(&mut Request<'r>) -> T) -> T {
        #[cfg(ngx_feature = "pcre")]
        let (captures, is_shared) = {
            let r = self.fields_mut();
            let is_shared = REALLOC_CAPTURES.is_set(r);
            // nginx then writes others to another place.
            REALLOC_CAPTURES.set(r);
            ((r.ncaptures, r.captures, r.captures_data), is_shared)
        };
        let result = evaluate(self);
        #[cfg(ngx_feature = "pcre")]
        {
            let r = self.fields_mut();
            (r.ncaptures, r.captures, r.captures_data) = captures;
            match is_shared {
                true => REALLOC_CAPTURES.set(r),
                false => REALLOC_CAPTURES.clear(r),
            }
        }
        result
    }

    /// Calls `evaluate` and discards the cached values of the variables that it reads, so that later readers evaluate them again.
    /// `evaluate` must not call [`kept`](Request::kept).
    pub fn forgetting_variables<T>(&mut self, evaluate: impl FnOnce(&mut Request<'r>) -> T) -> Result<T, OutOfMemory> {
        let r = self.fields();
        // SAFETY: `ngx_http_core_module` has made its configuration, and a request has a value for each indexed variable.
        let (count, memory) = unsafe {
            let core = *r.main_conf.add((*ptr::addr_of!(ngx_http_core_module)).ctx_index);
            let count = (*core.cast::<ngx_http_core_main_conf_t>()).variables.nelts;
            (count, ngx_palloc(r.pool, count * size_of::<ngx_http_variable_value_t>()))
        };
        let copies = memory.cast::<ngx_http_variable_value_t>();
        if copies.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: both have that many values, and do not overlap.
        unsafe { ptr::copy_nonoverlapping(r.variables, copies, count) };
        let variables = mem::replace(&mut self.fields_mut().variables, copies);
        let result = evaluate(self);
        self.fields_mut().variables = variables;
        Ok(result)
    }
}
