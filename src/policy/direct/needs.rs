//! Patterns without which a rule can't hold.
//!
//! Where the first statement of a body takes something from what a pattern finds in the message (`some x in found`), or asks
//! for more finds than some number, it fails on a message in which the pattern finds nothing: the collection is empty, its count 0. As it is the
//! first one, nothing unknown was met before it, and no turn of a loop was taken: walking the rule would leave no other trace.

use std::sync::Arc;

use regorus::Value;
use regorus::unstable::BoolOp;

use super::call::Function;
use super::pattern::Pattern;
use super::{Body, Direct, Helper, Node, Step};

/// Patterns of a package that are looked for before its rules are walked: a bit each.
pub(super) const NEEDED_MAX: usize = 64;
/// Helpers within helpers that are followed.
const DEPTH_MAX: usize = 4;

/// One of these must find something for the body to hold. None if that is not known.
pub(super) fn of(direct: &Direct, body: &Body, depth: usize) -> Option<Vec<Arc<Pattern>>> {
    let one = |pattern| vec![pattern];
    match body.steps.first()? {
        Step::Some(_, collection) => finds(direct, collection, depth).map(one),
        Step::Holds(Node::Compare(BoolOp::Gt, count, least)) => match (count.as_ref(), least.as_ref()) {
            (Node::Call(Function::Count, counted), Node::Constant(least @ Value::Number(_))) => {
                let is_more_than_none = *least >= Value::from(0);
                counted.first().filter(|_| is_more_than_none).and_then(|counted| finds(direct, counted, depth)).map(one)
            }
            _ => None,
        },
        Step::Holds(Node::Helper(at)) if depth < DEPTH_MAX => match direct.helpers.get(*at)? {
            Helper::AnyOf(bodies) => {
                let all: Option<Vec<_>> = bodies.iter().map(|body| of(direct, body, depth + 1)).collect();
                all.map(|all| all.concat())
            }
            _ => None,
        },
        _ => None,
    }
}

/// The pattern of which a node has what it finds in the message.
fn finds(direct: &Direct, node: &Node, depth: usize) -> Option<Arc<Pattern>> {
    match node {
        Node::Finds(pattern, text, _) if matches!(text.as_ref(), Node::Message) => Some(pattern.clone()),
        Node::Helper(at) if depth < DEPTH_MAX => match direct.helpers.get(*at)? {
            Helper::FirstOf(bodies) => match bodies.as_slice() {
                [(body, node)] if body.steps.is_empty() => finds(direct, node, depth + 1),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
