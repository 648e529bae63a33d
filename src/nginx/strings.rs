//! nginx's strings: a length and a pointer (<https://nginx.org/en/docs/dev/development_guide.html#string_overview>).

use std::slice;

use ngx::ffi::{ngx_parse_time, ngx_str_t};

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

/// Bytes as nginx has them; it does not write to the strings that this module hands it.
#[inline]
pub fn string(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}

/// Reads a time as nginx writes them (`600`, `10m`, `1h`), in seconds.
pub fn parse_seconds(value: &[u8]) -> Option<u64> {
    let mut string = string(value);
    // SAFETY: nginx only reads the string.
    let seconds = unsafe { ngx_parse_time(&mut string, 1) };
    u64::try_from(seconds).ok()
}
