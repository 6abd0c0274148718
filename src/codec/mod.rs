//! How the records that workers share are written.
//!
//! Shared data outlives the filters: a running Envoy may load another version of them, and read with it what this one
//! has written. So each record begins with its version, and one of an unknown version, a cut one, or one that is
//! followed by more, is no record. Bytes may say anything: nothing is reserved on the word of a length, and nothing
//! panics.
//!
//! Integers of a fixed size are little-endian. A [`Writer::number`] takes as few bytes as it needs, and a text follows
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
    /// The version that is written.
    const VERSION: u8;
    /// The oldest version that is still read.
    const OLDEST: u8 = Self::VERSION;

    /// Writes all but the version.
    fn write(&self, out: &mut Writer);

    /// Reads what `write` has written, in this version. `None`: it is none.
    fn read(input: &mut Reader<'_>, version: u8) -> Option<Self>;

    /// The bytes to share.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(Self::VERSION);
        self.write(&mut out);
        out.into_bytes()
    }

    /// Reads shared bytes. `None`: they are no such record, or another version's.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let version = input.u8().filter(|version| (Self::OLDEST..=Self::VERSION).contains(version))?;
        Self::read(&mut input, version).filter(|_| input.is_empty())
    }
}

/// A record that may be forgotten: what it says is soon learnt anew. (What must not be forgotten is read by
/// [`SharedRecord::parse`], so that its reader has to say what follows from bytes that cannot be read.)
pub trait Forgettable: SharedRecord + Default {
    /// Reads shared bytes. What is no such record is an empty one.
    fn decode(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }
}

/// Whether a record has changed, so that it has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is as it was.
    Keep,
    /// It must be written.
    Write,
}

impl Changed {
    /// Written, if this is so.
    pub fn when(changed: bool) -> Self {
        match changed {
            true => Changed::Write,
            false => Changed::Keep,
        }
    }
}
