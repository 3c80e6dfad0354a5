//! Compares what is there with what is followed.

use super::Files;
use super::discover::{Found, Walk};
use super::follow::Left;
use super::identity::Look;
use super::patterns::is_rotation;
use super::whereabouts::Whereabouts;
use crate::record::{FileId, Item, SourceEvent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a file that was replaced or deleted is kept after its last line: its writer may not know yet.
const GRACE: Duration = Duration::from_secs(5);

impl Files {
    /// Walks the folders, notes what grew, was renamed, deleted or is new, and queues what has something to read.
    pub(super) fn look_around(&mut self) {
        self.round += 1;
        self.listings.forget();
        self.moving.clear();
        let walk = Walk {
            patterns: &self.patterns,
            own: &self.own,
            watch: &mut self.watch,
            left_out: &mut self.left_out,
            unpack: self.config.compressed,
            round: self.round,
            found: BTreeMap::new(),
            folders: HashSet::new(),
        };
        let found = walk.all();
        self.at = found.iter().map(|found| (found.path.clone(), found.look.id)).collect();
        let found = self.one_name_each(found);
        if !self.known.is_empty() {
            self.resume(&found);
        }
        for found in &found {
            self.met(found);
        }
        let round = self.round;
        let missing: Vec<FileId> = self.table.values().filter(|file| file.met != round).map(|file| file.id).collect();
        for id in &missing {
            self.missed(*id);
        }
        self.succeed_all(found);
        let there: HashSet<FileId> = self.at.values().copied().collect();
        self.left_copies.retain(|id, _| there.contains(id));
        let left = missing.iter().filter_map(|id| self.table.get(id)).map(|file| (file.path.clone(), file.id));
        self.at.extend(left.collect::<Vec<_>>());
        // two rounds, as a file that can't be read is met in the turn after the look around
        self.left_out.forget_before(round.saturating_sub(1));
    }

    /// A file that has several matching names (hard links, symbolic links) is followed under one: that which it is
    /// followed under already, else the first that is no link.
    fn one_name_each(&self, found: Vec<Found>) -> Vec<Found> {
        let mut names: HashMap<FileId, Found> = HashMap::with_capacity(found.len());
        for found in found {
            let followed = self.table.get(&found.look.id).is_some_and(|followed| followed.path == found.path);
            if followed || !names.contains_key(&found.look.id) {
                names.insert(found.look.id, found);
            }
        }
        let mut found: Vec<Found> = names.into_values().collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// A followed file is there under a matching name.
    fn met(&mut self, found: &Found) {
        let Some(followed) = self.table.get_mut(&found.look.id) else { return };
        followed.met = self.round;
        followed.left = None;
        followed.nameless = false;
        followed.finishing = false;
        if followed.known_as != found.path {
            followed.known_as.clone_from(&found.path);
            let event = SourceEvent::Identified { cursor: followed.cursor() };
            self.batch.items.push(Item::Source(followed.key, event));
        }
        followed.path.clone_from(&found.path);
        followed.base.clone_from(&found.path);
        if followed.saw(found.look) {
            self.queue(found.look.id);
        }
    }

    /// A followed file is not there under a matching name any more: renamed, moved away or deleted.
    fn missed(&mut self, id: FileId) {
        let look = match self.look_for(id) {
            Whereabouts::Named(_, look) => look,
            Whereabouts::Nowhere => return self.gone(id),
            Whereabouts::Moving => {
                self.wanted = true;
                return;
            }
            Whereabouts::Hidden => return,
        };
        let Some(followed) = self.table.get_mut(&id) else { return };
        let first = followed.left.is_none();
        let replaced = look.unlinked || self.at.get(&followed.base).is_some_and(|now| *now != id);
        let left = followed.left.get_or_insert_with(Left::default);
        if replaced {
            left.since.get_or_insert_with(Instant::now);
        }
        let waited = left.since.is_some_and(|since| since.elapsed() >= GRACE) && followed.grown.elapsed() >= GRACE;
        let unread = followed.saw(look);
        if waited && !unread && !followed.queued {
            followed.finishing = true;
        }
        if first || unread || followed.finishing {
            self.queue(id);
        }
    }

    /// Looks at a file that left its path, and notes the name it has now. An open file is there without a name.
    fn look_for(&mut self, id: FileId) -> Whereabouts {
        let Some(followed) = self.table.get_mut(&id) else { return Whereabouts::Hidden };
        let open = followed.file.as_ref().and_then(|file| Look::of(file).ok());
        let there = Look::at(&followed.path).ok().filter(|look| look.id == id);
        let place = match (open, there) {
            (Some(look), _) if look.unlinked => Whereabouts::Nowhere,
            (_, Some(look)) => Whereabouts::Named(followed.path.clone(), look),
            _ => self.listings.find(&id, followed.path.parent().unwrap_or(Path::new("/"))),
        };
        followed.nameless = !matches!(place, Whereabouts::Named(..));
        match (place, open) {
            (Whereabouts::Named(path, look), _) => {
                self.named(id, &path);
                Whereabouts::Named(path, look)
            }
            (_, Some(look)) => Whereabouts::Named(followed.path.clone(), look),
            (place, None) => place,
        }
    }

    /// Notes a name that no pattern leads to. The cursor takes it only if it leads back to the pattern after a restart.
    fn named(&mut self, id: FileId, path: &Path) {
        let Some(followed) = self.table.get_mut(&id) else { return };
        followed.path = path.to_owned();
        if followed.known_as != path && is_rotation(path, &followed.base) {
            followed.known_as = path.to_owned();
            let event = SourceEvent::Identified { cursor: followed.cursor() };
            self.batch.items.push(Item::Source(followed.key, event));
        }
    }
}
