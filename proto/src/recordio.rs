//! RecordIO: the framing of Mesos event streams, `<decimal length>\n<bytes>` repeated.
//!
//! Not a codec of any runtime: feed bytes with [`Decoder::push`], take frames with [`Decoder::next_frame`].
//!
//! Invariant: how the bytes were cut into pushes never changes the frames that come out.
//! Invariant: a frame is never larger than [`MAX_FRAME_BYTES`], so a broken peer cannot exhaust memory.

use bytes::{Buf as _, Bytes, BytesMut};

/// The largest frame accepted.
///
/// Units: bytes. An OFFERS event of 10,000 offers is about 20 MB.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Digits of the longest length line accepted; [`MAX_FRAME_BYTES`] has eight.
const MAX_LENGTH_DIGITS: usize = 10;

/// Why a stream is not RecordIO. The stream cannot be used further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The length line has a byte that is not a digit.
    #[error("record length has the byte 0x{0:02x} where a digit or a line feed was expected")]
    NotADigit(u8),
    /// The length line is empty.
    #[error("record length is an empty line")]
    EmptyLength,
    /// The length line does not end.
    #[error("record length has more than {MAX_LENGTH_DIGITS} digits")]
    LengthTooLong,
    /// The announced frame is larger than [`MAX_FRAME_BYTES`].
    #[error("record of {0} bytes is above the limit of {MAX_FRAME_BYTES}")]
    FrameTooLarge(u64),
}

/// One frame: length line and payload.
pub fn encode(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + MAX_LENGTH_DIGITS + 1);
    frame.extend_from_slice(payload.len().to_string().as_bytes());
    frame.extend_from_slice(b"\n");
    frame.extend_from_slice(payload);
    frame.freeze()
}

/// Cuts a stream of bytes into frames, whatever pieces it arrives in.
///
/// Errors: after the first error every later [`Decoder::next_frame`] returns the same one.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// Length of the frame whose line was read and whose payload is awaited.
    awaited: Option<usize>,
    failed: Option<Error>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.advance();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Whether the stream stands between two frames: an end here loses nothing.
    pub fn is_at_boundary(&self) -> bool {
        self.awaited.is_none() && self.buffer.is_empty()
    }

    fn advance(&mut self) -> Result<Option<Bytes>, Error> {
        let length = match self.awaited {
            Some(length) => length,
            None => match self.read_length()? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            self.awaited = Some(length);
            // One allocation for the whole frame instead of doubling towards it.
            self.buffer.reserve(length - self.buffer.len());
            return Ok(None);
        }
        self.awaited = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn read_length(&mut self) -> Result<Option<usize>, Error> {
        let mut length: u64 = 0;
        for (index, &byte) in self.buffer.iter().enumerate() {
            match byte {
                b'\n' if index == 0 => return Err(Error::EmptyLength),
                b'\n' => {
                    let bytes = usize::try_from(length).map_err(|_| Error::FrameTooLarge(length))?;
                    if bytes > MAX_FRAME_BYTES {
                        return Err(Error::FrameTooLarge(length));
                    }
                    self.buffer.advance(index + 1);
                    return Ok(Some(bytes));
                }
                b'0'..=b'9' if index < MAX_LENGTH_DIGITS => length = length * 10 + u64::from(byte - b'0'),
                b'0'..=b'9' => return Err(Error::LengthTooLong),
                other => return Err(Error::NotADigit(other)),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn drain(decoder: &mut Decoder, into: &mut Vec<Bytes>) {
        while let Some(frame) = decoder.next_frame().unwrap() {
            into.push(frame);
        }
    }

    #[test]
    fn every_split_point_gives_the_same_frames() {
        let payloads: [&[u8]; 4] = [b"hello", b"", b"12\n34", &[0xff; 130]];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload)).collect();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut decoder = Decoder::new();
                let mut frames = Vec::new();
                for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                    decoder.push(piece);
                    drain(&mut decoder, &mut frames);
                }
                assert_eq!(frames, payloads, "split at {first} and {second}");
                assert!(decoder.is_at_boundary());
            }
        }
    }

    #[test]
    fn what_is_not_recordio_is_an_error_that_stays() {
        #[track_caller]
        fn check(stream: &[u8], expected: Error) {
            let mut decoder = Decoder::new();
            decoder.push(stream);
            assert_eq!(decoder.next_frame(), Err(expected.clone()));
            decoder.push(b"\n1\na");
            assert_eq!(decoder.next_frame(), Err(expected));
        }
        check(b"a", Error::NotADigit(b'a'));
        check(b"-1\n", Error::NotADigit(b'-'));
        check(b"5\r\nhello", Error::NotADigit(b'\r'));
        check(b"\n", Error::EmptyLength);
        check(b"12345678901", Error::LengthTooLong);
        check(b"67108865\n", Error::FrameTooLarge(67_108_865));
        check(b"9999999999\n", Error::FrameTooLarge(9_999_999_999));
    }

    #[test]
    fn the_largest_frame_passes_and_an_open_frame_is_no_boundary() {
        let mut decoder = Decoder::new();
        decoder.push(b"67108864\n");
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(!decoder.is_at_boundary());
        decoder.push(&vec![7; MAX_FRAME_BYTES]);
        assert_eq!(decoder.next_frame().unwrap().unwrap().len(), MAX_FRAME_BYTES);
        assert!(decoder.is_at_boundary());
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_frames_back(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            sizes in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload)).collect();
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            let mut rest = stream.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, tail) = rest.split_at((*size).min(rest.len()));
                decoder.push(piece);
                rest = tail;
                drain(&mut decoder, &mut frames);
            }
            prop_assert_eq!(frames, payloads);
        }

        #[test]
        fn any_bytes_never_panic(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new();
            decoder.push(&stream);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
