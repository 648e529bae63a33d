// SPDX-License-Identifier: Apache-2.0
//! Lists of header fields (<https://nginx.org/en/docs/dev/development_guide.html#list>).

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use ngx::ffi::{ngx_list_part_t, ngx_list_t, ngx_table_elt_t, ngx_uint_t};

use super::strings::{self, string};

/// The name of a request header field, with the hash that nginx computes for it.
pub struct Name {
    hash: ngx_uint_t,
    lower: &'static [u8],
}

impl Name {
    const fn new(lower: &'static [u8]) -> Name {
        let mut hash: ngx_uint_t = 0;
        let mut at = 0;
        while at < lower.len() {
            // `ngx_hash` of src/core/ngx_hash.h
            hash = hash.wrapping_mul(31).wrapping_add(lower[at] as ngx_uint_t);
            at += 1;
        }
        Name { hash, lower }
    }

    /// Whether `header` has this name.
    #[inline]
    fn is(&self, header: &ngx_table_elt_t) -> bool {
        header.hash == self.hash
            && header.key.len == self.lower.len()
            // SAFETY: nginx keeps the lower-case name, as long as the name, with every request header.
            && is_same(unsafe { slice::from_raw_parts(header.lowcase_key, header.key.len) }, self.lower)
    }
}

/// Whether both are the same, without a call if they have eight bytes or more.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last), Some(other)) => last == other && a.len() == b.len() && a.chunks_exact(8).eq(b.chunks_exact(8)),
        _ => a == b,
    }
}

/// Names that are looked for in one pass.
pub struct Names<const N: usize> {
    names: [Name; N],
    /// A bit for each name, by the low bits of its hash: most other fields have none of them.
    hashes: u64,
}

impl<const N: usize> Names<N> {
    /// The names, in lower case.
    pub const fn new(lower: [&'static [u8]; N]) -> Names<N> {
        let mut names = [const { Name::new(b"") }; N];
        let mut hashes = 0;
        let mut at = 0;
        while at < N {
            names[at] = Name::new(lower[at]);
            hashes |= 1 << (names[at].hash % 64);
            at += 1;
        }
        Names { names, hashes }
    }

    #[inline(always)]
    pub(super) fn may_have(&self, header: &ngx_table_elt_t) -> bool {
        match &self.names[..] {
            [name] => header.hash == name.hash,
            _ => self.hashes >> (header.hash % 64) & 1 != 0,
        }
    }

    #[inline(always)]
    pub(super) fn position(&self, header: &ngx_table_elt_t) -> Option<usize> {
        self.names.iter().position(|name| name.is(header))
    }
}

/// The elements of a list of headers.
#[derive(Clone)]
pub struct Elements<'r> {
    at: *mut ngx_table_elt_t,
    end: *mut ngx_table_elt_t,
    next: *const ngx_list_part_t,
    of: PhantomData<&'r ngx_list_t>,
}

impl<'r> Elements<'r> {
    /// # Safety
    /// `list` is an initialised list of headers that lives as long as `'r`, and to which nothing is added while the elements
    /// are looked at.
    #[inline]
    pub unsafe fn of(list: *const ngx_list_t) -> Elements<'r> {
        // SAFETY: the caller's promise.
        let part = unsafe { ptr::addr_of!((*list).part) };
        let mut elements = Elements { at: ptr::null_mut(), end: ptr::null_mut(), next: part, of: PhantomData };
        // SAFETY: a list has a first part.
        unsafe { elements.enter_next_part() };
        elements
    }

    /// # Safety
    /// `next` is not null.
    #[inline]
    unsafe fn enter_next_part(&mut self) {
        // SAFETY: the parts of a list are linked and end in null; each says how many elements it has.
        unsafe {
            let part = &*self.next;
            self.at = part.elts.cast();
            self.end = self.at.add(part.nelts);
            self.next = part.next;
        }
    }

    /// The next header that is `wanted`. Four at a time, because this loop is most of what the module does to a request.
    #[inline(always)]
    pub fn find_wanted(&mut self, wanted: impl Fn(&ngx_table_elt_t) -> bool) -> Option<NonNull<ngx_table_elt_t>> {
        loop {
            // SAFETY: from `at` to `end` there are elements, of a list that lives as long as `'r`.
            unsafe {
                while self.end.byte_offset_from(self.at) >= 4 * size_of::<ngx_table_elt_t>() as isize {
                    let [a, b, c, d] = &*self.at.cast::<[ngx_table_elt_t; 4]>();
                    if wanted(a) || wanted(b) || wanted(c) || wanted(d) {
                        break;
                    }
                    self.at = self.at.add(4);
                }
                while self.at != self.end {
                    let header = self.at;
                    self.at = self.at.add(1);
                    if wanted(&*header) {
                        return NonNull::new(header);
                    }
                }
                if self.next.is_null() {
                    return None;
                }
                self.enter_next_part();
            }
        }
    }
}

/// What tells most names apart from those that are looked for.
#[derive(Clone, Copy)]
pub struct Sieve {
    /// The length of one name of less than sixteen bytes.
    pub short: usize,
    /// The first eight bytes of the names of sixteen bytes or more, in lower case and in the order of memory.
    pub long: u64,
    /// The bits in which those are of either case.
    pub case: u64,
}

impl Sieve {
    /// # Safety
    /// A name of sixteen bytes or more has that many.
    #[inline(always)]
    unsafe fn lets_pass(&self, header: &ngx_table_elt_t) -> bool {
        if header.key.len >= 16 {
            // SAFETY: the caller's promise.
            let start = unsafe { header.key.data.cast::<u64>().read_unaligned() };
            return u64::from_le(start) | self.case == self.long;
        }
        header.key.len == self.short
    }
}

impl<'r> Elements<'r> {
    /// The next header that may have one of the names.
    #[inline(always)]
    pub fn sift(&mut self, sieve: Sieve) -> Option<NonNull<ngx_table_elt_t>> {
        // SAFETY: nginx's names are as long as they say.
        self.find_wanted(|header| unsafe { sieve.lets_pass(header) })
    }
}

impl Iterator for Elements<'_> {
    type Item = NonNull<ngx_table_elt_t>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.at == self.end {
            if self.next.is_null() {
                return None;
            }
            // SAFETY: `next` was just compared with null.
            unsafe { self.enter_next_part() };
        }
        let header = NonNull::new(self.at);
        // SAFETY: `at` is before `end`.
        self.at = unsafe { self.at.add(1) };
        header
    }
}

/// The value of a header; it lives as long as the request that it came with.
///
/// # Safety
/// The header is one of a request that lives as long as `'r`.
#[inline]
pub unsafe fn value<'r>(header: &ngx_table_elt_t) -> &'r [u8] {
    // SAFETY: nginx keeps headers in the request's memory.
    unsafe { strings::slice(&header.value) }
}

/// The name of a header.
#[inline]
pub fn name(header: &ngx_table_elt_t) -> &[u8] {
    header.key.as_bytes()
}

/// Whether a header has a name, which is given in lower case.
#[inline]
pub fn has_name(header: &ngx_table_elt_t, lower: &[u8]) -> bool {
    header.key.len == lower.len() && name(header).eq_ignore_ascii_case(lower)
}

/// A response header. What it points to must outlive the responses that it is pushed to.
pub fn header(name: &'static str, value: &[u8]) -> ngx_table_elt_t {
    // SAFETY: all zero is valid, and what `next`, which nginx has since 1.23.0, must be.
    let mut header: ngx_table_elt_t = unsafe { std::mem::zeroed() };
    header.hash = 1;
    header.key = string(name.as_bytes());
    header.value = string(value);
    header
}
