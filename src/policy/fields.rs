//! Reads JSON straight into the engine's values, and of it only what policies can read.
//!
//! # Why the verdicts are the same
//! A policy gets at the line's fields by `input` alone. [`Wanted`] has every path of `input.fields` that is written out in any rule of
//! the set, with all that stands below it; where a rule uses `input` or `input.fields` in any other way, by a key that is not
//! written out, by an import, as a whole, everything is wanted. So what is left out, no rule could have seen: a path that stops
//! in front of it is not in the set. An object keeps its place, with less in it; an array of which only keys of objects are asked
//! stays an array. Of several values of one key the last one counts, whatever it is.
//!
//! What is left out is read all the same, by the same parser: text that is no JSON, numbers that no f64 holds
//! and objects that are nested too deep are found wherever they stand.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use regorus::Value;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Bound of nesting in `fields`; below serde_json's own, so that it is this one that is met.
pub(super) const DEPTH_MAX: usize = 64;
/// Bound of the keys that are kept from line to line.
const KEYS_MAX: usize = 1024;
/// Keys longer than this are not kept.
const KEY_LEN_MAX: usize = 64;

/// The fields that somebody reads.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// With all that stands below.
    all: bool,
    /// Sorted by the keys' lengths, then by the keys: most keys of a line are told apart by their lengths alone.
    below: Vec<(Box<str>, Value, Wanted)>,
}

/// [`Wanted::ALL`], to borrow.
pub(super) static ALL: Wanted = Wanted::ALL;

impl Wanted {
    /// Everything.
    pub(super) const ALL: Self = Self { all: true, below: Vec::new() };
    /// Nothing.
    pub(super) const NONE: Self = Self { all: false, below: Vec::new() };

    /// Whether everything is wanted.
    pub(super) fn is_all(&self) -> bool {
        self.all
    }

    /// Adds all paths of another.
    pub(super) fn add_all(&mut self, other: &Self) {
        if other.all {
            *self = Self::ALL;
        }
        for (key, _, below) in &other.below {
            self.at(key, |own| own.add_all(below));
        }
    }

    /// Adds a path.
    pub(super) fn add<S: AsRef<str>>(&mut self, path: &[S]) {
        match path.split_first() {
            None => *self = Self::ALL,
            Some((first, rest)) => self.at(first.as_ref(), |own| own.add(rest)),
        }
    }

    fn at(&mut self, key: &str, add: impl FnOnce(&mut Self)) {
        if self.all {
            return;
        }
        let at = self.place(key).unwrap_or_else(|at| {
            self.below.insert(at, (key.into(), Value::from(key), Self::NONE));
            at
        });
        add(&mut self.below[at].2);
    }

    /// What is wanted of the value of a key.
    pub(super) fn below(&self, key: &str) -> Option<&Self> {
        match self.all {
            true => Some(self),
            false => self.find(key).map(|(_, wanted)| wanted),
        }
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.below.binary_search_by(|(known, ..)| known.len().cmp(&key.len()).then_with(|| (**known).cmp(key)))
    }

    fn find(&self, key: &str) -> Option<(&Value, &Self)> {
        let at = self.place(key).ok()?;
        let (_, key, wanted) = &self.below[at];
        Some((key, wanted))
    }
}

/// Objects are nested deeper than we look, or a number is too large.
pub(super) struct TooDeep;

/// The object that a text is, as far as it is wanted; none if it is no object. White space around it is allowed.
pub(super) fn read(text: &str, wanted: &Wanted, keys: &mut Keys) -> Result<Option<Value>, TooDeep> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        return Ok(None);
    }
    let mut over = false;
    let mut json = serde_json::Deserializer::from_str(text);
    let seed = Seed { wanted, keys, over: &mut over, depth: 0 };
    match seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value)) {
        Ok(value) => Ok(Some(value)),
        // serde_json has no other way to tell a number that no f64 holds from text that is no JSON
        Err(error) if over || error.to_string().starts_with("number out of range") => Err(TooDeep),
        Err(_) => Ok(None),
    }
}

/// Interned object keys: audit logs repeat a few dozen on every line.
#[derive(Default)]
pub(super) struct Keys(HashMap<Box<str>, Value>);

impl Keys {
    pub(super) fn get(&mut self, key: &str) -> Value {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let value = Value::from(key);
        if self.0.len() < KEYS_MAX && key.len() <= KEY_LEN_MAX {
            self.0.insert(key.into(), value.clone());
        }
        value
    }
}

/// Reads a value of which something is wanted.
struct Seed<'k> {
    wanted: &'k Wanted,
    keys: &'k mut Keys,
    over: &'k mut bool,
    depth: usize,
}

fn check_depth<E: serde::de::Error>(depth: usize, over: &mut bool) -> Result<(), E> {
    if depth < DEPTH_MAX {
        return Ok(());
    }
    *over = true;
    Err(E::custom("nested too deep"))
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        check_depth(self.depth, self.over)?;
        let mut array = Vec::new();
        let (wanted, depth) = (self.wanted, self.depth + 1);
        match wanted.all {
            true => {
                let mut item = || items.next_element_seed(Seed { wanted, keys: self.keys, over: self.over, depth });
                while let Some(item) = item()? {
                    array.push(item);
                }
            }
            false => while items.next_element_seed(Skip { over: self.over, depth })?.is_some() {},
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        check_depth(self.depth, self.over)?;
        let mut object = BTreeMap::new();
        let (keys, over, depth) = (self.keys, self.over, self.depth + 1);
        while let Some(key) = fields.next_key_seed(KeySeed { wanted: self.wanted, keys })? {
            match key {
                Some((key, wanted)) => {
                    object.insert(key, fields.next_value_seed(Seed { wanted, keys, over, depth })?);
                }
                None => fields.next_value_seed(Skip { over, depth })?,
            }
        }
        Ok(object.into())
    }
}

/// Reads a key; none if nothing of its value is wanted.
struct KeySeed<'k, 'w> {
    wanted: &'w Wanted,
    keys: &'k mut Keys,
}

impl<'de, 'w> DeserializeSeed<'de> for KeySeed<'_, 'w> {
    type Value = Option<(Value, &'w Wanted)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for KeySeed<'_, 'w> {
    type Value = Option<(Value, &'w Wanted)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(match self.wanted.all {
            true => Some((self.keys.get(key), self.wanted)),
            false => self.wanted.find(key).map(|(key, wanted)| (key.clone(), wanted)),
        })
    }
}

/// Reads a value of which nothing is wanted, as strictly as [`Seed`] does.
struct Skip<'k> {
    over: &'k mut bool,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        check_depth(self.depth, self.over)?;
        let (over, depth) = (self.over, self.depth + 1);
        while items.next_element_seed(Skip { over, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        check_depth(self.depth, self.over)?;
        let (over, depth) = (self.over, self.depth + 1);
        while fields.next_key_seed(SkipKey)?.is_some() {
            fields.next_value_seed(Skip { over, depth })?;
        }
        Ok(())
    }
}

/// Reads a key, as strictly as [`KeySeed`] does.
struct SkipKey;

impl<'de> DeserializeSeed<'de> for SkipKey {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(IgnoredAny).map(drop)
    }
}
