//! A vault's values, and the lookup of a value while its placeholder's name is read.

use std::sync::Arc;

/// Entities whose placeholders are recognised without brackets.
pub(super) const BARE: &[&str] = &[
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "US_SSN",
    "API_KEY",
    "PERSON",
    "LOCATION",
    "ORGANIZATION",
    "DATE_TIME",
    "MEDICAL_LICENSE",
    "US_BANK_NUMBER",
    "US_DRIVER_LICENSE",
    "US_PASSPORT",
    "US_ITIN",
];

/// The values of one entity, by their increasing numbers.
type Values = Vec<(usize, Arc<str>)>;

/// The names of entities in order, each with its index in [`Originals::values`].
type Entities = Vec<(Arc<str>, usize)>;

/// The values, by their placeholders.
#[derive(Clone, Default)]
pub(super) struct Originals {
    entities: Entities,
    /// Those whose placeholders are recognised without brackets.
    bare: Entities,
    values: Vec<Values>,
    count: usize,
}

impl Originals {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a value. The numbers of one entity must increase.
    pub(super) fn insert(&mut self, entity: &str, number: usize, value: Arc<str>) {
        self.count += 1;
        let place = match self.entities.binary_search_by(|(name, _)| (**name).cmp(entity)) {
            Ok(known) => self.entities.get(known).map_or(0, |(_, place)| *place),
            Err(at) => {
                let (name, place): (Arc<str>, _) = (Arc::from(entity), self.values.len());
                if BARE.contains(&entity) {
                    let at = self.bare.partition_point(|(name, _)| **name < *entity);
                    self.bare.insert(at, (Arc::clone(&name), place));
                }
                self.entities.insert(at, (name, place));
                self.values.push(Values::new());
                place
            }
        };
        if let Some(values) = self.values.get_mut(place) {
            values.push((number, value));
        }
    }

    /// The value of a placeholder, given without its brackets.
    pub(super) fn get(&self, placeholder: &str) -> Option<&str> {
        let mut reading = self.reading(false);
        placeholder.bytes().all(|byte| reading.push(byte)).then(|| reading.value())?
    }

    /// Reads the name of a placeholder. `bare`: it has no brackets.
    pub(super) fn reading(&self, bare: bool) -> PlaceholderReader<'_> {
        let entities = if bare { &self.bare } else { &self.entities };
        PlaceholderReader { values: &self.values, entities, length: 0, number: None }
    }
}

/// The name of a placeholder, read byte by byte.
pub(super) struct PlaceholderReader<'a> {
    values: &'a [Values],
    /// The candidates with the prefix that has been read.
    entities: &'a [(Arc<str>, usize)],
    length: usize,
    /// The number after an entity's name, zero before its first digit, and the values of that entity.
    number: Option<(usize, &'a Values)>,
}

impl<'a> PlaceholderReader<'a> {
    /// Whether the text read so far, with this byte, is the prefix of a placeholder.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        self.number = match (byte, self.number) {
            (b'_', _) => {
                let entity = self.entities.first().filter(|(name, _)| name.len() == self.length);
                entity.and_then(|(_, place)| self.values.get(*place)).map(|values| (0, values))
            }
            (b'0'..=b'9', Some((number, values))) => {
                let number = number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                begins(values, number).then_some((number, values))
            }
            _ => None,
        };
        let next = |(name, _): &(Arc<str>, usize)| name.as_bytes().get(self.length).copied();
        let from = self.entities.partition_point(|entity| next(entity) < Some(byte));
        let to = self.entities.partition_point(|entity| next(entity) <= Some(byte));
        self.entities = self.entities.get(from..to).unwrap_or_default();
        self.length += 1;
        self.number.is_some() || !self.entities.is_empty()
    }

    /// The value of the placeholder that has been read, if it is one.
    pub(super) fn value(&self) -> Option<&'a str> {
        let (number, values) = self.number?;
        let at = values.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        values.get(at).map(|(_, value)| &**value)
    }
}

/// Whether any value's number starts with the digits of `number` (12 and 120 start with 12). Numbers have no leading zeros.
fn begins(values: &Values, number: usize) -> bool {
    let last = values.last().map_or(0, |(last, _)| *last);
    let (mut low, mut high) = (number, number);
    while (1..=last).contains(&low) {
        let at = values.partition_point(|(number, _)| *number < low);
        if values.get(at).is_some_and(|(number, _)| *number <= high) {
            return true;
        }
        (low, high) = (low.saturating_mul(10), high.saturating_mul(10).saturating_add(9));
    }
    false
}
