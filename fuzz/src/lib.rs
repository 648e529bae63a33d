// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: a reference that is as naive as the rules are written, and inputs that read as requests.

pub mod reference;
pub mod requests;
