//! Short texts that carry their bound in their type: what is longer does not decode, and none takes a heap block.

/// A text of at most `N` bytes, encoded as any text.
pub type Text<const N: usize> = arrayvec::ArrayString<N>;

/// As much of `text` as fits, in whole characters.
#[must_use]
pub fn cut<const N: usize>(text: &str) -> Text<N> {
    let end = text.floor_char_boundary(N.min(text.len()));
    Text::from(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Text, cut};
    use crate::codec::{self, CodecError};
    use alloc::string::String;

    #[test]
    fn what_is_longer_does_not_decode() {
        let fits = codec::encode(&"sixteen bytes...");
        assert_eq!(codec::decode(&fits, 64), Ok(cut::<16>("sixteen bytes...")));
        let long = codec::encode(&"seventeen bytes..");
        let decoded = codec::decode::<Text<16>>(&long, 64);
        assert_eq!(decoded, Err(CodecError::Malformed));
        assert!(codec::decode::<String>(&long, 64).is_ok());
    }

    #[test]
    fn a_cut_leaves_whole_characters() {
        assert_eq!(&cut::<4>("grün"), "grü");
        assert_eq!(&cut::<16>("grün"), "grün");
        assert_eq!(&cut::<1>("ü"), "");
    }
}
