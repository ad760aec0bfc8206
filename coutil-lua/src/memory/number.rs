//! Integers as bytes, as `pack` and `unpack` write and read them.

/// The largest size of an integer in a format.
pub(super) const MAX_SIZE: usize = 16;

/// The size of Lua's largest integers.
const NATIVE: usize = size_of::<i64>();

/// Why an integer cannot be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Signed,
    Unsigned,
}

/// Whether an integer can be packed in `size` bytes, 1 to 16.
pub(super) fn check(value: i64, size: usize, signed: bool) -> Result<(), Overflow> {
    if size >= NATIVE {
        return Ok(());
    }
    let bits = 8 * size as u32;
    if signed {
        let limit = 1i64 << (bits - 1);
        if -limit <= value && value < limit { Ok(()) } else { Err(Overflow::Signed) }
    } else if (value as u64) >> bits == 0 {
        Ok(())
    } else {
        Err(Overflow::Unsigned)
    }
}

/// The bytes of an integer, of which the first `size` count.
pub(super) fn encode(value: i64, size: usize, signed: bool, little: bool) -> [u8; MAX_SIZE] {
    let wide = if signed { i128::from(value) } else { i128::from(value as u64) };
    if little {
        wide.to_le_bytes()
    } else {
        let mut bytes = wide.to_be_bytes();
        bytes.rotate_left(MAX_SIZE - size.min(MAX_SIZE));
        bytes
    }
}

/// The integer in at most 16 bytes; `None` if it does not fit into 64 bits.
pub(super) fn decode(bytes: &[u8], signed: bool, little: bool) -> Option<i64> {
    let mut wide = 0u128;
    let mut push = |byte: &u8| wide = wide << 8 | u128::from(*byte);
    if little {
        bytes.iter().rev().for_each(&mut push);
    } else {
        bytes.iter().for_each(&mut push);
    }
    let unused = u128::BITS - 8 * bytes.len().clamp(1, MAX_SIZE) as u32;
    let value = wide as i64;
    if bytes.len() > NATIVE {
        let extended = if signed { i128::from(value) as u128 } else { u128::from(wide as u64) };
        // The bits beyond those that were read are lost from both sides.
        return (extended << unused == wide << unused).then_some(value);
    }
    Some(if signed { ((wide << unused) as i128 >> unused) as i64 } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_sizes() {
        assert_eq!(check(127, 1, true), Ok(()));
        assert_eq!(check(128, 1, true), Err(Overflow::Signed));
        assert_eq!(check(-128, 1, true), Ok(()));
        assert_eq!(check(-129, 1, true), Err(Overflow::Signed));
        assert_eq!(check(255, 1, false), Ok(()));
        assert_eq!(check(256, 1, false), Err(Overflow::Unsigned));
        assert_eq!(check(-1, 7, false), Err(Overflow::Unsigned));
        assert_eq!(check((1 << 55) - 1, 7, true), Ok(()));
        assert_eq!(check(1 << 55, 7, true), Err(Overflow::Signed));
        for size in 8..=16 {
            for value in [i64::MIN, i64::MAX, -1] {
                assert_eq!(check(value, size, false), Ok(()));
                assert_eq!(check(value, size, true), Ok(()));
            }
        }
    }

    #[test]
    fn bytes_in_both_orders() {
        assert_eq!(encode(0x0102, 2, true, true)[..2], [2, 1]);
        assert_eq!(encode(0x0102, 2, true, false)[..2], [1, 2]);
        assert_eq!(encode(-2, 9, true, true)[..9], [0xfe, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(encode(-2, 9, false, true)[..9], [0xfe, 255, 255, 255, 255, 255, 255, 255, 0]);
        assert_eq!(encode(-2, 9, false, false)[..9], [0, 255, 255, 255, 255, 255, 255, 255, 0xfe]);
        assert_eq!(encode(-2, 16, true, false)[..16], (-2i128).to_be_bytes());
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for value in [0, 1, -1, 127, -128, 128, 255, 256, 65535, i64::MAX, i64::MIN, 0x0102_0304_0506_0708] {
            for size in 1..=MAX_SIZE {
                for signed in [true, false] {
                    for little in [true, false] {
                        if check(value, size, signed).is_ok() {
                            let bytes = encode(value, size, signed, little);
                            assert_eq!(decode(&bytes[..size], signed, little), Some(value));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn more_than_64_bits_do_not_fit() {
        let mut bytes = [0u8; 16];
        bytes[8] = 1;
        assert_eq!(decode(&bytes, false, true), None);
        assert_eq!(decode(&bytes[..9], true, true), None);
        // A sign that only the lower half has.
        let half = [255u8, 255, 255, 255, 255, 255, 255, 255, 0];
        assert_eq!(decode(&half, true, true), None);
        assert_eq!(decode(&half, false, true), Some(-1));
        assert_eq!(decode(&[255; 16], false, true), None);
        assert_eq!(decode(&[255; 16], true, true), Some(-1));
        assert_eq!(decode(&[], true, true), Some(0));
    }
}
