//! Include and exclude globs, and which folders can hold a match.

use crate::source::{Error, FileConfig};
use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The patterns of one source.
#[derive(Debug)]
pub(super) struct Patterns {
    include: GlobSet,
    exclude: GlobSet,
    routes: Vec<Route>,
}

/// The way from the root to an include pattern's matches.
#[derive(Debug)]
pub(super) struct Route {
    /// The folder where literal names end; walking begins here.
    pub(super) base: PathBuf,
    /// What the names below `base` have to match, one after the other.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// `**`: any number of folders.
    Deep,
    Name(Box<GlobMatcher>),
}

/// Steps of a route that the names of a folder's entries may match.
pub(super) type Place = Vec<usize>;

impl Patterns {
    pub(super) fn new(config: &FileConfig) -> Result<Patterns, Error> {
        let routes =
            config.include.iter().map(|pattern| Route::new(&config.name, pattern)).collect::<Result<_, _>>()?;
        let set = |patterns| set(&config.name, patterns);
        Ok(Patterns { include: set(&config.include)?, exclude: set(&config.exclude)?, routes })
    }

    /// Whether a file of this path is to be followed.
    pub(super) fn matches(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }

    /// The matching path that `path` is, or is a rotation of.
    pub(super) fn base(&self, path: &Path) -> Option<PathBuf> {
        if self.matches(path) {
            return Some(path.to_owned());
        }
        originals(path).find(|base| self.matches(base))
    }

    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.exclude.is_match(path)
    }

    pub(super) fn routes(&self) -> &[Route] {
        &self.routes
    }
}

impl Route {
    fn new(source: &str, pattern: &str) -> Result<Route, Error> {
        let Some(names) = pattern.strip_prefix('/') else {
            return Err(Error::Relative { name: source.into(), pattern: pattern.into() });
        };
        let names: Vec<&str> = names.split('/').filter(|name| !name.is_empty()).collect();
        let is_literal = |name: &&&str| !name.contains(['*', '?', '[', '{', '\\']);
        let literal = names.iter().take_while(is_literal).count().min(names.len().saturating_sub(1));
        let base = Path::new("/").join(names[..literal].join("/"));
        let steps: Option<Vec<Step>> = names[literal..].iter().map(|name| Step::new(name)).collect();
        // a group that spans folders, `{a,b/c}`, can't be taken apart: then every folder below may hold a match
        Ok(Route { base, steps: steps.unwrap_or_else(|| vec![Step::Deep]) })
    }

    /// The place of the base folder.
    pub(super) fn start(&self) -> Place {
        self.closed(vec![0])
    }

    /// The place of the folder `name` in a folder at `place`, if anything below it can match.
    pub(super) fn enter(&self, place: &Place, name: &OsStr) -> Option<Place> {
        let next = place.iter().filter_map(|at| match self.steps.get(*at)? {
            Step::Deep => Some(*at),
            Step::Name(glob) => glob.is_match(Path::new(name)).then_some(at + 1),
        });
        let mut next: Place = next.filter(|at| *at < self.steps.len()).collect();
        next.dedup();
        (!next.is_empty()).then(|| self.closed(next))
    }

    /// `**` may stand for no folder at all.
    fn closed(&self, mut place: Place) -> Place {
        let mut at = 0;
        while at < place.len() {
            let next = place[at] + 1;
            if matches!(self.steps.get(place[at]), Some(Step::Deep)) && !place.contains(&next) {
                place.push(next);
            }
            at += 1;
        }
        place
    }
}

impl Step {
    fn new(name: &str) -> Option<Step> {
        if name == "**" {
            return Some(Step::Deep);
        }
        Some(Step::Name(Box::new(Glob::new(name).ok()?.compile_matcher())))
    }
}

fn set(source: &str, patterns: &[String]) -> Result<GlobSet, Error> {
    let wrong = |pattern: &str, reason: globset::Error| Error::Pattern {
        name: source.into(),
        pattern: pattern.into(),
        reason: reason.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(|reason| wrong(pattern, reason))?);
    }
    set.build().map_err(|reason| wrong(&patterns.join(", "), reason))
}

/// Names of compressed files: their bytes are no lines.
pub(super) fn compressed(path: &Path) -> bool {
    let ending = path.extension().map(OsStr::as_bytes);
    ending.is_some_and(|ending| [b"gz".as_slice(), b"zst", b"bz2", b"xz"].contains(&ending))
}

/// Whether `path` is a rotation of `base`: NAME.* or NAME-* in the same folder, not compressed.
pub(super) fn is_rotation(path: &Path, base: &Path) -> bool {
    is_copy(path, base) && !compressed(path)
}

/// The same, compressed or not.
pub(super) fn is_copy(path: &Path, base: &Path) -> bool {
    let (Some(name), Some(base_name)) = (path.file_name(), base.file_name()) else { return false };
    let suffix = name.as_bytes().strip_prefix(base_name.as_bytes());
    path.parent() == base.parent() && matches!(suffix, Some([b'.' | b'-', _, ..]))
}

/// The paths that `path` would be a copy of, the longest first.
pub(super) fn originals(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let ends = (1..name.len().saturating_sub(1)).rev().filter(|end| matches!(name[*end], b'.' | b'-'));
    ends.map(|end| path.with_file_name(OsStr::from_bytes(&name[..end])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(pattern: &str) -> Route {
        Route::new("test", pattern).unwrap()
    }

    #[test]
    fn walks_only_where_a_match_can_be() {
        let one = route("/var/log/app-*/*.log");
        assert_eq!(one.base, Path::new("/var/log"));
        assert!(one.enter(&one.start(), OsStr::new("nginx")).is_none());
        let app = one.enter(&one.start(), OsStr::new("app-1")).unwrap();
        assert!(one.enter(&app, OsStr::new("deeper")).is_none());
        let deep = route("/srv/**/log/*.json");
        let below = deep.enter(&deep.start(), OsStr::new("any")).unwrap();
        assert!(deep.enter(&below, OsStr::new("log")).is_some());
        assert_eq!(route("/var/log/syslog").base, Path::new("/var/log"));
        assert_eq!(route("/*.log").base, Path::new("/"));
    }

    #[test]
    fn a_group_across_folders_is_walked_as_a_whole() {
        let group = route("/srv/{a,b/c}/x.log");
        let b = group.enter(&group.start(), OsStr::new("b")).unwrap();
        assert!(group.enter(&b, OsStr::new("c")).is_some());
    }

    #[test]
    fn rotations_are_told_by_their_names() {
        let rotation = |name: &str| is_rotation(&Path::new("/l").join(name), Path::new("/l/a.log"));
        assert!(rotation("a.log.1") && rotation("a.log-20240101") && rotation("a.log.2024-01-01.old"));
        assert!(!rotation("a.log") && !rotation("a.log.1.gz") && !rotation("a.logs") && !rotation("b.log.1"));
        assert!(!rotation("a.log.") && !is_rotation(Path::new("/m/a.log.1"), Path::new("/l/a.log")));
    }
}
