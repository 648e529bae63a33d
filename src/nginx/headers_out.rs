// SPDX-License-Identifier: Apache-2.0
//! The header fields of a response (<https://nginx.org/en/docs/dev/development_guide.html#http_response>).

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use ngx::ffi::ngx_table_elt_t;

use super::fallible::ngx_list_push;
use super::header_list::{self, has_name, Elements, Sieve};
use super::request::{OutOfMemory, Request};
use super::strings::{string, Str};

/// A field of a response, which stays where it is for as long as the request lives.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct FieldOut<'r>(NonNull<ngx_table_elt_t>, PhantomData<&'r ngx_table_elt_t>);

impl<'r> FieldOut<'r> {
    #[inline(always)]
    fn fields(&self) -> &'r ngx_table_elt_t {
        // SAFETY: an element of a list of the request's, which changes only in calls that take the request.
        unsafe { self.0.as_ref() }
    }

    /// The name.
    #[inline(always)]
    pub fn name(self) -> &'r [u8] {
        header_list::name(self.fields())
    }

    /// The value.
    #[inline(always)]
    pub fn value(self) -> &'r [u8] {
        self.fields().value.as_bytes()
    }

    /// Sets the value.
    pub fn set_value(mut self, _: &mut Request<'r>, value: &'r [u8]) {
        // SAFETY: as above, and the caller has the request for itself.
        unsafe { self.0.as_mut().value = string(value) };
    }

    /// Takes the field out of the response.
    #[inline(always)]
    pub fn remove(mut self, _: &mut Request<'r>) {
        // SAFETY: as above.
        unsafe { self.0.as_mut().hash = 0 };
    }
}

/// Fields of a response that pass a sieve.
pub struct FieldsOut<'r> {
    elements: Elements<'r>,
    sieve: Sieve,
}

impl<'r> Iterator for FieldsOut<'r> {
    type Item = FieldOut<'r>;

    #[inline(always)]
    fn next(&mut self) -> Option<FieldOut<'r>> {
        loop {
            let field = FieldOut(self.elements.sift(self.sieve)?, PhantomData);
            // Otherwise, it has been removed.
            if field.fields().hash != 0 {
                return Some(field);
            }
        }
    }
}

impl<'r> Request<'r> {
    /// The fields that are to be sent; removed ones are left out.
    #[inline]
    pub fn headers_out(&mut self) -> impl Iterator<Item = &mut ngx_table_elt_t> {
        let list = ptr::addr_of!(self.fields_mut().headers_out.headers);
        // SAFETY: `self` is borrowed, so nothing is added, and each element is handed out once.
        let headers = unsafe { Elements::of(list).map(|mut header| header.as_mut()) };
        headers.filter(|header| header.hash != 0)
    }

    /// The fields that are to be sent and that pass the `sieve`. Nothing may be added while they are looked at.
    #[inline(always)]
    pub fn headers_out_sifted(&self, sieve: Sieve) -> FieldsOut<'r> {
        // SAFETY: the callers add nothing meanwhile, and nothing moves.
        FieldsOut { elements: unsafe { Elements::of(&self.fields().headers_out.headers) }, sieve }
    }

    /// Whether a field may pass the `sieve`. It may be one that has been removed.
    #[inline(always)]
    pub fn has_headers_out(&self, sieve: Sieve) -> bool {
        // SAFETY: nothing is added meanwhile.
        unsafe { Elements::of(&self.fields().headers_out.headers) }.has_any(sieve)
    }

    /// The values of all fields of one name, which is given in lower case.
    pub fn values_out(&self, lower: &'static [u8]) -> impl Iterator<Item = &'r [u8]> + Clone {
        // SAFETY: the caller adds nothing while it looks at the values, which live in the request's memory or longer.
        let headers = unsafe { Elements::of(&self.fields().headers_out.headers).map(|header| header.as_ref()) };
        let headers = headers.filter(move |header| has_name(header, lower) && header.hash != 0);
        // SAFETY: the fields are this request's.
        headers.map(|header| unsafe { header_list::value(header) })
    }

    /// Adds fields as they are, except that the first gets the value `first`, if there is one. What they point to must live as
    /// long as the request.
    #[inline(always)]
    pub fn push_headers(&mut self, headers: &'r [ngx_table_elt_t], first: Option<Str<'r>>) -> Result<(), OutOfMemory> {
        match headers.is_empty() || self.push_few_headers(headers, first) {
            true => Ok(()),
            false => self.push_headers_singly(headers, first),
        }
    }

    /// Adds fields, like [`Request::push_headers`]; returns whether there were few enough, one to six, for the room that is left.
    /// Makes no calls.
    #[inline(always)]
    pub fn push_few_headers(&mut self, headers: &'r [ngx_table_elt_t], first: Option<Str<'r>>) -> bool {
        let list = &mut self.fields_mut().headers_out.headers;
        // SAFETY: a list has a last part, whose elements are an array of `nalloc`, the first `nelts` of them in use.
        unsafe {
            let last = &mut *list.last;
            let end = last.nelts + headers.len();
            let at = last.elts.cast::<ngx_table_elt_t>().add(last.nelts);
            if end > list.nalloc || !copy_few(headers, at) {
                return false;
            }
            last.nelts = end;
            if let Some(value) = first {
                (*at).value = value.as_string();
            }
        }
        true
    }

    /// Adds a field to a response that has none yet; returns whether that is so.
    #[inline(always)]
    pub fn push_first_header(&mut self, header: &'r ngx_table_elt_t) -> bool {
        let part = &mut self.fields_mut().headers_out.headers.part;
        if part.nelts != 0 {
            return false;
        }
        // SAFETY: nginx makes the list with room for 20 (`ngx_http_alloc_request`).
        unsafe { part.elts.cast::<ngx_table_elt_t>().write(*header) };
        part.nelts = 1;
        true
    }

    /// Adds fields, like [`Request::push_headers`], to a response that has none yet; returns whether there were few enough
    /// for that. Makes no calls.
    #[inline(always)]
    pub fn push_first_headers(&mut self, headers: &'r [ngx_table_elt_t], first: Option<Str<'r>>) -> bool {
        let part = &mut self.fields_mut().headers_out.headers.part;
        let at = part.elts.cast::<ngx_table_elt_t>();
        // SAFETY: nginx makes the list with room for 20 (`ngx_http_alloc_request`).
        if part.nelts != 0 || !unsafe { copy_few(headers, at) } {
            return false;
        }
        part.nelts = headers.len();
        if let Some(value) = first {
            // SAFETY: the first is there, as `headers` are not empty.
            unsafe { (*at).value = value.as_string() };
        }
        true
    }

    /// Adds one field whose value was made for this request.
    pub fn push_header(&mut self, name: &'static str, value: &'r [u8]) -> Result<(), OutOfMemory> {
        self.push(header_list::header(name, value))
    }

    /// Adds fields to a list that has to grow.
    #[cold]
    fn push_headers_singly(
        &mut self,
        headers: &[ngx_table_elt_t],
        mut first: Option<Str<'r>>,
    ) -> Result<(), OutOfMemory> {
        for header in headers {
            let mut header = *header;
            if let Some(value) = first.take() {
                header.value = value.as_string();
            }
            self.push(header)?;
        }
        Ok(())
    }

    fn push(&mut self, header: ngx_table_elt_t) -> Result<(), OutOfMemory> {
        // SAFETY: the list is nginx's own, and a pushed element memory of the right size.
        unsafe {
            let at = ngx_list_push(&mut self.fields_mut().headers_out.headers).cast::<ngx_table_elt_t>();
            NonNull::new(at).ok_or(OutOfMemory)?.write(header);
        }
        Ok(())
    }
}

/// Copies one to six `headers` to `at`; returns `false` if there are more, or none.
///
/// # Safety
/// There is room for them, or for six.
#[inline(always)]
unsafe fn copy_few(headers: &[ngx_table_elt_t], at: *mut ngx_table_elt_t) -> bool {
    // Written out, because the compiler turns a loop into a call.
    macro_rules! copy {
        ($( $place:literal )+) => {
            $(
                match headers.get($place) {
                    // SAFETY: the caller's promise.
                    Some(header) => unsafe { at.add($place).write(*header) },
                    None => return $place != 0,
                }
            )+
        };
    }
    copy!(0 1 2 3 4 5);
    headers.len() == 6
}
