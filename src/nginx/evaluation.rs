// SPDX-License-Identifier: Apache-2.0
//! Evaluating variables without side effects on the request.

#[cfg(ngx_feature = "pcre")]
use std::ffi::c_int;
use std::ptr::NonNull;
use std::{mem, ptr};

use ngx::ffi::{
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_variable_t, ngx_http_variable_value_t, ngx_uint_t,
};

use super::fallible::{ngx_http_get_flushed_variable, ngx_palloc};
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
        r.ncaptures = if r.captures.is_null() {
            0
        } else {
            // SAFETY: as above.
            unsafe { ptr::copy_nonoverlapping(copies, r.captures, count) };
            count
        };
        Ok(result)
    }

    #[cfg(not(ngx_feature = "pcre"))]
    pub(super) fn keeping_captures<T>(
        &mut self,
        evaluate: impl FnOnce(&mut Request<'r>) -> T,
    ) -> Result<T, OutOfMemory> {
        Ok(evaluate(self))
    }

    /// Calls `evaluate`, which reads a value. The captures of the location are not changed by this, neither in the rest of the value nor
    /// afterwards; named ones, which are variables, not in the rest of the value. `variables` are those that may change the rest.
    ///
    /// # Safety
    /// `variables` are the indices of variables, and end with -1.
    pub(super) unsafe fn evaluating<T>(
        &mut self,
        variables: Option<NonNull<ngx_uint_t>>,
        evaluate: impl FnOnce(&mut Request<'r>) -> T,
    ) -> Result<T, OutOfMemory> {
        match variables {
            // SAFETY: the caller's promise.
            Some(variables) => unsafe { self.after_variables(variables, evaluate) },
            None => self.keeping_captures(evaluate),
        }
    }

    /// Calls `evaluate` with each of these variables as it was, or as it evaluates to with the captures of the location. nginx reads a
    /// value twice, to learn its length and to write it. An expression of a `map` that it evaluates in between would change captures,
    /// and with them the length of the rest.
    ///
    /// # Safety
    /// As above.
    #[inline(never)]
    unsafe fn after_variables<T>(
        &mut self,
        variables: NonNull<ngx_uint_t>,
        evaluate: impl FnOnce(&mut Request<'r>) -> T,
    ) -> Result<T, OutOfMemory> {
        let own = self.copy_variables()?;
        let copies = mem::replace(&mut self.fields_mut().variables, own);
        // SAFETY: the caller's promise.
        let indices =
            (0..).map(|at| unsafe { *variables.as_ptr().add(at) }).take_while(|&index| index != ngx_uint_t::MAX);
        for index in indices {
            // SAFETY: a request has a value for each variable, and so have its copies.
            let copy = unsafe { &mut *copies.add(index) };
            if (copy.valid() == 1 || copy.not_found() == 1) && copy.no_cacheable() == 0 {
                continue;
            }
            // SAFETY: `index` is a variable's.
            let value = self.keeping_captures(|r| unsafe { ngx_http_get_flushed_variable(r.as_ptr(), index) })?;
            // SAFETY: nginx's value, or null for one that it cannot evaluate and takes for an empty one.
            match unsafe { value.as_ref() } {
                Some(value) => *copy = *value,
                None => copy.set_not_found(1),
            }
            // nginx would evaluate it once more.
            copy.set_no_cacheable(0);
        }
        self.fields_mut().variables = copies;
        let result = evaluate(self);
        self.fields_mut().variables = own;
        Ok(result)
    }

    /// Calls `evaluate` and discards the cached values of the variables that it reads, so that later readers evaluate them again.
    /// `$request_id` is kept, because it would be another one. `evaluate` must not call [`kept`](Request::kept).
    pub fn forgetting_variables<T>(&mut self, evaluate: impl FnOnce(&mut Request<'r>) -> T) -> Result<T, OutOfMemory> {
        let own = self.copy_variables()?;
        let result = evaluate(self);
        let copies = mem::replace(&mut self.fields_mut().variables, own);
        if let Some(at) = self.known_variables().iter().position(|variable| variable.name.as_bytes() == b"request_id") {
            // SAFETY: both have a value for it.
            unsafe { *own.add(at) = *copies.add(at) };
        }
        Ok(result)
    }

    /// Has the request use a copy of its variables' values, and returns its own.
    fn copy_variables(&mut self) -> Result<*mut ngx_http_variable_value_t, OutOfMemory> {
        let count = self.known_variables().len();
        let r = self.fields_mut();
        // SAFETY: the request's pool.
        let copies = unsafe { ngx_palloc(r.pool, count * size_of::<ngx_http_variable_value_t>()) };
        let copies = copies.cast::<ngx_http_variable_value_t>();
        if copies.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: a request has a value for each indexed variable; the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(r.variables, copies, count) };
        Ok(mem::replace(&mut r.variables, copies))
    }

    /// The variables that have an index.
    fn known_variables(&self) -> &'r [ngx_http_variable_t] {
        let r = self.fields();
        // SAFETY: `ngx_http_core_module` has made its configuration, which lives as long as any request.
        unsafe {
            let core = *r.main_conf.add((*ptr::addr_of!(ngx_http_core_module)).ctx_index);
            (*core.cast::<ngx_http_core_main_conf_t>()).variables.as_slice()
        }
    }
}
