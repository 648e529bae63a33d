// SPDX-License-Identifier: Apache-2.0
//! Responses of the module's own, finished as nginx finishes those of `return`.

use std::ptr;

use ngx::ffi::{
    ngx_chain_t, ngx_http_clean_header, ngx_int_t, ngx_uint_t, off_t, NGINX_VERSION, NGX_HTTP_LAST, NGX_HTTP_OK, NGX_OK,
};

use super::fallible::{
    ngx_create_temp_buf, ngx_http_discard_request_body, ngx_http_output_filter, ngx_http_send_header,
    ngx_http_send_special,
};
use super::layout::{DISABLE_NOT_MODIFIED, ERROR_PAGE, EXPECT_TESTED, HEADER_ONLY, KEEPALIVE, LAST_BUF, LAST_IN_CHAIN};
use super::request::{Code, Request};
use super::strings::string;

impl Request<'_> {
    /// The status of the response.
    #[inline]
    pub fn response_status(&self) -> ngx_uint_t {
        self.fields().headers_out.status
    }

    /// Sends a response without a body; what it returns is what a phase handler returns.
    #[inline(always)]
    pub fn answer(&mut self, status: u16) -> Code {
        // After a redirect, there may be fields of the response that this one takes the place of, and its status.
        if self.is_internal() || self.fields().err_status != 0 {
            self.clean();
        }
        self.set_empty(status);
        // SAFETY: the header has not been sent: no content handler has run.
        let sent = unsafe { ngx_http_send_header(self.as_ptr()) };
        if sent == Code::ERROR.0 || sent > Code::OK.0 || self.is_header_only() {
            return Code(sent);
        }
        self.send_last()
    }

    /// Makes a response that somebody has begun one without a body; none of its fields are left.
    pub fn replace_response(&mut self, status: u16) {
        self.clean();
        self.set_empty(status);
    }

    /// Whether nothing follows the header: the response is to a HEAD, or its status allows no body.
    #[inline]
    pub fn is_header_only(&self) -> bool {
        HEADER_ONLY.is_set(self.fields())
    }

    /// Ends the body: filters may have turned the length into chunks, or hold the header until the body is complete.
    pub fn send_last(&mut self) -> Code {
        // SAFETY: the header has been sent, and the end of the body has not.
        Code(unsafe { ngx_http_send_special(self.as_ptr(), NGX_HTTP_LAST as ngx_uint_t) })
    }

    /// Sends a response with a body, as a content handler does; what it returns is what that returns.
    pub fn respond(&mut self, content_type: &'static str, body: &[u8]) -> Code {
        // SAFETY: nginx allows it for every request that gets an answer.
        let discarded = unsafe { ngx_http_discard_request_body(self.as_ptr()) };
        if discarded != NGX_OK as ngx_int_t {
            return Code(discarded);
        }
        // SAFETY: nginx returns null, or a buffer with memory for so many bytes.
        let Some(buffer) = (unsafe { ngx_create_temp_buf(self.fields().pool, body.len()).as_mut() }) else {
            return Code::INTERNAL_SERVER_ERROR;
        };
        // SAFETY: see above.
        unsafe {
            ptr::copy_nonoverlapping(body.as_ptr(), buffer.pos, body.len());
            buffer.last = buffer.pos.add(body.len());
        }
        if self.is_main() {
            LAST_BUF.set(buffer);
        }
        LAST_IN_CHAIN.set(buffer);
        let out = &mut self.fields_mut().headers_out;
        out.status = NGX_HTTP_OK as ngx_uint_t;
        out.content_type = string(content_type.as_bytes());
        out.content_type_len = content_type.find(';').unwrap_or(content_type.len());
        out.content_length_n = body.len() as off_t;
        // SAFETY: no content handler has sent a header before.
        let sent = unsafe { ngx_http_send_header(self.as_ptr()) };
        if sent == Code::ERROR.0 || sent > Code::OK.0 || self.is_header_only() {
            return Code(sent);
        }
        let mut link = ngx_chain_t { buf: buffer, next: ptr::null_mut() };
        // SAFETY: nginx copies the links that it keeps.
        Code(unsafe { ngx_http_output_filter(self.as_ptr(), &mut link) })
    }

    #[cold]
    fn clean(&mut self) {
        // SAFETY: nginx does it to every response that a filter replaces.
        unsafe { ngx_http_clean_header(self.as_ptr()) };
        // It would become the status of the response, and that of the access log.
        self.fields_mut().err_status = 0;
    }

    #[inline(always)]
    fn set_empty(&mut self, status: u16) {
        // Like `ngx_http_special_response_handler`: nobody is asked to send a body that is not wanted.
        EXPECT_TESTED.set(self.fields_mut());
        // A filter may turn the answer into an error: that ends the request as well, and `error_page` does not take it elsewhere.
        ERROR_PAGE.set(self.fields_mut());
        if self.has_body() {
            // SAFETY: nginx allows it for every request that gets an answer.
            if unsafe { ngx_http_discard_request_body(self.as_ptr()) } != NGX_OK as ngx_int_t {
                KEEPALIVE.clear(self.fields_mut());
            }
        }
        let r = self.fields_mut();
        r.headers_out.status = ngx_uint_t::from(status);
        r.headers_out.content_length_n = 0;
        if u32::from(status) == NGX_HTTP_OK {
            DISABLE_NOT_MODIFIED.set(r);
        }
    }
}

/// The version of nginx.
pub fn nginx_version() -> &'static str {
    NGINX_VERSION.to_str().unwrap_or_default()
}

/// A part of a response's body, as it goes through the filters.
pub struct Body(*mut ngx_chain_t);

impl Body {
    /// # Safety
    /// `chain` is what nginx has called a body filter with, and the value is not used after the call.
    pub unsafe fn from_ptr(chain: *mut ngx_chain_t) -> Body {
        Body(chain)
    }

    /// Whether there is nothing in it: a filter before has sent what it had held back.
    pub fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn into_ptr(self) -> *mut ngx_chain_t {
        self.0
    }

    /// Takes the part as sent without sending it; returns whether it is the last.
    pub fn discard(self) -> bool {
        let mut is_last = false;
        let mut link = self.0;
        // SAFETY: the links of a chain are valid and end in null, and each has a buffer, which a filter may consume.
        while let Some(chain) = unsafe { link.as_ref() } {
            // SAFETY: each link of a chain has a buffer.
            let buffer = unsafe { &mut *chain.buf };
            is_last |= LAST_BUF.is_set(buffer);
            buffer.pos = buffer.last;
            buffer.file_pos = buffer.file_last;
            link = chain.next;
        }
        is_last
    }
}
