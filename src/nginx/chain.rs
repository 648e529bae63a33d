// SPDX-License-Identifier: Apache-2.0
//! Chains of nginx's: the filters that a response goes through, and the handlers of a phase
//! (<https://nginx.org/en/docs/dev/development_guide.html#http_phases>). Who is in a chain calls the next one.

use std::cell::UnsafeCell;
use std::ptr;

use ngx::ffi::{
    ngx_chain_t, ngx_http_handler_pt, ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_http_request_t,
    ngx_http_top_body_filter, ngx_http_top_header_filter, ngx_int_t,
};
use ngx::http::HttpModuleMainConf as _;
use ngx::http::NgxHttpCoreModule;

use super::answer::Body;
use super::configuration::Configuration;
use super::fallible::ngx_array_push;
use super::request::{Code, Request};

/// A filter of headers, or a handler of a phase.
pub type Function = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
/// A filter of bodies.
pub type BodyFunction = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

/// What happens to a request that reaches a location, whose configuration is an `L`.
pub type Arrival<L> = for<'r> extern "C" fn(Request<'r>, &'r L) -> ngx_int_t;

/// Nothing happens to it.
pub extern "C" fn goes_on<'r, L>(_: Request<'r>, _: &'r L) -> ngx_int_t {
    Code::DECLINED.0
}

extern "C" fn declines(_: *mut ngx_http_request_t) -> ngx_int_t {
    Code::DECLINED.0
}

extern "C" fn broken_chain(_: *mut ngx_http_request_t) -> ngx_int_t {
    Code::ERROR.0
}

extern "C" fn broken_body_chain(_: *mut ngx_http_request_t, _: *mut ngx_chain_t) -> ngx_int_t {
    Code::ERROR.0
}

/// A place in one of the chains of filters. nginx makes its chains anew with every configuration, from the same functions.
pub struct Link<F>(UnsafeCell<F>);

// SAFETY: it is set when a configuration is read, and nginx does that, as everything, in one thread.
unsafe impl<F> Sync for Link<F> {}

/// Behind it is nobody.
pub static NOBODY: Link<Function> = Link::of_handlers();

impl Link<Function> {
    /// A place among the handlers of a phase, with nobody behind it, for [`install_phase_handler`].
    pub const fn of_handlers() -> Self {
        Link(UnsafeCell::new(declines))
    }

    /// A place in a chain of header filters.
    pub const fn of_headers() -> Self {
        Link(UnsafeCell::new(broken_chain))
    }

    /// Calls the function behind this place.
    #[inline(always)]
    pub fn next(&self, mut r: Request<'_>) -> ngx_int_t {
        // SAFETY: a function of nginx's, called with the request that nginx has called us with, which is given up.
        unsafe { (*self.0.get())(r.as_ptr()) }
    }

    /// Calls the filter behind this place and keeps the request.
    pub fn next_and_return(&self, r: &mut Request<'_>) -> Code {
        // SAFETY: a filter of nginx's, called with the request that nginx has called us with; it does not free it.
        Code(unsafe { (*self.0.get())(r.as_ptr()) })
    }

    /// Puts `filter` in front of the header filters that are there.
    pub fn install(&self, filter: Function) {
        // SAFETY: nginx runs one thread, and reads no configuration while it serves a request.
        unsafe { self.put(&mut *ptr::addr_of_mut!(ngx_http_top_header_filter), filter, broken_chain) }
    }

    /// Puts `filter` in front of the filters of 103 responses that are there.
    #[cfg(nginx_early_hints)]
    pub fn install_for_early_hints(&self, filter: Function) {
        use ngx::ffi::ngx_http_top_early_hints_filter;
        // SAFETY: nginx runs one thread, and reads no configuration while it serves a request.
        unsafe { self.put(&mut *ptr::addr_of_mut!(ngx_http_top_early_hints_filter), filter, broken_chain) }
    }
}

impl Link<BodyFunction> {
    /// A place in the chain of body filters.
    pub const fn of_bodies() -> Self {
        Link(UnsafeCell::new(broken_body_chain))
    }

    /// Calls the filter behind this place.
    #[inline(always)]
    pub fn next(&self, mut r: Request<'_>, part: Body) -> ngx_int_t {
        // SAFETY: a filter of nginx's, called with what nginx has called us with, and the request is given up.
        unsafe { (*self.0.get())(r.as_ptr(), part.into_ptr()) }
    }

    /// Puts `filter` in front of the body filters that are there, unless it is there already.
    pub fn install_once(&self, filter: BodyFunction) {
        // SAFETY: nginx runs one thread, and looks the first filter up for each part of a body.
        let first = unsafe { &mut *ptr::addr_of_mut!(ngx_http_top_body_filter) };
        if !first.is_some_and(|first| ptr::fn_addr_eq(first, filter)) {
            // SAFETY: nobody is between this place and the next filter.
            unsafe { self.put(first, filter, broken_body_chain) }
        }
    }
}

impl<F: Copy> Link<F> {
    /// # Safety
    /// Nobody is between this place and the next filter.
    unsafe fn put(&self, top: &mut Option<F>, filter: F, broken: F) {
        // SAFETY: the caller's promise.
        unsafe { *self.0.get() = top.replace(filter).unwrap_or(broken) };
    }
}

/// Puts `handler` in front of those of the REWRITE phase, at the place `link`.
///
/// nginx calls the handlers of a phase in reverse order of registration (`ngx_http_init_phase_handlers`). If only one is there,
/// that of `ngx_http_rewrite_module`, `handler` takes its place and calls it, which spares every request a round of the phase
/// engine. Others, such as that of Lua, move themselves behind the rest when the first request comes
/// (unless `rewrite_by_lua_no_postpone` is on), so their places are left to them.
pub fn install_phase_handler(cf: &mut Configuration<'_>, handler: Function, link: &Link<Function>) {
    let Some(core) = NgxHttpCoreModule::main_conf_mut(cf.fields()) else { return };
    let handlers = &mut core.phases[ngx_http_phases_NGX_HTTP_REWRITE_PHASE as usize].handlers;
    if handlers.nelts != 1 {
        // SAFETY: nginx has made the array, of handlers.
        let pushed = unsafe { ngx_array_push(handlers).cast::<ngx_http_handler_pt>() };
        if !pushed.is_null() {
            // SAFETY: a pushed element is memory of the right size.
            unsafe { pushed.write(Some(handler)) };
            return;
        }
    }
    // Nothing may fail here, so if memory has run out, `handler` takes a place after all.
    // SAFETY: nginx has made the array, of handlers.
    let last = unsafe { handlers.as_slice_mut::<ngx_http_handler_pt>() }.last_mut();
    if let Some(behind) = last.and_then(|last| last.replace(handler)) {
        // SAFETY: nobody has called the handler yet.
        unsafe { *link.0.get() = behind };
    }
}
