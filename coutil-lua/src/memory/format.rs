//! The formats of `pack` and `unpack`: those of `string.pack` of Lua 5.4, read item by item.

use super::number::MAX_SIZE;
use std::ffi::{c_int, c_long, c_short};

/// The largest alignment that a C compiler gives to Lua's numbers and pointers.
const NATIVE_ALIGN: usize = 8;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer {
        signed: bool,
    },
    Float,
    Double,
    /// Bytes after their number, which has `size` bytes.
    Counted,
    /// Bytes before a zero.
    Terminated,
    /// Exactly `size` bytes.
    Chars,
    /// `size` bytes that are skipped.
    Skip,
    /// Nothing but its padding.
    Align,
}

/// An item of a format, at a certain place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) size: usize,
    /// How many bytes to skip before it.
    pub(super) padding: usize,
    pub(super) little: bool,
}

/// What is wrong with a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatError {
    Option(u8),
    Size(c_int),
    NoSize,
    NextOption,
    Alignment,
}

/// Reads a format.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    format: &'a [u8],
    little: bool,
    max_align: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(format: &'a [u8]) -> Self {
        Self { format, little: cfg!(target_endian = "little"), max_align: 1 }
    }

    /// The next item, which comes after `offset` bytes; `None` at the end.
    pub(super) fn next(&mut self, offset: usize) -> Result<Option<Item>, FormatError> {
        while let Some(option) = self.byte() {
            let (kind, size, align) = match option {
                b'X' => (Kind::Align, 0, self.align_of_next()?),
                _ => match self.option(option)? {
                    None => continue,
                    Some((Kind::Chars, size)) => (Kind::Chars, size, 0),
                    Some((kind, size)) => (kind, size, size),
                },
            };
            let padding = self.padding(offset, align)?;
            return Ok(Some(Item { kind, size, padding, little: self.little }));
        }
        Ok(None)
    }

    /// The bytes to skip for an alignment.
    fn padding(&self, offset: usize, align: usize) -> Result<usize, FormatError> {
        if align <= 1 {
            return Ok(0);
        }
        let align = align.min(self.max_align);
        if !align.is_power_of_two() {
            return Err(FormatError::Alignment);
        }
        Ok(offset.wrapping_neg() & (align - 1))
    }

    /// The alignment for `X`, which takes the option after it.
    fn align_of_next(&mut self) -> Result<usize, FormatError> {
        let option = self.byte().ok_or(FormatError::NextOption)?;
        match option {
            b'X' => Err(FormatError::NextOption),
            _ => match self.option(option)? {
                None | Some((Kind::Chars | Kind::Terminated, _)) => Err(FormatError::NextOption),
                Some((_, size)) => Ok(size),
            },
        }
    }

    /// An option but `X`: the kind and size of its item; `None` if it only sets something.
    fn option(&mut self, option: u8) -> Result<Option<(Kind, usize)>, FormatError> {
        const SIGNED: Kind = Kind::Integer { signed: true };
        const UNSIGNED: Kind = Kind::Integer { signed: false };
        Ok(Some(match option {
            b'b' => (SIGNED, 1),
            b'B' => (UNSIGNED, 1),
            b'h' => (SIGNED, size_of::<c_short>()),
            b'H' => (UNSIGNED, size_of::<c_short>()),
            b'l' => (SIGNED, size_of::<c_long>()),
            b'L' => (UNSIGNED, size_of::<c_long>()),
            b'j' => (SIGNED, size_of::<i64>()),
            b'J' => (UNSIGNED, size_of::<i64>()),
            b'T' => (UNSIGNED, size_of::<usize>()),
            b'i' => (SIGNED, self.limited(size_of::<c_int>())?),
            b'I' => (UNSIGNED, self.limited(size_of::<c_int>())?),
            b'f' => (Kind::Float, size_of::<f32>()),
            b'd' | b'n' => (Kind::Double, size_of::<f64>()),
            b's' => (Kind::Counted, self.limited(size_of::<usize>())?),
            b'z' => (Kind::Terminated, 0),
            b'c' => (Kind::Chars, self.digits().ok_or(FormatError::NoSize)? as usize),
            b'x' => (Kind::Skip, 1),
            other => {
                match other {
                    b' ' => {}
                    b'<' => self.little = true,
                    b'>' => self.little = false,
                    b'=' => self.little = cfg!(target_endian = "little"),
                    b'!' => self.max_align = self.limited(NATIVE_ALIGN)?,
                    _ => return Err(FormatError::Option(other)),
                }
                return Ok(None);
            }
        }))
    }

    /// The size that follows an option, or the default.
    fn limited(&mut self, default: usize) -> Result<usize, FormatError> {
        match self.digits() {
            None => Ok(default),
            Some(size) if 1 <= size && size <= MAX_SIZE as c_int => Ok(size as usize),
            Some(size) => Err(FormatError::Size(size)),
        }
    }

    /// The decimal number that comes next. Digits that would make it too large are left for what follows, as there.
    fn digits(&mut self) -> Option<c_int> {
        let mut number = None;
        while let Some((digit @ b'0'..=b'9', rest)) = self.format.split_first() {
            let so_far = number.unwrap_or(0);
            if so_far > (c_int::MAX - 9) / 10 {
                break;
            }
            number = Some(so_far * 10 + c_int::from(digit - b'0'));
            self.format = rest;
        }
        number
    }

    /// Takes the next byte; a zero ends the format.
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.format.split_first()?;
        if *byte == 0 {
            return None;
        }
        self.format = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items of a format as (offset, size), as if every item had its size.
    fn layout(format: &str) -> Result<Vec<(usize, usize)>, FormatError> {
        let mut reader = Reader::new(format.as_bytes());
        let mut offset = 0;
        let mut places = Vec::new();
        while let Some(item) = reader.next(offset)? {
            offset += item.padding;
            places.push((offset, item.size));
            offset += item.size;
        }
        Ok(places)
    }

    #[test]
    fn sizes() {
        assert_eq!(layout("bBhHiIjJdfn"), {
            let mut offset = 0;
            Ok([1, 1, 2, 2, 4, 4, 8, 8, 8, 4, 8]
                .map(|size| {
                    offset += size;
                    (offset - size, size)
                })
                .to_vec())
        });
        assert_eq!(layout("i1i16 c0 c12"), Ok(vec![(0, 1), (1, 16), (17, 0), (17, 12)]));
        assert_eq!(layout("b\0y"), Ok(vec![(0, 1)]));
        assert_eq!(layout("bX\0"), Err(FormatError::NextOption));
    }

    #[test]
    fn alignment() {
        assert_eq!(layout("bi"), Ok(vec![(0, 1), (1, 4)]));
        assert_eq!(layout("!bi"), Ok(vec![(0, 1), (4, 4)]));
        assert_eq!(layout("!2bi"), Ok(vec![(0, 1), (2, 4)]));
        assert_eq!(layout("!4bi8"), Ok(vec![(0, 1), (4, 8)]));
        assert_eq!(layout("!bXd"), Ok(vec![(0, 1), (8, 0)]));
        assert_eq!(layout("!bs2"), Ok(vec![(0, 1), (2, 2)]));
        assert_eq!(layout("!bc4z"), Ok(vec![(0, 1), (1, 4), (5, 0)]));
        assert_eq!(layout("!bXxXb"), Ok(vec![(0, 1), (1, 0), (1, 0)]));
        assert_eq!(layout("!16 b i16"), Ok(vec![(0, 1), (16, 16)]));
    }

    #[test]
    fn alignments_that_are_no_power_of_two() {
        for format in ["!8i3", "!3i4", "!8Xi3", "!i5", "!7d"] {
            assert_eq!(layout(format), Err(FormatError::Alignment), "{format}");
        }
        for format in ["i3", "!3i2", "!2i3", "!1i7", "!3b"] {
            assert!(layout(format).is_ok(), "{format}");
        }
    }

    #[test]
    fn endianness_holds_from_there_on() {
        let mut reader = Reader::new(b"h>h<h=h");
        let mut order = Vec::new();
        while let Ok(Some(item)) = reader.next(0) {
            order.push(item.little);
        }
        let native = cfg!(target_endian = "little");
        assert_eq!(order, [native, false, true, native]);
    }

    #[test]
    fn errors() {
        assert_eq!(layout("y"), Err(FormatError::Option(b'y')));
        assert_eq!(layout("b1"), Err(FormatError::Option(b'1')));
        for (format, size) in [("i0", 0), ("I17", 17), ("!17", 17), ("s100", 100), ("Xi17", 17), ("!0", 0)] {
            assert_eq!(layout(format), Err(FormatError::Size(size)), "{format}");
        }
        assert_eq!(layout("c"), Err(FormatError::NoSize));
        assert_eq!(layout("Xc"), Err(FormatError::NoSize));
        for format in ["X", "Xc4", "Xz", "XX", "X ", "X<", "X>", "X=", "X!", "X i4"] {
            assert_eq!(layout(format), Err(FormatError::NextOption), "{format}");
        }
    }

    #[test]
    fn long_numbers_stop_before_they_overflow() {
        assert_eq!(layout("c2147483639"), Ok(vec![(0, 2_147_483_639)]));
        assert_eq!(layout("c2147483640"), Err(FormatError::Option(b'0')));
        assert_eq!(layout("i99999999999"), Err(FormatError::Size(999_999_999)));
    }
}
