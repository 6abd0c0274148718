//! A hash that is the same in every worker and after every restart, for choosing targets by content; and how hashes are
//! written.

/// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), with the finalizer of `MurmurHash3`, which improves FNV's
/// lower bits. Not for secrets.
///
/// ```
/// assert_eq!(sluice::hash::stable(b"alice"), sluice::hash::stable(b"alice"));
/// assert_ne!(sluice::hash::stable(b"alice"), sluice::hash::stable(b"bob"));
/// ```
pub fn stable(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// Bytes as hexadecimal digits, in lower case.
///
/// ```
/// assert_eq!(sluice::hash::hexadecimal(&[0, 171]), "00ab");
/// ```
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
