// SPDX-License-Identifier: Apache-2.0
//! Evaluating variables without side effects on the request.

#[cfg(ngx_feature = "pcre")]
use std::ffi::c_int;
use std::{mem, ptr};

use ngx::ffi::{ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_variable_t, ngx_http_variable_value_t};

use super::fallible::ngx_palloc;
use super::request::Request;
use super::OutOfMemory;

impl<'r> Request<'r> {
    /// Calls `evaluate` and restores the captures (`$1`, `$2`) of the location, which an expression in a `map` overwrites.
    #[cfg(ngx_feature = "pcre")]
    pub(super) fn keeping_captures<T>(
        &mut self,
        evaluate: impl FnOnce(&mut Request<'r>) -> T,
    ) -> Result<T, OutOfMemory> {
        let r = self.fields();
        // An expression without groups leaves two where no memory may be.
        if r.ncaptures > 0 && !r.captures.is_null() {
            return self.copying_captures(evaluate);
        }
        let result = evaluate(self);
        self.fields_mut().ncaptures = 0;
        Ok(result)
    }

    #[cfg(ngx_feature = "pcre")]
    #[inline(never)]
    fn copying_captures<T>(&mut self, evaluate: impl FnOnce(&mut Request<'r>) -> T) -> Result<T, OutOfMemory> {
        /// Most expressions have no more than fifteen groups, and take two numbers for each and two for the whole.
        const MOST: usize = 32;
        let r = self.fields();
        let (count, data) = (r.ncaptures, r.captures_data);
        let mut few = [0; MOST];
        let copies = match count <= MOST {
            true => few.as_mut_ptr(),
            // SAFETY: the request's pool.
            false => unsafe { ngx_palloc(r.pool, count * size_of::<c_int>()) }.cast(),
        };
        if copies.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: that many are there, and there is as much room.
        unsafe { ptr::copy_nonoverlapping(r.captures, copies, count) };
        let result = evaluate(self);
        let r = self.fields_mut();
        r.captures_data = data;
        // nginx may have taken other memory, for as many as any expression has, or found none.
        r.ncaptures = if r.captures.is_null() { 0 } else { count };
        if r.ncaptures > 0 {
            // SAFETY: as above.
            unsafe { ptr::copy_nonoverlapping(copies, r.captures, count) };
        }
        Ok(result)
    }

    #[cfg(not(ngx_feature = "pcre"))]
    pub(super) fn keeping_captures<T>(
        &mut self,
        evaluate: impl FnOnce(&mut Request<'r>) -> T,
    ) -> Result<T, OutOfMemory> {
        Ok(evaluate(self))
    }

    /// Calls `evaluate` and discards the cached values of the variables that it reads, so that later readers evaluate them again.
    /// `$request_id` is kept, because it would be another one. `evaluate` must not call [`kept`](Request::kept).
    pub fn forgetting_variables<T>(&mut self, evaluate: impl FnOnce(&mut Request<'r>) -> T) -> Result<T, OutOfMemory> {
        let r = self.fields();
        // SAFETY: `ngx_http_core_module` has made its configuration, and a request has a value for each indexed variable.
        let (known, memory) = unsafe {
            let core = *r.main_conf.add((*ptr::addr_of!(ngx_http_core_module)).ctx_index);
            let known = (*core.cast::<ngx_http_core_main_conf_t>()).variables.as_slice::<ngx_http_variable_t>();
            (known, ngx_palloc(r.pool, known.len() * size_of::<ngx_http_variable_value_t>()))
        };
        let copies = memory.cast::<ngx_http_variable_value_t>();
        if copies.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: both have that many values, and do not overlap.
        unsafe { ptr::copy_nonoverlapping(r.variables, copies, known.len()) };
        let variables = mem::replace(&mut self.fields_mut().variables, copies);
        let result = evaluate(self);
        self.fields_mut().variables = variables;
        if let Some(at) = known.iter().position(|variable| variable.name.as_bytes() == b"request_id") {
            // SAFETY: both have a value for it.
            unsafe { *variables.add(at) = *copies.add(at) };
        }
        Ok(result)
    }
}
