//! The header fields of a response (<https://nginx.org/en/docs/dev/development_guide.html#http_response>).

use std::ptr::{self, NonNull};

use ngx::ffi::ngx_table_elt_t;

use super::fallible::ngx_list_push;
use super::header_list::{self, has_name, Elements};
use super::request::{OutOfMemory, Request};
use super::strings::Str;

impl<'r> Request<'r> {
    /// Whether the response has no field yet, apart from those that nginx keeps separately (its type, its length, ...). A list
    /// grows only when it is full, so there is nothing behind an empty first part.
    #[inline(always)]
    pub fn has_no_headers_out(&self) -> bool {
        self.fields().headers_out.headers.part.nelts == 0
    }

    /// The fields that are to be sent; removed ones are left out.
    #[inline]
    pub fn headers_out(&mut self) -> impl Iterator<Item = &mut ngx_table_elt_t> {
        let list = ptr::addr_of!(self.fields_mut().headers_out.headers);
        // SAFETY: `self` is borrowed, so nothing is added, and each element is handed out once.
        let headers = unsafe { Elements::of(list).map(|mut header| header.as_mut()) };
        headers.filter(|header| header.hash != 0)
    }

    /// The values of all fields of one name, which is given in lower case.
    pub fn values_out(&self, lower: &'static [u8]) -> impl Iterator<Item = &'r [u8]> + Clone {
        // SAFETY: the caller adds nothing while it looks at the values, which live in the request's memory or longer.
        let headers = unsafe { Elements::of(&self.fields().headers_out.headers).map(|header| header.as_ref()) };
        let headers = headers.filter(move |header| header.hash != 0 && has_name(header, lower));
        // SAFETY: the fields are this request's.
        headers.map(|header| unsafe { header_list::value(header) })
    }

    /// Adds fields as they are, except that the first gets the value `first`, if there is one. What they point to must live as
    /// long as the request.
    #[inline(always)]
    pub fn push_headers(&mut self, headers: &'r [ngx_table_elt_t], first: Option<Str<'r>>) -> Result<(), OutOfMemory> {
        let list = &mut self.fields_mut().headers_out.headers;
        // SAFETY: a list has a last part, whose elements are an array of `nalloc`, the first `nelts` of them in use.
        unsafe {
            let last = &mut *list.last;
            let end = last.nelts + headers.len();
            if end > list.nalloc {
                return self.push_headers_singly(headers, first);
            }
            let at = last.elts.cast::<ngx_table_elt_t>().add(last.nelts);
            last.nelts = end;
            ptr::copy_nonoverlapping(headers.as_ptr(), at, headers.len());
            if let Some(value) = first {
                (*at).value = value.as_string();
            }
        }
        Ok(())
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
    /// for that. There is no call in it.
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
/// There is room for six.
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
