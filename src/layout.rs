//! nginx's structures are where the C compiler has them: what `build.rs` measured, held against the bindings.

use std::mem::{offset_of, size_of};

use nginx_sys::*;

include!(concat!(env!("OUT_DIR"), "/layout.rs"));
