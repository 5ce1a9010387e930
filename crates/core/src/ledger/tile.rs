//! Tiles: the tree cut into pieces of 256 hashes, as C2SP tlog-tiles names and fills them.
//! The store keeps the tree in them; proofs read a few of them instead of every leaf.

use std::fmt;
use std::ops::Range;

use super::proof::Node;
use super::tree::{Hash, fold, root};

#[cfg(test)]
mod tests;

/// A row of consecutive hashes of one level of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// 0: hashes of leaves; above, hashes of full tiles of the level below. At most 63.
    pub level: u8,
    /// Its place in the level, from 0.
    pub index: u64,
    /// How many hashes it has, 1 to 256.
    pub width: u16,
}

/// What tlog-tiles serves below its prefix, besides the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Hashes of the tree.
    Hashes(Tile),
    /// The entries whose hashes are the tile of level 0 with this index and width.
    Entries {
        /// Its place, from 0.
        index: u64,
        /// How many entries it has, 1 to 256.
        width: u16,
    },
}

impl Tile {
    /// How many hashes a full tile has.
    pub const FULL: u16 = 256;
    /// The levels of the tree from one level of tiles to the next.
    pub const HEIGHT: u8 = 8;

    /// The tiles that a tree of `size` leaves is kept in, level by level.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        Self::grown(0, size)
    }

    /// The tiles of a tree of `new` leaves that were not there, or were narrower, when it had `old`.
    pub fn grown(old: u64, new: u64) -> impl Iterator<Item = Self> {
        levels(new).flat_map(move |(level, hashes)| {
            let first = hashes_at(level, old) / u64::from(Self::FULL);
            let grows = hashes_at(level, old) < hashes;
            let last = hashes.div_ceil(u64::from(Self::FULL));
            let range = if grows { first..last } else { 0..0 };
            range.filter_map(move |index| Self::of(level, index, new))
        })
    }

    /// The tile at this place in a tree of `size` leaves, as wide as it is there.
    #[must_use]
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        // tlog-tiles: "The partial tile at level l for a tree of size s has floor(s / 256**l) mod 256 entries.
        // Empty tiles MUST NOT be served."
        let before = index.checked_mul(u64::from(Self::FULL))?;
        let rest = hashes_at(level, size).checked_sub(before)?;
        let width = rest.min(u64::from(Self::FULL));
        (level <= LAST_LEVEL && width > 0).then_some(Self { level, index, width: u16::try_from(width).ok()? })
    }

    /// The tile of a tree of `size` leaves from which the hash of a complete subtree is had, and which hashes of it.
    #[must_use]
    pub fn holding(node: Node, size: u64) -> Option<(Self, Range<usize>)> {
        let (level, above) = (node.level / Self::HEIGHT, node.level % Self::HEIGHT);
        let leaves = 1_u64 << above;
        let first = node.index.checked_mul(leaves)?;
        let index = first / u64::from(Self::FULL);
        let tile = Self::of(level, index, size)?;
        let from = first % u64::from(Self::FULL);
        let to = from + leaves;
        let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
        (to <= u64::from(tile.width)).then_some((tile, range))
    }
}

/// The hash of a complete subtree from the tile that is `holding` it, given as octets.
/// `None` when the tile is too short or the range is none of a complete subtree.
#[must_use]
pub fn subtree(tile: &[u8], range: Range<usize>) -> Option<Hash> {
    let (hashes, _) = tile.as_chunks::<32>();
    let hashes = hashes.get(range)?;
    hashes.len().is_power_of_two().then(|| root(hashes.iter().copied()))
}

/// The hash that a full tile has in the level above.
///
/// tlog-tiles: "each hash in a tile is the Merkle Tree Hash of a *full* tile at the level below."
#[must_use]
pub fn hash_above(tile: &[u8]) -> Option<Hash> {
    subtree(tile, 0..usize::from(Tile::FULL)).filter(|_| tile.len() == usize::from(Tile::FULL) * 32)
}

/// The root of a tree from the hashes of `proof::peaks(size)`, in that order.
#[must_use]
pub fn root_of_peaks(peaks: &[Hash]) -> Hash {
    fold(peaks)
}

/// Each level that a tree of this size has, and how many hashes are in it.
fn levels(size: u64) -> impl Iterator<Item = (u8, u64)> {
    (0..=LAST_LEVEL).map(move |level| (level, hashes_at(level, size))).take_while(|(_, hashes)| *hashes > 0)
}

fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(Tile::HEIGHT)).unwrap_or(0)
}

impl Resource {
    /// Reads a path below the prefix of a log: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
    ///
    /// # Errors
    /// When it is not exactly as `Display` writes it.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let wrong = || TileError(path.escape_default().take(SHOWN).collect());
        let (kind, rest) =
            path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let (index, width) = match rest.split_once(".p/") {
            // tlog-tiles: "<W> is the width of the tile, a decimal ASCII integer between 1 and 255, with no
            // additional leading zeroes."
            Some((index, width)) => {
                let width = decimal(width).filter(|width| (1..=255).contains(width)).ok_or_else(wrong)?;
                (index, u16::try_from(width).map_err(|_| wrong())?)
            }
            None => (rest, Tile::FULL),
        };
        let index = index_of(index).ok_or_else(wrong)?;
        match kind {
            "entries" => Ok(Self::Entries { index, width }),
            // tlog-tiles: "<L> is the "level" of the tile, and MUST be a decimal ASCII integer between 0 and 63,
            // with no additional leading zeroes."
            level => {
                let level = decimal(level).and_then(|level| u8::try_from(level).ok()).ok_or_else(wrong)?;
                let fits = level <= LAST_LEVEL;
                fits.then_some(Self::Hashes(Tile { level, index, width })).ok_or_else(wrong)
            }
        }
    }
}

/// tlog-tiles: "It MUST be a non-negative integer encoded into zero-padded 3-digit path elements. All but the last
/// path element MUST begin with an x."
fn index_of(text: &str) -> Option<u64> {
    let mut elements = text.split('/').rev();
    let digits =
        |element: &str| match element.len() == 3 && element.bytes().all(|octet| octet.is_ascii_digit()) {
            true => element.parse::<u64>().ok(),
            false => None,
        };
    let mut index = digits(elements.next()?)?;
    let mut weight = 1000_u64;
    let mut first = None;
    for element in elements {
        let value = digits(element.strip_prefix('x')?)?;
        index = value.checked_mul(weight)?.checked_add(index)?;
        // Beyond this no place is left that a tree could have.
        weight = weight.checked_mul(1000)?;
        first = Some(value);
    }
    // An element in front that is zero says nothing: the same index would have two paths.
    (first != Some(0)).then_some(index)
}

/// A decimal number with no leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Hashes(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                (tile.index, tile.width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (*index, *width)
            }
        };
        let mut elements = vec![format!("{:03}", index % 1000)];
        let mut rest = index / 1000;
        while rest > 0 {
            elements.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        elements.reverse();
        f.write_str(&elements.join("/"))?;
        match width {
            Tile::FULL => Ok(()),
            width => write!(f, ".p/{width}"),
        }
    }
}

/// It is no path of a tile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no path of a tile: `tile/<level>/<index>` or `tile/entries/<index>` is expected, as in `tile/0/x001/x234/067.p/8`"
)]
pub struct TileError(String);

const LAST_LEVEL: u8 = 63;
const SHOWN: usize = 80;
