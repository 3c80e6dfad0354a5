//! What may take the place of the running policies: read once, so that what was tested is what runs.

use super::bundle::{Downloaded, Downloads};
use super::load::{Sources, Tests};
use super::{Config, Fault, PolicySet, testing};

/// Policies as they were read, tests among them.
pub struct Candidate {
    sources: Sources,
    config: Config,
    faults: Vec<Fault>,
    /// Something is configured, so that there must be a policy.
    is_wanted: bool,
}

impl Candidate {
    /// Reads what is configured, and `downloaded`, the bundle that came from the configured server.
    pub fn read(config: &Config, downloaded: Option<&Downloaded>) -> Self {
        let mut faults = Vec::new();
        let packed = downloaded.map(|downloaded| downloaded.bytes.as_slice());
        let sources = Sources::configured(config, packed, Tests::Included, &mut faults);
        let is_wanted = !config.paths.is_empty() || packed.is_some();
        Self { sources, config: config.clone(), faults, is_wanted }
    }

    /// The revisions of the bundles among them, as their manifests say.
    pub fn revisions(&self) -> String {
        self.sources.revisions().join(", ")
    }

    /// Compiles them, without their tests. Without a single policy they are refused: an empty bundle must not silence those
    /// before.
    pub fn compile(&self) -> Result<PolicySet, Vec<Fault>> {
        let sources = self.sources.without_tests();
        let mut faults = self.faults.clone();
        if self.is_wanted && faults.is_empty() && sources.modules.is_empty() {
            let what = "hold no policy, no .rego file besides tests; to have no verdicts take paths and bundle out";
            faults.push(Fault::of("[policy] paths and bundle", what));
        }
        PolicySet::of(&sources, &self.config, faults)
    }

    /// Compiles them and runs their tests; a test that fails is a fault.
    pub fn compile_tested(&self) -> Result<PolicySet, Vec<Fault>> {
        let set = self.compile()?;
        let report = testing::test_bounded(&self.sources)?;
        match report.failures.is_empty() {
            true => Ok(set),
            false => Err(report
                .failures
                .iter()
                .map(|failure| {
                    Fault::at(&failure.file, (failure.line, 1), format!("{} is {}", failure.name, failure.why))
                })
                .collect()),
        }
    }
}

impl PolicySet {
    /// The policies to begin with: those under the paths, and the bundle that was kept. Where none was kept, or it is not
    /// good any more (its key is another now), the server is asked; what comes is tested and kept.
    pub async fn first(config: &Config) -> Result<First, Vec<Fault>> {
        let Some(remote) = &config.bundle else {
            return Ok(First { set: Candidate::read(config, None).compile()?, bundle: None });
        };
        let wrong = |why: String| vec![Fault::of("[policy] bundle", why)];
        let mut downloads = Downloads::new(remote);
        let kept = downloads.kept().map_err(wrong)?;
        let kept = kept.map(|kept| (Candidate::read(config, Some(&kept)).compile(), kept));
        let mut faults = match kept {
            Some((Ok(set), kept)) => return Ok(First { set, bundle: Some((downloads, kept)) }),
            Some((Err(faults), _)) => faults,
            None => Vec::new(),
        };
        let fetched = match downloads.fetch(true).await {
            Ok(Some(fetched)) => fetched,
            none => {
                let why = none.err().unwrap_or_else(|| "the server sent none".to_owned());
                let what = "no good bundle was kept here, and lines are not chained without its policies";
                faults.extend(wrong(format!("{why}; {what}")));
                return Err(faults);
            }
        };
        let set = Candidate::read(config, Some(&fetched)).compile_tested()?;
        downloads.keep(&fetched).map_err(wrong)?;
        Ok(First { set, bundle: Some((downloads, fetched)) })
    }
}

/// What an agent begins with.
pub struct First {
    /// The policies.
    pub set: PolicySet,
    /// The bundle among them that came from a server, with what asks for the next one.
    pub bundle: Option<(Downloads, Downloaded)>,
}
