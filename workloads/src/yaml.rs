//! The YAML reader: text to a tree of nodes that know where they stand.
//!
//! The only room that knows which library reads YAML. The tree keeps scalars as the text that was written, so
//! that `1_000`, `4KiB` and `off` mean what the language says and not what YAML's own typing makes of them, and it keeps
//! repeated keys, so that they are reported beside everything else that is wrong. Deserialising straight into types
//! was refused: serde stops at the first fault, and a user should see all of them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use crate::fault::{Fault, Span};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    /// Nothing, `null` or `~`.
    Null,
    /// Anything else that is neither a list nor a map, as written, without quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written, repeated keys and all.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What `name:` of a phase or job says.
    pub(crate) fn name(&self) -> Option<&str> {
        let Data::Map(entries) = &self.data else {
            return None;
        };
        entries.iter().find_map(|entry| match &entry.value.data {
            Data::Scalar(name) if entry.key == "name" => Some(&**name),
            _ => None,
        })
    }

    /// What to call it in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Scalar(_) => "a single value",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }
}

/// Reads `source`; `text` is the number that spans carry.
///
/// # Errors
/// The first place where it is not YAML.
pub(crate) fn parse(source: &str, text: u16) -> Result<Node, Box<Fault>> {
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    let reader = Reader { source, text };
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(source, options) {
        Ok(raw) => Ok(reader.node(raw)),
        Err(error) => {
            let span = error
                .location()
                .map_or_else(|| reader.end(), |location| reader.span(&location));
            Err(Box::new(Fault::new(
                span,
                format!("not YAML: {}", plain(&error)),
            )))
        }
    }
}

/// The message without the place, which the caret shows.
fn plain(error: &serde_yaml::Error) -> String {
    let message = error.without_snippet().to_string();
    let first = message.lines().next().unwrap_or_default();
    match first.rfind(" at line ") {
        Some(place) => first[..place].to_owned(),
        None => first.to_owned(),
    }
}

/// What the library makes of a value before its text is looked up.
enum Raw {
    Null,
    /// A number or a boolean: its text is in the source.
    Typed,
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<Self>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// Turns the library's places into ours.
struct Reader<'s> {
    source: &'s str,
    text: u16,
}

impl Reader<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let span = self.span(&raw.referenced);
        let data = match raw.value {
            Raw::Null => Data::Null,
            Raw::Typed => Data::Scalar(
                self.source[self.span(&raw.defined).range()]
                    .trim()
                    .to_owned(),
            ),
            Raw::Text(text) => Data::Scalar(text),
            Raw::List(items) => Data::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Data::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_span: self.span(&key.referenced),
                        key: self.key(key),
                        value: self.node(value),
                    })
                    .collect(),
            ),
        };
        Node { span, data }
    }

    /// A key is text, even where it looks like a number or `null`; what else stands there is shown as written
    /// and refused as unknown.
    fn key(&self, raw: Spanned<Raw>) -> String {
        match raw.value {
            Raw::Text(text) => text,
            _ => self.source[self.span(&raw.defined).range()].to_owned(),
        }
    }

    /// Bytes of a place, without the white space that a plain scalar drags along. What has no length gets one
    /// character, so that there is something to point at.
    fn span(&self, location: &serde_yaml::Location) -> Span {
        let place = location.span();
        let (Some(start), Some(bytes)) = (place.byte_offset(), place.byte_len()) else {
            return self.end();
        };
        let start = usize::try_from(start).map_or(self.source.len(), |s| s.min(self.source.len()));
        let end = usize::try_from(bytes).map_or(start, |b| (start + b).min(self.source.len()));
        let kept = self.source[start..end].trim_end().len();
        let end = if kept > 0 {
            start + kept
        } else {
            start
                + self.source[start..]
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8)
        };
        Span {
            text: self.text,
            start,
            end,
        }
    }

    fn end(&self) -> Span {
        Span {
            text: self.text,
            start: self.source.len(),
            end: self.source.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> &[Entry] {
        match &node.data {
            Data::Map(entries) => entries,
            other => panic!("a map was expected: {other:?}"),
        }
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let source = "a: 4KiB   # size\nb: 1_000\nc: \"x y\"\nd: ~\ne: off\nf: 0x10\nnull: null\n";
        let node = parse(source, 0).unwrap();
        let shown: Vec<(&str, &str)> = entries(&node)
            .iter()
            .map(|e| {
                (
                    &*e.key,
                    match &e.value.data {
                        Data::Scalar(text) => &**text,
                        Data::Null => "(null)",
                        other => panic!("{other:?}"),
                    },
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("a", "4KiB"),
                ("b", "1_000"),
                ("c", "x y"),
                ("d", "(null)"),
                ("e", "off"),
                ("f", "0x10"),
                ("null", "(null)"),
            ]
        );
        let first = &entries(&node)[0];
        assert_eq!(&source[first.value.span.range()], "4KiB");
        assert_eq!(&source[first.key_span.range()], "a");
    }

    #[test]
    fn repeated_keys_are_kept() {
        let node = parse("a: 1\na: 2\n", 0).unwrap();
        assert_eq!(entries(&node).len(), 2);
    }

    #[test]
    fn an_alias_points_at_its_use_and_has_the_text_of_its_anchor() {
        let source = "a: &x 12\nb: *x\n";
        let node = parse(source, 0).unwrap();
        let b = &entries(&node)[1].value;
        assert_eq!(b.data, Data::Scalar("12".to_owned()));
        assert!(b.span.start > source.find('b').unwrap());
    }

    #[test]
    fn what_is_no_yaml_is_one_fault() {
        let fault = parse("a: [1, 2\nb: 3\n", 0).unwrap_err();
        assert!(fault.message.starts_with("not YAML"), "{}", fault.message);
    }
}
