//! What the module reads from a request and writes to its response: small wrappers around nginx's structures, so that the
//! rest reads as safe Rust.

use std::ptr::{self, NonNull};
use std::slice;

use crate::fallible::{
    ngx_http_complex_value, ngx_http_discard_request_body, ngx_http_send_header, ngx_http_test_predicates,
    ngx_list_push, ngx_palloc, ngx_pnalloc,
};
use crate::layout::{CHUNKED, DISABLE_NOT_MODIFIED, HEADER_ONLY};
use crate::location::{LocationConf, MainConf};
use crate::policy::Policy;
use crate::Module;
use cors_policy::facts::{Facts, Field, MethodKind};
use cors_policy::Decision;
use ngx::core::Status;
use ngx::ffi::{
    ngx_array_t, ngx_http_complex_value_t, ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t, ngx_list_part_t,
    ngx_list_t, ngx_log_t, ngx_str_t, ngx_table_elt_t, ngx_uint_t, NGX_DECLINED, NGX_HTTP_GET, NGX_HTTP_HEAD,
    NGX_HTTP_NO_CONTENT, NGX_HTTP_OPTIONS, NGX_OK,
};

/// nginx's pool had no memory left.
#[derive(Clone, Copy, Debug)]
pub struct OutOfMemory;

/// A request; nginx hands it to one entry point at a time.
#[repr(transparent)]
pub struct Request(ngx_http_request_t);

impl Request {
    /// # Safety
    /// `r` is the request that nginx has called an entry point with, and the reference does not outlive the call.
    #[inline]
    pub unsafe fn from_ptr<'r>(r: *mut ngx_http_request_t) -> &'r mut Request {
        // SAFETY: the caller's promise; the wrapper is transparent.
        unsafe { &mut *r.cast() }
    }

    fn as_ptr(&self) -> *mut ngx_http_request_t {
        ptr::from_ref(&self.0).cast_mut()
    }

    /// The request that the client sent, where this is a subrequest of it.
    pub fn main<'r>(&mut self) -> &'r mut Request {
        // SAFETY: the main request outlives its subrequests.
        unsafe { Request::from_ptr(self.0.main) }
    }

    /// Whether this is the request that the client sent, and no subrequest.
    #[inline]
    pub fn is_main(&self) -> bool {
        ptr::eq(&self.0, self.0.main)
    }

    /// Where messages about this request go; nginx adds client, server and request line.
    pub fn log(&self) -> *mut ngx_log_t {
        // SAFETY: a request has a connection for as long as it lives.
        unsafe { (*self.0.connection).log }
    }

    /// Whether a message of `level` would be written.
    #[inline]
    pub fn logs(&self, level: ngx_uint_t) -> bool {
        // SAFETY: a connection has a log.
        level <= unsafe { (*self.log()).log_level }
    }

    /// The configuration of the location that the request is in, or of the server where it is in none yet.
    #[inline(always)]
    pub fn location(&self) -> &'static LocationConf {
        // SAFETY: `create_loc_conf` has made one for each level, or the configuration would not have been read.
        unsafe { &*(*self.0.loc_conf.add(Module::index())).cast::<LocationConf>() }
    }

    /// The module's configuration of the whole `http` block.
    #[inline(always)]
    pub fn main_conf(&self) -> &'static MainConf {
        // SAFETY: `create_main_conf` has made it, or the configuration would not have been read.
        unsafe { &*(*self.0.main_conf.add(Module::index())).cast::<MainConf>() }
    }

    /// The policy that is in force: that of the location which the request reached first, or of one that it was
    /// redirected to and that has its own; before it has reached any, that of the server.
    #[inline(always)]
    pub fn policy(&self, location: &'static LocationConf) -> Option<&'static Policy> {
        match self.slot(location).data.cast::<Policy>() {
            data if data.is_null() => location.policy(),
            // SAFETY: `keep_policy` alone writes the field, and a policy lives as long as its cycle.
            data => Some(unsafe { &*data }),
        }
    }

    /// Keeps the policy of a location beyond internal redirects, which clear the contexts of modules but not variables.
    /// Returns the one that is in force: that which was kept before, unless the location has one of its own.
    #[inline(always)]
    pub fn keep_policy(&mut self, location: &LocationConf, policy: &'static Policy) -> &'static Policy {
        if self.has_kept_policy(location) {
            return self.keep_another_policy(location, policy);
        }
        self.slot_mut(location).data = ptr::from_ref(policy).cast::<u8>().cast_mut();
        policy
    }

    #[cold]
    fn keep_another_policy(&mut self, location: &LocationConf, policy: &'static Policy) -> &'static Policy {
        let slot = self.slot_mut(location);
        if !location.is_own {
            // SAFETY: as in `policy`.
            return unsafe { &*slot.data.cast::<Policy>() };
        }
        slot.data = ptr::from_ref(policy).cast::<u8>().cast_mut();
        // What was decided under the other one; `rewrite ... last` does not clear it.
        // SAFETY: a request has a context for each module.
        unsafe { *self.0.ctx.add(Module::index()) = ptr::null_mut() };
        policy
    }

    /// Whether the phase handler has kept a policy.
    #[inline(always)]
    pub fn has_kept_policy(&self, location: &LocationConf) -> bool {
        !self.slot(location).data.is_null()
    }

    /// Says whether the request's denial was logged before, and that it is now.
    pub fn logged_before(&mut self, location: &LocationConf) -> bool {
        let slot = self.slot_mut(location);
        let before = slot.len() != 0;
        slot.set_len(1);
        before
    }

    /// The value of the module's own variable, which has a name that no configuration can write.
    #[inline(always)]
    fn slot(&self, location: &LocationConf) -> &ngx_http_variable_value_t {
        // SAFETY: a request has a value for each indexed variable, and the offset is this module's of the same cycle.
        unsafe { &*self.0.variables.byte_add(location.slot) }
    }

    #[inline(always)]
    fn slot_mut(&mut self, location: &LocationConf) -> &mut ngx_http_variable_value_t {
        // SAFETY: as in `slot`.
        unsafe { &mut *self.0.variables.byte_add(location.slot) }
    }

    /// The decision that was taken in this location, if any.
    #[inline]
    pub fn decision<'r>(&self) -> Option<Decision<'r>> {
        // SAFETY: only `keep_decision` writes this module's context.
        unsafe { (*self.0.ctx.add(Module::index())).cast::<Decision>().as_ref().copied() }
    }

    /// Keeps a decision for the header filter and the variables.
    pub fn keep_decision(&mut self, decision: Decision<'_>) -> Result<(), OutOfMemory> {
        // SAFETY: the pool lives as long as the request, and so does what the decision borrows from.
        let memory = unsafe { ngx_palloc(self.0.pool, size_of::<Decision>()) }.cast::<Decision>();
        let memory = NonNull::new(memory).ok_or(OutOfMemory)?;
        // SAFETY: the memory is fresh, aligned and large enough; `Decision` has no destructor.
        unsafe {
            memory.write(decision);
            *self.0.ctx.add(Module::index()) = memory.as_ptr().cast();
        }
        Ok(())
    }

    /// The kind of the method.
    #[inline]
    pub fn method(&self) -> MethodKind {
        match self.0.method as u32 {
            NGX_HTTP_GET | NGX_HTTP_HEAD => MethodKind::Read,
            NGX_HTTP_OPTIONS => MethodKind::Options,
            _ => MethodKind::Other,
        }
    }

    /// What a decision looks at. One pass over the request headers, by the hash that nginx has computed.
    pub fn asked<'r>(&self) -> Facts<'r> {
        let mut asked = Facts { method: self.method(), host: self.host(), ..Facts::default() };
        for header in self.headers_in() {
            if ORIGIN.is(header) {
                asked.origin.add(value(header));
            } else if REQUEST_METHOD.is(header) {
                asked.request_method.add(value(header));
            } else if SEC_FETCH_SITE.is(header) {
                asked.sec_fetch_site.get_or_insert(value(header));
            }
        }
        asked
    }

    /// The same without what only enforcement looks at where the request is an `OPTIONS`, which it exempts.
    #[inline]
    pub fn asked_in_short<'r>(&self) -> Facts<'r> {
        if self.method() != MethodKind::Options {
            return self.asked();
        }
        let mut asked = Facts { method: MethodKind::Options, ..Facts::default() };
        // SAFETY: as in `headers_in`.
        let mut headers = unsafe { Elements::of(&self.0.headers_in.headers) };
        while let Some(header) = headers.find(|header| ORIGIN.may_be(header) || REQUEST_METHOD.may_be(header)) {
            if ORIGIN.is(header) {
                asked.origin.add(value(header));
            } else if REQUEST_METHOD.is(header) {
                asked.request_method.add(value(header));
            }
        }
        asked
    }

    /// `Origin` alone, which is what most requests are decided by.
    #[inline(always)]
    pub fn origin<'r>(&self) -> Field<'r> {
        // SAFETY: as in `headers_in`.
        let mut headers = unsafe { Elements::of(&self.0.headers_in.headers) };
        let Some(header) = headers.find(|header| ORIGIN.is(header)) else { return Field::Absent };
        match headers.find(|header| ORIGIN.is(header)) {
            None => Field::One(value(header)),
            Some(_) => Field::Many,
        }
    }

    /// The values of all fields of one name.
    pub fn values<'r>(&self, name: &'static Name) -> impl Iterator<Item = &'r [u8]> + Clone {
        self.headers_in().filter(|header| name.is(header)).map(value)
    }

    #[inline]
    fn headers_in<'r>(&self) -> impl Iterator<Item = &'r ngx_table_elt_t> + Clone {
        // SAFETY: nginx has filled the list, and leaves it as it is for as long as the request lives.
        unsafe { Elements::of(&self.0.headers_in.headers).map(|header| header.as_ref()) }
    }

    /// `Host` or `:authority` as sent; HTTP/3 has no `Host` field, only the parsed authority.
    fn host<'r>(&self) -> Option<&'r [u8]> {
        // SAFETY: a pointer to a request header is null or valid while the request is.
        if let Some(host) = unsafe { self.0.headers_in.host.as_ref() } {
            return Some(value(host));
        }
        if self.0.host_start.is_null() {
            return None;
        }
        // SAFETY: both point into the same authority of the request.
        unsafe {
            let length = self.0.host_end.offset_from(self.0.host_start);
            Some(slice::from_raw_parts(self.0.host_start, usize::try_from(length).unwrap_or(0)))
        }
    }

    /// The value of an expression with variables; `None` where nginx could not evaluate it.
    pub fn evaluate<'r>(&mut self, expression: &ngx_http_complex_value_t) -> Option<&'r [u8]> {
        let mut result = ngx_str_t::empty();
        let expression = ptr::from_ref(expression).cast_mut();
        // SAFETY: nginx only reads the compiled expression; the result lives in the request's pool or longer.
        unsafe {
            (ngx_http_complex_value(self.as_ptr(), expression, &mut result) == NGX_OK as ngx_int_t)
                .then(|| slice(&result))
        }
    }

    /// Whether one of the values of a `cors_bypass` is neither empty nor `0`.
    pub fn bypasses(&mut self, predicates: NonNull<ngx_array_t>) -> bool {
        // SAFETY: the array is what `ngx_http_set_predicate_slot` made.
        unsafe { ngx_http_test_predicates(self.as_ptr(), predicates.as_ptr()) == NGX_DECLINED as ngx_int_t }
    }

    /// Whether the response has no headers yet but those that nginx keeps apart (its type, its length, ...). A list grows only
    /// when it is full, so there is nothing behind an empty first part.
    #[inline(always)]
    pub fn has_no_headers_out(&self) -> bool {
        self.0.headers_out.headers.part.nelts == 0
    }

    /// The response headers that are to be sent; removed ones are left out.
    #[inline]
    pub fn headers_out(&mut self) -> impl Iterator<Item = &mut ngx_table_elt_t> {
        // SAFETY: nobody else has the list while the header filter runs, and each element is handed out once.
        let headers = unsafe { Elements::of(&self.0.headers_out.headers).map(|mut header| header.as_mut()) };
        headers.filter(|header| header.hash != 0)
    }

    /// The values of all fields of one name, which is given in lower case, in the response.
    pub fn values_out<'r>(&self, lower: &'static [u8]) -> impl Iterator<Item = &'r [u8]> + Clone {
        // SAFETY: nothing is added while the values are looked at, and they live in the request's memory or longer.
        let headers = unsafe { Elements::of(&self.0.headers_out.headers).map(|header| header.as_ref()) };
        headers.filter(move |header| header.hash != 0 && has_name(header, lower)).map(value)
    }

    /// Adds response headers as they are, but for `first` as the value of the first one. What they point to must live as
    /// long as the request.
    #[inline]
    pub fn push_headers(&mut self, headers: &[ngx_table_elt_t], first: Option<&[u8]>) -> Result<(), OutOfMemory> {
        let list = &mut self.0.headers_out.headers;
        // SAFETY: nginx's list has a last part, whose elements are an array of `nalloc`, the first `nelts` of them in use.
        unsafe {
            let last = &mut *list.last;
            let end = last.nelts + headers.len();
            if end > list.nalloc {
                return self.push_headers_singly(headers, first);
            }
            let at = last.elts.cast::<ngx_table_elt_t>().add(last.nelts);
            last.nelts = end;
            if let [header] = headers {
                at.write(*header);
            } else {
                ptr::copy_nonoverlapping(headers.as_ptr(), at, headers.len());
            }
            if let Some(value) = first {
                (*at).value = string(value);
            }
        }
        Ok(())
    }

    /// Adds a response header where there is none yet.
    #[inline(always)]
    pub fn push_first_header(&mut self, header: &ngx_table_elt_t) {
        let part = &mut self.0.headers_out.headers.part;
        debug_assert!(part.nelts == 0);
        // SAFETY: nginx makes the list with room for 20, of which none is in use.
        unsafe { part.elts.cast::<ngx_table_elt_t>().write(*header) };
        part.nelts = 1;
    }

    /// The same where the list has to grow.
    #[cold]
    fn push_headers_singly(
        &mut self,
        headers: &[ngx_table_elt_t],
        mut first: Option<&[u8]>,
    ) -> Result<(), OutOfMemory> {
        for header in headers {
            // SAFETY: the list is nginx's own, and a pushed element memory of the right size.
            unsafe {
                let at = ngx_list_push(&mut self.0.headers_out.headers).cast::<ngx_table_elt_t>();
                let at = NonNull::new(at).ok_or(OutOfMemory)?;
                at.write(*header);
                if let Some(value) = first.take() {
                    (*at.as_ptr()).value = string(value);
                }
            }
        }
        Ok(())
    }

    /// Joins `parts` with commas in the request's pool.
    pub fn join<'r, 'p>(&mut self, parts: impl Iterator<Item = &'p [u8]> + Clone) -> Result<&'r [u8], OutOfMemory> {
        let length: usize = parts.clone().map(|part| part.len() + 2).sum();
        // SAFETY: the pool lives as long as the request.
        let memory = NonNull::new(unsafe { ngx_pnalloc(self.0.pool, length) }.cast::<u8>()).ok_or(OutOfMemory)?;
        // SAFETY: fresh memory of that length; it is zeroed before it is looked at as bytes.
        let joined: &'r mut [u8] = unsafe {
            memory.write_bytes(0, length);
            slice::from_raw_parts_mut(memory.as_ptr(), length)
        };
        let mut at = 0;
        for part in parts {
            for piece in [if at == 0 { &b""[..] } else { b", " }, part] {
                joined[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
        }
        Ok(&joined[..at])
    }

    /// The status that the response has.
    pub fn response_status(&self) -> ngx_uint_t {
        self.0.headers_out.status
    }

    /// Makes a response that somebody has begun one without a body.
    pub fn make_empty(&mut self, status: u16) {
        let out = &mut self.0.headers_out;
        out.status_line = ngx_str_t::empty();
        out.content_type = ngx_str_t::empty();
        out.content_type_len = 0;
        for pointer in
            [&mut out.content_length, &mut out.location, &mut out.last_modified, &mut out.etag, &mut out.accept_ranges]
        {
            // SAFETY: nginx keeps null there, or a pointer into its list of response headers.
            if let Some(header) = unsafe { pointer.as_mut() } {
                header.hash = 0;
            }
            *pointer = ptr::null_mut();
        }
        out.last_modified_time = -1;
        self.set_empty(status);
    }

    fn set_empty(&mut self, status: u16) {
        self.0.headers_out.status = ngx_uint_t::from(status);
        HEADER_ONLY.set(&mut self.0);
        if u32::from(status) == NGX_HTTP_NO_CONTENT {
            self.0.headers_out.content_length_n = -1;
        } else {
            self.0.headers_out.content_length_n = 0;
            DISABLE_NOT_MODIFIED.set(&mut self.0);
        }
    }

    /// Answers with a header alone; the return value is what a phase handler returns.
    pub fn answer(&mut self, status: u16) -> Status {
        if self.0.headers_in.content_length_n > 0 || CHUNKED.is_set(&self.0.headers_in) {
            // SAFETY: nginx allows it for a request that has not been answered.
            let discarded = unsafe { ngx_http_discard_request_body(self.as_ptr()) };
            if discarded != NGX_OK as ngx_int_t {
                return Status(discarded);
            }
        }
        self.set_empty(status);
        // SAFETY: the header has not been sent: no content handler has run.
        Status(unsafe { ngx_http_send_header(self.as_ptr()) })
    }
}

/// The name of a request header, with the hash that nginx computes for it.
pub struct Name {
    hash: ngx_uint_t,
    lower: &'static [u8],
}

/// `Origin`
pub static ORIGIN: Name = Name::new(b"origin");
/// `Access-Control-Request-Method`
pub static REQUEST_METHOD: Name = Name::new(b"access-control-request-method");
/// `Access-Control-Request-Headers`
pub static REQUEST_HEADERS: Name = Name::new(b"access-control-request-headers");
/// `Access-Control-Request-Private-Network`
pub static REQUEST_PRIVATE_NETWORK: Name = Name::new(b"access-control-request-private-network");
/// `Sec-Fetch-Site`
pub static SEC_FETCH_SITE: Name = Name::new(b"sec-fetch-site");

impl Name {
    const fn new(lower: &'static [u8]) -> Name {
        let mut hash: ngx_uint_t = 0;
        let mut at = 0;
        while at < lower.len() {
            // `ngx_hash`
            hash = hash.wrapping_mul(31).wrapping_add(lower[at] as ngx_uint_t);
            at += 1;
        }
        Name { hash, lower }
    }

    /// Whether `header` has this name's hash.
    #[inline(always)]
    fn may_be(&self, header: &ngx_table_elt_t) -> bool {
        header.hash == self.hash
    }

    /// Whether `header` has this name.
    #[inline]
    fn is(&self, header: &ngx_table_elt_t) -> bool {
        self.may_be(header)
            && header.key.len == self.lower.len()
            // SAFETY: nginx keeps the lower-case name, as long as the name, with every request header.
            && unsafe { slice::from_raw_parts(header.lowcase_key, header.key.len) } == self.lower
    }
}

/// The elements of one of nginx's lists of headers.
#[derive(Clone)]
struct Elements {
    at: *mut ngx_table_elt_t,
    end: *mut ngx_table_elt_t,
    next: *const ngx_list_part_t,
}

impl Elements {
    /// # Safety
    /// `list` is an initialised list of headers, to which nothing is added while the elements are looked at.
    #[inline]
    unsafe fn of(list: &ngx_list_t) -> Elements {
        let mut elements = Elements { at: ptr::null_mut(), end: ptr::null_mut(), next: &list.part };
        // SAFETY: the caller's promise.
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
}

impl Elements {
    /// The next header that is `wanted`. Four at a time, because this loop is most of what the module does to a request.
    #[inline(always)]
    fn find<'r>(&mut self, wanted: impl Fn(&ngx_table_elt_t) -> bool) -> Option<&'r ngx_table_elt_t> {
        loop {
            // SAFETY: from `at` to `end` there are elements, of a list that lives as long as its request.
            unsafe {
                while self.end.offset_from(self.at) >= 4 {
                    let [a, b, c, d] = &*self.at.cast::<[ngx_table_elt_t; 4]>();
                    if wanted(a) || wanted(b) || wanted(c) || wanted(d) {
                        break;
                    }
                    self.at = self.at.add(4);
                }
                while self.at != self.end {
                    let header = &*self.at;
                    self.at = self.at.add(1);
                    if wanted(header) {
                        return Some(header);
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

impl Iterator for Elements {
    type Item = NonNull<ngx_table_elt_t>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.at == self.end {
            if self.next.is_null() {
                return None;
            }
            // SAFETY: just looked.
            unsafe { self.enter_next_part() };
        }
        let header = NonNull::new(self.at);
        // SAFETY: `at` is before `end`.
        self.at = unsafe { self.at.add(1) };
        header
    }
}

/// The value of a header; it lives as long as the request that it came with.
#[inline]
pub fn value<'r>(header: &ngx_table_elt_t) -> &'r [u8] {
    // SAFETY: nginx keeps headers in the request's memory.
    unsafe { slice(&header.value) }
}

/// The name of a header.
#[inline]
pub fn name(header: &ngx_table_elt_t) -> &[u8] {
    header.key.as_bytes()
}

/// Whether a header has a name, which is given in lower case.
#[inline]
pub fn has_name(header: &ngx_table_elt_t, lower: &[u8]) -> bool {
    name(header).eq_ignore_ascii_case(lower)
}

/// # Safety
/// The bytes live as long as `'r`.
#[inline]
pub unsafe fn slice<'r>(string: &ngx_str_t) -> &'r [u8] {
    if string.len == 0 {
        return b"";
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(string.data, string.len) }
}

/// A response header. What it points to must outlive the responses that it is pushed to.
pub fn header(name: &'static str, value: &[u8]) -> ngx_table_elt_t {
    // SAFETY: all zero is valid, and what `next`, where there is one, has to be.
    let mut header: ngx_table_elt_t = unsafe { std::mem::zeroed() };
    header.hash = 1;
    header.key = string(name.as_bytes());
    header.value = string(value);
    header
}

/// Bytes as nginx has them; it does not write to the strings that this module hands it.
#[inline]
pub fn string(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}
