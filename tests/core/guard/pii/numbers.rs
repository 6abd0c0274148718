//! Check digits.

use sluice::guard::pii::{is_card_number, is_iban};

use super::all;

/// The test numbers that payment services publish.
const CARDS: &[&str] = &[
    "4111111111111111",
    "4012888888881881",
    "4242424242424242",
    "4000056655665556",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "5200828282828210",
    "2223003122003222",
    "2221000000000009",
    "2720990000000007",
    "378282246310005",
    "371449635398431",
    "378734493671000",
    "6011111111111117",
    "6011000990139424",
    "6011981111111113",
    "30569309025904",
    "38520000023237",
    "3056930009020004",
    "36227206271667",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "6205500000000000004",
    "6304000000000000",
    "6759649826438453",
    "5018000000000009",
    "2200000000000004",
    "9792000000000003",
];

const NO_CARDS: &[&str] = &[
    "",
    "4",
    "4111111111111112",  // the check digit
    "4111111111111",     // Luhn fails
    "411111111111111",   // 15 digits
    "1111111111111117",  // nobody's
    "0000000000000000",  // Luhn holds, nobody's
    "1234567812345670",  // Luhn holds, nobody's
    "37828224631000",    // too short
    "55555555555544440", // too long
    "2220999999999999",  // before Mastercard's range
    "2721000000000004",  // after Mastercard's range
    "79927398713",       // the textbook's number
    "490154203237518",   // an IMEI: Luhn holds, 15 digits, nobody's
    "41111111111111111111",
    "4111 1111 1111 1111",
    "411111111111111a",
    "٤١١١١١١١١١١١١١١١",
];

/// The examples in SWIFT's registry.
const IBANS: &[&str] = &[
    "AD1200012030200359100100",
    "AE070331234567890123456",
    "AL47212110090000000235698741",
    "AT611904300234573201",
    "AZ21NABZ00000000137010001944",
    "BA391290079401028494",
    "BE68539007547034",
    "BG80BNBG96611020345678",
    "BH67BMAG00001299123456",
    "BR1800360305000010009795493C1",
    "BY13NBRB3600900000002Z00AB00",
    "CH9300762011623852957",
    "CR05015202001026284066",
    "CY17002001280000001200527600",
    "CZ6508000000192000145399",
    "DE89370400440532013000",
    "DK5000400440116243",
    "DO28BAGR00000001212453611324",
    "EE382200221020145685",
    "ES9121000418450200051332",
    "FI2112345600000785",
    "FO6264600001631634",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "GB82WEST12345698765432",
    "GE29NB0000000101904917",
    "GI75NWBK000000007099453",
    "GL8964710001000206",
    "GR1601101250000000012300695",
    "GT82TRAJ01020000001210029690",
    "HR1210010051863000160",
    "HU42117730161111101800000000",
    "IE29AIBK93115212345678",
    "IL620108000000099999999",
    "IQ98NBIQ850123456789012",
    "IS140159260076545510730339",
    "IT60X0542811101000000123456",
    "JO94CBJO0010000000000131000302",
    "KW81CBKU0000000000001234560101",
    "KZ86125KZT5004100100",
    "LB62099900000001001901229114",
    "LI21088100002324013AA",
    "LT121000011101001000",
    "LU280019400644750000",
    "LV80BANK0000435195001",
    "MC5811222000010123456789030",
    "MD24AG000225100013104168",
    "ME25505000012345678951",
    "MK07250120000058984",
    "MR1300020001010000123456753",
    "MT84MALT011000012345MTLCAST001S",
    "MU17BOMM0101101030300200000MUR",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "PK36SCBL0000001123456702",
    "PL61109010140000071219812874",
    "PS92PALS000000000400123456702",
    "PT50000201231234567890154",
    "QA58DOHB00001234567890ABCDEFG",
    "RO49AAAA1B31007593840000",
    "RS35260005601001611379",
    "SA0380000000608010167519",
    "SE4550000000058398257466",
    "SI56263300012039086",
    "SK3112000000198742637541",
    "SM86U0322509800000000270100",
    "TN5910006035183598478831",
    "TR330006100519786457841326",
    "UA213223130000026007233566001",
    "VA59001123000012345678",
    "VG96VPVG0000012345678901",
    "XK051212012345678906",
];

const NO_IBANS: &[&str] = &[
    "",
    "DE",
    "DE89",
    "DE88370400440532013000",  // the check digits
    "DE89370400440532013001",  // the account
    "DE8937040044053201300",   // too short
    "DE893704004405320130000", // too long
    "ZZ89370400440532013000",  // no country
    "US64SVBKUS6S3300958879",  // a country without
    "89DE370400440532013000",
    "DEAB370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "DE8937040044053201300é",
    "GB29NWBK6016133192681?",
];

#[test]
fn cards() {
    for card in CARDS {
        assert!(is_card_number(card), "{card}");
        let groups: Vec<_> = card.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
        let whole = all().find(card);
        assert_eq!((whole.len(), &*whole[0].entity), (1, "CREDIT_CARD"), "{card}");
        if groups.last().unwrap().len() > 2 {
            for separator in [" ", "-", "\u{202f}"] {
                let written = groups.join(separator);
                let found = all().find(&written);
                assert!(found.len() == 1 && found[0].span == (0..written.len()), "{written}");
            }
        }
    }
    for card in NO_CARDS {
        assert!(!is_card_number(card), "{card}");
    }
}

/// One wrong digit is always detected; so are two swapped adjacent digits, except 0 and 9.
#[test]
fn a_mistyped_card() {
    for card in CARDS {
        for at in 0..card.len() {
            for digit in b'0'..=b'9' {
                let mut typed = card.as_bytes().to_vec();
                typed[at] = digit;
                let typed = String::from_utf8(typed).unwrap();
                assert!(typed == *card || !is_card_number(&typed), "{typed}");
            }
        }
    }
}

#[test]
fn ibans() {
    for iban in IBANS {
        assert!(is_iban(iban), "{iban}");
        assert!(is_iban(&iban.to_lowercase()), "{iban}");
        let groups: Vec<_> = iban.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
        for written in [(*iban).to_owned(), groups.join(" "), groups.join("\u{a0}")] {
            let found = all().find(&written);
            assert!(found.len() == 1 && &*found[0].entity == "IBAN_CODE", "{written}: {found:?}");
            assert_eq!(found[0].span, 0..written.len(), "{written}");
        }
    }
    for iban in NO_IBANS {
        assert!(!is_iban(iban), "{iban}");
    }
}

/// Any wrong character is detected.
#[test]
fn a_mistyped_iban() {
    for iban in IBANS {
        for at in 2..iban.len() {
            for digit in b'0'..=b'9' {
                let mut typed = iban.as_bytes().to_vec();
                if !typed[at].is_ascii_digit() || typed[at] == digit {
                    continue;
                }
                typed[at] = digit;
                let typed = String::from_utf8(typed).unwrap();
                assert!(!is_iban(&typed), "{typed}");
            }
        }
    }
}
