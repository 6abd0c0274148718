//! The encoding of the records that workers share.
//!
//! Shared data outlives the filters: a running Envoy may load another version of them, which then reads this version's
//! records. So each record starts with its version. An unknown version, a cut record, or extra bytes make it invalid.
//! The bytes may be arbitrary: no length is trusted for an allocation, and nothing panics.
//!
//! Integers of a fixed size are little-endian. A [`Writer::number`] uses as few bytes as possible, and a text follows
//! its length in two bytes.

mod reader;
pub(crate) mod varint;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// A record that workers share.
///
/// ```
/// use sluice::codec::{Reader, SharedRecord, Writer};
///
/// #[derive(Debug, PartialEq)]
/// struct Seen(u64);
///
/// impl SharedRecord for Seen {
///     const VERSION: u8 = 1;
///
///     fn write(&self, out: &mut Writer) {
///         out.number(self.0);
///     }
///
///     fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
///         input.number().map(Seen)
///     }
/// }
///
/// assert_eq!(Seen(300).encode(), [1, 0xac, 2]);
/// assert_eq!(Seen::parse(&[1, 0xac, 2]), Some(Seen(300)));
/// assert_eq!(Seen::parse(&[2, 0xac, 2]), None, "another version");
/// assert_eq!(Seen::parse(&[1, 0xac]), None, "cut");
/// assert_eq!(Seen::parse(&[1, 0xac, 2, 0]), None, "more than that");
/// ```
pub trait SharedRecord: Sized {
    /// The version to write.
    const VERSION: u8;
    /// The oldest version that can be read.
    const OLDEST: u8 = Self::VERSION;

    /// Writes everything except the version.
    fn write(&self, out: &mut Writer);

    /// Reads this version of what `write` writes. `None`: invalid.
    fn read(input: &mut Reader<'_>, version: u8) -> Option<Self>;

    /// The bytes to share.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(Self::VERSION);
        self.write(&mut out);
        out.into_bytes()
    }

    /// Reads shared bytes. `None`: invalid, or an unknown version.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let version = input.u8().filter(|version| (Self::OLDEST..=Self::VERSION).contains(version))?;
        Self::read(&mut input, version).filter(|_| input.is_empty())
    }
}

/// A record that may be lost, because its content is soon learned again. (Records that must not be lost are read with
/// [`SharedRecord::parse`], so that the reader must handle unreadable bytes.)
pub trait Forgettable: SharedRecord + Default {
    /// Reads shared bytes. Invalid bytes are an empty record.
    fn decode(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }
}

/// Whether a record has changed, so that it has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Unchanged.
    Keep,
    /// It must be written.
    Write,
}

impl Changed {
    /// `Write` if `changed`.
    pub fn when(changed: bool) -> Self {
        match changed {
            true => Changed::Write,
            false => Changed::Keep,
        }
    }
}
