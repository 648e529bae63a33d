// SPDX-License-Identifier: Apache-2.0
//! `cors convert`: policies out of what other servers and applications are configured with.

mod django;
mod draft;
mod envoy;
mod evaluate;
mod gateway;
mod hosts;
mod ingress;
mod nginx;
mod objects;
mod routes;
mod text;
mod yaml;

use std::fs;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{json, Value};

use crate::nginx::tree::{self, Configuration};
use crate::output::{self, say};
use crate::{input, Failure, Verdict};
use draft::{aligned, Draft, Kind, Notes};

/// Write the policies of an existing configuration as cors_* directives
///
/// Prints the new configuration, and on the standard error what could not be carried over and what is different. The exit code is
/// 1 if something could not be carried over, and 2 if the file could not be read.
#[derive(Args)]
pub struct Arguments {
    /// The file, or - for the standard input
    file: String,
    /// What the file is [default: by its name and contents]
    #[arg(long, value_enum)]
    from: Option<Format>,
    /// Print a diff
    #[arg(long)]
    diff: bool,
    /// Change the files of an nginx configuration
    #[arg(long, conflicts_with = "diff")]
    write: bool,
    /// Print JSON: the new files, and the notes
    #[arg(long, conflicts_with = "diff")]
    json: bool,
    /// The proxy_pass of the locations that are written for applications and Kubernetes
    #[arg(long, value_name = "URL")]
    proxy_pass: Option<String>,
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// A configuration of nginx, or the output of nginx -T
    Nginx,
    /// A settings.py with those of django-cors-headers
    Django,
    /// Objects of the kind Ingress with annotations of ingress-nginx
    Ingress,
    /// Objects of the kind HTTPRoute of the Gateway API
    Gateway,
    /// A configuration of Envoy
    Envoy,
}

/// A location that is written for another kind of configuration.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    /// The `server_name` that it is for, if that is known.
    host: Option<String>,
    /// What comes after `location`.
    location: String,
    /// Its policy; an empty one for the rest of the paths.
    draft: Draft,
    /// What requests are passed to, if that is known.
    upstream: Option<String>,
}

/// A file of the new configuration.
struct Written {
    name: String,
    old: String,
    new: String,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let notes = match format(arguments)? {
        Format::Nginx => convert_nginx(arguments)?,
        format => convert_other(arguments, format)?,
    };
    if !arguments.json {
        report(&notes);
    }
    let is_left = notes.0.iter().any(|note| note.kind == Kind::Left);
    Ok(if is_left { Verdict::Bad } else { Verdict::Good })
}

/// What the file is.
fn format(arguments: &Arguments) -> Result<Format, Failure> {
    if let Some(format) = arguments.from {
        return Ok(format);
    }
    let extension = Path::new(&arguments.file).extension().and_then(|extension| extension.to_str());
    match extension {
        Some("py") => Ok(Format::Django),
        Some("yaml" | "yml" | "json") => {
            let documents = yaml::read(&arguments.file, &input::read(&arguments.file)?)?;
            objects::source(&documents).ok_or_else(|| {
                format!(
                    "{}: this is neither an Ingress nor an HTTPRoute with a CORS filter nor a CORS policy of Envoy; --from says what it is",
                    arguments.file
                )
            })
        }
        _ => Ok(Format::Nginx),
    }
}

fn convert_nginx(arguments: &Arguments) -> Result<Notes, Failure> {
    let configuration = tree::read(&arguments.file)?;
    let (written, notes) = converted(&configuration);
    if arguments.json {
        say!("{:#}", as_json(&written, &notes));
    } else if arguments.diff {
        written.iter().for_each(|file| output::text(text::diff(&file.name, &file.old, &file.new)));
    } else if arguments.write {
        write(&configuration, &written)?;
    } else {
        print(&configuration, &written);
    }
    Ok(notes)
}

fn convert_other(arguments: &Arguments, format: Format) -> Result<Notes, Failure> {
    let name = &arguments.file;
    if arguments.diff || arguments.write {
        return Err("--diff and --write are for configurations of nginx".to_owned());
    }
    let text = input::read(name)?;
    let (parts, notes) = match format {
        Format::Django => django::convert(name, &text)?,
        _ => objects::convert(name, &yaml::read(name, &text)?, format)?,
    };
    let blocks: Vec<_> = parts.iter().filter_map(|part| block(part, arguments.proxy_pass.as_deref())).collect();
    let new = blocks.join("\n");
    if arguments.json {
        say!("{:#}", as_json(&[Written { name: name.clone(), old: text, new }], &notes));
    } else {
        output::text(new);
    }
    Ok(notes)
}

/// The location of a part. The rest of the paths need one only if requests are passed on; other paths without a policy must not
/// come under that of the rest, nor those of other hosts.
fn block(part: &Part, proxy_pass: Option<&str>) -> Option<String> {
    let upstream = proxy_pass.or(part.upstream.as_deref()).map(draft::quoted);
    let policy = match part.draft.is_empty() && (part.location != "/" || part.host.is_some()) {
        true => vec!["cors  off;".to_owned()],
        false => aligned(&part.draft.directives(None)),
    };
    let mut lines: Vec<_> = part.host.iter().map(|host| format!("# {}", draft::quoted(host))).collect();
    lines.push(format!("location {} {{", written(&part.location)));
    lines.extend(policy.iter().map(|line| format!("    {line}")));
    match (upstream, policy.is_empty()) {
        (None, true) => return None,
        (Some(url), true) => lines.push(format!("    proxy_pass  {url};")),
        (Some(url), false) => lines.extend([String::new(), format!("    proxy_pass  {url};")]),
        (None, false) => {}
    }
    lines.push("}\n".to_owned());
    Some(lines.join("\n"))
}

/// A location as nginx reads it.
fn written(location: &str) -> String {
    match location.strip_prefix("= ") {
        Some(path) => format!("= {}", draft::quoted(path)),
        None if location.starts_with('~') => location.to_owned(),
        None => draft::quoted(location),
    }
}

fn converted(configuration: &Configuration) -> (Vec<Written>, Notes) {
    let (edits, notes) = nginx::convert(configuration);
    let write = |(file, edits): (&tree::File, Vec<nginx::Edit>)| Written {
        name: file.name.clone(),
        old: file.text.to_owned(),
        new: text::apply(file.text, &edits),
    };
    (configuration.files.iter().zip(edits).map(write).collect(), notes)
}

/// Prints a single file as it is, and several in the form of `nginx -T`.
fn print(configuration: &Configuration, written: &[Written]) {
    let changed: Vec<_> = match configuration.is_dump {
        true => written.iter().collect(),
        false => written
            .iter()
            .enumerate()
            .filter(|(at, file)| *at == 0 || file.old != file.new)
            .map(|(_, file)| file)
            .collect(),
    };
    match changed[..] {
        [file] if !configuration.is_dump => output::text(&file.new),
        _ => changed.iter().for_each(|file| say!("# configuration file {}:\n{}", file.name, file.new)),
    }
}

fn write(configuration: &Configuration, written: &[Written]) -> Result<(), Failure> {
    if configuration.is_dump {
        return Err("--write needs the file of a configuration, not the output of nginx -T".to_owned());
    }
    for file in written.iter().filter(|file| file.old != file.new) {
        if file.name == "standard input" {
            return Err("--write needs a file".to_owned());
        }
        // The new file takes the place of the old one as a whole.
        let temporary = format!("{}.cors-convert", file.name);
        let done = fs::write(&temporary, &file.new)
            .and_then(|()| fs::set_permissions(&temporary, fs::metadata(&file.name)?.permissions()))
            .and_then(|()| fs::rename(&temporary, fs::canonicalize(&file.name)?));
        done.map_err(|error| format!("{}: {error}", file.name))?;
        eprintln!("changed {}", file.name);
    }
    Ok(())
}

fn report(notes: &Notes) {
    let mut lines = String::new();
    for (kind, title) in [(Kind::Left, "Not carried over:"), (Kind::Differs, "Different now:")] {
        let mut of_kind = notes.0.iter().filter(|note| note.kind == kind).peekable();
        if of_kind.peek().is_some() {
            lines += &format!("{title}\n");
        }
        for note in of_kind {
            lines += &format!("  {}: {} [{}]\n", note.place, note.text, note.code);
        }
    }
    eprint!("{lines}");
}

fn as_json(written: &[Written], notes: &Notes) -> Value {
    let files: Vec<_> = written.iter().map(|file| json!({ "name": file.name, "text": file.new })).collect();
    let of_kind = |kind| -> Vec<Value> {
        let notes = notes.0.iter().filter(|note| note.kind == kind);
        notes.map(|note| json!({ "code": note.code, "place": note.place, "text": note.text })).collect()
    };
    json!({ "files": files, "not_carried_over": of_kind(Kind::Left), "different": of_kind(Kind::Differs) })
}
