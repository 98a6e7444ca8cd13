//! Path templates: `/chat/{room}`, `/files/{*rest}`.

use std::fmt;

use crate::edge::path;

/// Checks a template and gives its literal segments the form that requests' paths are compared in.
pub(super) fn parse(template: &str) -> Result<String, InvalidTemplate> {
    let Some(rest) = template.strip_prefix('/') else { return Err(InvalidTemplate::NoSlash) };
    let mut names: Vec<&str> = Vec::new();
    let mut normal = String::with_capacity(template.len());
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        normal.push('/');
        match segment {
            "." | ".." => return Err(InvalidTemplate::Dots),
            "" if !is_last => return Err(InvalidTemplate::Empty),
            _ if segment.contains(['?', '#', ' ', '\\']) || segment.contains(char::is_control) => {
                return Err(InvalidTemplate::Characters);
            }
            _ if !segment.contains(['{', '}']) => {
                normal.push_str(&path::normalise(&format!("/{segment}"))[1..]);
                continue;
            }
            _ => {}
        }
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let name = inner.ok_or(InvalidTemplate::PartOfSegment)?;
        let name = match name.strip_prefix('*') {
            Some(_) if !is_last => return Err(InvalidTemplate::RestNotLast),
            Some(name) => name,
            None => name,
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(InvalidTemplate::Name);
        }
        if names.contains(&name) {
            return Err(InvalidTemplate::Twice);
        }
        names.push(name);
        normal.push_str(segment);
    }
    Ok(normal)
}

/// The names in a template, in their order.
pub(super) fn names(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('/')
        .filter_map(|segment| Some(segment.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*')))
}

/// What comes before the first `{`: where a template's own part of a path ends.
pub(super) fn literal(template: &str) -> &str {
    match template.find("/{") {
        Some(at) => &template[..at],
        None => template.trim_end_matches('/'),
    }
}

/// Why something is no template. `Display` says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTemplate {
    /// It does not begin with a slash.
    NoSlash,
    /// Two slashes in a row.
    Empty,
    /// `.` or `..`, which no path has that arrives.
    Dots,
    /// Characters that belong to a query, a fragment, or nowhere.
    Characters,
    /// `room-{id}`: a parameter is a whole segment.
    PartOfSegment,
    /// `{*rest}` takes all that is left, and so is the last.
    RestNotLast,
    /// `{}` or `{a b}`.
    Name,
    /// A name twice.
    Twice,
}

impl fmt::Display for InvalidTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a path begins with a slash: /chat",
            Self::Empty => "a path has no empty segment: write one slash, not two",
            Self::Dots => "a path has no segments . and ..: write where they lead to",
            Self::Characters => "a path has no spaces, backslashes, ? or #: percent-encode them, as in %20",
            Self::PartOfSegment => "a parameter is a whole segment: /rooms/{room}, and not /room-{room}",
            Self::RestNotLast => "{*rest} takes the rest of the path: nothing can follow it",
            Self::Name => "a parameter has a name of letters, digits and _: {room}, {*rest}",
            Self::Twice => "each parameter needs a name of its own",
        })
    }
}

impl std::error::Error for InvalidTemplate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_good_and_bad() {
        for (template, expected) in [
            ("/", Ok("/")),
            ("/chat", Ok("/chat")),
            ("/chat/", Ok("/chat/")),
            ("/ch%61t/%7e", Ok("/chat/~")),
            ("/chat/{room}", Ok("/chat/{room}")),
            ("/{a}/x/{b_2}", Ok("/{a}/x/{b_2}")),
            ("/files/{*rest}", Ok("/files/{*rest}")),
            ("", Err(InvalidTemplate::NoSlash)),
            ("chat", Err(InvalidTemplate::NoSlash)),
            ("//chat", Err(InvalidTemplate::Empty)),
            ("/a//b", Err(InvalidTemplate::Empty)),
            ("/a/../b", Err(InvalidTemplate::Dots)),
            ("/./a", Err(InvalidTemplate::Dots)),
            ("/a?b", Err(InvalidTemplate::Characters)),
            ("/a#b", Err(InvalidTemplate::Characters)),
            ("/a b", Err(InvalidTemplate::Characters)),
            ("/room-{room}", Err(InvalidTemplate::PartOfSegment)),
            ("/{room}.json", Err(InvalidTemplate::PartOfSegment)),
            ("/{room", Err(InvalidTemplate::PartOfSegment)),
            ("/}", Err(InvalidTemplate::PartOfSegment)),
            ("/{*rest}/x", Err(InvalidTemplate::RestNotLast)),
            ("/{}", Err(InvalidTemplate::Name)),
            ("/{*}", Err(InvalidTemplate::Name)),
            ("/{a-b}", Err(InvalidTemplate::Name)),
            ("/{a}/{a}", Err(InvalidTemplate::Twice)),
        ] {
            assert_eq!(parse(template).as_deref(), expected.as_ref().copied(), "{template:?}");
        }
        assert_eq!(names("/a/{b}/{*c}").collect::<Vec<_>>(), ["b", "c"]);
        for (template, expected) in [("/", ""), ("/a", "/a"), ("/a/{b}/c", "/a"), ("/{*rest}", "")] {
            assert_eq!(literal(template), expected, "{template}");
        }
    }
}
