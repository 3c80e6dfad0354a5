//! The engine's syntax tree, and the few questions that are asked of it.
//!
//! regorus parses policies and gives out the tree through `CompiledPolicy::get_modules`, but calls its types
//! unstable. They are named in this file only, so that a new release of the engine is met here.

use regorus::Value;
use regorus::unstable::{
    AssignOp, BoolOp, Expr as Node, Import, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleBody, RuleHead,
};

/// An expression of a policy.
pub(super) type Expr = Node;

/// Line and column, both from 1.
pub(super) type Place = (u32, u32);

/// One parsed file.
pub(super) struct Syntax {
    /// The package's components: `sealtail`, `linux`.
    pub(super) package: Vec<String>,
    /// Where `package` stands.
    pub(super) package_place: Place,
    /// Names that imports bring in, and the paths that they stand for.
    pub(super) imports: Vec<(String, Vec<String>)>,
    /// All rules in the order of the file.
    pub(super) rules: Vec<RuleSyntax>,
}

/// One rule of a file.
pub(super) struct RuleSyntax {
    /// Its name: `verdicts`, `is_person`.
    pub(super) name: String,
    /// Where it begins.
    pub(super) place: Place,
    /// Its last line.
    pub(super) end: u32,
    node: Ref<Rule>,
}

/// What a rule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `name contains …`.
    Set,
    /// `name[key] := …`, or another partial rule.
    Object,
    /// `name := …`, `name if …`.
    Complete,
    /// `name(…)`.
    Function,
    /// `default name := …`.
    Default,
}

impl Syntax {
    /// Reads what is needed from the engine's module.
    pub(super) fn of(module: &Module) -> Self {
        let span = &module.package.span;
        Self {
            package: path(&module.package.refr).unwrap_or_default(),
            package_place: (span.line, span.col),
            imports: module.imports.iter().filter_map(import).collect(),
            rules: module.policy.iter().map(RuleSyntax::of).collect(),
        }
    }

    /// Whether an import brings in this name.
    pub(super) fn imports_name(&self, name: &str) -> bool {
        self.imports.iter().any(|(imported, _)| imported == name)
    }

    /// The package as people write it: `sealtail.linux`.
    pub(super) fn package_name(&self) -> String {
        self.package.join(".")
    }
}

impl RuleSyntax {
    fn of(node: &Ref<Rule>) -> Self {
        let span = node.span();
        let lines_below = span.text().trim_end().lines().count().saturating_sub(1);
        Self {
            name: rule_name(node),
            place: (span.line, span.col),
            end: span.line.saturating_add(u32::try_from(lines_below).unwrap_or(u32::MAX)),
            node: node.clone(),
        }
    }

    /// What it makes.
    pub(super) fn shape(&self) -> Shape {
        match self.node.as_ref() {
            Rule::Default { .. } => Shape::Default,
            Rule::Spec { head: RuleHead::Set { .. }, .. } => Shape::Set,
            Rule::Spec { head: RuleHead::Func { .. }, .. } => Shape::Function,
            Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } if matches!(refr.as_ref(), Node::RefBrack { .. }) => {
                Shape::Object
            }
            Rule::Spec { .. } => Shape::Complete,
        }
    }

    /// The member that a `contains` rule adds.
    pub(super) fn member(&self) -> Option<&Expr> {
        match self.node.as_ref() {
            Rule::Spec { head: RuleHead::Set { key, .. }, .. } => key.as_deref(),
            _ => None,
        }
    }

    /// The names that the rule gives to its own variables, with their places: parameters, `some`, `every`, `:=`.
    pub(super) fn declared(&self) -> Vec<(&str, Place)> {
        let mut names = Vec::new();
        if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = self.node.as_ref() {
            args.iter().for_each(|arg| variables(arg, &mut names));
        }
        if let Rule::Spec { bodies, .. } = self.node.as_ref() {
            bodies.iter().for_each(|body| declared_in(&body.query, &mut names));
        }
        self.each_expr(&mut |expr| match expr {
            Node::AssignExpr { op: AssignOp::ColEq, lhs, .. } => variables(lhs, &mut names),
            Node::ArrayCompr { query, .. } | Node::SetCompr { query, .. } | Node::ObjectCompr { query, .. } => {
                declared_in(query, &mut names);
            }
            _ => {}
        });
        names
    }

    /// What gives its variables their values: each with an expression, and whether it is only taken from that, by a `some`.
    pub(super) fn definitions(&self) -> Vec<(String, &Expr, bool)> {
        let mut found = Vec::new();
        let mut define = |pattern: &Expr, value, is_taken| {
            let mut names = Vec::new();
            variables(pattern, &mut names);
            found.extend(names.into_iter().map(|(name, _)| (name.to_owned(), value, is_taken)));
        };
        if let Rule::Spec { bodies, .. } = self.node.as_ref() {
            bodies.iter().for_each(|body| taken_from(&body.query, &mut define));
        }
        self.each_expr(&mut |expr| match expr {
            Node::AssignExpr { lhs, rhs, .. } => define(lhs, rhs.as_ref(), false),
            Node::ArrayCompr { query, .. } | Node::SetCompr { query, .. } | Node::ObjectCompr { query, .. } => {
                taken_from(query, &mut define);
            }
            _ => {}
        });
        found
    }

    /// The expressions that are its value.
    pub(super) fn results(&self) -> Vec<&Expr> {
        let Rule::Spec { head, bodies, .. } = self.node.as_ref() else { return Vec::new() };
        let of_head = match head {
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                assign.as_ref().map(|assign| assign.value.as_ref())
            }
            RuleHead::Set { key, .. } => key.as_deref(),
        };
        let of_bodies = bodies.iter().filter_map(|body| body.assign.as_ref().map(|assign| assign.value.as_ref()));
        of_head.into_iter().chain(of_bodies).collect()
    }

    /// The statements that all must hold, for each body; a rule without `if` has one body without statements.
    pub(super) fn bodies(&self) -> Vec<Vec<Statement<'_>>> {
        let Rule::Spec { bodies, .. } = self.node.as_ref() else { return Vec::new() };
        if bodies.is_empty() {
            return vec![Vec::new()];
        }
        bodies.iter().map(statements).collect()
    }

    /// The statements of each body as they are written.
    pub(super) fn written(&self) -> Vec<Vec<Written<'_>>> {
        let Rule::Spec { bodies, .. } = self.node.as_ref() else { return Vec::new() };
        let mut written = Vec::new();
        for body in bodies.iter().filter(|body| !body.is_else) {
            written.push(body.query.stmts.iter().map(Written::of).collect());
        }
        written
    }

    /// Calls `see` with every expression of the rule, outer before inner.
    pub(super) fn each_expr<'a>(&'a self, see: &mut dyn FnMut(&'a Expr)) {
        match self.node.as_ref() {
            Rule::Default { value, args, .. } => {
                args.iter().for_each(|arg| each(arg, see));
                each(value, see);
            }
            Rule::Spec { head, bodies, .. } => {
                each_of_head(head, see);
                for body in bodies {
                    if let Some(assign) = &body.assign {
                        each(&assign.value, see);
                    }
                    each_of_query(&body.query, see);
                }
            }
        }
    }
}

/// A statement of a body as text.
pub(super) struct Written<'a> {
    /// Where it begins.
    pub(super) place: Place,
    /// The same in bytes of the file.
    pub(super) offset: usize,
    /// What is written there.
    pub(super) text: &'a str,
    node: &'a LiteralStmt,
}

impl<'a> Written<'a> {
    fn of(node: &'a LiteralStmt) -> Self {
        let span = &node.span;
        Self { place: (span.line, span.col), offset: span.start as usize, text: span.text(), node }
    }

    /// The paths that stand in it, such as `input.fields.verb` and `is_sshd`.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        each_of_statement(self.node, &mut |expr| {
            if let Form::Path(path) = form(expr) {
                paths.push(path);
            }
        });
        paths
    }
}

/// A statement of a body, as far as conditions can be read from it.
pub(super) enum Statement<'a> {
    /// An expression that must be defined and not false.
    Holds(&'a Expr),
    /// Anything else: `some`, `every`, `not`, `with`.
    Other,
}

fn statements(body: &RuleBody) -> Vec<Statement<'_>> {
    body.query.stmts.iter().map(statement).collect()
}

fn statement(statement: &LiteralStmt) -> Statement<'_> {
    match &statement.literal {
        Literal::Expr { expr, .. } if statement.with_mods.is_empty() => Statement::Holds(expr),
        _ => Statement::Other,
    }
}

/// What an expression is, as far as sealtail needs to know.
pub(super) enum Form<'a> {
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
pub(super) fn form(expr: &Expr) -> Form<'_> {
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

/// Where an expression stands.
pub(super) fn place(expr: &Expr) -> Place {
    (expr.span().line, expr.span().col)
}

/// What `some` and `every` declare in a query; comprehensions inside it are the caller's.
fn declared_in<'a>(query: &'a Query, names: &mut Vec<(&'a str, Place)>) {
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
fn taken_from<'a>(query: &'a Query, define: &mut dyn FnMut(&Expr, &'a Expr, bool)) {
    for statement in &query.stmts {
        if let Literal::SomeIn { key, value, collection, .. } = &statement.literal {
            key.iter().chain([value]).for_each(|pattern| define(pattern, collection, true));
        }
    }
}

/// Calls `see` with an expression and all that stand in it.
pub(super) fn each_in<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    each(expr, see);
}

/// The variables of a pattern such as `[a, {"k": b}]`.
fn variables<'a>(pattern: &'a Expr, names: &mut Vec<(&'a str, Place)>) {
    each(pattern, &mut |expr| {
        if let Node::Var { span, .. } = expr {
            names.push((span.text(), (span.line, span.col)));
        }
    });
}

fn path(expr: &Expr) -> Option<Vec<String>> {
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

fn import(import: &Import) -> Option<(String, Vec<String>)> {
    let path = path(&import.refr)?;
    let last = path.last()?.clone();
    let name = import.r#as.as_ref().map_or(last, |name| name.text().to_owned());
    // `import rego.v1` and the keywords of old bring in no name
    (path[0] == "data" || path[0] == "input").then_some((name, path))
}

fn rule_name(rule: &Rule) -> String {
    let refr = match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec {
            head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. },
            ..
        } => refr,
    };
    let mut at: &Expr = refr;
    while let Node::RefDot { refr, .. } | Node::RefBrack { refr, .. } = at {
        at = refr;
    }
    at.span().text().to_owned()
}

fn each_of_head<'a>(head: &'a RuleHead, see: &mut dyn FnMut(&'a Expr)) {
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

fn each_of_query<'a>(query: &'a Query, see: &mut dyn FnMut(&'a Expr)) {
    query.stmts.iter().for_each(|statement| each_of_statement(statement, see));
}

fn each_of_statement<'a>(statement: &'a LiteralStmt, see: &mut dyn FnMut(&'a Expr)) {
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
fn each<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
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
