//! What the built-in patterns find.

/// A kind of personal data, named as Presidio names it.
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
    /// `API_KEY`: no entity of Presidio's, which does not look for secrets.
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

    /// The entity of that name; `None` if no built-in pattern finds it.
    pub fn from_name(name: &str) -> Option<Entity> {
        Entity::ALL.iter().copied().find(|entity| entity.name() == name)
    }
}

/// Entities, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entities(u8);

impl Entities {
    pub(super) fn new(entities: &[Entity]) -> Self {
        Entities(entities.iter().fold(0, |set, entity| set | bit(*entity)))
    }

    pub(super) fn has(self, entity: Entity) -> bool {
        self.0 & bit(entity) != 0
    }

    /// Whether it has one of these.
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
