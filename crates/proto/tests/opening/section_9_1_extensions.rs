//! RFC 6455 §9.1: the grammar of extensions.

use http::HeaderValue;
use openline_proto::handshake::*;

use crate::messages::value;

fn parse(fields: &[&str]) -> Result<Vec<ExtensionOffer>, InvalidExtensions> {
    let values: Vec<HeaderValue> = fields.iter().map(|field| value(field)).collect();
    ExtensionOffer::parse_list(&values)
}

fn offer(name: &str, params: &[(&str, Option<&str>)]) -> ExtensionOffer {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
    ExtensionOffer { name: name.to_owned(), params }
}

#[test]
fn the_grammar() {
    for (fields, offers) in [
        (&[][..], vec![]),
        (&["foo"], vec![offer("foo", &[])]),
        (&["foo", "bar; baz=2"], vec![offer("foo", &[]), offer("bar", &[("baz", Some("2"))])]),
        (&["foo, bar; baz=2"], vec![offer("foo", &[]), offer("bar", &[("baz", Some("2"))])]),
        (&["deflate-stream"], vec![offer("deflate-stream", &[])]),
        (
            &["mux; max-channels=4; flow-control, deflate-stream"],
            vec![offer("mux", &[("max-channels", Some("4")), ("flow-control", None)]), offer("deflate-stream", &[])],
        ),
        (&["private-extension"], vec![offer("private-extension", &[])]),
        // The same name again is another offer, with other parameters.
        (&["a; x, a"], vec![offer("a", &[("x", None)]), offer("a", &[])]),
        // Repeated parameters are for the extension to judge.
        (&["a; x; x=1"], vec![offer("a", &[("x", None), ("x", Some("1"))])]),
        // RFC 2616 §2.1: white space between words, and empty elements.
        (&[" a\t;b = c ;d , ,e,"], vec![offer("a", &[("b", Some("c")), ("d", None)]), offer("e", &[])]),
        (&["", "a"], vec![offer("a", &[])]),
        // Quoted: a token once unescaped.
        (&["a; b=\"c\""], vec![offer("a", &[("b", Some("c"))])]),
        (&["a; b=\"\\c\\d\""], vec![offer("a", &[("b", Some("cd"))])]),
    ] {
        assert_eq!(parse(fields), Ok(offers), "{fields:?}");
    }
}

#[test]
fn what_breaks_it() {
    for field in [
        "",
        " ",
        ",",
        ";",
        "a;",
        "a; ;b",
        "a;;b",
        "a b",
        "a; b c",
        "a; b=",
        "a; =c",
        "a; b=c d",
        "a; b=c=d",
        "=",
        "a=b",
        "\"a\"",
        "a; \"b\"=c",
        "a; b=\"\"",
        "a; b=\"c d\"",
        "a; b=\"c,d\"",
        "a; b=\"c\\,d\"",
        "a; b=\"c",
        "a; b=\"c\\",
        "a; b=\"c\"d",
        "a; b=\"c\" d",
        "a/b",
        "a; b=(c)",
        "\u{e9}",
        "a; b=\"\u{e9}\"",
    ] {
        assert_eq!(parse(&[field]), Err(InvalidExtensions), "{field:?}");
    }
}

#[test]
fn written_as_read() {
    let text = "permessage-deflate; client_max_window_bits; server_max_window_bits=10";
    assert_eq!(parse(&[text]).unwrap()[0].to_string(), text);
}
