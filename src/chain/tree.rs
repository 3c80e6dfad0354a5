//! The Merkle tree over a stream's lines (RFC 6962 section 2.1), as far as its right edge.

use super::key::{Bytes32, sha256};

/// The leaf of a line: its header, the commitment to its payload, and its tag.
pub fn leaf_hash(header: &[u8], commitment: &Bytes32, tag: &[u8; 16]) -> Bytes32 {
    sha256(&[&[0], &(header.len() as u32).to_be_bytes(), header, commitment, tag])
}

/// The hash of two subtrees.
pub fn node_hash(left: &Bytes32, right: &Bytes32) -> Bytes32 {
    sha256(&[&[1], left, right])
}

/// The right edge of a tree: the roots of its perfect subtrees, the largest (leftmost) first. There is one for each
/// 1-bit of the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    roots: Vec<Bytes32>,
}

impl Edge {
    /// The edge of a tree of `size` leaves; `None` if the number of hashes does not fit the size.
    pub fn from_parts(size: u64, roots: Vec<Bytes32>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, largest subtree first.
    pub fn roots(&self) -> &[Bytes32] {
        &self.roots
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Bytes32) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            // each trailing 1-bit of the size is a perfect subtree that the new node completes to the next larger one
            let left = self.roots.pop().expect("one root for each 1-bit of the size");
            node = node_hash(&left, &node);
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The root of the tree; of an empty tree the hash of nothing.
    pub fn root(&self) -> Bytes32 {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return sha256(&[]) };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, as written there.
    fn by_the_book(leaves: &[Bytes32]) -> Bytes32 {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                node_hash(&by_the_book(&more[..split]), &by_the_book(&more[split..]))
            }
        }
    }

    #[test]
    fn the_edge_gives_the_root_of_rfc_6962() {
        let leaves: Vec<Bytes32> = (0..130u8).map(|n| sha256(&[&[n]])).collect();
        let mut edge = Edge::default();
        for n in 0..=leaves.len() {
            assert_eq!(edge.root(), by_the_book(&leaves[..n]), "size {n}");
            assert_eq!(Edge::from_parts(n as u64, edge.roots().to_vec()), Some(edge.clone()));
            if n < leaves.len() {
                edge.push(leaves[n]);
            }
        }
    }

    #[test]
    fn agrees_with_tlog_tiles() {
        let mut edge = Edge::default();
        let mut stored: Vec<tlog_tiles::Hash> = Vec::new();
        for n in 0..70u64 {
            let leaf = tlog_tiles::record_hash(&n.to_be_bytes());
            let reader = Stored(&stored);
            let new = tlog_tiles::stored_hashes_for_record_hash(n, leaf, &reader).unwrap();
            stored.extend(new);
            edge.push(leaf.0);
            assert_eq!(tlog_tiles::tree_hash(n + 1, &Stored(&stored)).unwrap().0, edge.root());
        }
    }

    struct Stored<'a>(&'a [tlog_tiles::Hash]);
    impl tlog_tiles::HashReader for Stored<'_> {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
        }
    }
}
