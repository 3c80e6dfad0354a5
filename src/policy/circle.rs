//! Finds rules that refer to themselves, directly or through others.
//!
//! Rego forbids it. The RVM's compiler does not look, and at run time such rules overflow the stack, which ends the
//! process: no limit and no guard of the evaluation stands in the way. So this must not miss one. It may find a circle
//! where there is none: a variable with the name of a rule counts as that rule, and a reference to a package, or with
//! an index that is not written out, as all that is below.

use std::collections::BTreeMap;

use super::Fault;
use super::syntax::{Form, RuleSyntax, Syntax, form};

/// A rule's path: package and name.
type Path = Vec<String>;

/// Finds all circles of a set; each is a fault at one of its rules.
pub(super) fn check(files: &[(&str, &Syntax)], faults: &mut Vec<Fault>) {
    let mut graph: BTreeMap<Path, Node<'_>> = BTreeMap::new();
    for (file, syntax) in files {
        for rule in &syntax.rules {
            let node = graph.entry(path_of(syntax, rule)).or_insert_with(|| Node { file, rule, uses: Vec::new() });
            node.uses.extend(uses(syntax, rule));
        }
    }
    let mut done: BTreeMap<&Path, bool> = BTreeMap::new();
    for start in graph.keys() {
        // depth first, without recursion of our own: (rule, the next of its uses)
        let mut way: Vec<(&Path, Vec<&Path>)> = Vec::new();
        let enter = |path| (path, targets(&graph, path));
        if done.insert(start, false).is_none() {
            way.push(enter(start));
        }
        while let Some((at, next)) = way.last_mut() {
            let Some(target) = next.pop() else {
                done.insert(at, true);
                way.pop();
                continue;
            };
            match done.get(target) {
                Some(true) => {}
                Some(false) => {
                    faults.push(fault(&graph, &way, target));
                    done.insert(target, true); // told once
                }
                None => {
                    done.insert(target, false);
                    way.push(enter(target));
                }
            }
        }
    }
}

struct Node<'a> {
    file: &'a str,
    rule: &'a RuleSyntax,
    uses: Vec<Path>,
}

fn path_of(syntax: &Syntax, rule: &RuleSyntax) -> Path {
    syntax.package.iter().chain([&rule.name]).cloned().collect()
}

/// What a rule refers to, as paths below `data`.
fn uses(syntax: &Syntax, rule: &RuleSyntax) -> Vec<Path> {
    let mut uses = Vec::new();
    rule.each_expr(&mut |expr| {
        let Form::Path(path) = form(expr) else { return };
        let (root, rest) = (&path[0], &path[1..]);
        if root == "data" {
            uses.push(rest.to_vec());
        } else if let Some((_, imported)) = syntax.imports.iter().find(|(name, _)| name == root) {
            uses.push(imported[1..].iter().chain(rest).cloned().collect());
        } else {
            uses.push(syntax.package.iter().chain([root]).cloned().collect());
        }
    });
    uses
}

fn targets<'g>(graph: &'g BTreeMap<Path, Node<'_>>, path: &Path) -> Vec<&'g Path> {
    let Some(node) = graph.get(path) else { return Vec::new() };
    let used = |rule: &&Path| node.uses.iter().any(|used| rule.starts_with(used) || used.starts_with(rule));
    graph.keys().filter(used).collect()
}

fn fault(graph: &BTreeMap<Path, Node<'_>>, way: &[(&Path, Vec<&Path>)], target: &Path) -> Fault {
    let names = way.iter().map(|(path, _)| *path).skip_while(|path| *path != target).chain([target]);
    let circle: Vec<String> = names.map(|path| path.join(".")).collect();
    let what = format!(
        "rules may not refer to themselves: {} (a variable with the name of a rule counts; rename it)",
        circle.join(" -> ")
    );
    match graph.get(target) {
        Some(node) => Fault::at(node.file, node.rule.place, what),
        None => Fault::of("", what),
    }
}
