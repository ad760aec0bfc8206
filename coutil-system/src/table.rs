//! A table whose places are used again, and whose ids go out of date.

use slab::Slab;

/// Generations wrap at this many bits, so that an id fits in 52 bits: it survives a trip through an `f64`.
const GENERATION_BITS: u32 = 20;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Names an entry of a table: an operation or a source. An id that is out of date finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    generation: u32,
    index: u32,
}

impl Id {
    /// An id that finds nothing.
    pub const NONE: Self = Self { generation: 0, index: u32::MAX };

    /// The position in the table: small numbers, used again after the id went out of date.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The id as a number of at most 52 bits.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The id of that number. A number that never was an id gives one that finds nothing, or a stranger's.
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 & GENERATION_MASK }
    }
}

pub(crate) struct Table<T> {
    entries: Slab<(u32, T)>,
    generation: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Slab::new(), generation: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The index of the next entry that is inserted.
    pub(crate) fn next_index(&self) -> usize {
        self.entries.vacant_key()
    }

    pub(crate) fn insert(&mut self, value: T) -> Id {
        self.generation = (self.generation + 1) & GENERATION_MASK;
        let index = self.entries.insert((self.generation, value));
        assert!(index < u32::MAX as usize, "the table is full");
        Id { generation: self.generation, index: index as u32 }
    }

    #[inline]
    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        match self.entries.get(id.index()) {
            Some((generation, value)) if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.entries.get_mut(id.index()) {
            Some((generation, value)) if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    /// The entry at that index, whatever its generation.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        Some(self.entries.remove(id.index()).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.entries
            .iter()
            .map(|(index, (generation, value))| (Id { generation: *generation, index: index as u32 }, value))
    }
}
