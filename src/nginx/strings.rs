// SPDX-License-Identifier: Apache-2.0
//! nginx's strings: a length and a pointer (<https://nginx.org/en/docs/dev/development_guide.html#string_overview>).

use std::cell::Cell;
use std::marker::PhantomData;
use std::{ptr, slice};

use ngx::ffi::ngx_str_t;

use super::slot::{Held, LIMIT};

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

/// A string in the memory of a value.
pub struct HeldStr<'a>(Held<*const u8>, PhantomData<&'a [u8]>);

impl<'a> HeldStr<'a> {
    /// The string.
    #[inline(always)]
    pub fn get(&self) -> Str<'a> {
        Str(ngx_str_t { len: self.0.number.get() as usize, data: self.0.pointer.get().cast_mut() }, PhantomData)
    }

    /// Writes the string. One of 512 MiB and more, which no header field is, loses its end.
    #[inline(always)]
    pub fn set(&self, value: Str<'a>) {
        self.0.pointer.set(value.0.data);
        self.0.number.set(value.0.len.min(LIMIT as usize - 1) as u32);
    }
}

impl Default for HeldStr<'_> {
    fn default() -> Self {
        HeldStr(Held { number: Cell::new(0), pointer: Cell::new(ptr::null()) }, PhantomData)
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
