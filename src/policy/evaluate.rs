//! Runs the policies of a set on lines. Whatever a policy does, the line gets its other verdicts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regorus::Value;
use regorus::rvm::vm::{RegoVM, VmError};
use regorus::utils::limits::ExecutionTimerConfig;

use super::compile::{Inner, Package};
use super::direct::{Answer, Direct, Facts, FieldsOf};
use super::fields::{self, Wanted};
use super::format::Kind;
use super::format::syslog::{self, Syslog};
use super::gate::{Probe, Seen};
use super::input::{Fields, InputBuilder, JOURNALD};
use super::verdict::{self, undecided};
use super::{LineContext, PolicySet, controls, redact};
use crate::record::{Hide, Redaction, Verdict, Verdicts};

/// Stands behind the bound of instructions: single instructions (a regular expression on a long line) can be slow.
const TIME_MAX: Duration = Duration::from_millis(500);
/// Bound of the sets of verdicts that are kept as they are rendered.
const RENDERED_MAX: usize = 1024;
/// How many instructions pass between looks at the clock.
const CLOCK_INTERVAL: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// Evaluates lines. Each thread has its own.
pub struct Evaluator {
    set: PolicySet,
    /// One machine a package, in the order of the set's packages.
    machines: Vec<RegoVM>,
    input: InputBuilder,
    seen: Seen,
    patterns: redact::Patterns,
    rendered: Rendered,
}

/// Verdicts as lines carry them, by the rules that gave them: what a rule writes out does not depend on the line.
#[derive(Default)]
struct Rendered(HashMap<Vec<(usize, usize)>, Saying>);

#[derive(Clone, Default)]
struct Saying {
    verdicts: Verdicts,
    has_hex: bool,
}

impl Rendered {
    fn of(&mut self, set: &Inner, rules: &[(usize, usize)]) -> Saying {
        if rules.is_empty() {
            return Saying::default();
        }
        if let Some(known) = self.0.get(rules) {
            return known.clone();
        }
        let verdicts = verdict::render(rules.iter().filter_map(|rule| set.written(*rule)).cloned().collect());
        let saying = Saying { has_hex: redact::has_hex(&verdicts.json), verdicts };
        if self.0.len() == RENDERED_MAX {
            self.0.clear();
        }
        self.0.insert(rules.to_owned(), saying.clone());
        saying
    }
}

/// What was found on a line.
#[derive(Default)]
struct Found {
    /// Rules whose verdicts are written out: their package, and their place in it.
    written: Vec<(usize, usize)>,
    /// What some of these hide; a rule stands here once for each of its verdicts.
    hides: Vec<((usize, usize), Vec<Hide>)>,
    others: Vec<Verdict>,
}

impl Found {
    fn add(&mut self, rule: (usize, usize), hides: Vec<Hide>) {
        if self.written.last() != Some(&rule) {
            self.written.push(rule);
        }
        let is_known = |(known, hidden): &(_, Vec<Hide>)| *known == rule && *hidden == hides;
        if !hides.is_empty() && !self.hides.iter().any(is_known) {
            self.hides.push((rule, hides));
        }
    }

    fn all(self, set: &Inner) -> Vec<Verdict> {
        let Found { written, hides, mut others } = self;
        let hiding: Vec<(usize, usize)> = hides.iter().map(|(rule, _)| *rule).collect();
        let plain = written.into_iter().filter(|rule| !hiding.contains(rule));
        others.extend(plain.filter_map(|rule| set.written(rule)).cloned());
        let with = |(rule, redact)| Some(Verdict { redact, ..set.written(rule)?.clone() });
        others.extend(hides.into_iter().filter_map(with));
        others
    }

    /// The verdicts, if nothing of the line is in them and what they hide, if anything, is told at a glance.
    fn at_a_glance(&self, set: &Inner, rendered: &mut Rendered, line: &str) -> Option<Verdicts> {
        if !self.others.is_empty() {
            return None;
        }
        let Saying { verdicts, has_hex } = rendered.of(set, &self.written);
        if self.hides.is_empty() {
            return Some(verdicts);
        }
        if has_hex {
            return None;
        }
        let texts: Option<Vec<&str>> = self.hides.iter().flat_map(|(_, hides)| hides).map(as_text).collect();
        let redaction = redact::plain(line, texts?.into_iter(), &verdicts.json)?;
        Some(Verdicts { redaction: Some(redaction), ..verdicts })
    }

    fn asks_nothing(&self) -> bool {
        self.hides.is_empty() && self.others.iter().all(|verdict| verdict.redact.is_empty())
    }
}

fn as_text(hide: &Hide) -> Option<&str> {
    match hide {
        Hide::Text(text) => Some(text),
        _ => None,
    }
}

impl Evaluator {
    /// An evaluator for the policies of a set.
    pub fn new(set: &PolicySet) -> Self {
        let with_labels = set.inner.packages.iter().any(|package| package.reads_labels);
        let machines = set.inner.packages.iter().map(|package| machine(&set.inner, package)).collect();
        Self {
            set: set.clone(),
            machines,
            input: InputBuilder::new(with_labels),
            seen: Seen::default(),
            patterns: redact::Patterns::default(),
            rendered: Rendered::default(),
        }
    }

    /// Whether there are no policies, so that no line needs to be prepared for them.
    pub fn is_idle(&self) -> bool {
        self.set.inner.packages.is_empty()
    }

    /// The document that policies see of a line, as far as they look at it, as JSON.
    pub fn document(&mut self, line: &LineContext<'_>) -> String {
        let message = text(line.message);
        let mut document = Document { line, message: &message, wanted: &fields::ALL, fields: None, value: None };
        document.fields(&mut self.input);
        document.value(&mut self.input).to_string()
    }

    /// What the policies say of a line. Nothing, at next to no cost, if there are none.
    pub fn verdicts(&mut self, line: &LineContext<'_>) -> Verdicts {
        let set = self.set.inner.clone();
        if set.packages.is_empty() {
            return Verdicts::default();
        }
        if line.source.kind == JOURNALD {
            return self.of_journal(&set, line);
        }
        let message = text(line.message);
        let probe = Probe::of(line, &message, &set.parts, &mut self.seen);
        let due = set.due(&probe);
        let wanted = set.wanted(&due);
        let mut found = Found::default();
        let mut document = Document { line, message: &message, wanted, fields: None, value: None };
        let syslog = due.iter().any(|at| set.packages[*at].wanted.is_some()).then(|| plain_syslog(&probe, &message));
        let syslog = syslog.flatten();
        for at in due {
            let package = &set.packages[at];
            let is_plain = syslog.as_ref().filter(|_| !package.reads_whole_fields());
            if package.wanted.is_some()
                && is_plain.is_none()
                && let Fields::OverBounds(why) = document.fields(&mut self.input)
            {
                if package.gate.may_match(&probe) {
                    found.others.push(set.undecided(package, why));
                }
                continue;
            }
            let fields = is_plain.map_or_else(|| FieldsOf::of(document.fields.as_ref()), FieldsOf::Syslog);
            let facts = Facts { message: &message, fields, probe: &probe, line };
            if !answer(&set, at, &facts, &mut found) && package.gate.may_match(&probe) {
                if package.wanted.is_some() {
                    document.fields(&mut self.input);
                }
                run(&set, package, &mut self.machines[at], document.value(&mut self.input), &mut found.others);
            }
        }
        if line.is_piece && set.withholds && set.packages.iter().any(|package| package.redacts) {
            found.others.push(Verdict { redact: vec![Hide::Message], ..verdict::on_piece() });
        }
        if let Cow::Borrowed(whole) = message
            && line.earlier.is_empty()
            && let Some(verdicts) = found.at_a_glance(&set, &mut self.rendered, whole)
        {
            return verdicts;
        }
        if found.asks_nothing() {
            return verdict::render(found.all(&set));
        }
        // what is to be hidden may stand in fields that no rule reads
        let (text, fields) = ([line.earlier, line.message].concat(), self.input.fields(line, &message, &fields::ALL));
        let line = redact::Line { text: &text, message: &message, fields: &fields, set: &self.set };
        redact::render(found.all(&set), &line, &mut self.patterns)
    }

    /// Takes what was hidden in another line out of verdicts that may quote it.
    pub fn clean(&self, verdicts: &mut Verdicts, redaction: &Redaction) {
        if !verdicts.json.is_empty() {
            verdicts.json = redact::clean(&verdicts.json, redaction, &self.set);
        }
    }

    /// Whether lines are hidden of which not all is known.
    pub fn withholds(&self) -> bool {
        self.set.inner.withholds && self.may_redact()
    }

    /// Whether verdicts may hide something, so that what belongs together has to be seen together first.
    pub fn may_redact(&self) -> bool {
        self.set.inner.packages.iter().any(|package| package.redacts)
    }
}

impl Evaluator {
    /// What they say of a journal's entry: its message is one of its fields.
    fn of_journal(&mut self, set: &Inner, line: &LineContext<'_>) -> Verdicts {
        let entry = text(line.message);
        let mut fields = self.input.fields(line, &entry, &set.wanted);
        let message = fields.journal_message();
        let probe = Probe::of_both(line, &message, &entry, &set.parts, &mut self.seen);
        let due = set.due(&probe);
        if !std::ptr::eq(set.wanted(&due), &set.wanted) {
            fields = self.input.fields(line, &entry, set.wanted(&due));
        }
        let (mut found, mut document) = (Found::default(), None);
        let facts = Facts { message: &message, fields: FieldsOf::of(Some(&fields)), probe: &probe, line };
        for at in due {
            let package = &set.packages[at];
            if !matches!(fields, Fields::OverBounds(_)) && answer(set, at, &facts, &mut found) {
                continue;
            }
            if !package.gate.may_match(&probe) {
                continue;
            }
            match &fields {
                Fields::OverBounds(why) => found.others.push(set.undecided(package, why)),
                _ => {
                    let document = document.get_or_insert_with(|| self.input.document(line, &message, &fields));
                    run(set, package, &mut self.machines[at], document.clone(), &mut found.others);
                }
            }
        }
        if found.asks_nothing() {
            return match found.others.is_empty() {
                true => self.rendered.of(set, &found.written).verdicts,
                false => verdict::render(found.all(set)),
            };
        }
        let all = self.input.fields(line, &entry, &fields::ALL);
        let line = redact::Line { text: line.message, message: &message, fields: &all, set: &self.set };
        redact::render(found.all(set), &line, &mut self.patterns)
    }
}

impl Inner {
    /// The verdict of a rule that is written out.
    fn written(&self, (package, rule): (usize, usize)) -> Option<&Verdict> {
        self.packages.get(package)?.direct.as_ref()?.verdict(rule)
    }

    /// The packages that have to be looked at on a line.
    fn due(&self, probe: &Probe<'_>) -> Vec<usize> {
        let due = |(at, package): (usize, &Package)| package.gate.is_due(probe).then_some(at);
        self.packages.iter().enumerate().filter_map(due).collect()
    }

    /// The fields that these packages can read: those that any package names, or all.
    fn wanted(&self, due: &[usize]) -> &Wanted {
        match due.iter().any(|at| self.packages[*at].wanted.as_ref().is_some_and(Wanted::is_all)) {
            true => &fields::ALL,
            false => &self.wanted,
        }
    }
}

impl Inner {
    /// The verdict on a package that could not decide; it hides the line where the configuration asks for that.
    fn undecided(&self, package: &Package, why: &str) -> Verdict {
        let hide = (self.withholds && package.redacts).then_some(Hide::Message);
        Verdict { redact: hide.into_iter().collect(), ..undecided(&package.name, why) }
    }
}

impl PolicySet {
    /// Whether an id stands in a policy, and so tells nothing of the line.
    pub(super) fn is_written(&self, id: &str) -> bool {
        self.inner.packages.iter().any(|package| package.is_written(id))
    }

    /// Whether a control of a verdict with this id stands in a policy, in METADATA, among the set's own, or in the catalogue.
    pub(super) fn is_written_control(&self, id: &str, control: &str) -> bool {
        let stands_in = |controls: &[String]| controls.iter().any(|written| written == control);
        controls::all().iter().any(|known| known.id == control)
            || self.inner.packages.iter().any(|package| stands_in(&package.metadata(id).controls))
            || self.rules().any(|rule| stands_in(&rule.controls) || stands_in(&rule.metadata.controls))
            || self.inner.data["own_controls"][control] != Value::Undefined
    }
}

/// The line as text. `from_utf8_lossy` alone decodes every character; most lines are UTF-8, which is checked many bytes at a time.
fn text(message: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(message).map_or_else(|_| String::from_utf8_lossy(message), Cow::Borrowed)
}

/// The input document of one line, made when the first package needs it.
struct Document<'a> {
    line: &'a LineContext<'a>,
    message: &'a str,
    wanted: &'a Wanted,
    fields: Option<Fields>,
    value: Option<Value>,
}

impl Document<'_> {
    fn fields(&mut self, input: &mut InputBuilder) -> &Fields {
        if self.fields.is_none() {
            self.value = None;
        }
        self.fields.get_or_insert_with(|| input.fields(self.line, self.message, self.wanted))
    }

    fn value(&mut self, input: &mut InputBuilder) -> Value {
        let fields = self.fields.as_ref().unwrap_or(&Fields::Absent);
        self.value.get_or_insert_with(|| input.document(self.line, self.message, fields)).clone()
    }
}

/// Adds what a package says of a line, if that is known without the engine.
fn answer(set: &Inner, package: usize, facts: &Facts<'_>, found: &mut Found) -> bool {
    let Some(direct) = &set.packages[package].direct else { return false };
    let before = (found.written.len(), found.hides.len());
    let answer = direct.answer(facts, &set.packages[package].gate, set.max_instructions, |rule, hides| {
        found.add((package, rule), hides)
    });
    if answer == Answer::Unknown {
        found.written.truncate(before.0);
        found.hides.truncate(before.1);
    }
    answer == Answer::Known
}

impl<'a> FieldsOf<'a> {
    fn of(fields: Option<&'a Fields>) -> Self {
        match fields {
            Some(Fields::Object(fields)) => Self::Object(fields),
            _ => Self::None,
        }
    }
}

impl Package {
    fn reads_whole_fields(&self) -> bool {
        self.direct.as_ref().is_none_or(Direct::reads_whole_fields)
    }
}

/// The line, if it is syslog whose fields are texts that stand in it; such a line is within all bounds.
fn plain_syslog<'a>(probe: &Probe<'_>, message: &'a str) -> Option<Syslog<'a>> {
    let line = (probe.kind() == Kind::Syslog).then(|| syslog::parse(message)).flatten()?;
    let msg = line.msg.strip_prefix("@cee:").unwrap_or(line.msg);
    let may_be_json = msg.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
    (line.structured_data.is_empty() && !may_be_json).then_some(line)
}

fn machine(set: &Inner, package: &Package) -> RegoVM {
    let mut machine = RegoVM::new();
    machine.load_program(package.program.clone());
    machine.set_max_instructions(set.max_instructions);
    machine.set_execution_timer_config(Some(ExecutionTimerConfig { limit: TIME_MAX, check_interval: CLOCK_INTERVAL }));
    // the only fault this finds, rules and data at one path, was looked for when the set was compiled
    let _ = machine.set_data(set.data.clone());
    machine
}

fn run(set: &Inner, package: &Package, machine: &mut RegoVM, input: Value, found: &mut Vec<Verdict>) {
    machine.set_input(input);
    let result = catch_unwind(AssertUnwindSafe(|| machine.execute_entry_point_by_index(0)));
    let mut hides = false;
    let failed = match result {
        Ok(Ok(Value::Set(members))) => members
            .iter_sorted()
            .filter_map(|member| match verdict::read(member, |id| package.metadata(id)) {
                Ok(verdict) => {
                    found.push(verdict);
                    None
                }
                Err(what) => {
                    hides |= verdict::hides(member);
                    Some(Cow::Borrowed(what))
                }
            })
            .last(),
        Ok(Ok(_)) => Some(Cow::Borrowed("`verdicts` is not a set")),
        Ok(Err(error)) => Some(reason(&error)),
        Err(_) => {
            // what a panic left half done is not used again
            *machine = self::machine(set, package);
            Some(Cow::Borrowed("the engine failed"))
        }
    };
    found.extend(failed.map(|reason| {
        let mut undecided = set.undecided(package, &reason);
        if hides {
            // what it would have hidden is not known
            undecided.redact = vec![Hide::Message];
        }
        undecided
    }));
}

/// Why a package could not decide. The engine's own message may quote the line, so it is not used.
fn reason(error: &VmError) -> Cow<'static, str> {
    match error {
        VmError::InstructionLimitExceeded { limit, .. } => format!("more than {limit} instructions").into(),
        VmError::TimeLimitExceeded { .. } => format!("longer than {} ms", TIME_MAX.as_millis()).into(),
        VmError::RegexSizeLimitExceeded { .. } => "a regular expression is too large".into(),
        VmError::NumericOverflow { .. } => "a number is too large".into(),
        _ => "the evaluation failed".into(),
    }
}
