//! The next one in a chain of nginx's: what a filter or a handler calls when it has done its part.

use ngx::ffi::{ngx_http_handler_pt, ngx_http_request_t, ngx_int_t};

/// What both filters of headers and handlers of phases are.
type Function = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// The next function that takes a request.
#[derive(Clone, Copy)]
pub struct Next(Function);

impl Next {
    /// `function`, or where there is none what stands in for it.
    pub fn new(function: ngx_http_handler_pt, otherwise: Function) -> Next {
        Next(function.unwrap_or(otherwise))
    }

    /// What stands in for it.
    pub const fn stand_in(otherwise: Function) -> Next {
        Next(otherwise)
    }

    /// Calls it.
    #[inline(always)]
    pub fn call(self, r: *mut ngx_http_request_t) -> ngx_int_t {
        // SAFETY: nginx's own, called with the request that nginx has called us with.
        unsafe { (self.0)(r) }
    }
}
