// SPDX-License-Identifier: Apache-2.0
//! Fits the module to the nginx that it is built for.
//!
//! `nginx-sys` reads how the target nginx was configured and hands it on as `DEP_NGINX_*`. This script
//!
//! 1. refuses a tree that the module cannot work with, in one line that says what to do about it;
//! 2. passes what nginx was configured with to the code, as the cfg values `ngx_feature` and `ngx_os`;
//! 3. has the C compiler that builds modules for this nginx measure the structures that the module touches, and writes
//!    the numbers to `$OUT_DIR/layout.rs`, where `src/nginx/layout.rs` compares them with the bindings. Bindgen asks libclang
//!    with flags of its own making: one `#define` that it does not see, and every field behind it is somewhere else. It also
//!    works out by itself where bit-fields are, and is wrong about those of a request from nginx 1.29.3 on (they begin in the
//!    middle of an `unsigned`), so `src/nginx/layout.rs` has accessors of its own for them.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The oldest nginx that the module is built and tested with.
const OLDEST: u64 = 1_022_000;

/// `next` of `ngx_table_elt_t`, which chains the fields of one name, came with 1.23.0.
const HEADERS_ARE_LINKED: u64 = 1_023_000;

/// 103 responses, which go through filters of their own, came with 1.29.0.
const EARLY_HINTS: u64 = 1_029_000;

const ANOTHER_TREE: &str =
    "set NGINX_SOURCE_DIR and NGINX_BUILD_DIR to the source and the build directory of another nginx";

/// Every nginx structure that `src/` reads or writes, with the fields that it uses, but for bit-fields: they have no offset.
const STRUCTURES: &[(&str, &[&str])] = &[
    ("ngx_str_t", &["len", "data"]),
    ("ngx_array_t", &["elts", "nelts", "size", "nalloc", "pool"]),
    ("ngx_list_part_t", &["elts", "nelts", "next"]),
    ("ngx_list_t", &["last", "part", "size", "nalloc", "pool"]),
    ("ngx_table_elt_t", &["hash", "key", "value", "lowcase_key"]),
    ("ngx_log_t", &["log_level", "file", "connection", "handler", "data", "action"]),
    ("ngx_pool_cleanup_t", &["handler", "data", "next"]),
    ("ngx_cycle_t", &["conf_ctx", "pool", "log"]),
    ("ngx_core_conf_t", &["worker_processes"]),
    ("ngx_shm_t", &["addr", "size", "name", "log", "exists"]),
    ("ngx_shm_zone_t", &["data", "shm", "init", "tag"]),
    ("ngx_slab_pool_t", &["pfree", "mutex", "data"]),
    ("ngx_connection_t", &["data", "fd", "log", "pool"]),
    ("ngx_event_t", &["data", "handler", "log", "timer"]),
    ("ngx_command_t", &["name", "type", "set", "conf", "offset", "post"]),
    ("ngx_conf_file_t", &["file", "line"]),
    (
        "ngx_conf_t",
        &["name", "args", "cycle", "pool", "temp_pool", "conf_file", "log", "ctx", "module_type", "cmd_type"],
    ),
    (
        "ngx_module_t",
        &[
            "ctx_index",
            "index",
            "name",
            "version",
            "signature",
            "ctx",
            "commands",
            "type",
            "init_master",
            "init_module",
            "init_process",
            "exit_process",
            "exit_master",
        ],
    ),
    (
        "ngx_http_module_t",
        &[
            "preconfiguration",
            "postconfiguration",
            "create_main_conf",
            "init_main_conf",
            "create_srv_conf",
            "merge_srv_conf",
            "create_loc_conf",
            "merge_loc_conf",
        ],
    ),
    ("ngx_http_conf_ctx_t", &["main_conf", "srv_conf", "loc_conf"]),
    ("ngx_http_phase_t", &["handlers"]),
    ("ngx_http_core_main_conf_t", &["servers", "variables", "variables_keys", "phases"]),
    ("ngx_http_core_srv_conf_t", &["server_names", "ctx"]),
    ("ngx_http_server_name_t", &["name"]),
    ("ngx_http_core_loc_conf_t", &["name", "loc_conf", "handler", "locations"]),
    ("ngx_http_location_queue_t", &["queue", "exact", "inclusive"]),
    ("ngx_queue_t", &["next"]),
    ("ngx_hash_keys_arrays_t", &["keys"]),
    ("ngx_hash_key_t", &["key"]),
    ("ngx_chain_t", &["buf", "next"]),
    ("ngx_buf_t", &["pos", "last", "file_pos", "file_last"]),
    ("ngx_time_t", &["sec"]),
    ("ngx_http_complex_value_t", &["value", "flushes", "lengths", "values"]),
    ("ngx_http_compile_complex_value_t", &["cf", "value", "complex_value"]),
    ("ngx_http_variable_t", &["name", "set_handler", "get_handler", "data", "flags", "index"]),
    ("ngx_http_variable_value_t", &["data"]),
    ("ngx_http_headers_in_t", &["headers", "host", "server", "content_length_n"]),
    (
        "ngx_http_headers_out_t",
        &[
            "headers",
            "status",
            "status_line",
            "location",
            "content_length",
            "last_modified",
            "accept_ranges",
            "etag",
            "content_encoding",
            "content_type",
            "content_type_len",
            "content_length_n",
            "last_modified_time",
        ],
    ),
    (
        "ngx_http_request_t",
        &[
            "signature",
            "connection",
            "ctx",
            "main_conf",
            "srv_conf",
            "loc_conf",
            "pool",
            "headers_in",
            "headers_out",
            "method",
            "http_version",
            "request_line",
            "uri",
            "method_name",
            "main",
            "parent",
            "phase_handler",
            "variables",
            "err_status",
            "schema_start",
            "schema_end",
            "host_start",
            "host_end",
        ],
    ),
];

/// The bit-fields of one bit that `src/` uses, and the names of their accessors. (`ngx_http_variable_value_t` consists of
/// bit-fields from its start, where bindgen is right.)
const FLAGS: &[(&str, &str, &str)] = &[
    ("ngx_http_headers_in_t", "chunked", "CHUNKED"),
    ("ngx_http_request_t", "header_only", "HEADER_ONLY"),
    ("ngx_http_request_t", "disable_not_modified", "DISABLE_NOT_MODIFIED"),
    ("ngx_http_request_t", "expect_tested", "EXPECT_TESTED"),
    ("ngx_http_request_t", "internal", "INTERNAL"),
    ("ngx_http_request_t", "post_action", "POST_ACTION"),
    ("ngx_http_request_t", "keepalive", "KEEPALIVE"),
    ("ngx_http_request_t", "error_page", "ERROR_PAGE"),
    ("ngx_event_t", "timer_set", "TIMER_SET"),
    ("ngx_event_t", "cancelable", "CANCELABLE"),
    ("ngx_buf_t", "last_buf", "LAST_BUF"),
    ("ngx_buf_t", "last_in_chain", "LAST_IN_CHAIN"),
    ("ngx_http_core_loc_conf_t", "exact_match", "EXACT_MATCH"),
    ("ngx_http_core_loc_conf_t", "noregex", "NOREGEX"),
];

/// How long what stands before and behind a measurement in the object file is: a multiple of all alignments.
const FRAME: usize = 64;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["CC", "CFLAGS"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // nginx loads modules with RTLD_GLOBAL. While a reload goes from one build of this one to another, the second must not
    // take the first one's tables for its own.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "macos") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    }
    match fit() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("ngx-http-cors: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn fit() -> Result<(), Box<dyn Error>> {
    let nginx = Nginx::from_env()?;
    nginx.check()?;
    nginx.pass_on_features();
    nginx.compile_what_angie_needs()?;
    let layout = Layout::new(&nginx);
    let object = layout.compile(&nginx)?;
    fs::write(out_dir()?.join("layout.rs"), layout.assertions(&nginx, &object)? + &flags(&object)?)?;
    Ok(())
}

/// What `nginx-sys` found out about the target nginx.
struct Nginx {
    name: String,
    number: u64,
    os: String,
    features: Vec<String>,
    build_dir: PathBuf,
    includes: Vec<PathBuf>,
    defines: Vec<String>,
}

impl Nginx {
    fn from_env() -> Result<Self, Box<dyn Error>> {
        // `nginx-sys` 0.5 writes `cargo:metadata=cflags=…`, which cargo takes for a key named `metadata`.
        let defines = dep("CFLAGS")
            .or_else(|_| dep("METADATA"))
            .map(|flags| flags.trim_start_matches("cflags=").to_owned())
            .unwrap_or_default();
        Ok(Self {
            name: dep("VERSION")?.replace('/', " "),
            number: dep("VERSION_NUMBER")?.parse()?,
            os: dep("OS")?,
            features: dep("FEATURES")?.split(',').map(str::to_owned).collect(),
            build_dir: dep("BUILD_DIR")?.into(),
            includes: env::split_paths(&dep("INCLUDE")?).collect(),
            defines: defines.split_whitespace().map(str::to_owned).collect(),
        })
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if self.os == "win32" || env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "windows") {
            return Err("Windows has no dynamic nginx modules: build on Linux, BSD or macOS".into());
        }
        if self.number < OLDEST {
            return Err(format!("{name} is too old: 1.22.0 or newer is needed; {ANOTHER_TREE}"));
        }
        if !self.has("http") {
            return Err(format!(
                "{name} in {} is configured without http (--without-http): {ANOTHER_TREE}",
                self.build_dir.display()
            ));
        }
        Ok(())
    }

    fn pass_on_features(&self) {
        for (key, set) in [("FEATURES", "ngx_feature"), ("OS", "ngx_os")] {
            let known = dep(&format!("{key}_CHECK")).unwrap_or_else(|_| "any()".to_owned());
            println!("cargo::rustc-check-cfg=cfg({set}, values({known}))");
        }
        for feature in &self.features {
            println!("cargo::rustc-cfg=ngx_feature=\"{feature}\"");
        }
        println!("cargo::rustc-check-cfg=cfg(nginx_early_hints)");
        if self.number >= EARLY_HINTS {
            println!("cargo::rustc-cfg=nginx_early_hints");
        }
        println!("cargo::rustc-cfg=ngx_os=\"{}\"", self.os);
        println!("cargo::rustc-check-cfg=cfg(angie)");
        if self.is_angie() {
            println!("cargo::rustc-cfg=angie");
        }
    }

    fn is_angie(&self) -> bool {
        self.includes.iter().any(|headers| headers.join("angie.h").exists())
    }

    fn compile_what_angie_needs(&self) -> Result<(), String> {
        const SOURCE: &str = "src/nginx/angie.c";
        println!("cargo::rerun-if-changed={SOURCE}");
        if !self.is_angie() {
            return Ok(());
        }
        self.compiler()
            .file(SOURCE)
            .try_compile("ngx_http_cors_angie")
            .map_err(|error| format!("{SOURCE} does not compile: {error}; {ANOTHER_TREE}"))
    }

    /// The C compiler, with the headers and the definitions that nginx is compiled with.
    fn compiler(&self) -> cc::Build {
        let mut compiler = cc::Build::new();
        // glibc's headers warn where nginx's flags ask for _FORTIFY_SOURCE without optimisation.
        compiler.warnings(false).debug(false).opt_level(1).includes(&self.includes);
        for define in &self.defines {
            compiler.flag(define);
        }
        compiler
    }
}

/// Sizes and offsets of nginx's structures, as the C compiler has them.
struct Layout {
    /// A structure, and one of its fields or, for its size, none.
    places: Vec<(&'static str, Option<&'static str>)>,
}

impl Layout {
    fn new(nginx: &Nginx) -> Self {
        let mut places = Vec::new();
        for &(structure, fields) in STRUCTURES {
            places.push((structure, None));
            places.extend(fields.iter().map(|&field| (structure, Some(field))));
        }
        if nginx.number >= HEADERS_ARE_LINKED {
            places.push(("ngx_table_elt_t", Some("next")));
        }
        if nginx.has("pcre") {
            places.push(("ngx_http_core_loc_conf_t", Some("regex")));
            places.extend(["ncaptures", "captures", "captures_data"].map(|field| ("ngx_http_request_t", Some(field))));
        }
        if nginx.is_angie() {
            places.extend(["conf", "next"].map(|field| ("ngx_http_core_loc_t", Some(field))));
        }
        Self { places }
    }

    /// Has the C compiler write what is to be known into an object file, to be read there: nothing is run, so that this also
    /// holds for another machine's compiler.
    fn compile(&self, nginx: &Nginx) -> Result<Vec<u8>, Box<dyn Error>> {
        let source = out_dir()?.join("layout.c");
        fs::write(&source, self.c_source())?;
        // `nginx-sys` looks at that file alone, and makes its bindings anew where it changes. Where only headers do, measuring them
        // again shows whether the bindings still hold.
        println!("cargo::rerun-if-changed={}", nginx.build_dir.join("ngx_auto_config.h").display());
        // Debian's nginx-dev lacks a directory that nginx names. To cargo, what is missing has always changed.
        for headers in nginx.includes.iter().filter(|headers| headers.exists() && !nginx.build_dir.starts_with(headers))
        {
            println!("cargo::rerun-if-changed={}", headers.display());
        }

        let objects = nginx
            .compiler()
            .cargo_metadata(false)
            // An object of link-time optimisation need not hold data yet. The second is for a CFLAGS that asks for it, and comes last.
            .flag_if_supported("-fno-lto")
            .flag_if_supported("-ffat-lto-objects")
            .file(&source)
            .try_compile_intermediates()
            .map_err(|error| format!("the headers of {} do not compile, or lack what the module uses: {error}; install a C compiler, or {ANOTHER_TREE}", nginx.name))?;
        Ok(fs::read(objects.first().ok_or("the C compiler left no object file")?)?)
    }

    fn c_source(&self) -> String {
        let mut c = String::from(
            "#include <ngx_config.h>\n#include <ngx_core.h>\n#include <ngx_http.h>\n#include <stddef.h>\n\n\
             #define N(v)  (unsigned char) (v), (unsigned char) ((v) >> 8), (unsigned char) ((v) >> 16)\n\n",
        );
        let mut numbers = String::new();
        for (structure, field) in &self.places {
            let _ = match field {
                Some(field) => writeln!(numbers, "    N(offsetof({structure}, {field})),"),
                None => writeln!(numbers, "    N(sizeof({structure})),"),
            };
        }
        c.push_str(&framed("layout", &format!("unsigned char measured[{}]", 3 * self.places.len()), &numbers));
        for (structure, field, name) in FLAGS {
            c.push_str(&framed(name, &format!("{structure} measured"), &format!("    .{field} = 1\n")));
        }
        c
    }

    /// One constant with all of them: the compiler stops at the first that does not hold, and says only that.
    fn assertions(&self, nginx: &Nginx, object: &[u8]) -> Result<String, String> {
        let numbers = measured("layout", object)?.chunks_exact(3);
        assert_eq!(numbers.len(), self.places.len(), "numbers between the frames");
        let mut rust = String::from("const _: () = {\n");
        for ((structure, field), number) in self.places.iter().zip(numbers) {
            // The lowest byte first, whatever the target's order is.
            let number = u32::from_le_bytes([number[0], number[1], number[2], 0]);
            let (measured, what) = match field {
                // `type` is a keyword of Rust's, and bindgen renames the field.
                Some("type") => (format!("offset_of!({structure}, type_)"), format!("{structure}.type")),
                Some(field) => (format!("offset_of!({structure}, {field})"), format!("{structure}.{field}")),
                None => (format!("size_of::<{structure}>()"), format!("the size of {structure}")),
            };
            let _ = writeln!(
                rust,
                "    assert!({measured} == {number}, \"the C compiler and the bindings of {} disagree on {what}: rebuild \
                 with the libclang and the C compiler of one system (LIBCLANG_PATH, CC), and run configure again where \
                 headers of nginx have changed\");",
                nginx.name
            );
        }
        rust.push_str("};\n");
        Ok(rust)
    }
}

/// Where the one bit is in a structure in which a flag is set and everything else is zero.
fn flags(object: &[u8]) -> Result<String, String> {
    let mut rust = String::new();
    for (structure, field, name) in FLAGS {
        let bytes = measured(name, object)?;
        let mut set = bytes.iter().enumerate().filter(|(_, &byte)| byte != 0);
        let (Some((at, mask)), None) = (set.next(), set.next()) else {
            return Err(format!("{structure}.{field} is not within one byte: {ANOTHER_TREE}"));
        };
        if mask.count_ones() != 1 {
            return Err(format!("{structure}.{field} has more than one bit: {ANOTHER_TREE}"));
        }
        let _ = writeln!(
            rust,
            "/// `{field}`\npub const {name}: Flag<{structure}> = Flag {{ at: {at}, mask: {mask}, of: PhantomData }};"
        );
    }
    Ok(rust)
}

/// A C definition of what is `declared` between two frames, which say its `name`.
fn framed(name: &str, declared: &str, value: &str) -> String {
    let text = frame_text(name);
    format!(
        "struct {{\n    unsigned char before[{FRAME}];\n    {declared};\n    unsigned char behind[{FRAME}];\n}} \
         ngx_http_cors_{name} = {{ \"{text}\", {{\n{value}}}, \"{text}\" }};\n\n"
    )
}

fn frame_text(name: &str) -> String {
    format!("<ngx-http-cors {name}>")
}

/// What stands in the object file between the two frames.
fn measured<'a>(name: &str, object: &'a [u8]) -> Result<&'a [u8], String> {
    let mut frame = frame_text(name).into_bytes();
    frame.resize(FRAME, 0);
    let find = |bytes: &[u8]| bytes.windows(FRAME).position(|window| window == frame);
    find(object).map(|at| &object[at + FRAME..]).and_then(|rest| Some(&rest[..find(rest)?])).ok_or_else(|| {
        "the C compiler left no data in its object file: set CC and CFLAGS as nginx is built with".into()
    })
}

/// A value that the build script of `nginx-sys` left for its dependents.
fn dep(key: &str) -> Result<String, String> {
    let variable = format!("DEP_NGINX_{key}");
    env::var(&variable).map_err(|_| format!("{variable} is not set: nginx-sys must be a direct dependency"))
}

fn out_dir() -> Result<PathBuf, env::VarError> {
    env::var("OUT_DIR").map(PathBuf::from)
}
