//! The engine's syntax tree, and the few questions that are asked of it.
//!
//! regorus parses policies and gives out the tree through `CompiledPolicy::get_modules`, but calls its types
//! unstable. They are named in this folder only, so that a new release of the engine is met here.

mod form;
mod walk;

use regorus::unstable::{AssignOp, Expr as Node, Import, Literal, LiteralStmt, Module, Ref, Rule, RuleBody, RuleHead};

use form::path;
pub(super) use form::{Form, form, place};
pub(super) use walk::each_in;
use walk::{declared_in, each, each_of_head, each_of_query, each_of_statement, taken_from, variables};

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

    /// Whether a rule has this name.
    pub(super) fn has_rule(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
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

    /// The engine's own tree of it.
    pub(super) fn node(&self) -> &Rule {
        &self.node
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
