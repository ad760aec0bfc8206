//! Positions in arrays: they count from 1, and from the end if negative, as those of `string.sub`.

/// Bytes of an array that lie within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// How many bytes come before.
    pub(crate) start: usize,
    /// How many bytes it has.
    pub(crate) len: usize,
}

impl Span {
    /// What is left of it in an array that has `len` bytes now.
    pub(crate) fn within(self, len: usize) -> Self {
        let start = self.start.min(len);
        Self { start, len: self.len.min(len - start) }
    }
}

/// The position `i` of a first byte: at least 1, and maybe beyond the end.
pub(crate) fn first(i: i64, len: usize) -> i64 {
    from_end(i, len).max(1)
}

/// The position `j` of a last byte: from 0 to `len`.
pub(crate) fn last(j: i64, len: usize) -> i64 {
    from_end(j, len).clamp(0, as_position(len))
}

/// The bytes from `i` to `j`; none if there are none.
pub(crate) fn span(i: i64, j: i64, len: usize) -> Span {
    let (first, last) = (first(i, len), last(j, len));
    if first > last {
        return Span { start: 0, len: 0 };
    }
    // Both lie in 1..=len here.
    Span { start: (first - 1) as usize, len: (last - first + 1) as usize }
}

/// The bytes from `o` to the end.
pub(crate) fn tail(o: i64, len: usize) -> Span {
    span(o, -1, len)
}

fn from_end(position: i64, len: usize) -> i64 {
    if position >= 0 { position } else { position.saturating_add(as_position(len).saturating_add(1)) }
}

fn as_position(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_counts_from_the_end_and_is_not_cut() {
        for (i, expected) in
            [(1, 1), (5, 5), (6, 6), (0, 1), (-1, 5), (-5, 1), (-6, 1), (i64::MIN, 1), (i64::MAX, i64::MAX)]
        {
            assert_eq!(first(i, 5), expected, "{i}");
        }
    }

    #[test]
    fn last_is_cut_to_the_array() {
        for (j, expected) in
            [(-1, 5), (5, 5), (6, 5), (3, 3), (0, 0), (-5, 1), (-6, 0), (i64::MIN, 0), (i64::MAX, 5)]
        {
            assert_eq!(last(j, 5), expected, "{j}");
        }
    }

    #[test]
    fn span_is_as_in_string_sub() {
        // A naive model: the bytes whose positions lie between both.
        for len in 0..5usize {
            let n = len as i64;
            for i in -7..8i64 {
                for j in -7..8i64 {
                    let at = |p: i64| if p < 0 { p + n + 1 } else { p };
                    let inside: Vec<i64> = (1..=n).filter(|p| at(i) <= *p && *p <= at(j)).collect();
                    let span = span(i, j, len);
                    assert_eq!(span.len, inside.len(), "{i} {j} {len}");
                    if let Some(p) = inside.first() {
                        assert_eq!(span.start as i64, p - 1, "{i} {j} {len}");
                    }
                    assert!(span.start + span.len <= len);
                }
            }
        }
    }

    #[test]
    fn lengths_beyond_all_positions_do_not_overflow() {
        assert_eq!(first(-1, usize::MAX), i64::MAX - if usize::BITS == 64 { 1 } else { 0 });
        assert_eq!(span(1, -1, 0), Span { start: 0, len: 0 });
        assert_eq!(tail(i64::MIN, 3), Span { start: 0, len: 3 });
        assert_eq!(tail(4, 3).len, 0);
    }

    #[test]
    fn within_cuts_to_what_is_left() {
        let span = Span { start: 2, len: 3 };
        assert_eq!(span.within(9), span);
        assert_eq!(span.within(4), Span { start: 2, len: 2 });
        assert_eq!(span.within(1), Span { start: 1, len: 0 });
    }
}
