//! `cors explain`, `cors diff`, `cors check` and `cors convert`, as they are run.

mod common;

use std::fs;
use std::path::PathBuf;

use common::cors;

const CONFIGURATION: &str = r#"http {
    cors_allow_headers Content-Type;
    server {
        listen 80;
        server_name api.example.com;
        location /api/ {
            cors_allow_origin https://app.example.com https://*.example.org;
            cors_allow_origin_regex ^https://pr-\d+\.example\.dev$;
            cors_allow_methods GET PUT;
        }
        location /off/ { cors off; }
        location /tenants/ { cors_allow_origin $tenants; }
    }
}
"#;

/// A directory of its own for each test.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cors-cli-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn explanations() {
    let api = "server api.example.com, location /api/ (standard input:6)";
    let rows: [(&[&str], &[String], i32); 7] = [
        (
            &["-o", "https://app.example.com", "-m", "put", "-H", "content-type: application/json"],
            &[
                format!("{api}: allowed"),
                "cors_allow_origin https://app.example.com in standard input:7".into(),
                "method PUT: cors_allow_methods in standard input:9".into(),
                "header content-type: cors_allow_headers in standard input:2".into(),
            ],
            0,
        ),
        (&["-o", "https://x.example.org"], &["cors_allow_origin https://*.example.org in standard input:7".into()], 0),
        (
            &["-o", "https://pr-7.example.dev"],
            &[r"cors_allow_origin_regex ^https://pr-\d+\.example\.dev$ in".into()],
            0,
        ),
        (
            &["-o", "http://app.example.com"],
            &[
                format!("{api}: denied"),
                "the nearest is https://app.example.com in standard input:7, which has another scheme".into(),
                "write: http://app.example.com in addition to what cors_allow_origin has in standard input:7".into(),
                "cors off in standard input:11".into(),
                "depends on $tenants in standard input:12".into(),
            ],
            1,
        ),
        (
            &["-o", "https://app.example.com", "-m", "DELETE", "-H", "X-Own"],
            &[
                "write: cors_allow_methods GET PUT DELETE;".into(),
                "write: cors_allow_headers Content-Type X-Own;".into(),
            ],
            1,
        ),
        (&["-o", "https://app.example.com", "--server", "other.example.com"], &[], 1),
        (&["-o", "https://app.example.com", "--json"], &["\"allowed\": true".into()], 0),
    ];
    for (arguments, expected, code) in rows {
        let ran = cors(&[&["explain", "-c", "-"], arguments].concat(), CONFIGURATION);
        for text in expected {
            assert!(ran.out.contains(text), "{arguments:?}: {text}\n{}{}", ran.out, ran.err);
        }
        assert_eq!(ran.code, Some(code), "{arguments:?}\n{}", ran.out);
    }
}

#[test]
fn differences() {
    let directory = directory("diff");
    let old = directory.join("old.conf");
    fs::write(&old, CONFIGURATION).unwrap();
    let rows: [(&str, &str, &str, i32); 9] = [
        ("", "", "Both allow the same.", 0),
        ("GET PUT", "GET PUT DELETE", "+ method DELETE", 1),
        ("GET PUT", "GET", "- method PUT", 0),
        ("GET PUT", "*", "+ method *", 1),
        ("pr-", "(pr|mr)-", "such as https://mr-0.example.dev", 1),
        ("*.example.org", "*.b.example.org", "- origin https://*.example.org, such as https://a.example.org", 0),
        ("cors off;", "", "+ header Content-Type", 0),
        ("cors off;", "cors_allow_origin null;", "+ origin null", 1),
        ("Content-Type;", "Content-Type;\n cors_allow_credentials on;", "+ credentials are allowed", 1),
    ];
    for (from, to, expected, code) in rows {
        let new = CONFIGURATION.replacen(from, to, usize::from(!from.is_empty()));
        let ran = cors(&["diff", old.to_str().unwrap(), "-"], &new);
        if (from, to) == ("cors off;", "") {
            // Without an origin rule there is still no policy.
            assert_eq!((ran.out.as_str(), ran.code), ("Both allow the same.\n", Some(0)));
            continue;
        }
        assert!(ran.out.contains(expected), "{from} {to}: {expected}\n{}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(code), "{from} {to}\n{}", ran.out);
    }
    // A location of its own was a part of its server before.
    let new = CONFIGURATION
        .replace("location /off/", "location /new/ { cors_allow_origin https://new.example; }\nlocation /off/");
    let ran = cors(&["diff", old.to_str().unwrap(), "-"], &new);
    assert!(ran.out.contains("location /new/\n  + origin https://new.example\n"), "{}", ran.out);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn files_of_origins() {
    let ran = cors(&["check", "-"], "\u{feff}https://a.example\r\nhttps://a.example # again\r\n*\r\na.example\r\n");
    assert_eq!(
        ran.out,
        "cors: [warn] \"https://a.example\" is already in the list [cors-duplicate] in -:2\n\
         cors: [emerg] \"*\" cannot be in a file of origins; to allow everything, write cors_allow_origin \"*\" in the \
         configuration [cors-any-in-file] in -:3\n\
         cors: [emerg] \"a.example\" has no scheme; an origin is scheme://host[:port]: write \"https://a.example\" \
         [cors-no-scheme] in -:4\n-: 1 values\n"
    );
    assert_eq!(ran.code, Some(1));
    let ran = cors(&["check", "-"], "# nobody\nhttps://*.a.example\nnull\n");
    assert_eq!((ran.out.as_str(), ran.code), ("-: 2 values\n", Some(0)));
    assert_eq!(cors(&["check", "/nonexistent"], "").code, Some(2));
}

#[test]
fn conversions_of_files() {
    let directory = directory("convert");
    let main = directory.join("nginx.conf");
    let part = directory.join("cors.conf");
    fs::write(&main, "# mine\nserver {\n    include cors.conf;\n}\n").unwrap();
    fs::write(&part, "add_header Access-Control-Allow-Origin https://a.example always;\n").unwrap();
    let path = main.to_str().unwrap();

    let ran = cors(&["convert", "--diff", path], "");
    assert!(ran.out.contains("+cors_allow_origin  https://a.example;"), "{}", ran.out);
    assert!(ran.err.contains("nginx.conf:2: ") && ran.err.contains("[vary]"), "{}", ran.err);
    assert_eq!(
        fs::read_to_string(&part).unwrap(),
        "add_header Access-Control-Allow-Origin https://a.example always;\n"
    );
    let ran = cors(&["convert", "--write", path], "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(fs::read_to_string(&part).unwrap(), "cors_allow_origin  https://a.example;\n");
    assert_eq!(fs::read_to_string(&main).unwrap(), "# mine\nserver {\n    include cors.conf;\n}\n");

    // A file that is included in two places, where it would mean two things.
    fs::write(&part, "add_header Access-Control-Allow-Origin $o always;\n").unwrap();
    fs::write(&main, "server {\n set $o https://a.example;\n include cors.conf;\n}\nserver {\n set $o https://b.example;\n include cors.conf;\n}\n")
        .unwrap();
    let ran = cors(&["convert", path], "");
    assert!(
        ran.err.contains("is also included where they would have to be converted differently"),
        "{}{}",
        ran.out,
        ran.err
    );
    assert!(!ran.out.contains("cors_allow_origin"), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn dumps() {
    let dump = "# configuration file /etc/nginx/nginx.conf:\nhttp {\n  include conf.d/*.conf;\n}\n\n\
                # configuration file /etc/nginx/conf.d/a.conf:\nserver {\n  add_header Access-Control-Allow-Origin *;\n}\n\n";
    let ran = cors(&["convert", "-"], dump);
    assert_eq!(ran.out, dump.replace("add_header Access-Control-Allow-Origin *;", "cors_allow_origin  *;"));
    assert!(ran.err.contains("/etc/nginx/conf.d/a.conf:1: "), "{}", ran.err);
    let ran = cors(&["convert", "--write", "-"], dump);
    assert_eq!((ran.code, ran.err.contains("not the output of nginx -T")), (Some(2), true), "{}", ran.err);
}

#[test]
fn bad_input() {
    let rows = [
        ("server {\n", "unexpected end of file, expecting \"}\" in standard input:2"),
        ("server { } }\n", "unexpected \"}\" in standard input:1"),
        ("\n\ninclude /nonexistent;\n", "\"/nonexistent\" is not there in standard input:3"),
        ("location / {\n add_header 'a'b c;\n}", "unexpected \"b\" in standard input:2"),
    ];
    for (input, message) in rows {
        for arguments in [&["convert", "-"][..], &["explain", "-o", "null", "-c", "-"], &["diff", "-", "/dev/null"]] {
            let ran = cors(arguments, input);
            assert!(ran.err.contains(message), "{arguments:?} {input}: {}", ran.err);
            assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?} {input}");
        }
    }
    let ran = cors(
        &["explain", "-c", "-", "-o", "https://a.example"],
        "cors_allow_origin\n a.example\n b.example/;\ncors_allow_methods get;",
    );
    assert_eq!(
        ran.err,
        "cors: cors_allow_origin: \"a.example\" has no scheme; an origin is scheme://host[:port]: write \"https://a.example\" \
         [cors-no-scheme] in standard input:3\n\
         cors: cors_allow_origin: \"b.example/\" has no scheme; an origin is scheme://host[:port]: write \"https://b.example\" \
         [cors-no-scheme] in standard input:3\n\
         cors: cors_allow_methods: \"get\" is a standard method in another case; methods are case-sensitive: write \"GET\" \
         [cors-method-case] in standard input:4\n"
    );
    let ran = cors(&["explain", "-c", "-", "-o", "https://a.example/"], "");
    assert!(ran.err.contains("write \"https://a.example\""), "{}", ran.err);
}

#[test]
fn manual_and_completions() {
    let ran = cors(&["man"], "");
    assert!(ran.out.contains(".TH cors 1") && ran.out.contains("probe"), "{}", ran.out);
    assert!(cors(&["man", "probe"], "").out.contains("origin"));
    for shell in ["bash", "zsh", "fish"] {
        let ran = cors(&["completions", shell], "");
        assert!(ran.out.contains("probe") && ran.out.contains("insecure"), "{shell}");
    }
}
