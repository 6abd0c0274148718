//! A form has the same fields in any pieces, and each field stands where the gateway would replace it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::endpoint::Endpoint;
use sluice::endpoint::Further::ImageEdits;
use sluice::multipart::{Form, FormScanner};
use sluice::parsed_request::ParsedRequest;
use sluice::rewrite::BodyRewrite;

const TYPE: &str = "multipart/form-data; boundary=b";

fn read(body: &[u8], size: usize) -> Result<Form, String> {
    let mut scanner = FormScanner::new(TYPE).expect("valid");
    body.chunks(size).for_each(|piece| scanner.feed(piece));
    assert_eq!(scanner.length(), body.len());
    scanner.finish().map_err(|error| error.message)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, body)) = data.split_first() else {
        return;
    };
    if let Ok(content_type) = std::str::from_utf8(body) {
        let _ = FormScanner::new(content_type);
    }
    // most inputs would not get past the first line
    let body = [b"--b\r\nContent-Disposition: form-data; name=", body].concat();
    let whole = read(&body, body.len());
    assert_eq!(read(&body, usize::from(*size).max(1)), whole);
    let Ok(form) = whole else {
        return;
    };
    for field in &form.fields {
        assert_eq!(body.get(field.range.clone()), Some(field.value.as_bytes()));
    }
    let Ok(parsed) = ParsedRequest::of_form(Endpoint::Further(ImageEdits), form) else {
        return;
    };
    let mut rewrite = BodyRewrite::plan(&parsed, "another", false);
    let renamed = rewrite.chunk(&body, true).expect("the same body").unwrap_or(body);
    assert_eq!(renamed.len(), rewrite.length());
    let again = read(&renamed, renamed.len()).expect("still a form");
    assert_eq!(again.field("model").map(|field| field.value.as_str()), Some("another"));
});
