//! ngx-http-cors: cross-origin resource sharing for nginx.
//!
//! This file is the module's table. Configuration: [`directives`] reads what a level says, [`location`] merges levels and
//! makes policies. Requests: [`rewrite`] answers preflights and enforces, [`filter`] writes response headers; both ask the
//! crate `cors-policy`, which knows nothing of nginx, through [`policy`]. [`request`] wraps nginx's structures.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

mod barrier;
mod denial;
pub mod directives;
mod fallible;
#[cfg(feature = "fault-injection")]
mod fault;
pub mod filter;
mod layout;
pub mod location;
mod messages;
mod next;
pub mod policy;
pub mod request;
pub mod rewrite;
mod variables;

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::core::{Status, NGX_CONF_ERROR};
use ngx::ffi::{
    ngx_conf_t, ngx_cycle, ngx_http_module_t, ngx_http_phases_NGX_HTTP_REWRITE_PHASE, ngx_http_variable_value_t,
    ngx_int_t, ngx_module_t, ngx_uint_t, NGX_ALIGNMENT, NGX_HTTP_MODULE,
};
use ngx::http::{HttpModule, HttpModuleLocationConf, HttpModuleMainConf, NgxHttpCoreModule};

use barrier::guard;
use fallible::ngx_pool_cleanup_add;
use location::{LocationConf, MainConf};
use request::OutOfMemory;

/// The module, as the `ngx` crate looks configurations up by it.
pub struct Module;

impl HttpModule for Module {
    fn module() -> &'static ngx_module_t {
        // SAFETY: nginx sets the indices when it loads the module, before anything is asked.
        unsafe { &*ptr::addr_of!(ngx_http_cors_module) }
    }
}

// SAFETY: `create_main_conf` makes just that.
unsafe impl HttpModuleMainConf for Module {
    type MainConf = MainConf;
}

// SAFETY: `create_loc_conf` makes just that.
unsafe impl HttpModuleLocationConf for Module {
    type LocationConf = LocationConf;
}

impl Module {
    /// The index of this module's context in a request.
    #[inline]
    fn index() -> usize {
        Module::module().ctx_index
    }
}

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(create_main_conf),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(create_loc_conf),
    merge_loc_conf: Some(merge_loc_conf),
};

/// The module's entry in nginx's list.
#[no_mangle]
pub static mut ngx_http_cors_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(CONTEXT).cast_mut().cast(),
    commands: ptr::addr_of_mut!(directives::COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    ..ngx_module_t::default()
};

/// What nginx looks for in a library that it is told to load.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_modules: [*const ngx_module_t; 2] = [ptr::addr_of!(ngx_http_cors_module), ptr::null()];

/// Their names.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_module_names: [*const c_char; 2] = [c"ngx_http_cors_module".as_ptr(), ptr::null()];

/// Where it stands among the filters: before the one that writes `add_header`, which makes it run after that.
#[cfg(not(feature = "nginx-build"))]
#[no_mangle]
pub static mut ngx_module_order: [*const c_char; 3] =
    [c"ngx_http_cors_module".as_ptr(), c"ngx_http_headers_filter_module".as_ptr(), ptr::null()];

unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    #[cfg(feature = "fault-injection")]
    fault::read();
    // SAFETY: nginx calls it with the configuration that it reads.
    let log = unsafe { (*cf).log };
    guard(
        || log,
        ptr::null_mut(),
        || {
            barrier::install_hook();
            // SAFETY: as above.
            unsafe { allocate(cf, MainConf::default()) }
        },
    )
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: as above.
    let cf = unsafe { &mut *cf };
    let log = cf.log;
    guard(
        || log,
        Status::NGX_ERROR.0,
        || match (variables::add(cf), Module::main_conf_mut(cf)) {
            (Some(slot), Some(main)) => {
                main.slot = slot * size_of::<ngx_http_variable_value_t>();
                Status::NGX_OK.0
            }
            _ => Status::NGX_ERROR.0,
        },
    )
}

unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: as above.
    let log = unsafe { (*cf).log };
    // SAFETY: as above. The main configuration cannot be looked up yet: `cf.ctx` is still that of the level above.
    guard(|| log, ptr::null_mut(), || unsafe { allocate(cf, LocationConf::default()) })
}

unsafe extern "C" fn merge_loc_conf(cf: *mut ngx_conf_t, above: *mut c_void, conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx calls it with two of this module's configurations.
    let (cf, above, conf) =
        unsafe { (&mut *cf, &mut *above.cast::<LocationConf>(), &mut *conf.cast::<LocationConf>()) };
    let Some(main) = Module::main_conf_mut(cf) else { return NGX_CONF_ERROR };
    let log = cf.log;
    guard(
        || log,
        NGX_CONF_ERROR,
        || {
            above.finish(None, main, log);
            conf.finish(Some(above), main, log);
            ptr::null_mut()
        },
    )
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx calls it with the configuration that it has read.
    let cf = unsafe { &mut *cf };
    let Some(main) = Module::main_conf_mut(cf) else { return Status::NGX_ERROR.0 };
    let log = cf.log;
    guard(
        || log,
        Status::NGX_ERROR.0,
        || {
            if let Some(http) = Module::location_conf_mut(cf) {
                http.finish(None, main, log);
            }
            main.warn_of_what_has_no_effect(log);
            if main.messages.failed() {
                return Status::NGX_ERROR.0;
            }
            filter::install();
            install_handler(cf, main).0
        },
    )
}

fn install_handler(cf: &ngx_conf_t, main: &mut MainConf) -> Status {
    let Some(core) = NgxHttpCoreModule::main_conf_mut(cf) else { return Status::NGX_ERROR };
    let phase = &mut core.phases[ngx_http_phases_NGX_HTTP_REWRITE_PHASE as usize];
    match rewrite::install(&mut phase.handlers) {
        Ok(next) => {
            main.next_handler = next;
            Status::NGX_OK
        }
        Err(OutOfMemory) => Status::NGX_ERROR,
    }
}

/// Keeps `value` for as long as the configuration lives; null where there is no memory.
///
/// # Safety
/// `cf` is a configuration that nginx reads.
unsafe fn allocate<T>(cf: *mut ngx_conf_t, value: T) -> *mut c_void {
    const { assert!(align_of::<T>() <= NGX_ALIGNMENT) };
    // SAFETY: the caller's promise.
    let Some(cleanup) = (unsafe { ngx_pool_cleanup_add((*cf).pool, size_of::<T>()).as_mut() }) else {
        return ptr::null_mut();
    };
    // SAFETY: nginx has put memory of that size there.
    unsafe { cleanup.data.cast::<T>().write(value) };
    cleanup.handler = Some(drop_value::<T>);
    cleanup.data
}

unsafe extern "C" fn drop_value<T>(data: *mut c_void) {
    // SAFETY: nginx has a cycle, and a cycle a log, whenever a pool is destroyed; `allocate` has put the value there.
    guard(|| unsafe { (*ngx_cycle).log }, (), || unsafe { ptr::drop_in_place(data.cast::<T>()) });
}
