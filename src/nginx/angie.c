// SPDX-License-Identifier: Apache-2.0
// Angie's function that logs has one argument more than nginx's: the name of the file that logs. The crate `ngx` calls nginx's,
// always for a text ("%*s"); scripts/build has the bindings send the call here.

#include <ngx_config.h>
#include <ngx_core.h>
#include <stdarg.h>

void
ngx_http_cors_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err, const char *fmt, ...)
{
    size_t   len;
    u_char  *text;
    va_list  args;

    va_start(args, fmt);
    len = va_arg(args, size_t);
    text = va_arg(args, u_char *);
    va_end(args);

    ngx_log_error_core(level, log, "ngx_http_cors_module", err, fmt, len, text);
}
