//! A bounded text as plain data.

/// A UTF-8 text of at most `N` bytes. All zeros is the empty text.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Text<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const EMPTY: Self = Text {
        length: 0,
        bytes: [0; N],
    };

    /// As much of `text` as fits, cut at a character boundary.
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(N).min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut cut = Self::EMPTY;
        cut.bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        cut.length = end as u16;
        cut
    }

    /// The whole of `text`, or `None` if it does not fit.
    pub fn whole(text: &str) -> Option<Self> {
        (text.len() <= N).then(|| Self::cut(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let length = usize::from(self.length).min(N);
        std::str::from_utf8(&self.bytes[..length]).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}
