//! `data:` URLs (RFC 2397), with which OpenAI's clients send images and files.

/// The parts of a URL with base64 data, which is copied unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataUrl<'a> {
    /// The media type without parameters.
    pub media_type: &'a str,
    /// The data in base64.
    pub data: &'a str,
}

impl<'a> DataUrl<'a> {
    /// Reads one; `None` if it is invalid, or not in base64.
    pub fn parse(url: &'a str) -> Option<Self> {
        let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
        let parameters = head.strip_suffix(";base64")?;
        let media_type = parameters.split(';').next().unwrap_or_default();
        Some(DataUrl { media_type: if media_type == "image/jpg" { "image/jpeg" } else { media_type }, data })
    }
}
