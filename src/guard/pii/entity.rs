//! The entities of the built-in patterns.

/// A kind of personal data, with Presidio's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// `EMAIL_ADDRESS`.
    EmailAddress,
    /// `PHONE_NUMBER`.
    PhoneNumber,
    /// `CREDIT_CARD`.
    CreditCard,
    /// `IBAN_CODE`.
    IbanCode,
    /// `IP_ADDRESS`.
    IpAddress,
    /// `US_SSN`.
    UsSsn,
    /// `API_KEY`: not one of Presidio's entities, which do not include secrets.
    ApiKey,
}

impl Entity {
    /// All of them.
    pub const ALL: &'static [Entity] = &[
        Entity::EmailAddress,
        Entity::PhoneNumber,
        Entity::CreditCard,
        Entity::IbanCode,
        Entity::IpAddress,
        Entity::UsSsn,
        Entity::ApiKey,
    ];

    /// Its name in configurations, findings and placeholders.
    pub fn name(self) -> &'static str {
        match self {
            Entity::EmailAddress => "EMAIL_ADDRESS",
            Entity::PhoneNumber => "PHONE_NUMBER",
            Entity::CreditCard => "CREDIT_CARD",
            Entity::IbanCode => "IBAN_CODE",
            Entity::IpAddress => "IP_ADDRESS",
            Entity::UsSsn => "US_SSN",
            Entity::ApiKey => "API_KEY",
        }
    }

    /// The entity with that name; `None` if no built-in pattern finds it.
    pub fn from_name(name: &str) -> Option<Entity> {
        Entity::ALL.iter().copied().find(|entity| entity.name() == name)
    }
}

/// A set of entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entities(u8);

impl Entities {
    pub(super) fn new(entities: &[Entity]) -> Self {
        Entities(entities.iter().fold(0, |set, entity| set | bit(*entity)))
    }

    pub(super) fn has(self, entity: Entity) -> bool {
        self.0 & bit(entity) != 0
    }

    /// Whether the sets intersect.
    pub(super) fn has_any(self, entities: &[Entity]) -> bool {
        entities.iter().any(|entity| self.has(*entity))
    }
}

fn bit(entity: Entity) -> u8 {
    match entity {
        Entity::EmailAddress => 1,
        Entity::PhoneNumber => 1 << 1,
        Entity::CreditCard => 1 << 2,
        Entity::IbanCode => 1 << 3,
        Entity::IpAddress => 1 << 4,
        Entity::UsSsn => 1 << 5,
        Entity::ApiKey => 1 << 6,
    }
}
