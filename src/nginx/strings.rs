// SPDX-License-Identifier: Apache-2.0
//! nginx's strings: a length and a pointer (<https://nginx.org/en/docs/dev/development_guide.html#string_overview>).

use std::marker::PhantomData;
use std::slice;

use ngx::ffi::ngx_str_t;

/// # Safety
/// The bytes live as long as `'a`.
#[inline]
pub unsafe fn slice<'a>(string: &ngx_str_t) -> &'a [u8] {
    if string.len == 0 {
        return b"";
    }
    // SAFETY: a string of nginx's points to that many bytes; the caller promises how long.
    unsafe { slice::from_raw_parts(string.data, string.len) }
}

/// A string of nginx's that lives as long as `'a`: copied as it is, it costs less than a slice.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Str<'a>(ngx_str_t, PhantomData<&'a [u8]>);

impl<'a> Str<'a> {
    /// # Safety
    /// The bytes live as long as `'a`.
    #[inline(always)]
    pub unsafe fn from_string(string: ngx_str_t) -> Str<'a> {
        Str(string, PhantomData)
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_bytes(self) -> &'a [u8] {
        // SAFETY: whoever made it has promised so.
        unsafe { slice(&self.0) }
    }

    /// What nginx takes.
    #[inline(always)]
    pub fn as_string(self) -> ngx_str_t {
        self.0
    }
}

impl Default for Str<'_> {
    fn default() -> Self {
        Str(ngx_str_t::empty(), PhantomData)
    }
}

impl<'a> From<&'a [u8]> for Str<'a> {
    fn from(bytes: &'a [u8]) -> Str<'a> {
        Str(string(bytes), PhantomData)
    }
}

/// Bytes as nginx has them; it does not write to the strings that this module hands it.
#[inline]
pub fn string(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}
