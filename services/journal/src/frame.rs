//! One frame: length, check sum, payload.

/// What a journal begins with.
pub(crate) const MAGIC: &[u8; 8] = b"TWJRNL1\n";
/// Bytes before the payload of a frame.
pub(crate) const HEADER: usize = 8;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// What stands at the front of a piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// A good frame of that many bytes, header included.
    Good(usize),
    /// The piece is empty.
    End,
    /// No good frame.
    Damaged(String),
}

/// Appends the frame of a payload to `out`. The caller has checked the size.
pub(crate) fn encode(payload: &[u8], out: &mut Vec<u8>) {
    let length = (payload.len() as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&check_sum(length, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Judges the front of a piece of a file.
pub(crate) fn front(piece: &[u8]) -> Front {
    if piece.is_empty() {
        return Front::End;
    }
    let Some((length, stated)) = header(piece) else {
        return Front::Damaged(format!("{} of 8 header bytes", piece.len()));
    };
    let size = u32::from_le_bytes(length) as usize;
    if size == 0 || size > MAX_PAYLOAD {
        return Front::Damaged(format!("length {size}, allowed 1 to {MAX_PAYLOAD}"));
    }
    let Some(payload) = piece.get(HEADER..HEADER + size) else {
        return Front::Damaged(format!("{} of {size} payload bytes", piece.len() - HEADER));
    };
    let found = check_sum(length, payload);
    if found == stated {
        Front::Good(HEADER + size)
    } else {
        Front::Damaged(format!("check sum {found:08x}, stated {stated:08x}"))
    }
}

/// Offset of the first good frame in a piece, if any.
pub(crate) fn find_good(piece: &[u8]) -> Option<usize> {
    (0..piece.len()).find(|&at| matches!(front(&piece[at..]), Front::Good(_)))
}

fn header(piece: &[u8]) -> Option<([u8; 4], u32)> {
    let length = *piece.first_chunk::<4>()?;
    let stated = piece.get(4..)?.first_chunk::<4>()?;
    Some((length, u32::from_le_bytes(*stated)))
}

fn check_sum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(payload, &mut out);
        out
    }

    #[test]
    fn a_frame_is_good_and_every_flipped_bit_is_seen() {
        let whole = framed(b"{\"a\":1}");
        assert_eq!(front(&whole), Front::Good(whole.len()));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(front(&flipped), Front::Damaged(_)), "bit {bit} was not noticed");
        }
    }

    #[test]
    fn every_cut_and_a_tail_of_zeros_are_damage() {
        let whole = framed(b"payload");
        for cut in 1..whole.len() {
            assert!(matches!(front(&whole[..cut]), Front::Damaged(_)), "cut at {cut}");
        }
        assert!(matches!(front(&[0; 64]), Front::Damaged(_)));
        assert_eq!(front(&[]), Front::End);
    }

    #[test]
    fn a_good_frame_is_found_behind_damage() {
        let mut piece = framed(b"first")[..9].to_vec();
        piece.extend(framed(b"second"));
        assert_eq!(find_good(&piece), Some(9));
        assert_eq!(find_good(&piece[..15]), None);
    }
}
