//! The layers of the house: in `server` the numbers only fall, and the pure crates stay pure.
//! Run by `cargo test`; a new module gets its line in the table `LAYERS`.
#![cfg(test)]

mod source;

use std::fs;
use std::path::Path;

use source::{Token, code, crate_files, workspace};

/// The modules of `crates/server/src`. A module may use what stands on a lower layer, and itself.
const LAYERS: &[(&str, u8)] = &[
    ("clock", 1),
    ("config", 1),
    ("store", 2),
    ("net", 2),
    ("seal", 2),
    ("accounts", 3),
    ("counts", 3),
    ("custody", 3),
    ("transit", 3),
    ("vault", 3),
    ("campaigns", 3),
    ("desk", 3),
    ("identity", 3),
    ("probes", 4),
    ("acts", 4),
    ("gate", 5),
    ("doors", 6),
    ("console", 6),
    ("boot", TOP),
    ("cli", TOP),
    ("sandbox", TOP),
];

/// `main.rs`, `lib.rs` and the modules that build the parts: here everybody may use everybody.
const TOP: u8 = 7;

/// Neighbours on one layer of which the first may use the second, never the other way round.
/// The ledger seals what it keeps beside a leaf; `seal` knows nothing of the store.
const BESIDE: &[(&str, &str)] = &[("store", "seal")];

/// Crates that would bring the world into the pure crates.
const WORLDLY: &[&str] = &[
    "axum", "hickory", "hyper", "metrics", "mio", "rand", "redis", "reqwest", "rusqlite", "rustix", "rustls",
    "sqlx", "tempfile", "tokio", "tracing", "uuid",
];

/// Paths of std and others that read the world: no clock, no randomness, no I/O in `wire` and `core`.
const IMPURE: &[&str] = &[
    "aws_lc_rs::rand",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

#[test]
fn in_server_the_numbers_only_fall() {
    let src = workspace().join("crates/server/src");
    let sources = crate_files(&src);
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for file in &sources {
        let found = paths(&file.module, &code(&file.text));
        looked_at += found.len();
        let place = file.path.strip_prefix(workspace()).unwrap_or(&file.path);
        broken.extend(found.iter().filter_map(|path| complaint(place, &file.module, path)));
    }
    println!("{} files, {looked_at} paths, {} broken", sources.len(), broken.len());
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_pure_crates_depend_on_nothing_that_touches_the_world() {
    for (name, ours) in [("wire", &[][..]), ("core", &["countersign-wire"][..])] {
        let manifest = workspace().join("crates").join(name).join("Cargo.toml");
        let text = fs::read_to_string(manifest).unwrap();
        let found = foreign_dependencies(&text, ours);
        assert!(found.is_empty(), "crates/{name}/Cargo.toml depends on {found:?}: {name} is pure");
    }
}

#[test]
fn the_pure_crates_read_no_clock_no_dice_and_no_file() {
    for name in ["wire", "core"] {
        for file in crate_files(&workspace().join("crates").join(name).join("src")) {
            for path in paths(&file.module, &code(&file.text)) {
                let impure = IMPURE.iter().find(|bad| under(&path.segments.join("::"), bad));
                let place = format!("{}:{}", file.path.display(), path.line);
                assert!(impure.is_none(), "{place}: {name} is pure and may not use `{}`", path.words());
            }
        }
    }
}

/// A path that code names, resolved to the module tree; foreign crates keep their own first word.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    ours: bool,
    segments: Vec<String>,
    line: usize,
}

impl Named {
    fn words(&self) -> String {
        self.segments.join("::")
    }
}

/// What is wrong with using this path in this module, if anything.
fn complaint(place: &Path, module: &[String], path: &Named) -> Option<String> {
    let line = path.line;
    let room = room(module);
    let Some(own) = layer(room) else {
        return Some(format!(
            "{}: module `{room}` is not in the table LAYERS of tests/layers.rs",
            place.display()
        ));
    };
    let other = path.segments.first().map_or("lib", String::as_str);
    // What is no module is an item of lib.rs: only the top may use it, or re-exports would hide a layer.
    let (other, theirs) = layer(other).map_or(("lib", TOP), |layer| (other, layer));
    let beside = BESIDE.contains(&(room, other));
    let fits = !path.ours || theirs < own || other == room || own == TOP || beside;
    (!fits).then(|| {
        format!(
            "{}:{line}: `{room}` (layer {own}) uses `crate::{}` of `{other}` (layer {theirs}): a module may use \
             lower layers and itself, nothing else; {}",
            place.display(),
            path.words(),
            remedy(own, theirs),
        )
    })
}

fn remedy(own: u8, theirs: u8) -> &'static str {
    match (own, theirs) {
        (3, 3) => "a join over rooms is a probe (4) or a page (6)",
        (4, 4) => "probes and acts do not know each other: the gate calls both",
        (_, TOP) => "take a small settings struct of your own and let boot fill it",
        _ => "move the code, or pass the value in",
    }
}

fn room(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

fn layer(room: &str) -> Option<u8> {
    if room == "lib" {
        return Some(TOP);
    }
    LAYERS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

/// Every path that the tokens of one file name: of `use` trees, and of code.
fn paths(module: &[String], tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut inside = module.to_vec();
    let mut blocks: Vec<bool> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "use" if !captures(tokens, at) => at = use_tree(&inside, tokens, at + 1, &mut found),
            "mod" if opens_block(tokens, at) => {
                inside.push(tokens[at + 1].text.clone());
                blocks.push(true);
                at += 3;
            }
            "{" => (blocks.push(false), at += 1).1,
            "}" => {
                if blocks.pop() == Some(true) {
                    inside.pop();
                }
                at += 1;
            }
            word if is_word(word) => at = code_path(&inside, tokens, at, &mut found),
            _ => at += 1,
        }
    }
    found
}

fn opens_block(tokens: &[Token], at: usize) -> bool {
    tokens.get(at + 2).is_some_and(|token| token.text == "{")
}

/// `impl Iterator + use<'a>` imports nothing.
fn captures(tokens: &[Token], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|token| token.text == "<")
}

/// Reads `a::{b, c::d as e};` from `at` and adds `a::b` and `a::c::d`; gives back where it ends.
fn use_tree(module: &[String], tokens: &[Token], mut at: usize, found: &mut Vec<Named>) -> usize {
    let mut prefixes: Vec<Vec<String>> = Vec::new();
    let mut current: Vec<String> = Vec::new();
    let mut line = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "{" => prefixes.push(current.clone()),
            "," | "}" | ";" => {
                if !current.is_empty() && prefixes.last() != Some(&current) {
                    found.push(resolve(module, &current, line));
                }
                current.clear();
                match token.text.as_str() {
                    ";" => return at,
                    "}" => drop(prefixes.pop()),
                    _ => current = prefixes.last().cloned().unwrap_or_default(),
                }
            }
            "as" => at += 1,
            "::" => {}
            word => {
                line = token.line;
                current.push(word.to_owned());
            }
        }
    }
    at
}

/// Reads `a::b::c` in code; a single word is no path.
fn code_path(module: &[String], tokens: &[Token], start: usize, found: &mut Vec<Named>) -> usize {
    let mut words = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while tokens.get(at).is_some_and(|token| token.text == "::") {
        match tokens.get(at + 1).filter(|token| is_word(&token.text)) {
            Some(token) => words.push(token.text.clone()),
            None => break,
        }
        at += 2;
    }
    if words.len() > 1 {
        found.push(resolve(module, &words, tokens[start].line));
    }
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// `crate::`, `self::`, `super::` and the library's own name (in `main.rs`) lead into our tree.
fn resolve(module: &[String], words: &[String], line: usize) -> Named {
    let mut base: Vec<String> = match words.first().map(String::as_str) {
        Some("crate" | "countersign") => Vec::new(),
        Some("self" | "super") => module.to_vec(),
        _ => return Named { ours: false, segments: words.to_vec(), line },
    };
    for word in words {
        match word.as_str() {
            "crate" | "countersign" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(word.clone()),
        }
    }
    Named { ours: true, segments: base, line }
}

fn foreign_dependencies(manifest: &str, ours: &[&str]) -> Vec<String> {
    let manifest: toml::Table = toml::from_str(manifest).unwrap();
    let tables = ["dependencies", "build-dependencies"];
    let names = tables.into_iter().filter_map(|table| manifest.get(table)?.as_table()).flat_map(|t| t.keys());
    let worldly = |name: &&String| WORLDLY.iter().any(|bad| name.starts_with(bad));
    let house = |name: &&String| name.starts_with("countersign") && !ours.contains(&name.as_str());
    names.filter(|name| worldly(name) || house(name)).cloned().collect()
}

fn under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

mod can_fail {
    use super::*;

    fn complaints(module: &str, text: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        let found = paths(&module, &code(text));
        found.iter().filter_map(|path| complaint(Path::new("x.rs"), &module, path)).collect()
    }

    #[test]
    fn a_broken_layer_is_found_in_every_way_of_writing_it() {
        for text in [
            "use crate::doors::smtp::Session;",
            "pub use crate::doors::smtp::Session;",
            "pub(crate) use crate::{store::Db, doors::smtp};",
            "use crate::{\n    store::{Db, ledger},\n    doors::{\n        smtp::Session as S,\n    },\n};",
            "use super::super::doors::smtp;",
            "fn f() { crate::doors::smtp::open() }",
            "fn f(x: &super::super::doors::Door) {}",
            "mod inner { use super::super::super::doors::Door; }",
            "use crate::*;",
            "use super::super::*;",
            "use crate::Reexported;",
            "use crate::boot::House;",
        ] {
            assert_eq!(complaints("store::ledger", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_complained_of() {
        for text in [
            "use crate::clock::now; use super::Db; use self::rows::Row; use crate::store::{self, Db};",
            "// use crate::doors::smtp;\n/* crate::doors::x /* nested */ */ const A: &str = \"crate::doors::x\";",
            "const A: &str = r#\"use crate::doors::x;\"#; const B: char = '\"'; fn f<'a>(x: &'a str) {}",
            "#[cfg(test)]\nmod tests { use crate::doors::smtp; fn f() { crate::doors::g() } }",
            "#[cfg(test)]\nuse crate::{doors::smtp, boot};",
            "use countersign_core::policy::Ruling; use doors::elsewhere;",
        ] {
            assert_eq!(complaints("store::ledger", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn neighbours_do_not_know_each_other() {
        assert_eq!(complaints("accounts", "use crate::custody::Held;").len(), 1);
        assert_eq!(complaints("probes::spf", "use crate::acts::release;").len(), 1);
        assert_eq!(complaints("acts::hold", "use crate::custody::Held; use crate::seal::Sealer;").len(), 0);
        assert_eq!(complaints("store::ledger", "use crate::seal::Sealer;").len(), 0);
        assert_eq!(complaints("seal::keys", "use crate::store::Db;").len(), 1);
        assert_eq!(complaints("cli::serve", "use crate::boot::Parts; use crate::config::Config;").len(), 0);
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert!(complaints("attic", "use std::fmt;")[0].contains("not in the table"));
    }

    #[test]
    fn the_message_names_place_layers_and_rule() {
        let text = complaints("store::ledger", "\n\nuse crate::gate::Gate;").join("");
        for part in ["x.rs:3", "`store` (layer 2)", "`gate` (layer 5)", "lower layers"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_worldly_dependency_is_found() {
        let manifest = "[dependencies]\ntokio = \"1\"\nhickory-proto = \"1\"\nthiserror = \"2\"\ncountersign-core = \"1\"";
        assert_eq!(foreign_dependencies(manifest, &[]), ["countersign-core", "hickory-proto", "tokio"]);
    }

    #[test]
    fn reading_the_clock_is_found() {
        let found =
            paths(&[], &code("use std::time::{Duration, SystemTime}; fn f() { std::fs::read(\"x\"); }"));
        let impure = found.iter().filter(|path| IMPURE.iter().any(|bad| under(&path.words(), bad)));
        assert_eq!(impure.count(), 2);
    }
}
