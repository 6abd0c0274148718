//! Makes the operators' page from `page/`: one HTML document, compressed, and its content security policy.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::{env, fs};

use base64::prelude::{Engine, BASE64_STANDARD};
use flate2::write::GzEncoder;
use flate2::Compression;
use sha2::{Digest, Sha256};

/// In this order: each uses what is above it.
const SCRIPTS: [&str; 10] = [
    "dom.js",
    "gateway.js",
    "charts.js",
    "clusters.js",
    "requests.js",
    "usage.js",
    "limits.js",
    "keys.js",
    "playground.js",
    "main.js",
];

/// The longest page.
const MAX_PAGE: usize = 60 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=page");
    println!("cargo:rerun-if-changed=build.rs");
    let read = |name: &str| fs::read_to_string(Path::new("page").join(name));
    let script = SCRIPTS.iter().map(|name| read(name)).collect::<Result<Vec<_>, _>>()?.join("\n");
    let style = read("page.css")?;
    let page = read("page.html")?.replacen("{style}", &style, 1).replacen("{script}", &script, 1);
    if page.len() > MAX_PAGE {
        return Err(format!("the page has {} bytes, more than {MAX_PAGE}", page.len()).into());
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(page.as_bytes())?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("page.html.gz"), packed.finish()?)?;
    fs::write(Path::new(&out).join("page_policy.txt"), policy(&style, &script))?;
    Ok(())
}

/// Nothing but this style and this script runs; nothing is loaded; only the gateway is called; no other page shows it. Texts
/// cannot become HTML (trusted types).
fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(style),
        hash(script)
    )
}
