//! The next one in a chain of nginx's: what a filter or a handler calls when it has done its part.

use std::mem::transmute;
use std::sync::atomic::{AtomicPtr, Ordering};

use ngx::ffi::{ngx_http_handler_pt, ngx_http_request_t, ngx_int_t};

type Function = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// A function that takes a request, which is what both filters of headers and handlers of phases are. Set when a
/// configuration is read, before there are requests.
pub struct Next {
    function: AtomicPtr<()>,
    otherwise: Function,
}

impl Next {
    /// None yet: `otherwise` stands in for it.
    pub const fn new(otherwise: Function) -> Next {
        Next { function: AtomicPtr::new(otherwise as *mut ()), otherwise }
    }

    /// Takes note of it.
    pub fn set(&self, function: ngx_http_handler_pt) {
        self.function.store(function.unwrap_or(self.otherwise) as *mut (), Ordering::Relaxed);
    }

    /// Calls it.
    #[inline(always)]
    pub fn call(&self, r: *mut ngx_http_request_t) -> ngx_int_t {
        // SAFETY: `new` and `set` store functions of this type alone; nginx's are called with the request that nginx has
        // called us with.
        unsafe { transmute::<*mut (), Function>(self.function.load(Ordering::Relaxed))(r) }
    }
}
