//! Takes apart what workers share. Another version of the gateway may have written it.

/// A text and its length, in two bytes.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    // what is kept is bounded far below
    let length = u16::try_from(text.len()).unwrap_or(0);
    out.extend(length.to_le_bytes());
    out.extend(text.bytes().take(length.into()));
}

/// What [`write_text`] wrote, taken off the front of `rest`.
pub(crate) fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u16::from_le_bytes(take(rest)?);
    let (text, tail) = rest.split_at_checked(length.into())?;
    *rest = tail;
    std::str::from_utf8(text).ok()
}

/// So many bytes off the front of `rest`.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}
