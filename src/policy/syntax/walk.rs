//! Walks over the tree.

use regorus::unstable::{Expr as Node, Literal, LiteralStmt, Query, RuleHead};

use super::form::path;
use super::{Expr, Place};

/// What `some` and `every` declare in a query; comprehensions inside it are the caller's.
pub(super) fn declared_in<'a>(query: &'a Query, names: &mut Vec<(&'a str, Place)>) {
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                names.extend(vars.iter().map(|span| (span.text(), (span.line, span.col))))
            }
            Literal::SomeIn { key, value, .. } => key.iter().chain([value]).for_each(|expr| variables(expr, names)),
            Literal::Every { key, value, query, .. } => {
                names.extend(key.iter().chain([value]).map(|span| (span.text(), (span.line, span.col))));
                declared_in(query, names);
            }
            Literal::Expr { .. } | Literal::NotExpr { .. } => {}
        }
    }
}

/// What `some x in` takes its variables from.
pub(super) fn taken_from<'a>(query: &'a Query, define: &mut dyn FnMut(&Expr, &'a Expr, bool)) {
    for statement in &query.stmts {
        if let Literal::SomeIn { key, value, collection, .. } = &statement.literal {
            key.iter().chain([value]).for_each(|pattern| define(pattern, collection, true));
        }
    }
}

/// Calls `see` with an expression and all that stand in it.
pub(in crate::policy) fn each_in<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    each(expr, see);
}

/// The variables of a pattern such as `[a, {"k": b}]`.
pub(super) fn variables<'a>(pattern: &'a Expr, names: &mut Vec<(&'a str, Place)>) {
    each(pattern, &mut |expr| {
        if let Node::Var { span, .. } = expr {
            names.push((span.text(), (span.line, span.col)));
        }
    });
}

pub(super) fn each_of_head<'a>(head: &'a RuleHead, see: &mut dyn FnMut(&'a Expr)) {
    match head {
        RuleHead::Compr { refr, assign, .. } => {
            let mut at: &Expr = refr; // the rule's own name is no reference, the keys behind it are
            while let Node::RefDot { refr, .. } | Node::RefBrack { refr, .. } = at {
                if let Node::RefBrack { index, .. } = at {
                    each(index, see);
                }
                at = refr;
            }
            assign.iter().for_each(|assign| each(&assign.value, see));
        }
        RuleHead::Set { key, .. } => key.iter().for_each(|key| each(key, see)),
        RuleHead::Func { args, assign, .. } => {
            args.iter().for_each(|arg| each(arg, see));
            assign.iter().for_each(|assign| each(&assign.value, see));
        }
    }
}

pub(super) fn each_of_query<'a>(query: &'a Query, see: &mut dyn FnMut(&'a Expr)) {
    query.stmts.iter().for_each(|statement| each_of_statement(statement, see));
}

pub(super) fn each_of_statement<'a>(statement: &'a LiteralStmt, see: &mut dyn FnMut(&'a Expr)) {
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { key, value, collection, .. } => {
            key.iter().chain([value, collection]).for_each(|expr| each(expr, see));
        }
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => each(expr, see),
        Literal::Every { domain, query, .. } => {
            each(domain, see);
            each_of_query(query, see);
        }
    }
    for with in &statement.with_mods {
        each(&with.refr, see);
        each(&with.r#as, see);
    }
}

/// The engine bounds how deep expressions nest (32), so the recursion ends.
pub(super) fn each<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    see(expr);
    match expr {
        Node::Array { items, .. } | Node::Set { items, .. } => items.iter().for_each(|item| each(item, see)),
        Node::Object { fields, .. } => {
            fields.iter().flat_map(|(_, key, value)| [key, value]).for_each(|part| each(part, see));
        }
        Node::ArrayCompr { term, query, .. } | Node::SetCompr { term, query, .. } => {
            each(term, see);
            each_of_query(query, see);
        }
        Node::ObjectCompr { key, value, query, .. } => {
            each(key, see);
            each(value, see);
            each_of_query(query, see);
        }
        Node::Call { fcn, params, .. } => {
            each(fcn, see);
            params.iter().for_each(|param| each(param, see));
        }
        Node::UnaryExpr { expr, .. } => each(expr, see),
        // a path that is written out is one thing; of another, the parts that are
        Node::RefDot { .. } | Node::RefBrack { .. } if path(expr).is_some() => {}
        Node::RefDot { refr, .. } => each(refr, see),
        Node::RefBrack { refr, index, .. } => {
            each(refr, see);
            each(index, see);
        }
        Node::BinExpr { lhs, rhs, .. }
        | Node::BoolExpr { lhs, rhs, .. }
        | Node::ArithExpr { lhs, rhs, .. }
        | Node::AssignExpr { lhs, rhs, .. } => {
            each(lhs, see);
            each(rhs, see);
        }
        Node::Membership { key, value, collection, .. } => {
            key.iter().chain([value, collection]).for_each(|part| each(part, see));
        }
        Node::String { .. } | Node::RawString { .. } | Node::Number { .. } => {}
        Node::Bool { .. } | Node::Null { .. } | Node::Var { .. } => {}
    }
}
