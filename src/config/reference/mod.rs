//! What sealtail.toml may hold, said once: for people, and as a JSON Schema for editors.
//!
//! ```text
//! keys.rs      every key: add a line here for each that a reader learns
//! markdown.rs  docs/configuration.md
//! schema.rs    docs/sealtail.schema.json
//! ```

// a key a line, however long it is
#[rustfmt::skip]
mod keys;
mod markdown;
mod schema;

pub use keys::TABLES;
pub use markdown::markdown;
pub use schema::schema;

/// `[name]`, or `[[name]]` where the keys depend on a `type`.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What its `type` may be; none of a table that has no type and stands there once.
    pub types: &'static [Type],
    /// What it is for.
    pub doc: &'static str,
    /// Its keys besides `type`.
    pub keys: &'static [Key],
}

/// What a `type` means for the keys.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// What keys call it.
    pub name: &'static str,
    /// The word.
    pub word: &'static str,
    /// A key that says more, and which word it has then.
    pub fixed: Option<(&'static str, &'static str)>,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there.
    pub need: Need,
    /// The types that it is for; all, if empty.
    pub of: &'static [&'static str],
    /// What it means.
    pub doc: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    /// Bytes, from and to.
    Size(&'static str, &'static str),
    /// A time, from and to.
    Duration(&'static str, &'static str),
    /// A whole number, from and to.
    Integer(&'static str, &'static str),
    /// true or false.
    Boolean,
    /// Strings.
    List,
    /// Strings under names that the user chooses.
    Map,
    /// A table of its own.
    Inline(&'static [Key]),
}

/// Whether a key must be there. The value is TOML.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// It must; such as this.
    Must(&'static str),
    /// It may; such as this.
    May(&'static str),
    /// Without it this is taken.
    Or(&'static str),
}

impl Key {
    /// The key of these types only.
    const fn of(self, types: &'static [&'static str]) -> Self {
        Self { of: types, ..self }
    }

    /// Whether a table of this type may have it.
    pub fn is_of(&self, kind: &str) -> bool {
        self.of.is_empty() || self.of.contains(&kind)
    }
}

impl Need {
    /// A value that is right.
    pub fn value(&self) -> &'static str {
        let (Need::Must(value) | Need::May(value) | Need::Or(value)) = self;
        value
    }
}

const fn plain(word: &'static str) -> Type {
    Type { name: word, word, fixed: None }
}

const fn key(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Key {
    Key { name, kind, need, of: &[], doc }
}
