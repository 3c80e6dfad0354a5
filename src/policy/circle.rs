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

/// How deep rules may use rules: each level takes stack, and threads have little.
const DEPTH_MAX: usize = 64;

/// Finds circles and chains that are too long; each is a fault at one of its rules.
pub(super) fn check(files: &[(&str, &Syntax)], faults: &mut Vec<Fault>) {
    let mut graph = Graph::new();
    for (file, syntax) in files {
        for rule in &syntax.rules {
            let node = graph.entry(path_of(syntax, rule)).or_insert_with(|| Node { file, rule, uses: Vec::new() });
            node.uses.extend(uses(syntax, rule));
        }
    }
    let mut depths = BTreeMap::new();
    for start in graph.keys() {
        if !depths.contains_key(start) {
            search(&graph, start, &mut depths, faults);
        }
    }
}

/// What is known of a rule: `None` while its uses are looked at, then how deep they go.
type Depths<'g> = BTreeMap<&'g Path, Option<usize>>;

/// Depth first, on a stack of our own: a rule, and which of its uses are still to be looked at.
fn search<'g>(graph: &'g Graph<'_>, start: &'g Path, depths: &mut Depths<'g>, faults: &mut Vec<Fault>) {
    depths.insert(start, None);
    let mut way = vec![(start, targets(graph, start))];
    while let Some((at, next)) = way.last_mut() {
        let at = *at;
        if let Some(target) = next.pop() {
            match depths.get(target) {
                None => {
                    depths.insert(target, None);
                    way.push((target, targets(graph, target)));
                }
                Some(None) => {
                    faults.push(circle(graph, &way, target));
                    depths.insert(target, Some(0)); // told once
                }
                Some(Some(_)) => {}
            }
            continue;
        }
        way.pop();
        let below = targets(graph, at).into_iter().filter_map(|target| *depths.get(target)?).max();
        let depth = below.map_or(0, |depth| depth + 1);
        if depth == DEPTH_MAX {
            let what = format!("rules use rules more than {DEPTH_MAX} deep; write some of them into one");
            faults.extend(graph.get(at).map(|node| Fault::at(node.file, node.rule.place, what)));
        }
        depths.insert(at, Some(depth));
    }
}

type Graph<'a> = BTreeMap<Path, Node<'a>>;

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

/// The rules that are used: what stands below a used path, or on the way to it.
fn targets<'g>(graph: &'g Graph<'_>, path: &Path) -> Vec<&'g Path> {
    let mut found = Vec::new();
    for used in graph.get(path).map(|node| node.uses.as_slice()).unwrap_or_default() {
        let below = graph.range::<Path, _>(used..).map(|(rule, _)| rule);
        found.extend(below.take_while(|rule| rule.starts_with(used)));
        let above = (1..used.len()).filter_map(|end| graph.get_key_value(&used[..end]));
        found.extend(above.map(|(rule, _)| rule));
    }
    found
}

fn circle(graph: &Graph<'_>, way: &[(&Path, Vec<&Path>)], target: &Path) -> Fault {
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
