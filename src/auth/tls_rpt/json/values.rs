//! Values of JSON, read as far as they go: a field of another type than the RFC has costs that field, and not the report.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Limits;
use crate::base::Timestamp;

/// How much room is left.
pub(super) struct Room {
    pub(super) limits: Limits,
    pub(super) policies: usize,
    pub(super) failures: usize,
}

/// An object of JSON, filled field by field.
pub(super) trait Fill {
    /// Takes the value of a field; `false` where it is not known, and its value still to be read.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error>;
}

/// An object that is part of a list.
pub(super) trait Item: Fill + Default {
    /// The room for such objects.
    fn left(room: &mut Room) -> &mut usize;
}

/// Reads an object into what it fills; any other value is passed over.
pub(super) struct Object<'a, T> {
    pub(super) into: &'a mut T,
    pub(super) room: &'a mut Room,
}

impl<'de, T: Fill> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

/// What is neither an object nor a list, where one was looked for, is nothing.
macro_rules! nothing {
    ($($name:ident: $kind:ty,)*) => {
        $(fn $name<E: Error>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Default::default())
        })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    };
}

impl<'de, T: Fill> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if !self.into.field(&name, &mut map, self.room)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    nothing! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, }
}

/// Reads a list of objects; an object alone is a list of one.
pub(super) struct List<'a, T> {
    pub(super) into: &'a mut Vec<T>,
    pub(super) room: &'a mut Room,
}

impl<T: Item> List<'_, T> {
    fn take<E: Error>(&mut self) -> Result<T, E> {
        let left = T::left(self.room);
        *left = left.checked_sub(1).ok_or_else(|| E::custom("no room"))?;
        Ok(T::default())
    }
}

impl<'de, T: Item> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, T: Item> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let mut item = T::default();
            if seq.next_element_seed(Object { into: &mut item, room: self.room })?.is_none() {
                return Ok(());
            }
            self.take::<A::Error>()?;
            self.into.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let mut item = self.take()?;
        Object { into: &mut item, room: self.room }.visit_map(map)?;
        self.into.push(item);
        Ok(())
    }

    nothing! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, }
}

/// Scalars as text, whatever type of JSON they have: one, or a list of them. Of an object there are none.
pub(super) struct Texts {
    most: usize,
    octets: usize,
}

impl Texts {
    pub(super) fn of(room: &Room, most: usize) -> Self {
        Self { most, octets: room.limits.text }
    }

    fn one<E>(&self, text: &str) -> Result<Vec<String>, E> {
        let end = (0..=self.octets.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        Ok(vec![text.get(..end).unwrap_or_default().to_owned()])
    }
}

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Vec<String>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        self.one(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Vec<String>, E> {
        self.one(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut out = Vec::new();
        // A list in the list is none of texts; this is as deep as it goes.
        while out.len() < self.most {
            match seq.next_element_seed(Texts { most: 0, octets: self.octets })? {
                Some(texts) => out.extend(texts),
                None => return Ok(out),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(out)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    nothing! { visit_bool: bool, visit_i64: i64, visit_f64: f64, }
}

pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A, room: &Room) -> Result<Option<String>, A::Error> {
    let texts = map.next_value_seed(Texts::of(room, 1))?;
    Ok(texts.into_iter().next().filter(|text| !text.is_empty()))
}

pub(super) fn count<'de, A: MapAccess<'de>>(map: &mut A, room: &Room) -> Result<u64, A::Error> {
    Ok(text(map, room)?.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

pub(super) fn time<'de, A: MapAccess<'de>>(map: &mut A, room: &Room) -> Result<Option<Timestamp>, A::Error> {
    Ok(text(map, room)?.and_then(|text| {
        let text = text.trim().as_bytes();
        Timestamp::parse_rfc3339(text).or_else(|_| Timestamp::parse(text)).ok()
    }))
}
