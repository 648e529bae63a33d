//! The fields of a response, joined and formatted when the configuration is read, so that a request only copies them.

use cors_policy::vary::Names;
use ngx::ffi::ngx_table_elt_t;

use crate::nginx::header_list::header;

/// Fields of a response: `Access-Control-Allow-Origin` first, whose value a request may replace, and `Vary` last, if there
/// is one.
pub struct Prepared {
    fields: Box<[ngx_table_elt_t]>,
    /// What `Vary` names.
    vary: Names,
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
        Prepared { fields: fields.into(), vary, _values: kept.into() }
    }

    /// All fields.
    #[inline(always)]
    pub fn fields(&self) -> &[ngx_table_elt_t] {
        &self.fields
    }

    /// All fields but `Vary`.
    pub fn fields_without_vary(&self) -> &[ngx_table_elt_t] {
        &self.fields[..self.fields.len() - usize::from(!self.vary.is_empty())]
    }

    /// What `Vary` names.
    pub fn vary(&self) -> Names {
        self.vary
    }
}
