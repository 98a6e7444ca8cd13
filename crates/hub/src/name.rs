//! Names of channels.

use std::borrow::Borrow;
use std::sync::Arc;
use std::{error, fmt, str};

/// The name of a channel: `name`, or `namespace:name`.
///
/// 1 to 255 bytes out of ASCII letters, digits and `- . _ ~ ! $ & ' ( ) * + , ; = : @ / #`, which is what a URL's path
/// holds unescaped, and `#`. What stands before the first `:` is the namespace, whose settings the channel has: 1 to 32
/// letters, digits, `-` and `_`. Without a `:` the channel is in the default namespace. Names are compared byte by byte.
///
/// Cheap to clone.
///
/// ```
/// use openline_hub::ChannelName;
/// let channel: ChannelName = "chat:room/7".parse().unwrap();
/// assert_eq!((channel.namespace(), channel.as_str()), ("chat", "chat:room/7"));
/// assert_eq!("news".parse::<ChannelName>().unwrap().namespace(), "");
/// assert!("two words".parse::<ChannelName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The longest name. A million channels with the longest of names are 255 MB of them.
    pub const MAX_BYTES: usize = 255;

    /// The longest namespace: they are written by hand.
    pub const MAX_NAMESPACE_BYTES: usize = 32;

    /// What stands before the first `:`; empty for the default namespace.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl str::FromStr for ChannelName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(NameError::TooLong { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|c| !is_allowed(*c)) {
            return Err(NameError::Character(character));
        }
        match name.split_once(':') {
            Some((namespace, _)) if !is_namespace(namespace) => Err(NameError::Namespace),
            Some((_, "")) => Err(NameError::Empty),
            _ => Ok(Self(name.into())),
        }
    }
}

/// Whether this may be what stands before the `:`.
pub(crate) fn is_namespace(namespace: &str) -> bool {
    (1..=ChannelName::MAX_NAMESPACE_BYTES).contains(&namespace.len())
        && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/#".contains(character)
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why something is not the name of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There is no name, or none behind the namespace.
    Empty,
    /// It is longer than [`ChannelName::MAX_BYTES`].
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It has a character that names do not have.
    Character(char),
    /// What stands before the first `:` is not a namespace.
    Namespace,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a channel needs a name"),
            Self::TooLong { bytes } => {
                write!(f, "the channel's name has {bytes} bytes and may have {}", ChannelName::MAX_BYTES)
            }
            Self::Character(character) => write!(
                f,
                "a channel's name cannot contain {character:?}; it has letters, digits and - . _ ~ ! $ & ' ( ) * + , ; = : @ / #"
            ),
            Self::Namespace => write!(
                f,
                "what stands before the first : is the namespace: 1 to {} letters, digits, - and _",
                ChannelName::MAX_NAMESPACE_BYTES
            ),
        }
    }
}

impl error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<ChannelName, NameError> {
        name.parse()
    }

    #[test]
    fn names_are_bounded() {
        assert!(parse(&"a".repeat(255)).is_ok());
        assert_eq!(parse(&"a".repeat(256)), Err(NameError::TooLong { bytes: 256 }));
        assert_eq!(parse(""), Err(NameError::Empty));
        assert_eq!(parse("chat:"), Err(NameError::Empty));
    }

    #[test]
    fn namespaces_end_at_the_first_colon() {
        assert_eq!(parse("a:b:c").unwrap().namespace(), "a");
        assert!(parse(&format!("{}:a", "n".repeat(32))).is_ok());
        for bad in [":a".to_string(), "a.b:c".into(), "a/b:c".into(), format!("{}:a", "n".repeat(33))] {
            assert_eq!(parse(&bad), Err(NameError::Namespace), "{bad}");
        }
    }

    #[test]
    fn other_characters_are_refused_by_name() {
        for bad in [' ', '%', '?', '"', '<', '\\', '\n', '\0', 'é', '\u{202e}'] {
            assert_eq!(parse(&format!("a{bad}")), Err(NameError::Character(bad)));
        }
    }
}
