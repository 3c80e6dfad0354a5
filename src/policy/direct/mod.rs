//! Answers what a package says of a line without the engine, where that can be done exactly.
//!
//! Most rules are made of few things: texts that stand in the message, fields that equal a text, helpers made of the same.
//! The engine needs microseconds for them, since it moves each value through registers and counts references.
//! Here such rules are read into a tree ([`read`]) and the tree is walked on values borrowed from the line ([`walk`]).
//!
//! # Why the verdicts are the engine's
//! 1. Every value is what the engine has for the same expression, or *unknown*. Numbers, lists, sets and objects are the engine's
//!    own values and compared by it; texts are compared as texts, as it does; functions ([`call`]) are what its builtins do to
//!    arguments of the right types. What isn't understood is unknown: when it is read (comprehensions, `every`, `with`, `=`,
//!    `data`, defaults, rules with several values, names that could mean two things), or when it is walked (an argument of an
//!    unexpected type, an order among types).
//! 2. Logic has three values. A body holds if all its statements hold, fails if one surely fails, else it is unknown; `not` turns
//!    the first two around and leaves the third. So unknown never becomes a yes or no by guessing.
//! 3. A rule gives a verdict only if that is written out (a literal object), and a valid one when it was read; but for the
//!    texts that it hides, each of which is a value as in 1. A rule that hides is walked through all its solutions, and gives a
//!    verdict for each; where anything unknown was met on the way, it is unknown how many they are.
//! 4. If any rule of a package is unknown on a line, the engine is asked for the whole package, as if nothing had been tried.
//! 5. The engine could have gone over a bound instead. Each rule of a package is evaluated at most once, but for what stands in
//!    loops and functions, so the instructions are at most the program's length times (1 + turns of loops + calls). A package is
//!    answered here only while that is far below `max_instructions`; with loops or calls in it, also only if nothing unknown was
//!    met on the way, as that could hide turns. Long lines, whose single instructions are slow, go to the engine and its clock.
//! 6. Rules of which the gate knows by their anchors that they can't hold are not looked at; what the engine would have
//!    needed for them is not counted, as it is not where a gate spares it a whole package. Other rules are looked at before
//!    the gate is asked in full: where it says no, no rule holds, here either; but for those that need what a pattern
//!    can't find ([`needs`]). `undecided` where fields are over their bounds
//!    comes before all.
//!
//! `tests/engines_agree` holds all this against regorus' interpreter, on hundreds of thousands of lines and on random policies.

mod call;
mod needs;
mod pattern;
mod read;
mod seen;
mod walk;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use memchr::memmem::Finder;
use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::program::Program;
use regorus::unstable::BoolOp;

use super::gate::{Part, Parts};
use super::syntax::Syntax;
use crate::record::{Hide, Verdict};
use call::Function;
use pattern::Pattern;

pub(super) use walk::{Answer, Facts, FieldsOf};

/// Longer messages are the engine's, which looks at the clock.
pub(super) const MESSAGE_MAX: usize = 64 * 1024;
/// Bound of the turns of loops and the calls of functions of one package on one line.
const TURNS_MAX: usize = 4096;
/// The engine's instructions for one of the program, with room for what it does between rules.
const SLACK: usize = 4;

/// A package as a tree.
pub(super) struct Direct {
    rules: Vec<VerdictRule>,
    helpers: Vec<Helper>,
    functions: Vec<Helper>,
    /// The paths below `input.fields` that it names.
    fields: Vec<Vec<Value>>,
    /// Patterns that rules need.
    needed: Vec<Arc<Pattern>>,
    /// How many instructions the engine's program has.
    size: usize,
    /// Whether instructions of it can be executed more than once.
    repeats: bool,
}

/// A rule `verdicts contains {…} if …`.
struct VerdictRule {
    body: Body,
    /// Of these patterns one has to find something in the message; there may be no such patterns.
    needs: Vec<usize>,
    /// But for what it hides. None if it is not written out, or not valid.
    verdict: Option<Verdict>,
    member: Option<Value>,
    /// What each verdict of it hides.
    hides: Vec<HideNode>,
}

/// A member of `redact`.
enum HideNode {
    /// Written out.
    Known(Hide),
    /// The value of an expression: a path or a pattern.
    Named(Node),
    /// `{"text": …}`
    Text(Node),
}

/// A complete rule, or a function.
enum Helper {
    /// True if one of the bodies holds, else undefined.
    AnyOf(Vec<Body>),
    /// The value of the first body that holds.
    FirstOf(Vec<(Body, Node)>),
    Unknown,
}

/// Statements that all must hold.
#[derive(Default)]
struct Body {
    steps: Vec<Step>,
    /// How many variables it has, arguments first.
    slots: usize,
    arguments: usize,
}

enum Step {
    Holds(Node),
    Not(Node),
    Assign(usize, Node),
    /// `some x in collection`, for all that stands behind it.
    Some(usize, Node),
    Unknown,
}

/// An expression.
enum Node {
    Constant(Value),
    List(Vec<Node>),
    Message,
    Host,
    Time,
    Source(&'static str),
    Label(String),
    /// By its place among the paths.
    Field(usize),
    Variable(usize),
    Helper(usize),
    User(usize, Vec<Node>),
    Call(Function, Vec<Node>),
    /// `contains(input.message, "…")`
    Has(Part, Box<Finder<'static>>),
    Matches(Box<Pattern>, Box<Node>),
    Finds(Arc<Pattern>, Box<Node>, usize),
    At(Box<Node>, Box<Node>),
    Compare(BoolOp, Box<Node>, Box<Node>),
    /// `x in {"a", "b"}`; as a statement only, since the engines differ in what an undefined `x` gives.
    OneOf(Box<Node>, Vec<String>),
    Member(Box<Node>, Box<Node>),
    Sum(Box<Node>, Box<Node>),
    Difference(Box<Node>, Box<Node>),
    Unknown,
}

/// A value on a line: borrowed from the line or the tree where it can be.
#[derive(Clone)]
enum Seen<'a> {
    Unknown,
    Undefined,
    Bool(bool),
    Text(Cow<'a, str>),
    Texts(Rc<[Cow<'a, str>]>),
    /// Anything else.
    Value(Cow<'a, Value>),
}

impl Direct {
    /// Reads a package from its files. None where the engine's bound is so low that it is always asked.
    pub(super) fn of(files: &[&Syntax], program: &Program, max_instructions: usize, parts: &mut Parts) -> Option<Self> {
        let size = program.instructions.len().saturating_mul(SLACK);
        let repeats = program.instructions.iter().any(|instruction| {
            use Instruction as I;
            matches!(
                instruction,
                I::LoopStart { .. }
                    | I::ComprehensionBegin { .. }
                    | I::FunctionCall { .. }
                    | I::VirtualDataDocumentLookup { .. }
            )
        });
        (size <= max_instructions).then(|| read::package(files, parts, size, repeats))
    }

    /// Makes the verdicts that are written out; `verdict` gives none where one is not valid.
    pub(super) fn resolve(&mut self, verdict: impl Fn(&Value) -> Option<Verdict>) {
        for rule in &mut self.rules {
            rule.verdict = rule.member.take().and_then(|member| verdict(&member));
        }
    }

    /// Whether it looks at the fields other than by their keys.
    pub(super) fn reads_whole_fields(&self) -> bool {
        self.fields.iter().any(Vec::is_empty)
    }

    /// The verdict of a rule that an [`Answer`] names, but for what it hides.
    pub(super) fn verdict(&self, rule: usize) -> Option<&Verdict> {
        self.rules.get(rule)?.verdict.as_ref()
    }
}
