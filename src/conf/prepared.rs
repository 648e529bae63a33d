// SPDX-License-Identifier: Apache-2.0
//! The fields of a response, joined and formatted when the configuration is read, so that a request only copies them.

use cors_policy::vary::{self, Names};
use ngx::ffi::ngx_table_elt_t;

use crate::nginx::header_list::header;

/// Fields of a response: `Access-Control-Allow-Origin` first, whose value a request may replace, and `Vary` last, if there
/// is one.
pub struct Prepared {
    fields: Box<[ngx_table_elt_t]>,
    /// What `Vary` names.
    vary: Names,
    /// Whether that is `Origin` alone.
    varies_by_origin: bool,
    /// The values that `fields` point to.
    _values: Box<[Box<str>]>,
}

impl Prepared {
    /// Fields by name and value; a field without a value is left out.
    pub fn new(vary: Names, values: &[(&'static str, Option<String>)]) -> Prepared {
        let mut fields = Vec::new();
        let mut kept = Vec::new();
        let vary_value = ("Vary", (!vary.is_empty()).then(|| vary.joined()));
        for (name, value) in values.iter().chain([&vary_value]) {
            if let Some(value) = value {
                let value = value.clone().into_boxed_str();
                fields.push(header(name, value.as_bytes()));
                kept.push(value);
            }
        }
        Prepared { fields: fields.into(), vary, varies_by_origin: vary == vary::SIMPLE, _values: kept.into() }
    }

    /// All fields.
    #[inline(always)]
    pub fn fields(&self) -> &[ngx_table_elt_t] {
        &self.fields
    }

    /// All fields but `Vary`.
    #[inline(always)]
    pub fn fields_without_vary(&self) -> &[ngx_table_elt_t] {
        match self.vary.is_empty() {
            true => &self.fields,
            false => self.fields.split_last().map_or(&[], |(_, others)| others),
        }
    }

    /// What `Vary` names.
    pub fn vary(&self) -> Names {
        self.vary
    }

    /// Whether `Vary` names `Origin` alone, as it does unless the response is to a preflight or the same for all.
    #[inline(always)]
    pub fn varies_by_origin(&self) -> bool {
        self.varies_by_origin
    }
}
