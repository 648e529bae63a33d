// SPDX-License-Identifier: Apache-2.0
// Angie for the crates nginx-sys and ngx, which know nginx: scripts/build has bindgen read this first. A field of Angie's modules has
// another name, and its function that logs another argument: see angie.c.

#define angie_sign          spare1
#define ngx_log_error_core  angie_log_error_core

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#if __has_include(<ngx_stream.h>)
#include <ngx_stream.h>
#endif

#undef ngx_log_error_core

void ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err, const char *fmt, ...)
    __asm__("ngx_http_cors_log_error_core");
