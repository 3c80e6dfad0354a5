//! Makes `x := value` fail where the value is undefined.
//!
//! So it is in Rego and in regorus' interpreter, but regorus 0.14's RVM goes on with an undefined `x`, and a rule that only
//! assigns, or negates what it assigned, gives a verdict that it must not. Of `x = value` the RVM asks that it is defined, and where
//! nothing else has the name `x` both mean the same. So programs are compiled from a text in which such a `:=` is a `=`
//! with a space before it: every place of the text stays what it was. `tests/engines_agree` has the cases.

use regorus::unstable::{AssignOp, Expr};

use super::syntax::Syntax;

/// The text of a file for the RVM's compiler; `all` are the files of the set.
pub(super) fn strict(text: &str, syntax: &Syntax, all: &[&Syntax]) -> String {
    let mut text = text.to_owned();
    for rule in &syntax.rules {
        let declared = rule.declared();
        let is_only = |name: &str| declared.iter().filter(|(declared, _)| *declared == name).count() == 1;
        let is_own = |name: &str| all.iter().any(|file| file.has_rule(name) || file.imports_name(name));
        rule.each_expr(&mut |expr| {
            let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr else { return };
            let Expr::Var { span, .. } = lhs.as_ref() else { return };
            let name = span.text();
            if name == "_" || name == "input" || name == "data" || !is_only(name) || is_own(name) {
                return;
            }
            let after = span.end as usize;
            if let Some(rest) = text.get(after..)
                && rest.trim_start().starts_with(":=")
            {
                let at = after + rest.len() - rest.trim_start().len();
                text.replace_range(at..at + 2, " =");
            }
        });
    }
    text
}
