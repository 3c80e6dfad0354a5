//! From the engine's syntax tree to ours. What is not understood becomes unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memchr::memmem::Finder;
use regorus::Value;
use regorus::unstable::{
    ArithOp, AssignOp, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleAssign, RuleHead,
};

use super::call::Function;
use super::needs::{self, NEEDED_MAX};
use super::pattern::Pattern;
use super::{Body, Direct, Helper, HideNode, Node, Step, VerdictRule};
use crate::policy::gate::Parts;
use crate::policy::redact::path;
use crate::policy::syntax::{Form, RuleSyntax, Shape, Syntax, form};
use crate::policy::verdict;

/// Reads the rules of a package.
pub(super) fn package(files: &[&Syntax], parts: &mut Parts, size: usize, repeats: bool) -> Direct {
    let mut names = BTreeMap::new();
    let (mut helpers, mut functions) = (0, 0);
    let all = || files.iter().flat_map(|file| file.rules.iter().map(move |rule| (*file, rule)));
    for (_, rule) in all().filter(|(_, rule)| rule.name != "verdicts") {
        let counted = match rule.shape() {
            Shape::Function => (&mut functions, Name::Function as fn(usize) -> Name),
            _ => (&mut helpers, Name::Helper as fn(usize) -> Name),
        };
        names.entry(rule.name.as_str()).or_insert_with(|| {
            *counted.0 += 1;
            counted.1(*counted.0 - 1)
        });
    }
    let is_alone = |rule: &RuleSyntax| all().filter(|(_, other)| other.name == rule.name).count() == 1;
    let constants = all().filter(|(_, rule)| is_alone(rule));
    let constants = constants.filter_map(|(_, rule)| Some((rule.name.as_str(), written_out(rule)?))).collect();
    let mut reader = Reader { names: &names, constants, parts, fields: Vec::new() };
    let (rules, fields, needed) = Default::default();
    let mut direct = Direct { rules, helpers: Vec::new(), functions: Vec::new(), fields, needed, size, repeats };
    direct.helpers.resize_with(helpers, || Helper::Unknown);
    direct.functions.resize_with(functions, || Helper::Unknown);
    for (name, at) in &names {
        let rules: Vec<_> = all().filter(|(_, rule)| rule.name == *name).collect();
        match at {
            Name::Helper(at) => direct.helpers[*at] = reader.helper(&rules, Shape::Complete),
            Name::Function(at) => direct.functions[*at] = reader.helper(&rules, Shape::Function),
        }
    }
    direct.rules =
        all().filter(|(_, rule)| rule.name == "verdicts").map(|(file, rule)| reader.verdicts(file, rule)).collect();
    direct.fields = reader.fields;
    note_needs(&mut direct);
    direct
}

/// Notes for each rule what it needs.
fn note_needs(direct: &mut Direct) {
    let all: Vec<_> = direct.rules.iter().map(|rule| needs::of(direct, &rule.body, 0).unwrap_or_default()).collect();
    for (rule, patterns) in direct.rules.iter_mut().zip(all) {
        for pattern in patterns {
            let known = direct.needed.iter().position(|known| Arc::ptr_eq(known, &pattern));
            rule.needs.push(known.unwrap_or_else(|| {
                direct.needed.push(pattern);
                direct.needed.len() - 1
            }));
        }
        if direct.needed.len() > NEEDED_MAX {
            rule.needs.clear();
        }
    }
}

/// What a name of the package is.
#[derive(Clone, Copy)]
enum Name {
    Helper(usize),
    Function(usize),
}

struct Reader<'a> {
    names: &'a BTreeMap<&'a str, Name>,
    /// Helpers that are written out: patterns, mostly.
    constants: BTreeMap<&'a str, Value>,
    parts: &'a mut Parts,
    fields: Vec<Vec<Value>>,
}

/// What names mean inside a rule.
struct Scope<'a> {
    file: &'a Syntax,
    /// All names that the rule itself declares, wherever.
    declared: BTreeSet<&'a str>,
    /// Those that have a value where we are.
    slots: Vec<String>,
}

impl Scope<'_> {
    fn slot(&mut self, name: &str) -> usize {
        self.slots.push(name.to_owned());
        self.slots.len() - 1
    }
}

impl Reader<'_> {
    fn verdicts(&mut self, file: &Syntax, rule: &RuleSyntax) -> VerdictRule {
        let mut scope = scope(file, rule);
        let unknown = || Body { steps: vec![Step::Unknown], ..Body::default() };
        let body = match rule.node() {
            Rule::Spec { bodies, .. } => match bodies.as_slice() {
                [] => Body::default(),
                [body] => self.body(&body.query, &mut scope),
                _ => unknown(),
            },
            Rule::Default { .. } => unknown(),
        };
        let read = rule.member().and_then(|member| self.member(member, &mut scope));
        let (member, hides) = read.map_or_else(Default::default, |(member, hides)| (Some(member), hides));
        VerdictRule { body, needs: Vec::new(), member, hides, verdict: None }
    }

    /// A verdict that is written out, but for what it hides.
    fn member(&mut self, member: &Expr, scope: &mut Scope<'_>) -> Option<(Value, Vec<HideNode>)> {
        let Expr::Object { fields, .. } = member else { return None };
        let (mut plain, mut hides) = (BTreeMap::new(), Vec::new());
        for (_, key, value) in fields {
            let key = constant(key)?;
            let known = verdict::text(&key).filter(|key| verdict::KEYS.contains(key))?;
            // the same key twice is for the engine to judge
            if known == verdict::REDACT && hides.is_empty() {
                hides = self.hides(value, scope)?;
            } else if known == verdict::REDACT || plain.insert(key.clone(), constant(value)?).is_some() {
                return None;
            }
        }
        Some((plain.into(), hides))
    }

    fn hides(&mut self, redact: &Expr, scope: &mut Scope<'_>) -> Option<Vec<HideNode>> {
        let Expr::Array { items, .. } = redact else { return None };
        let one = |item: &Ref<Expr>| match item.as_ref() {
            Expr::Object { fields, .. } => match fields.as_slice() {
                [(_, key, value)] if constant(key) == Some("text".into()) => {
                    Some(HideNode::Text(self.node(value, scope)))
                }
                _ => None,
            },
            item => Some(match constant(item) {
                Some(written) => HideNode::Known(path::of_text(verdict::text(&written)?).ok()?),
                None => HideNode::Named(self.node(item, scope)),
            }),
        };
        let hides: Vec<HideNode> = items.iter().map(one).collect::<Option<_>>()?;
        (1..=path::HIDES_MAX).contains(&hides.len()).then_some(hides)
    }

    fn helper(&mut self, rules: &[(&Syntax, &RuleSyntax)], shape: Shape) -> Helper {
        if rules.iter().any(|(_, rule)| rule.shape() != shape) {
            return Helper::Unknown;
        }
        let definitions: Option<Vec<_>> = rules.iter().map(|(file, rule)| self.definition(file, rule)).collect();
        let Some(mut definitions) = definitions else { return Helper::Unknown };
        let is_true = |(_, value): &(Body, Node)| matches!(value, Node::Constant(Value::Bool(true)));
        if definitions.iter().flatten().all(is_true) {
            return Helper::AnyOf(definitions.into_iter().flatten().map(|(body, _)| body).collect());
        }
        // several definitions with several values could contradict each other
        match (definitions.pop(), definitions.is_empty()) {
            (Some(only), true) => Helper::FirstOf(only),
            _ => Helper::Unknown,
        }
    }

    /// The bodies of a rule with their values, in their order.
    fn definition(&mut self, file: &Syntax, rule: &RuleSyntax) -> Option<Vec<(Body, Node)>> {
        let Rule::Spec { head, bodies, .. } = rule.node() else { return None };
        let (arguments, assign) = match head {
            RuleHead::Compr { refr, assign, .. } if matches!(refr.as_ref(), Expr::Var { .. }) => (Vec::new(), assign),
            RuleHead::Func { args, assign, .. } => {
                (args.iter().map(|arg| variable(arg)).collect::<Option<_>>()?, assign)
            }
            _ => return None,
        };
        let begin = || {
            let mut scope = scope(file, rule);
            scope.slots.extend(arguments.iter().map(|name| (*name).to_owned()));
            scope
        };
        if bodies.is_empty() {
            let mut scope = begin();
            let value = self.value(assign.as_ref(), &mut scope)?;
            return Some(vec![(
                Body { steps: Vec::new(), slots: scope.slots.len(), arguments: arguments.len() },
                value,
            )]);
        }
        let mut read = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            if body.is_else != (n > 0) || (n == 0 && body.assign.is_some()) {
                return None;
            }
            let mut scope = begin();
            let mut steps = self.body(&body.query, &mut scope);
            let value = self.value(if n == 0 { assign.as_ref() } else { body.assign.as_ref() }, &mut scope)?;
            // a loop could give a value each turn
            let loops = steps.steps.iter().any(|step| matches!(step, Step::Some(..)));
            if loops && !matches!(value, Node::Constant(_)) {
                return None;
            }
            steps.arguments = arguments.len();
            read.push((steps, value));
        }
        Some(read)
    }

    fn value(&mut self, assign: Option<&RuleAssign>, scope: &mut Scope<'_>) -> Option<Node> {
        match assign {
            None => Some(Node::Constant(Value::Bool(true))),
            Some(assign) => match self.node(&assign.value, scope) {
                Node::Unknown => None,
                node => Some(node),
            },
        }
    }

    fn body(&mut self, query: &Query, scope: &mut Scope<'_>) -> Body {
        let steps = query.stmts.iter().map(|statement| self.step(statement, scope)).collect();
        Body { steps, slots: scope.slots.len(), arguments: 0 }
    }

    fn step(&mut self, statement: &LiteralStmt, scope: &mut Scope<'_>) -> Step {
        if !statement.with_mods.is_empty() {
            return Step::Unknown;
        }
        match &statement.literal {
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                    let value = self.node(rhs, scope);
                    variable(lhs).map_or(Step::Unknown, |name| Step::Assign(scope.slot(name), value))
                }
                expr => Step::Holds(self.condition(expr, scope)),
            },
            Literal::NotExpr { expr, .. } => Step::Not(self.condition(expr, scope)),
            Literal::SomeIn { key: None, value, collection, .. } => {
                let collection = self.node(collection, scope);
                variable(value).map_or(Step::Unknown, |name| Step::Some(scope.slot(name), collection))
            }
            _ => Step::Unknown,
        }
    }

    /// An expression that is a statement.
    fn condition(&mut self, expr: &Expr, scope: &mut Scope<'_>) -> Node {
        let Expr::Membership { key: None, value, collection, .. } = expr else { return self.node(expr, scope) };
        let (value, collection) = (Box::new(self.node(value, scope)), self.node(collection, scope));
        let texts = match &collection {
            Node::Constant(Value::Set(items)) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            Node::Constant(Value::Array(items)) => items.iter().map(text).collect(),
            _ => None,
        };
        match texts {
            Some(texts) => Node::OneOf(value, texts),
            None => Node::Member(value, Box::new(collection)),
        }
    }

    fn node(&mut self, expr: &Expr, scope: &mut Scope<'_>) -> Node {
        if let Some(value) = constant(expr) {
            return Node::Constant(value);
        }
        let mut pair =
            |reader: &mut Self, a: &Expr, b: &Expr| (Box::new(reader.node(a, scope)), Box::new(reader.node(b, scope)));
        match expr {
            Expr::Array { items, .. } => Node::List(items.iter().map(|item| self.node(item, scope)).collect()),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, scope),
            Expr::Call { .. } => match form(expr) {
                Form::Call(name, params) => {
                    self.call(&name, &params.iter().map(|param| param.as_ref()).collect::<Vec<_>>(), scope)
                }
                _ => Node::Unknown,
            },
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                let (a, b) = pair(self, lhs, rhs);
                let op = match op {
                    BoolOp::Lt => BoolOp::Lt,
                    BoolOp::Le => BoolOp::Le,
                    BoolOp::Eq => BoolOp::Eq,
                    BoolOp::Ge => BoolOp::Ge,
                    BoolOp::Gt => BoolOp::Gt,
                    BoolOp::Ne => BoolOp::Ne,
                };
                Node::Compare(op, a, b)
            }
            Expr::ArithExpr { op: ArithOp::Add, lhs, rhs, .. } => {
                let (a, b) = pair(self, lhs, rhs);
                Node::Sum(a, b)
            }
            Expr::ArithExpr { op: ArithOp::Sub, lhs, rhs, .. } => {
                let (a, b) = pair(self, lhs, rhs);
                Node::Difference(a, b)
            }
            _ => Node::Unknown,
        }
    }

    fn call(&mut self, name: &str, params: &[&Expr], scope: &mut Scope<'_>) -> Node {
        let first = name.split('.').next().unwrap_or(name);
        if scope.file.imports_name(first) || scope.declared.contains(first) {
            return Node::Unknown;
        }
        if let Some(known) = self.names.get(first) {
            return match known {
                Name::Function(at) if first == name => {
                    Node::User(*at, params.iter().map(|param| self.node(param, scope)).collect())
                }
                _ => Node::Unknown,
            };
        }
        let nodes: Vec<Node> = params.iter().map(|param| self.node(param, scope)).collect();
        match (name, <[Node; 3]>::try_from(nodes)) {
            ("regex.find_n", Ok([Node::Constant(Value::String(pattern)), text, Node::Constant(n)])) => {
                match (Pattern::of(&pattern), n.as_u32()) {
                    (Some(pattern), Ok(n)) => Node::Finds(Arc::new(pattern), Box::new(text), n as usize),
                    _ => Node::Unknown,
                }
            }
            (_, Ok(nodes)) => builtin(name, nodes.into()),
            ("contains", Err(nodes)) => match nodes.as_slice() {
                [Node::Message, Node::Constant(Value::String(text))] => {
                    Node::Has(self.parts.add(text), Box::new(Finder::new(text.as_bytes()).into_owned()))
                }
                _ => builtin(name, nodes),
            },
            ("regex.match", Err(mut nodes)) => match (nodes.pop(), nodes.pop(), nodes.is_empty()) {
                (Some(text), Some(Node::Constant(Value::String(pattern))), true) => match Pattern::of(&pattern) {
                    Some(pattern) => Node::Matches(Box::new(pattern), Box::new(text)),
                    None => Node::Unknown,
                },
                _ => Node::Unknown,
            },
            (_, Err(nodes)) => builtin(name, nodes),
        }
    }

    /// A path of `input` that is written out.
    fn input(&mut self, keys: &[String]) -> Node {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        match keys.as_slice() {
            ["message"] => Node::Message,
            ["host"] => Node::Host,
            ["time"] => Node::Time,
            ["source", "type"] => Node::Source("type"),
            ["source", "name"] => Node::Source("name"),
            ["source", "path"] => Node::Source("path"),
            ["labels", name] => Node::Label((*name).to_owned()),
            ["fields", path @ ..] => {
                let path: Vec<Value> = path.iter().map(|key| Value::from(*key)).collect();
                Node::Field(self.fields.iter().position(|known| *known == path).unwrap_or_else(|| {
                    self.fields.push(path);
                    self.fields.len() - 1
                }))
            }
            _ => Node::Unknown,
        }
    }

    /// A name, or a name with keys behind it.
    fn reference(&mut self, expr: &Expr, scope: &mut Scope<'_>) -> Node {
        if let Form::Path(path) = form(expr)
            && path[0] == "input"
            && !scope.declared.contains("input")
            && !scope.file.imports_name("input")
            && !self.names.contains_key("input")
        {
            return self.input(&path[1..]);
        }
        match expr {
            Expr::Var { value: Value::String(name), .. } => {
                let name = name.as_ref();
                if let Some(slot) = scope.slots.iter().rposition(|slot| slot == name) {
                    return Node::Variable(slot);
                }
                match self.names.get(name) {
                    Some(Name::Helper(at)) if !scope.declared.contains(name) && !scope.file.imports_name(name) => {
                        self.constants.get(name).map_or(Node::Helper(*at), |value| Node::Constant(value.clone()))
                    }
                    _ => Node::Unknown,
                }
            }
            Expr::RefDot { refr, field, .. } => {
                let (of, key) = (self.node(refr, scope), field.0.text().to_owned());
                Node::At(Box::new(of), Box::new(Node::Constant(key.into())))
            }
            Expr::RefBrack { refr, index, .. } => {
                let (of, key) = (self.node(refr, scope), self.node(index, scope));
                Node::At(Box::new(of), Box::new(key))
            }
            _ => Node::Unknown,
        }
    }
}

/// The value of a rule `name := …` that holds always.
fn written_out(rule: &RuleSyntax) -> Option<Value> {
    match rule.node() {
        Rule::Spec { head: RuleHead::Compr { refr, assign: Some(assign), .. }, bodies, .. }
            if bodies.is_empty() && matches!(refr.as_ref(), Expr::Var { .. }) =>
        {
            constant(&assign.value)
        }
        _ => None,
    }
}

fn scope<'a>(file: &'a Syntax, rule: &'a RuleSyntax) -> Scope<'a> {
    Scope { file, declared: rule.declared().into_iter().map(|(name, _)| name).collect(), slots: Vec::new() }
}

fn builtin(name: &str, nodes: Vec<Node>) -> Node {
    match Function::of(name, nodes.len()) {
        Some(function) if !nodes.iter().any(|node| matches!(node, Node::Unknown)) => Node::Call(function, nodes),
        _ => Node::Unknown,
    }
}

/// An expression that is written out.
fn constant(expr: &Expr) -> Option<Value> {
    let all = |items: &[Ref<Expr>]| items.iter().map(|item| constant(item)).collect::<Option<Vec<_>>>();
    Some(match expr {
        Expr::String { value, .. } | Expr::RawString { value, .. } | Expr::Number { value, .. } => value.clone(),
        Expr::Bool { value, .. } | Expr::Null { value, .. } => value.clone(),
        Expr::Array { items, .. } => all(items)?.into(),
        Expr::Set { items, .. } => all(items)?.into_iter().collect::<BTreeSet<_>>().into(),
        Expr::Object { fields, .. } => {
            let pairs = fields.iter().map(|(_, key, value)| Some((constant(key)?, constant(value)?)));
            let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
            let object: BTreeMap<_, _> = pairs.iter().cloned().collect();
            // the same key twice is for the engine to judge
            (object.len() == pairs.len()).then(|| object.into())?
        }
        Expr::UnaryExpr { expr, .. } => match expr.as_ref() {
            Expr::Number { value, .. } => Value::from(value.as_i64().ok().filter(|number| *number > 0)?.checked_neg()?),
            _ => return None,
        },
        _ => return None,
    })
}

fn variable(pattern: &Expr) -> Option<&str> {
    match pattern {
        Expr::Var { span, .. } => Some(span.text()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.as_ref().to_owned()),
        _ => None,
    }
}
