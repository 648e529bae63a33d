// SPDX-License-Identifier: Apache-2.0
//! `cors explain`, `cors diff`, `cors check` and `cors convert`, as they are run.

mod common;

use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::{env, fs};

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
    let path = env::temp_dir().join(format!("cors-{name}-{}", process::id()));
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn explanations() {
    let api = "server api.example.com, location /api/ (standard input:6)";
    let rows: [(&[&str], &[String], i32); 8] = [
        (
            &["-o", "https://app.example.com", "-H", "Accept: text/html", "-H", "Accept-Language"],
            &[
                "header Accept: needs no permission with this value".into(),
                "header Accept-Language: not in cors_allow_headers".into(),
            ],
            1,
        ),
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
fn which_levels_are_explained() {
    let origin = "cors_allow_origin https://a.example;";
    let server = "server { listen 80; server_name a; cors_allow_methods PUT; }";
    let rows = [
        // Settings that are only there to be inherited are not a policy.
        (
            format!("http {{\n cors_max_age 1h;\n server {{ {origin} }}\n}}"),
            "server without a name (standard input:3): allowed\n",
        ),
        (
            format!("http {{\n {origin}\n {server}\n}}"),
            "http (standard input:1): allowed\nserver a (standard input:3): allowed\n",
        ),
        ("http {\n cors off;\n}".to_owned(), "http (standard input:1): denied\n"),
        ("server { listen 80; }".to_owned(), "- has no cors_* directives.\n"),
    ];
    // Without an origin, there is only a policy where it is enforced.
    for (directive, expected) in [
        ("cors_enforce on;", "origin https://a.example: not allowed"),
        ("cors_max_age 1h;", "no origin is allowed, so there is no policy"),
    ] {
        let ran = cors(&["explain", "-c", "-", "-o", "https://a.example"], &format!("location / {{ {directive} }}"));
        assert_eq!(ran.out.lines().nth(1), Some(&*format!("  {expected}")), "{directive}{}", ran.err);
    }
    for (configuration, expected) in rows {
        let ran = cors(&["explain", "-c", "-", "-o", "https://a.example"], &configuration);
        let lines: String =
            ran.out.lines().filter(|line| !line.starts_with(' ')).map(|line| line.to_owned() + "\n").collect();
        assert_eq!((lines.as_str(), ran.err.as_str()), (expected, ""), "{configuration}");
        assert_eq!(ran.code, Some(i32::from(!expected.contains("allowed"))), "{configuration}");
    }
}

#[test]
fn files_that_are_not_text() {
    let directory = directory("bytes");
    let path = directory.join("nginx.conf");
    fs::write(&path, b"http {\n}\n# \xff\n").unwrap();
    let ran = cors(&["explain", "-c", path.to_str().unwrap(), "-o", "null"], "");
    assert_eq!((ran.err, ran.code), (format!("cors: {}: is not UTF-8 in line 3\n", path.display()), Some(2)));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn differences() {
    let directory = directory("diff");
    let old = directory.join("old.conf");
    fs::write(&old, CONFIGURATION).unwrap();
    let rows: [(&str, &str, &str, i32); 14] = [
        ("GET PUT;", "GET PUT;\n cors_expose_headers ETag;", "+ exposed ETag", 1),
        ("GET PUT;", "GET PUT;\n cors_max_age 1h;", "~ max-age 3600 s, was not set", 0),
        ("GET PUT;", "GET PUT;\n cors_max_age 10m; cors_expose_headers *;", "+ exposed *\n  ~ max-age 600 s", 1),
        (" Content-Type;", " Content-Type;\n cors_max_age 1h;", "~ max-age", 0),
        ("api/", "api/ ", "Both allow the same.", 0),
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
fn fields_and_times_of_the_old_one() {
    let directory = directory("exposed");
    let old = directory.join("old.conf");
    let policy = |more: &str| format!("server {{ cors_allow_origin https://a.example; {more} }}");
    fs::write(&old, policy("cors_expose_headers ETag Link; cors_max_age 10m;")).unwrap();
    for (new, expected, code) in [
        (policy("cors_max_age 600; cors_expose_headers etag;"), "- exposed Link\n", 0),
        (policy("cors_max_age 1h; cors_expose_headers Link ETag;"), "~ max-age 3600 s, was 600 s\n", 0),
        (policy("cors_max_age 10m; cors_expose_headers *;"), "+ exposed *\n", 1),
    ] {
        let ran = cors(&["diff", old.to_str().unwrap(), "-"], &new);
        let changes: Vec<_> = ran.out.lines().skip(1).collect();
        assert_eq!((changes.join("\n") + "\n", ran.code), (format!("  {expected}"), Some(code)), "{}", ran.err);
        let ran = cors(&["diff", old.to_str().unwrap(), "-", "--json"], &new);
        assert_eq!(ran.out.contains("\"more\": null"), expected.contains("max-age"), "{}", ran.out);
    }
    fs::remove_dir_all(directory).unwrap();
}

/// Compares pairs of configurations: what is printed, what is not compared, and the exit code.
fn compare(name: &str, rows: &[(&str, &str, &str, i32)]) {
    let directory = directory(name);
    let old = directory.join("old.conf");
    for (before, after, expected, code) in rows {
        fs::write(&old, before).unwrap();
        let ran = cors(&["diff", old.to_str().unwrap(), "-"], after);
        let all = ran.out + &ran.err.replace(old.to_str().unwrap(), "old.conf");
        assert!(all.contains(expected), "{before}\n{after}\n{expected}\n{all}");
        assert_eq!(ran.code, Some(*code), "{before}\n{after}\n{all}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn locations_that_only_one_has() {
    let server = |locations: &str| {
        let all = "location / { cors_allow_origin https://a.example; cors_allow_credentials on; }";
        format!("server {{ {all} {locations} }}")
    };
    let (plain, off) = (server(""), server("location /admin { cors off; }"));
    let (php, php_off) = ("location ~ php$ { cors_allow_origin https://b.example; }", "location ~ php$ { cors off; }");
    let orders = ["location ~ a { cors off; } ", "location ~ b { cors_allow_origin https://b.example; } "];
    compare(
        "locations",
        &[
            (&off, &plain, "location /admin\n  + origin https://a.example\n  + credentials are allowed", 1),
            (&plain, &off, "location /admin\n  - origin https://a.example", 0),
            // What it inherits is less than what the other location has.
            (&server("location /x { }"), &plain, "location /x\n  + origin https://a.example", 1),
            (&server("location = /x { cors off; }"), &server("location =/x { cors off; }"), "Both allow the same.", 0),
            (&server("location ^~ /x { cors off; }"), &server("location /x { cors off; }"), "Both allow the same.", 0),

            // Expressions.
            (&server(php_off), &plain, "location ~ php$: cannot be compared: in the new configuration, \"server", 2),
            (&plain, &server(php), "location ~ php$: cannot be compared: in the old configuration", 2),
            ("server { location ~ a { } }", "server { }", "Both allow the same.", 0),
            (
                &server(&format!("{php} location ^~ /x {{ cors off; }}")),
                &server(&format!("{php} location /x {{ cors off; }}")),
                "location ^~ /x: cannot be compared: in the new configuration, \"server without a name, location ~ php$\"",
                2,
            ),
            (&server(&orders.concat()), &server(&(orders[1].to_owned() + orders[0])), "cannot be compared", 2),
            (&server(&orders.concat()), &server(&orders.concat()), "Both allow the same.", 0),
            (
                &server(&format!("location /x {{ {php} }}")),
                &server(&format!("location /x {{ {php} }}")),
                "Both allow the same.",
                0,
            ),
            // The longest prefix of the path, and an exact location only for its own.
            (
                &server("location /longer/path { cors off; }"),
                &server("location /longer/path { cors off; } location /x { }"),
                "location /x\n  - origin https://a.example",
                0,
            ),
            (
                &server("location = /other { cors off; }"),
                &server("location = /other { cors off; } location = /x { }"),
                "location = /x\n  - origin https://a.example",
                0,
            ),
            (
                &server("location = /other { cors off; }"),
                &server("location = /other { cors off; } location /other { }"),
                "location /other\n  - origin https://a.example",
                0,
            ),
            (&server(php), &server(&php.replace("b.ex", "c.ex")), "location ~ php$\n  + origin https://c.example", 1),
            // Expressions of another server.
            (
                &format!("server {{ server_name b; {php} }} {}", server("")),
                &format!("server {{ server_name b; {php} }} {}", server("location ^~ /x { }")),
                "server without a name, location ^~ /x\n  - origin https://a.example",
                0,
            ),
            // Expressions that a location no longer ends the search for, and those within others.
            (
                &server(&format!("{php} location ^~ /x {{ cors off; }}")),
                &server(&format!("{php} location ^~ /x {{ cors off; }} location /x/y {{ cors off; }}")),
                "location ~ php$: cannot be compared: in the old configuration, \"server without a name, location ^~ /x\"",
                2,
            ),
            (
                &server(&format!("location /x {{ cors_allow_origin https://a.example; {php} }}")),
                &server("location /x/y { cors_allow_origin https://a.example; }"),
                "location /x/y: cannot be compared: in the old configuration, \"server without a name, location /x, location ~ php$\"",
                2,
            ),
            (
                &server(&format!("location /x {{ cors_allow_origin https://a.example; {php} }}")),
                &server(&format!("location /x {{ cors_allow_origin https://a.example; {php} location /x/y {{ cors_allow_origin https://a.example; }} }}")),
                "Both allow the same.",
                0,
            ),
            // No path leads to a location with a name.
            (
                &server("location @b { cors off; }"),
                &server("location @b { cors off; } location ^~ /x { }"),
                "location ^~ /x\n  - origin https://a.example",
                0,
            ),
            // What is set around all servers.
            (
                "http { cors_allow_origin https://a.example; server { } }",
                "http { cors_allow_origin https://b.example; server { } }",
                "+ origin https://b.example",
                1,
            ),
        ],
    );
}

#[test]
fn variables_with_other_definitions() {
    let http = |map: &str, set: &str| {
        format!("http {{ map $host $m {{ {map} }} server {{ set $s {set}; cors_allow_origin $m; cors_bypass $s; }} }}")
    };
    let old = http("default https://a.example;", "1");
    compare(
        "variables",
        &[
            (&old, &http("# The same.\n default  'https://a.example';", "1"), "Both allow the same.", 0),
            (
                &old,
                &http("default https://b.example;", "1"),
                "$m cannot be compared: the definition of $m in standard input:1 is not that in old.conf:1",
                2,
            ),
            (&old, &http("default https://a.example;", "0"), "$s cannot be compared: the definition of $s in", 2),
            (
                "server { set $a 1; set $b $a; cors_allow_origin $b; }",
                "server { set $a 2; set $b $a; cors_allow_origin $b; }",
                "$b cannot be compared: the definition of $a in",
                2,
            ),
            // Groups of expressions: of a rewrite, and of others.
            (
                "server { rewrite ^/(.*)$ /b; cors_allow_origin https://$1.example; }",
                "server { rewrite ^/(.+)$ /b; cors_allow_origin https://$1.example; }",
                "$1.example cannot be compared: the definition of $1 in standard input:1 is not that in old.conf:1",
                2,
            ),
            (
                "server { return 200; cors_allow_origin https://$1.example; }",
                "server { return 204; cors_allow_origin https://$1.example; }",
                "Both allow the same.",
                0,
            ),
            // A variable of the configuration's own, whose name is one of the module's.
            (
                "http { map $host $cors_origin { default https://a.example; } server { cors_allow_origin $cors_origin; } }",
                "http { map $host $cors_origin { default https://a.example; } server { cors_allow_origin $cors_origin; } }",
                "Both allow the same.",
                0,
            ),
            (
                "server { cors_allow_origin $x; }",
                "server { set $x 1; cors_allow_origin $x; }",
                "$x cannot be compared: the definition of $x in standard input:1 is only there",
                2,
            ),
        ],
    );
}

#[test]
fn switches() {
    for (before, after, expected, code) in [
        ("cors_dry_run on;", "", "+ dry-run has ended", 1),
        ("", "cors_dry_run on;", "- dry-run has begun", 0),
        ("", "cors_allow_private_network on;", "+ private-network is allowed", 1),
        ("cors_allow_private_network on;", "", "- private-network is allowed", 0),
        ("", "cors_preflight off;", "+ preflight is left to the application", 1),
        ("cors_preflight off;", "", "- preflight is no longer left to the application", 0),
        ("", "cors_override off;", "+ override has ended", 1),
        ("cors_override off;", "", "- override has begun", 0),
        ("", "cors_bypass $arg_a;", "cors_bypass cannot be compared: it is $arg_a, was not set", 2),
        ("cors_bypass $arg_a;", "cors_bypass $arg_a; cors_bypass $arg_b;", "it is $arg_a $arg_b, was $arg_a", 2),
        ("cors_bypass $arg_a;", "cors_bypass $arg_a '';", "Both allow the same.", 0),
        ("cors_enforce on;", "", "+ enforcement has ended", 1),
        ("", "cors_enforce on;", "- enforcement has begun", 0),
        ("cors off;", "", "+ origin https://a.example", 1),
        ("cors off;", "cors on;", "+ origin https://a.example", 1),
        ("", "cors off;", "- origin https://a.example", 0),
        ("", "cors_allow_headers X-A;", "+ header X-A", 1),
        ("cors_allow_headers X-A X-B;", "cors_allow_headers x-b;", "- header X-A", 0),
        ("cors_allow_headers *;", "cors_allow_headers X-A;", "- header *", 0),
        ("cors_allow_methods *;", "cors_allow_methods DELETE;", "- method *", 0),
        ("cors_allow_methods *;", "cors_allow_methods *; cors_max_age 1m;", "~ max-age 60 s, was not set", 0),
        ("cors_allow_headers *;", "cors_allow_headers *; cors_max_age 1m;", "~ max-age 60 s, was not set", 0),
        ("cors_expose_headers *;", "cors_expose_headers X-A;", "- exposed *", 0),
        ("", "cors_reject_status 404;", "~ reject-status 404, was 403", 0),
        ("cors_preflight_status 200;", "", "~ preflight-status 204, was 200", 0),
    ] {
        let policy = |more: &str| format!("server {{ cors_allow_origin https://a.example; {more} }}");
        compare("switches", &[(&policy(before), &policy(after), expected, code)]);
    }
    // What only matters with origins is not compared where one has none.
    whole_diff(
        "cors_enforce on; cors_dry_run on;",
        "cors_enforce on; cors_allow_origin https://a.example; cors_max_age 1h; cors_reject_status 404;",
        "server without a name\n  + origin https://a.example\n  - enforcement has begun\n  + dry-run has ended\n  ~ reject-status 404, was 403\n",
    );
    // Servers with the same name are matched in order. A lone comma is not an expression.
    let three = |last: &str| {
        let server = |name: &str| format!("cors_allow_origin https://{name}.example; }} server {{ ");
        server("a") + &server("b") + &format!("cors_allow_origin https://{last}.example;")
    };
    whole_diff(&three("c"), &three("c"), "Both allow the same.\n");
    whole_diff(
        &three("c"),
        &three("d"),
        "server without a name\n  + origin https://d.example\n  - origin https://c.example\n",
    );
    whole_diff(
        r"cors_allow_origin_regex ^https://a\.example$ , ^https://b\.example$;",
        r"cors_allow_origin_regex ^https://a\.example$ ^https://b\.example$;",
        "Both allow the same.\n",
    );
    // In the order of the new configuration.
    whole_diff(
        "location /b { cors_allow_origin https://b.example; }",
        "location /b { cors_allow_origin https://c.example; } location /a { cors_allow_origin https://a.example; }",
        "server without a name, location /b\n  + origin https://c.example\n  - origin https://b.example\n\
         server without a name, location /a\n  + origin https://a.example\n",
    );
    // What a location inherits is reported where it is set.
    whole_diff(
        "cors_allow_origin https://a.example; location /x { root /x; }",
        "cors_allow_origin https://b.example; location /x { root /x; }",
        "server without a name\n  + origin https://b.example\n  - origin https://a.example\n",
    );
}

/// No path leads to a location with a name.
#[test]
fn a_location_with_a_name_handles_no_paths() {
    let directory = directory("names");
    let old = directory.join("old.conf");
    fs::write(&old, "server { location ~ php$ { cors_allow_origin https://a.example; } }").unwrap();
    let new = "server { location @b { cors_allow_origin https://b.example; } location /x { cors_enforce on; } }";
    let ran = cors(&["diff", old.to_str().unwrap(), "-"], new);
    assert!(
        ran.err.contains(
            r#"location ~ php$: cannot be compared: in the new configuration, "server without a name, location /x""#
        ),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains(r#"location @b" may"#), "{}", ran.err);
    fs::remove_dir_all(directory).unwrap();
}

/// All that is printed of two servers.
fn whole_diff(before: &str, after: &str, expected: &str) {
    let directory = directory("whole");
    let old = directory.join("old.conf");
    fs::write(&old, format!("server {{ {before} }}")).unwrap();
    let ran = cors(&["diff", old.to_str().unwrap(), "-"], &format!("server {{ {after} }}"));
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (expected, ""));
    fs::remove_dir_all(directory).unwrap();
}

/// Too large for an automaton.
const LARGE: &str = r"^https://([a-z]{1,50}\d){1,40}[a-z]*x[a-z]{50}\.example$";

#[test]
fn expressions_that_are_too_large() {
    let directory = directory("large");
    let old = directory.join("old.conf");
    let policies = |first: &str, second: &str| {
        format!(
            "server {{ server_name a; cors_allow_origin_regex {first}; cors_allow_methods GET; }}\n\
             server {{ server_name b; cors_allow_origin {second}; }}\n"
        )
    };
    let large = format!("'{LARGE}'");
    fs::write(&old, policies("^https://a$", "https://b.example")).unwrap();
    let new = policies(&large, "https://b.example https://c.example").replace("GET;", "GET PUT;");
    let ran = cors(&["diff", old.to_str().unwrap(), "-"], &new);
    assert_eq!(ran.out, "server a\n  + method PUT\nserver b\n  + origin https://c.example\n",);
    let why = "cannot be compared: its automaton, or that of the other values, is too large";
    assert_eq!(ran.err, format!("cors: server a: {LARGE} {why}\ncors: server a: ^https://a$ {why}\n"));
    assert_eq!(ran.code, Some(2));
    let ran = cors(&["diff", old.to_str().unwrap(), "-", "--json"], &new);
    assert!(ran.out.contains("\"not_compared\": [\n    \"server a: ^https"), "{}", ran.out);
    assert_eq!(ran.code, Some(2));
    // The same text is the same on both sides.
    fs::write(&old, &new).unwrap();
    assert_eq!(cors(&["diff", old.to_str().unwrap(), "-"], &new).code, Some(0));
    // It is matched all the same.
    for (origin, code) in [
        (format!("https://ab1x{}.example", "a".repeat(50)), 0),
        (format!("https://ab1x{}.example", "a".repeat(49)), 1),
        ("https://a.example".to_owned(), 1),
    ] {
        let ran = cors(&["explain", "-c", "-", "-o", &origin, "--server", "a"], &new);
        assert_eq!(ran.code, Some(code), "{origin}: {}{}", ran.out, ran.err);
        assert_eq!(ran.out.contains("cors_allow_origin_regex ^https://([a-z]{1,50}"), code == 0, "{}", ran.out);
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn files_of_origins_in_a_configuration() {
    let directory = directory("named");
    let (old, new) = (directory.join("old.conf"), directory.join("new.conf"));
    let policy = |file: &str| format!("http {{\n server {{\n  cors_allow_origin_file {file};\n }}\n}}\n");
    fs::write(&old, policy("tenants")).unwrap();
    fs::write(&new, policy("sub/tenants")).unwrap();
    fs::create_dir(directory.join("sub")).unwrap();
    let (tenants, others) = (directory.join("tenants"), directory.join("sub/tenants"));
    fs::write(&tenants, "# all\nhttps://a.example\nhttps://*.b.example\nhttp://localhost:*\n").unwrap();
    let (old, new, path) = (old.to_str().unwrap(), new.to_str().unwrap(), tenants.to_str().unwrap());
    for (origin, expected, code) in [
        ("https://a.example", format!("cors_allow_origin_file https://a.example in {path}:2"), 0),
        ("https://x.b.example", format!("cors_allow_origin_file https://*.b.example in {path}:3"), 0),
        ("http://localhost:3000", format!("cors_allow_origin_file http://localhost:* in {path}:4"), 0),
        ("http://a.example", format!("nearest is https://a.example in {path}:2, which has another scheme"), 1),
        ("https://c.example", format!("write: https://c.example in a line of {path}"), 1),
    ] {
        let ran = cors(&["explain", "-c", old, "-o", origin], "");
        assert!(ran.out.contains(&expected), "{origin}: {}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(code), "{origin}");
    }
    for (lines, expected, code) in [
        ("https://a.example\nhttps://*.b.example\nhttp://localhost:*", "Both allow the same.\n", 0),
        ("https://*.b.example\nhttps://a.example\nhttp://localhost:*", "Both allow the same.\n", 0),
        (
            "https://a.example\nhttps://*.b.example\nhttp://localhost:*\nhttps://x.b.example",
            "Both allow the same.\n",
            0,
        ),
        ("https://*.b.example\nhttp://localhost:*\nnull", "  + origin null\n  - origin https://a.example\n", 1),
        (
            "https://a.example\nhttps://*.x.b.example\nhttp://localhost:1",
            "  - origin https://*.b.example, such as https://a.b.example\n\
             \x20 - origin http://localhost:*, such as http://localhost\n",
            0,
        ),
    ] {
        fs::write(&others, lines).unwrap();
        let ran = cors(&["diff", old, new], "");
        assert!(ran.out.ends_with(expected), "{lines}\n{}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(code), "{lines}");
    }
    // Mistakes, with the file that they are in.
    fs::write(&others, "https://a.example\na.example\n*\n").unwrap();
    let ran = cors(&["diff", old, new], "");
    let path = others.to_str().unwrap();
    assert_eq!(
        ran.err,
        format!(
            "cors: cors_allow_origin_file: \"a.example\" has no scheme; an origin is scheme://host[:port]: write \
             \"https://a.example\" [cors-no-scheme] in {path}:2\n\
             cors: cors_allow_origin_file: \"*\" cannot be in a file of origins; to allow everything, write cors_allow_origin \
             \"*\" in the configuration [cors-any-in-file] in {path}:3\n"
        )
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    fs::remove_file(&others).unwrap();
    let ran = cors(&["explain", "-c", new, "-o", "null"], "");
    assert!(ran.err.contains("[cors-unreadable-file]") && ran.err.ends_with(&format!(" in {new}:3\n")), "{}", ran.err);
    fs::create_dir(&others).unwrap();
    let ran = cors(&["explain", "-c", new, "-o", "null"], "");
    assert!(ran.err.contains("[cors-not-regular-file]"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    // What is only wrong with credentials.
    fs::write(&tenants, "https://a.example\nhttps://*.com\n").unwrap();
    assert_eq!(cors(&["explain", "-c", old, "-o", "https://a.example"], "").code, Some(0));
    fs::write(directory.join("old.conf"), policy("tenants").replace("server {", "server { cors_allow_credentials on;"))
        .unwrap();
    let ran = cors(&["explain", "-c", old, "-o", "https://a.example"], "");
    assert!(
        ran.err.contains("[cors-public-suffix-with-credentials] in ") && ran.err.contains("tenants:2"),
        "{}",
        ran.err
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn values_that_nginx_refuses() {
    let rows = [
        ("cors_max_age 1hour;", "cors_max_age: \"1hour\" is not a valid time; use seconds, or a time such as 10m or 1h: write \"1h\" [cors-not-time]"),
        ("cors_allow_credentials yes;", "cors_allow_credentials: \"yes\" is neither \"on\" nor \"off\": write \"on\" [cors-not-flag]"),
        ("cors_allow_origin *; cors_allow_credentials on;", "[cors-any-with-credentials]"),
        ("cors_enforce on; cors_enforce off;", "cors_enforce: \"cors_enforce\" is duplicate; it may appear only once in a block [cors-duplicate-directive]"),
        ("cors_preflight_status 201;", "[cors-not-preflight-status]"),
        ("cors_reject_status 444;", "[cors-not-reject-status]"),
        ("cors_log_level debug;", "[cors-not-log-level]"),
        ("cors_allow_origin * null;", "[cors-any-not-alone]"),
        ("cors_allow_origin $cors_origin;", "[cors-own-variable]"),
        ("cors_bypass $cors_status;", "[cors-own-variable]"),
        ("cors_max_age;", "invalid number of arguments in \"cors_max_age\" directive"),
        ("cors_maximum_age 1;", "unknown directive \"cors_maximum_age\""),
        ("cors_zone cors:1m;", "\"cors_zone\" directive is not allowed here"),
        ("cors_report;", "\"cors_report\" directive is not allowed here"),
        ("if ($a) { cors_max_age 1; }", "\"cors_max_age\" directive is not allowed here"),
        ("location / { limit_except GET { cors_max_age 1; } }", "\"cors_max_age\" directive is not allowed here"),
    ];
    for (line, message) in rows {
        let ran =
            cors(&["explain", "-c", "-", "-o", "https://a.example"], &format!("http {{ server {{\n {line}\n}} }}"));
        assert!(ran.err.contains(message), "{line}: {}{}", ran.out, ran.err);
        assert!(ran.err.ends_with(" in standard input:2\n"), "{line}: {}", ran.err);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{line}");
    }
    for (configuration, message) in [
        ("http { cors_zone a:1k; }", "[cors-zone-too-small] in standard input:1\n"),
        ("http { server { cors_zone_label a; } }", "[cors-no-zone] in standard input:1\n"),
        ("http { server { location / { cors_report; } } }", "[cors-no-zone] in standard input:1\n"),
        ("http { cors_zone a:1m; server { cors_zone_label a$b; } }", "[cors-variable] in standard input:1\n"),
        (
            "http { cors_zone a:1m; server { location / { cors_report xml; } } }",
            "[cors-not-report-format] in standard input:1\n",
        ),
        (
            "server {\n cors_allow_credentials on;\n location / {\n cors_allow_origin *;\n }\n}",
            "[cors-any-with-credentials] in standard input:4; credentials are turned on in standard input:2\n",
        ),
        (
            "server {\n cors_allow_credentials on;\n cors_allow_origin *;\n}",
            "[cors-any-with-credentials] in standard input:3\n",
        ),
    ] {
        let ran = cors(&["explain", "-c", "-", "-o", "https://a.example"], configuration);
        assert!(ran.err.ends_with(message), "{configuration}: {}", ran.err);
        assert_eq!(ran.code, Some(2), "{configuration}");
    }
    // What may be elsewhere, flags in any case, and what has a place of its own.
    for configuration in [
        "cors ON; cors_allow_origin https://a.example; cors_zone_label a;",
        "cors_zone a:1m; cors_report; cors_allow_origin https://a.example;",
        "http { cors_zone a:1m; cors_allow_origin https://a.example; server { location /a { cors_report; } } }",
        "map $uri $cors_status { default ''; } server { cors_allow_origin https://a.example; cors_bypass $cors_status; }",
    ] {
        let ran = cors(&["explain", "-c", "-", "-o", "https://a.example"], configuration);
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)), "{configuration}");
    }
}

#[test]
fn files_of_origins() {
    let ran = cors(&["check", "-"], "\u{feff}https://a.example\r\nhttps://a.example # again\r\n*\r\na.example\r\n");
    assert_eq!(
        ran.out,
        "cors: [emerg] \"*\" cannot be in a file of origins; to allow everything, write cors_allow_origin \"*\" in the \
         configuration [cors-any-in-file] in -:3\n\
         cors: [emerg] \"a.example\" has no scheme; an origin is scheme://host[:port]: write \"https://a.example\" \
         [cors-no-scheme] in -:4\n-: 1 values\n"
    );
    assert_eq!(ran.code, Some(1));
    let ran = cors(&["check", "-"], "https://*.com\nhtps://a.example\n");
    assert_eq!(
        ran.out,
        "cors: [warn] \"https://*.com\" has a \"*\" that covers a public suffix; anyone could register a matching name \
         [cors-public-suffix] in -:1\n\
         cors: [warn] \"htps://a.example\" has a scheme that looks like http or https misspelt, so browsers probably never send \
         it: write \"https://a.example\" [cors-misspelt-scheme] in -:2\n-: 2 values\n"
    );
    assert_eq!(ran.code, Some(0));
    let ran = cors(&["check", "-"], &"x\n".repeat(1002));
    assert!(ran.out.contains("\"-\" has 2 more lines with mistakes [cors-more-mistakes] in -\n"), "{}", ran.out);
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

/// Deeper than a stack is.
#[test]
fn conversions_of_deep_settings() {
    const DEEP: usize = 100_000;
    for (before, within, after) in [
        ("assert ", "(", ")"),
        ("CORS_ALLOWED_ORIGINS = ", "(", ")"),
        ("CORS_ALLOWED_ORIGINS = ", "[", "]"),
        ("CORS_ALLOWED_ORIGINS = ", "list(", ")"),
        ("CORS_ALLOWED_ORIGINS = ", "1 + ", ""),
    ] {
        let settings = format!("{before}{}1{}\n", within.repeat(DEEP), after.repeat(DEEP));
        let ran = cors(&["convert", "-", "--from", "django"], &settings);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(1)), "{before}{within}: {}", ran.err);
    }
}

/// Those in JSON, those of several files, and what cannot be changed.
#[test]
fn conversions_as_they_are_asked_for() {
    let directory = directory("asked");
    let (main, part) = (directory.join("nginx.conf"), directory.join("sub.conf"));
    fs::write(&main, "events { }\ninclude sub.conf;\n").unwrap();
    let old = "http {\n    server {\n        add_header Access-Control-Allow-Origin * always;\n    }\n}\n";
    fs::write(&part, old).unwrap();
    let (path, name) = (main.to_str().unwrap(), part.to_str().unwrap());
    let new = old.replace("add_header Access-Control-Allow-Origin * always;", "cors_allow_origin  *;");
    let note = "Preflights are answered by nginx; they were passed on like other requests";

    let ran = cors(&["convert", path], "");
    let expected = format!(
        "# configuration file {path}:\nevents {{ }}\ninclude sub.conf;\n\n# configuration file {name}:\n{new}\n"
    );
    assert_eq!((ran.out, ran.code), (expected, Some(0)));
    assert_eq!(ran.err, format!("Different now:\n  {name}:2: {note} [preflight]\n"));
    let ran = cors(&["convert", "--diff", path], "");
    let lines = old.lines().map(|line| match line.contains("add_header") {
        true => format!("-{line}\n+        cors_allow_origin  *;\n"),
        false => format!(" {line}\n"),
    });
    assert_eq!(ran.out, format!("--- {name}\n+++ {name}\n@@ -1,5 +1,5 @@\n{}", lines.collect::<String>()));
    let ran = cors(&["convert", "--json", path], "");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let files = serde_json::json!([
        { "name": path, "text": "events { }\ninclude sub.conf;\n" },
        { "name": name, "text": new },
    ]);
    let different = serde_json::json!([{ "code": "preflight", "place": format!("{name}:2"), "text": note }]);
    assert_eq!(json, serde_json::json!({ "files": files, "not_carried_over": [], "different": different }));
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
    let ran = cors(&["convert", "--write", path], "");
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)));
    assert!(ran.err.starts_with(&format!("changed {name}\nDifferent now:\n")), "{}", ran.err);
    assert_eq!((fs::read_to_string(&part).unwrap(), fs::metadata(&main).unwrap().len()), (new, 29));
    let ran = cors(&["convert", "--write", "-"], old);
    assert_eq!((ran.err.as_str(), ran.code), ("cors: --write needs a file\n", Some(2)));

    // By the name of the file, and by what is in it.
    let (python, yaml) = (directory.join("settings.py"), directory.join("values.yml"));
    fs::write(&python, "CORS_ALLOW_ALL_ORIGINS = True\nCORS_PREFLIGHT_MAX_AGE = 0\nCORS_ALLOW_HEADERS = ['*']\n")
        .unwrap();
    let ran = cors(&["convert", python.to_str().unwrap(), "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let lines = "    cors_allow_origin   *;\n    cors_allow_methods  DELETE GET OPTIONS PATCH POST PUT;\n    cors_allow_headers  *;\n";
    assert_eq!(json["files"][0]["text"], format!("location / {{\n{lines}}}\n"));
    // What the settings are not about is passed on as well.
    let with_rest = |settings: &str| {
        fs::write(
            &python,
            format!(
                "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_METHODS = ['GET']\nCORS_ALLOW_HEADERS = ['*']\n{settings}"
            ),
        )
        .unwrap();
        let ran = cors(&["convert", python.to_str().unwrap(), "--proxy-pass", "http://app"], "");
        let blocks = ran
            .out
            .split_inclusive("}\n")
            .map(|block| block.lines().filter(|line| !line.contains("cors_")).collect::<Vec<_>>());
        blocks.map(|lines| lines.concat()).collect::<Vec<_>>()
    };
    assert_eq!(with_rest(""), ["location / {    proxy_pass  http://app;}"]);
    let rest = with_rest("CORS_URLS_REGEX = r'^/api/.*$'\n");
    assert_eq!(rest, ["location /api/ {    proxy_pass  http://app;}", "location / {    proxy_pass  http://app;}"]);
    for option in ["--diff", "--write"] {
        let ran = cors(&["convert", python.to_str().unwrap(), option], "");
        assert_eq!(ran.err, "cors: --diff and --write are for configurations of nginx\n");
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
    }
    fs::write(&yaml, "a: 1\n").unwrap();
    let ran = cors(&["convert", yaml.to_str().unwrap()], "");
    let message = "this is neither an Ingress nor an HTTPRoute with a CORS filter nor a CORS policy of Envoy; --from says what it is";
    assert_eq!(ran.err, format!("cors: {}: {message}\n", yaml.display()));
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn locations_without_a_policy() {
    let directory = directory("routes");
    let file = directory.join("route.yaml");
    let rules = "  - matches: [{path: {value: /priv}}]\n    backendRefs: [{name: own, port: 80}]\n  \
                 - filters: [{type: CORS, cors: {allowOrigins: ['https://x.example']}}]\n";
    fs::write(&file, format!("kind: HTTPRoute\nspec:\n  rules:\n{rules}")).unwrap();
    let ran = cors(&["convert", file.to_str().unwrap()], "");
    let private =
        |location| format!("location {location} {{\n    cors  off;\n\n    proxy_pass  http://own:80;\n}}\n\n");
    let expected =
        private("/priv/") + &private("= /priv") + "location / {\n    cors_allow_origin  https://x.example;\n}\n";
    assert_eq!((ran.out, ran.code), (expected, Some(0)), "{}", ran.err);

    // A server without a policy, beside those of its domain.
    let host = |domains: &str, policy: &str| {
        format!("- {{domains: [{domains}], routes: [{{match: {{prefix: /}}{policy}}}]}}\n")
    };
    let policy = ", typed_per_filter_config: {c: {allow_origin_string_match: [{exact: 'https://x.example'}]}}";
    fs::write(&file, format!("virtual_hosts:\n{}{}", host("'*-x.test'", policy), host("a-x.test", ""))).unwrap();
    let ran = cors(&["convert", file.to_str().unwrap()], "");
    let expected = "# a-x.test\nlocation / {\n    cors  off;\n}\n\n\
                    # ~^.+-x\\.test$\nlocation / {\n    cors_allow_origin  https://x.example;\n}\n";
    assert_eq!((ran.out.as_str(), ran.code), (expected, Some(0)), "{}", ran.err);
    assert!(ran.err.contains("a-x.test has no policy and needs a server of its own"), "{}", ran.err);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn paths_that_nginx_has_to_read() {
    let directory = directory("paths");
    let file = directory.join("route.yaml");
    let rule = |kind: &str, path: &str| {
        format!("  - {{matches: [{{path: {{type: {kind}, value: '{path}'}}}}], filters: [{{type: CORS, cors: {{allowOrigins: ['https://x.example']}}}}]}}\n")
    };
    let rules =
        rule("PathPrefix", "/a;b") + &rule("Exact", "/c{d}") + &rule("Exact", "/e%20f") + &rule("PathPrefix", "");
    fs::write(&file, format!("kind: HTTPRoute\nspec:\n  rules:\n{rules}")).unwrap();
    let ran = cors(&["convert", file.to_str().unwrap()], "");
    let locations: Vec<_> = ran.out.lines().filter(|line| line.starts_with("location")).collect();
    let expected = ["'/a;b/'", "= '/a;b'", "= '/c{d}'", "= '/e f'", "/"].map(|path| format!("location {path} {{"));
    assert_eq!(locations, expected, "{}{}", ran.out, ran.err);
    let ran = cors(&["convert", "--proxy-pass", "http://a/;b", file.to_str().unwrap()], "");
    let passes: Vec<_> = ran.out.lines().filter(|line| line.contains("proxy_pass")).collect();
    assert_eq!(passes, ["    proxy_pass  'http://a/;b';"; 5], "{}{}", ran.out, ran.err);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn dumps() {
    let dump = "# configuration file /etc/nginx/nginx.conf:\nhttp {\n  include conf.d/*.conf;\n}\n\n\
                # configuration file /etc/nginx/conf.d/a.conf:\nserver {\n  add_header Access-Control-Allow-Origin *;\n}\n\n";
    let ran = cors(&["convert", "-"], dump);
    assert_eq!(ran.out, dump.replace("add_header Access-Control-Allow-Origin *;", "cors_allow_origin  *;"));
    assert!(ran.err.contains("/etc/nginx/conf.d/a.conf:1: "), "{}", ran.err);
    let one =
        "# configuration file /etc/nginx/nginx.conf:\nserver {\n  add_header Access-Control-Allow-Origin *;\n}\n\n";
    let ran = cors(&["convert", "-"], one);
    assert_eq!(ran.out, one.replace("add_header Access-Control-Allow-Origin *;", "cors_allow_origin  *;"));
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

/// Neither is a panic. A pipe may be closed at any time: the command is given so much that it notices.
#[test]
fn output_that_cannot_be_written() {
    let directory = directory("output");
    let path = directory.join("nginx.conf");
    let location = |at| format!("location /{at}/ {{ cors_allow_origin https://a{at}.example.com; }}\n");
    let locations: String = (0..5000).map(location).collect();
    fs::write(&path, format!("http {{ server {{ listen 80;\n{locations} }} }}\n")).unwrap();
    let path = path.to_str().unwrap();
    let runs: [&[&str]; 5] = [
        &["explain", "-c", path, "--origin", "https://a1.example.com"],
        &["diff", "/dev/null", path],
        &["convert", path],
        &["completions", "bash"],
        &["man"],
    ];
    for arguments in runs {
        let run = |out: Stdio| Command::new(env!("CARGO_BIN_EXE_cors")).args(arguments).stdout(out).output().unwrap();
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let writer = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        let gone = run(writer.into());
        assert_eq!((gone.status.code(), gone.stderr.as_slice()), (Some(2), &b""[..]), "{arguments:?}");
        let full = run(fs::File::options().write(true).open("/dev/full").unwrap().into());
        let message = String::from_utf8(full.stderr).unwrap();
        assert_eq!(full.status.code(), Some(2), "{arguments:?}");
        assert!(message.starts_with("cors: the standard output cannot be written: "), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

/// What a policy cannot say is left as it is, with the reason.
#[test]
fn conversions_that_would_allow_more() {
    let of_map = |entries: &str| {
        format!(
            "map $http_origin $c {{ {entries} }}\nserver {{ location / {{ add_header Access-Control-Allow-Origin $c; }} }}"
        )
    };
    let server = |lines: &str| format!("server {{ location / {{ {lines} }} location /b {{ return 200; }} }}");
    let all = r#""~^https://[a-z]+\.example\.com$" $http_origin;"#;
    let by_name = "they deny https://evil.example.com";
    let rows = [
        (of_map(&format!("https://evil.example.com ''; {all}")), Some(by_name)),
        (of_map(&format!(r#""~^https://evil" ""; {all}"#)), Some(by_name)),
        (of_map(&format!(r#""~*^HTTPS://EVIL" ""; {all}"#)), Some(by_name)),
        (of_map("default *; https://bad.example '';"), Some("they deny https://bad.example")),
        // Tested behind what allows it.
        (of_map(&format!(r#"{all} "~." "";"#)), None),
        (of_map(&format!(r#""~^http://" ""; {all}"#)), None),
        (
            server(
                r#"if ($http_origin ~ "example\.com$") { set $c $http_origin; } if ($http_origin ~ "evil\.example\.com$") { set $c ""; }
                add_header Access-Control-Allow-Origin $c;"#,
            ),
            Some("evil.example.com"),
        ),
        (
            server("if ($http_origin !~ ^https://a) { rewrite ^ /b last; } add_header Access-Control-Allow-Origin *;"),
            Some("a rewrite to another location depends on the origin"),
        ),
        (server("rewrite ^/x /y break; add_header Access-Control-Allow-Origin *;"), None),
        (
            server("more_set_headers -s 404 'Access-Control-Allow-Origin: *';"),
            Some("sets them for some responses alone"),
        ),
        (
            server("more_set_headers 'Access-Control-Allow-Origin: *'; more_clear_headers access-control-*;"),
            Some("or removes them"),
        ),
    ];
    for (old, why) in rows {
        let old = format!("http {{\n{old}\n}}\n");
        let ran = cors(&["convert", "-", "--from", "nginx"], &old);
        match why {
            Some(why) => {
                assert_eq!((ran.code, ran.out.as_str()), (Some(1), old.as_str()), "{}", ran.err);
                assert!(ran.err.contains(why), "{old}{}", ran.err);
            }
            None => {
                assert!(ran.code == Some(0) && ran.out.contains("cors_allow_origin"), "{old}{}{}", ran.out, ran.err)
            }
        }
    }
}

/// Each alternative of an expression is completed by itself; Lua may have braces in its long strings and comments.
#[test]
fn conversions_of_expressions_and_lua() {
    let old = r#"map $http_origin $c { "~^https://a\.example$|\.b\.example$|[|]c$" $http_origin; }
server { location / { add_header Access-Control-Allow-Origin $c; rewrite ^ /b; } location /b { content_by_lua_block {
    local a, b = [[ } ]], [=[ }]] ]=] --[[ }
    } ]]
} } }
"#;
    let ran = cors(&["convert", "-", "--from", "nginx"], &format!("http {{\n{old}}}\n"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains(r"^https://a\.example$|https?://.*\.b\.example$|https?://.*[|]c$;"), "{}", ran.out);
    assert!(ran.err.contains("Requests that a rewrite passes on to another location keep this policy"), "{}", ran.err);
}
