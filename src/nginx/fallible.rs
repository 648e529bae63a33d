// SPDX-License-Identifier: Apache-2.0
//! The functions of nginx that fail when memory runs out, as this module calls them: a build for tests can make any call
//! fail.

#[cfg(feature = "fault-injection")]
use {
    super::fault::{CONFIGURATION, REQUEST},
    ngx::ffi::*,
    std::ffi::{c_char, c_void},
    std::ptr::null_mut,
};

macro_rules! fallible {
    ($( $countdown:ident $name:ident($( $argument:ident: $type:ty ),+) -> $returned:ty, $failed:expr; )+) => {
        #[cfg(not(feature = "fault-injection"))]
        pub use ngx::ffi::{$( $name ),+};

        $(
            /// # Safety
            /// As for nginx's function of this name.
            #[cfg(feature = "fault-injection")]
            pub unsafe fn $name($( $argument: $type ),+) -> $returned {
                if $countdown.ends() {
                    return $failed;
                }
                // SAFETY: the caller's promise.
                unsafe { ngx::ffi::$name($( $argument ),+) }
            }
        )+
    };
}

fallible! {
    CONFIGURATION ngx_array_push(array: *mut ngx_array_t) -> *mut c_void, null_mut();
    CONFIGURATION ngx_pool_cleanup_add(pool: *mut ngx_pool_t, size: usize) -> *mut ngx_pool_cleanup_t, null_mut();
    CONFIGURATION ngx_conf_full_name(cycle: *mut ngx_cycle_t, name: *mut ngx_str_t, conf_prefix: ngx_uint_t)
        -> ngx_int_t, NGX_ERROR as ngx_int_t;
    CONFIGURATION ngx_http_add_variable(cf: *mut ngx_conf_t, name: *mut ngx_str_t, flags: ngx_uint_t)
        -> *mut ngx_http_variable_t, null_mut();
    CONFIGURATION ngx_http_get_variable_index(cf: *mut ngx_conf_t, name: *mut ngx_str_t)
        -> ngx_int_t, NGX_ERROR as ngx_int_t;
    CONFIGURATION ngx_http_compile_complex_value(value: *mut ngx_http_compile_complex_value_t)
        -> ngx_int_t, NGX_ERROR as ngx_int_t;
    CONFIGURATION ngx_shared_memory_add(cf: *mut ngx_conf_t, name: *mut ngx_str_t, size: usize, tag: *mut c_void)
        -> *mut ngx_shm_zone_t, null_mut();
    CONFIGURATION ngx_slab_alloc(pool: *mut ngx_slab_pool_t, size: usize) -> *mut c_void, null_mut();
    CONFIGURATION ngx_http_set_predicate_slot(cf: *mut ngx_conf_t, command: *mut ngx_command_t, conf: *mut c_void)
        -> *mut c_char, ngx::core::NGX_CONF_ERROR;
    REQUEST ngx_palloc(pool: *mut ngx_pool_t, size: usize) -> *mut c_void, null_mut();
    REQUEST ngx_pnalloc(pool: *mut ngx_pool_t, size: usize) -> *mut c_void, null_mut();
    REQUEST ngx_list_push(list: *mut ngx_list_t) -> *mut c_void, null_mut();
    REQUEST ngx_create_temp_buf(pool: *mut ngx_pool_t, size: usize) -> *mut ngx_buf_t, null_mut();
    REQUEST ngx_http_complex_value(
        r: *mut ngx_http_request_t, value: *mut ngx_http_complex_value_t, result: *mut ngx_str_t
    ) -> ngx_int_t, NGX_ERROR as ngx_int_t;
    REQUEST ngx_http_get_flushed_variable(r: *mut ngx_http_request_t, index: ngx_uint_t)
        -> *mut ngx_http_variable_value_t, null_mut();
    REQUEST ngx_http_test_predicates(r: *mut ngx_http_request_t, predicates: *mut ngx_array_t)
        -> ngx_int_t, NGX_ERROR as ngx_int_t;
    REQUEST ngx_http_discard_request_body(r: *mut ngx_http_request_t)
        -> ngx_int_t, NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    REQUEST ngx_http_send_header(r: *mut ngx_http_request_t) -> ngx_int_t, NGX_ERROR as ngx_int_t;
    REQUEST ngx_http_output_filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t)
        -> ngx_int_t, NGX_ERROR as ngx_int_t;
    REQUEST ngx_http_send_special(r: *mut ngx_http_request_t, flags: ngx_uint_t) -> ngx_int_t, NGX_ERROR as ngx_int_t;
}
