//! What an expression is.

use regorus::Value;
use regorus::unstable::{AssignOp, BoolOp, Expr as Node, Literal, LiteralStmt, Query, Ref};

use super::walk::{declared_in, each_of_query, variables};
use super::{Expr, Place};

/// What an expression is, as far as sealtail needs to know.
pub(in crate::policy) enum Form<'a> {
    /// `name(arguments)`; the name with its dots.
    Call(String, &'a [Ref<Expr>]),
    /// `a == b`, `a = b`.
    Equal(&'a Expr, &'a Expr),
    /// `x in collection`.
    Member(&'a Expr, &'a Expr),
    /// `input.fields.verb`, or a single name; no brackets but those with a literal string.
    Path(Vec<String>),
    /// A literal string.
    Text(&'a str),
    /// A literal number.
    Number(&'a Value),
    /// A literal array or set.
    List(&'a [Ref<Expr>]),
    /// A literal object, as keys and values.
    Object(Vec<(&'a Expr, &'a Expr)>),
    /// `[term | …]` and its like: what it is made of, its query's own names, how many `some … in` stand there.
    Compr(Vec<&'a Expr>, Vec<&'a str>, usize),
    /// `a + b` and its like.
    Arithmetic(&'a Expr, &'a Expr),
    /// Anything else.
    Other,
}

/// What `expr` is.
pub(in crate::policy) fn form(expr: &Expr) -> Form<'_> {
    match expr {
        Node::Call { fcn, params, .. } => match path(fcn) {
            Some(name) => Form::Call(name.join("."), params),
            None => Form::Other,
        },
        Node::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } | Node::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
            Form::Equal(lhs, rhs)
        }
        Node::Membership { key: None, value, collection, .. } => Form::Member(value, collection),
        Node::Var { .. } | Node::RefDot { .. } | Node::RefBrack { .. } => path(expr).map_or(Form::Other, Form::Path),
        Node::String { value: Value::String(text), .. } | Node::RawString { value: Value::String(text), .. } => {
            Form::Text(text)
        }
        Node::Number { value, .. } => Form::Number(value),
        Node::Array { items, .. } | Node::Set { items, .. } => Form::List(items),
        Node::Object { fields, .. } => {
            Form::Object(fields.iter().map(|(_, key, value)| (key.as_ref(), value.as_ref())).collect())
        }
        Node::ArithExpr { lhs, rhs, .. } => Form::Arithmetic(lhs, rhs),
        Node::ArrayCompr { term, query, .. } | Node::SetCompr { term, query, .. } => comprehension(vec![term], query),
        Node::ObjectCompr { key, value, query, .. } => comprehension(vec![key, value], query),
        _ => Form::Other,
    }
}

fn comprehension<'a>(terms: Vec<&'a Expr>, query: &'a Query) -> Form<'a> {
    let mut names = Vec::new();
    declared_in(query, &mut names);
    each_of_query(query, &mut |expr| {
        if let Node::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr {
            variables(lhs, &mut names);
        }
    });
    let is_loop = |statement: &&LiteralStmt| matches!(statement.literal, Literal::SomeIn { .. });
    let loops = query.stmts.iter().filter(is_loop).count();
    Form::Compr(terms, names.into_iter().map(|(name, _)| name).collect(), loops)
}

/// Where an expression begins. The engine has paths and comparisons begin further on, and texts behind their quote.
pub(in crate::policy) fn place(expr: &Expr) -> Place {
    match expr {
        Node::Call { fcn: first, .. }
        | Node::RefDot { refr: first, .. }
        | Node::RefBrack { refr: first, .. }
        | Node::BoolExpr { lhs: first, .. }
        | Node::AssignExpr { lhs: first, .. }
        | Node::Membership { key: None, value: first, .. } => place(first),
        Node::String { span, .. } | Node::RawString { span, .. } => (span.line, span.col.saturating_sub(1).max(1)),
        _ => (expr.span().line, expr.span().col),
    }
}

pub(super) fn path(expr: &Expr) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Node::Var { span, .. } => {
                parts.push(span.text().to_owned());
                parts.reverse();
                return Some(parts);
            }
            Node::RefDot { refr, field, .. } => {
                parts.push(field.0.text().to_owned());
                at = refr;
            }
            Node::RefBrack { refr, index, .. } => {
                let Form::Text(text) = form(index) else { return None };
                parts.push(text.to_owned());
                at = refr;
            }
            _ => return None,
        }
    }
}
