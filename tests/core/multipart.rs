//! Forms: what is read of them, in any pieces.

use proptest::prelude::*;
use sluice::endpoint::Endpoint;
use sluice::endpoint::Further::{ImageEdits, Transcriptions};
use sluice::multipart::{Form, FormScanner};
use sluice::parsed_request::{ChangedString, ParsedRequest};
use sluice::rewrite::BodyRewrite;

const TYPE: &str = "multipart/form-data; boundary=b";

/// A form of parts: the rest of the disposition, and the content.
fn body(parts: &[(&str, &str)], end: &str) -> String {
    let part = |(name, content): &(&str, &str)| {
        format!("--b{end}Content-Disposition: form-data; {name}{end}{end}{content}{end}")
    };
    parts.iter().map(part).collect::<String>() + "--b--" + end
}

fn read(content_type: &str, body: &[u8], size: usize) -> Result<Form, (String, Option<&'static str>)> {
    let error = |error: sluice::error::ApiError| (error.message, error.param);
    let mut scanner = FormScanner::new(content_type).map_err(error)?;
    body.chunks(size.max(1)).for_each(|piece| scanner.feed(piece));
    assert_eq!(scanner.length(), body.len());
    scanner.finish().map_err(error)
}

fn fields(form: &Form) -> Vec<(&str, &str)> {
    form.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}

#[test]
fn forms_that_clients_send() {
    let file = ("name=\"file\"; filename=\"a.wav\"", "\r\nname=\"model\"\r\n\r\nother\r\n--");
    let cases: [(&str, String, &[(&str, &str)]); 11] = [
        (TYPE, body(&[("name=\"model\"", "m"), file], "\r\n"), &[("model", "m")]),
        (TYPE, body(&[file, ("name=\"model\"", "m")], "\r\n"), &[("model", "m")]),
        (TYPE, body(&[("name=model", "m")], "\n"), &[("model", "m")]),
        (TYPE, format!("Before.\n{}After.", body(&[("name=model", "m")], "\r\n")), &[("model", "m")]),
        (TYPE, body(&[("name=model", "")], "\r\n"), &[("model", "")]),
        (TYPE, body(&[("name=\"image\"; filename*=UTF-8''m%20odel", "x")], "\r\n"), &[]),
        (TYPE, body(&[("name=\"a\\\"b\"; x=y;", "x")], "\r\n"), &[("a\\\"b", "x")]),
        (TYPE, "--b--".to_owned(), &[]),
        (TYPE, "--b \t\r\ncontent-disposition:form-data;name=model\r\n\r\nm\r\n--b--  ".to_owned(), &[("model", "m")]),
        ("Multipart/Form-Data ;charset=UTF-8; Boundary=\"b\"", body(&[("name=model", "m")], "\r\n"), &[("model", "m")]),
        (TYPE, body(&[("name=t[]", "word"), ("name=t[]", "segment")], "\r\n"), &[("t[]", "word"), ("t[]", "segment")]),
    ];
    for (content_type, body, want) in cases {
        for size in 1..body.len() + 1 {
            let form = read(content_type, body.as_bytes(), size).unwrap_or_else(|error| panic!("{body:?}: {error:?}"));
            assert_eq!((fields(&form).as_slice(), form.length), (want, body.len()), "{body:?} in pieces of {size}");
            for field in &form.fields {
                assert_eq!(&body[field.range.clone()], field.value);
            }
        }
    }
}

#[test]
fn forms_that_two_servers_may_read_differently() {
    let model = ("name=model", "m");
    let lines = |text: &str| text.replace('\n', "\r\n");
    let part = |header: &str| lines(&format!("--b\n{header}\n\nm\n--b--\n"));
    let cases: [(String, Option<&str>); 36] = [
        (String::new(), None),
        (body(&[model], "\r\n").replace("--b--", ""), None),
        (body(&[model], "\r\n") + "--b\r\n", None),
        (body(&[model], "\r\n").replacen("--b\r\n", "--b\n", 1), None),
        (body(&[model], "\r\n").replacen("\r\n\r\n", "\r\n\n", 1), None),
        (body(&[model, ("name=a", "x\n--b\ny")], "\r\n"), None),
        (body(&[model, ("name=a", "x\r\n--bc\r\ny")], "\r\n"), None),
        (body(&[model, ("name=a", "x\r\n--b-\r\ny")], "\r\n"), None),
        (body(&[model, model], "\r\n"), Some("model")),
        (body(&[("name=prompt", "a"), ("name=prompt", "b")], "\r\n"), Some("prompt")),
        (body(&[("name=model; filename=a", "m")], "\r\n"), Some("model")),
        (body(&[("name=model; filename*=a", "m")], "\r\n"), Some("model")),
        (body(&[("name=Model", "m")], "\r\n"), Some("model")),
        (body(&[("name=\"mo\\del\"", "m")], "\r\n"), Some("model")),
        (body(&[("name=\"%6dodel\"", "m")], "\r\n"), Some("model")),
        (body(&[("name=\" model\"", "m")], "\r\n"), Some("model")),
        (body(&[("name=model; name=a", "m")], "\r\n"), None),
        (body(&[("name*=UTF-8''model", "m")], "\r\n"), None),
        (part("Content-Disposition: form-data;\n name=model"), None),
        (part("Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=model"), None),
        (part("Content-Disposition: attachment; name=model"), None),
        (part("Content-Disposition: form-data; name=model\nContent-Transfer-Encoding: base64"), Some("model")),
        (part("no header"), None),
        // names that are hidden in values
        (part(r#"Content-Disposition: form-data; x="\\"; y="; name=model; z=""#), None),
        (part(r#"Content-Disposition: form-data; name=a; x="a; Name = model; y=""#), None),
        (part("Content-Disposition: form-data; name*0=\"mo\"; name*1=\"del\""), None),
        (part("Content-Disposition: form-data; name*0*=utf-8''mo; name*1*=del"), None),
        // boundaries within lines, and before any content
        (body(&[("name=file; filename=f", "xx\r--b\r\nname"), model], "\r\n"), None),
        (body(&[model, ("name=file; filename=f", "xx--b\r\nname")], "\r\n"), None),
        (format!("xx--b\r\n{}", body(&[model], "\r\n")), None),
        (format!("{}xx--b\r\n", body(&[model], "\r\n")), None),
        (body(&[model], "\r\n").replace("\r\n\r\nm", "\r\n\r\n--b\r\nm"), None),
        (body(&[("name=prompt[]", "a"), model], "\r\n"), Some("prompt")),
        (part("Content-Disposition: form-data; name=prompt\nContent-Type: text/plain; charset=utf-7"), Some("prompt")),
        (body(&vec![("name=a; filename=f", ""); 1001], "\r\n"), None),
        (part(&format!("A: {}", "x".repeat(9_000))), None),
    ];
    for (body, want) in cases {
        for size in [1, 2, 3, 7, body.len()] {
            let (message, param) =
                read(TYPE, body.as_bytes(), size).err().unwrap_or_else(|| panic!("{body:?} is read"));
            assert_eq!(param, want, "{body:?}: {message}");
        }
    }
    for content_type in [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a,b",
        "multipart/form-data; boundary=a; boundary*=utf-8''b",
        "multipart/form-data; boundary=a; boundary*0=b",
        "multipart/form-data; boundary=a; charset=utf-7",
        "multipart/form-data; boundary=a; charset=utf-8; charset=utf-7",
    ] {
        assert!(FormScanner::new(content_type).is_err(), "{content_type:?}");
    }
}

#[test]
fn long_forms_are_bounded() {
    let long = "x".repeat(300 << 10);
    let form =
        read(TYPE, body(&[("name=notes", &long), ("name=model", "m")], "\r\n").as_bytes(), 10_000).expect("read");
    assert_eq!((fields(&form), form.incomplete), (vec![("model", "m")], true));
    let error = read(TYPE, body(&[("name=prompt", &long)], "\r\n").as_bytes(), 10_000).expect_err("too long");
    assert_eq!(error.1, Some("prompt"));
    let many: Vec<(&str, &str)> = [("name=a", "b")].repeat(100).into_iter().chain([("name=model", "m")]).collect();
    let form = read(TYPE, body(&many, "\r\n").as_bytes(), 10_000).expect("read");
    assert_eq!(
        (form.fields.len(), form.incomplete, form.field("model").map(|field| field.value.as_str())),
        (65, true, Some("m"))
    );
    assert!(
        read(TYPE, b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--b--", 1).expect("read").incomplete
    );
}

fn parsed(endpoint: Endpoint, body: &str) -> ParsedRequest {
    ParsedRequest::of_form(endpoint, read(TYPE, body.as_bytes(), 7).expect("read")).expect("a request")
}

#[test]
fn the_request() {
    let edit = parsed(
        Endpoint::Further(ImageEdits),
        &body(&[("name=prompt", "A cat"), ("name=n", "3"), ("name=stream", "True"), ("name=model", "m")], "\r\n"),
    );
    assert_eq!(
        (edit.model.as_str(), edit.stream, edit.choices, edit.text_length, edit.layout.text),
        ("m", true, 3, 5, 5)
    );
    for (fields, param) in [
        (vec![], "model"),
        (vec![("name=model", "")], "model"),
        (vec![("name=model", "a\tb")], "model"),
        (vec![("name=model", "m"), ("name=stream", "yes")], "stream"),
        (vec![("name=model", "m"), ("name=n", "0")], "n"),
        (vec![("name=model", "m"), ("name=n", "1e3")], "n"),
    ] {
        let form = read(TYPE, body(&fields, "\r\n").as_bytes(), 100).expect("read");
        let error = ParsedRequest::of_form(Endpoint::Further(Transcriptions), form).expect_err("refused");
        assert_eq!((error.status, error.param), (400, Some(param)));
    }
}

/// The body as it is sent, in pieces.
fn sent(parsed: &ParsedRequest, model: &str, body: &str, size: usize) -> String {
    let mut rewrite = BodyRewrite::plan(parsed, model, true);
    let (mut out, mut left) = (Vec::new(), body.len());
    for piece in body.as_bytes().chunks(size) {
        left -= piece.len();
        let touched = rewrite.touched(piece.len());
        let rewritten = match touched {
            0 => rewrite.skip(piece.len(), left == 0).map(|()| None),
            _ => rewrite.chunk(piece, left == 0),
        };
        out.extend(rewritten.expect("the same body").unwrap_or(piece.to_vec()));
    }
    assert_eq!(out.len(), rewrite.length());
    String::from_utf8(out).expect("text")
}

#[test]
fn only_the_model_changes() {
    for end in ["\r\n", "\n"] {
        let of =
            |model| body(&[("name=file; filename=a", "model"), ("name=model", model), ("name=language", "en")], end);
        let client = of("m");
        let request = parsed(Endpoint::Further(Transcriptions), &client);
        for size in [1, 5, 1000] {
            assert_eq!(sent(&request, "another", &client, size), of("another"));
            assert_eq!(sent(&request, "m", &client, size), client);
        }
    }
}

#[test]
fn texts_that_checks_have_rewritten() {
    let of = |prompt| body(&[("name=prompt", prompt), ("name=a", "é\"\\"), ("name=model", "m")], "\r\n");
    let client = of("To: jo");
    let request = parsed(Endpoint::Further(ImageEdits), &client);
    let (json, ranges) = request.form.as_ref().expect("a form").to_json();
    assert_eq!(json, r#"{"prompt":"To: jo","a":"é\"\\","model":"m"}"#);
    let change = |new: &str| ChangedString { range: ranges[0].clone(), length: new.len(), text: (6, new.len() - 2) };
    let new = "\"To:\\n<NAME_1>\"";
    let rewritten = json.replace("\"To: jo\"", new);
    let changed = request.with_form_texts(rewritten.as_bytes(), &[change(new)]).expect("rewritten");
    assert_eq!(sent(&changed, "target", &client, 3), of("To:\n<NAME_1>").replace("\r\nm\r\n", "\r\ntarget\r\n"));
    assert_eq!(changed.layout.text, 12);
    let new = "\"--b\"";
    let rewritten = json.replace("\"To: jo\"", new);
    let error = request.with_form_texts(rewritten.as_bytes(), &[change(new)]).expect_err("it would end the field");
    assert_eq!(error.code, "invalid_multipart");
}

/// Pieces of forms, and of what looks like them.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "--b",
        "--b\r\n",
        "\r\n--b\r\n",
        "\n--b\n",
        "\r\n--b--",
        "--",
        "\r",
        "\n",
        "\r\n",
        "\r\n\r\n",
        "model",
        "m",
        "-",
        " ",
        "Content-Disposition: form-data; name=\"model\"\r\n\r\n",
        "Content-Disposition: form-data; name=file; filename=x\r\n\r\n",
        "Content-Disposition: form-data; name=prompt\n\n",
        "content-disposition:",
        "name*=x",
        "\u{e9}",
    ]);
    prop::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_form(start in any::<bool>(), body in soup(), cuts in prop::collection::vec(1..9usize, 1..40)) {
        let body = [if start { &b"--b\r\n"[..] } else { b"" }, &body].concat();
        let whole = read(TYPE, &body, body.len());
        let mut scanner = FormScanner::new(TYPE).expect("valid");
        let (mut rest, mut cuts) = (body.as_slice(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            scanner.feed(piece);
            rest = after;
        }
        prop_assert_eq!(scanner.finish().map_err(|error| (error.message, error.param)), whole);
    }
}
