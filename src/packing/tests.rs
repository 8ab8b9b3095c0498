use std::io::Write as _;
use std::iter;

use super::*;

const PLENTY: Limit = Limit { bytes: 1 << 30, why: "this test" };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn age_for(key: &age::x25519::Identity, bytes: &[u8]) -> Vec<u8> {
    age::encrypt(&key.to_public(), bytes).unwrap()
}

fn with(key: &age::x25519::Identity) -> Identities<'_> {
    Identities::new(|| Ok(vec![Box::new(key.clone()) as Identity]))
}

fn nobody() -> Identities<'static> {
    Identities::new(|| Err(PackingError::NoIdentity))
}

fn opened(packed: &[u8], identities: &Identities<'_>) -> Result<(Vec<Packing>, Vec<u8>), PackingError> {
    let mut out = Vec::new();
    unpack(packed, identities, PLENTY, &mut out).map(|layers| (layers, out))
}

/// Bytes that no packer makes small.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    })
    .take(count)
    .collect()
}

#[test]
fn layers_are_recognised_by_their_bytes() {
    let (key, plain) = (age::x25519::Identity::generate(), noise(300_000));
    let armored = age::encrypt_and_armor(&key.to_public(), &zstd(&plain)).unwrap().into_bytes();
    let skippable = [&[0x5f, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd(&plain)].concat();
    let (first, second) = plain.split_at(100_000);
    let cases = [
        (plain.clone(), vec![]),
        (gzip(&plain), vec![Packing::Gzip]),
        ([gzip(first), gzip(second)].concat(), vec![Packing::Gzip]),
        (zstd(&plain), vec![Packing::Zstd]),
        ([zstd(first), zstd(second)].concat(), vec![Packing::Zstd]),
        (skippable, vec![Packing::Zstd]),
        (age_for(&key, &plain), vec![Packing::Age]),
        (age_for(&key, &zstd(&plain)), vec![Packing::Age, Packing::Zstd]),
        (armored, vec![Packing::Age, Packing::Zstd]),
        (zstd(&age_for(&key, &gzip(&plain))), vec![Packing::Zstd, Packing::Age, Packing::Gzip]),
    ];
    for (packed, expected) in cases {
        let (layers, out) = opened(&packed, &with(&key)).unwrap();
        assert_eq!(layers, expected);
        assert!(out == plain, "{expected:?}");
    }
}

#[test]
fn small_pieces_change_nothing() {
    struct Drip<'a>(&'a [u8]);
    impl io::Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1);
            self.0.read(&mut buffer[..count])
        }
    }
    let (key, plain) = (age::x25519::Identity::generate(), noise(10_000));
    let packed = age_for(&key, &gzip(&plain));
    let mut out = Vec::new();
    let layers = unpack(io::BufReader::with_capacity(1, Drip(&packed)), &with(&key), PLENTY, &mut out).unwrap();
    assert_eq!(layers, [Packing::Age, Packing::Gzip]);
    assert!(out == plain);
}

#[test]
fn every_cut_is_told() {
    let (key, plain) = (age::x25519::Identity::generate(), noise(3_000));
    for packed in [gzip(&plain), zstd(&plain), age_for(&key, &plain), age_for(&key, &zstd(&plain))] {
        for length in (HEAD..packed.len()).step_by(7).chain([packed.len() - 1]) {
            let error = opened(&packed[..length], &with(&key)).unwrap_err();
            assert!(
                matches!(error, PackingError::CutOff { .. } | PackingError::Damaged { .. }),
                "{length} of {}: {error}",
                packed.len()
            );
        }
    }
}

#[test]
fn every_altered_byte_of_an_age_file_is_noticed() {
    let (key, plain) = (age::x25519::Identity::generate(), noise(2_000));
    let packed = age_for(&key, &plain);
    for at in (HEAD..packed.len()).step_by(11) {
        let mut altered = packed.clone();
        altered[at] ^= 1;
        assert!(opened(&altered, &with(&key)).is_err(), "byte {at}");
    }
}

#[test]
fn who_may_not_open_it_is_told_why() {
    let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let packed = age_for(&key, b"x");
    assert!(matches!(opened(&packed, &with(&other)), Err(PackingError::OtherRecipients)));
    assert!(matches!(opened(&packed, &nobody()), Err(PackingError::NoIdentity)));
    let mut recipient = age::scrypt::Recipient::new("word".to_owned().into());
    recipient.set_work_factor(2);
    let packed = age::encrypt(&recipient, b"x").unwrap();
    assert!(matches!(opened(&packed, &with(&key)), Err(PackingError::Passphrase)));
}

#[test]
fn what_grows_too_large_is_stopped_at_any_layer() {
    let limit = Limit { bytes: 100_000, why: "this test" };
    let fits = zstd(&vec![0; 100_000]);
    unpack(fits.as_slice(), &nobody(), limit, &mut io::sink()).unwrap();
    // Little comes out in the end, but much on the way there.
    let hollow = gzip(&[]).repeat(10_000);
    for packed in [zstd(&vec![0; 100_001]), gzip(&vec![0; 50_000_000]), zstd(&hollow)] {
        let mut out = Vec::new();
        let error = unpack(packed.as_slice(), &nobody(), limit, &mut out).unwrap_err();
        assert!(matches!(error, PackingError::TooLarge { limit: 100_000, .. }), "{error}");
        assert!(out.len() <= 100_000 && error.to_string().contains("this test"));
    }
}

#[test]
fn more_layers_than_anybody_needs_are_refused() {
    let packed = iter::successors(Some(gzip(b"x")), |within| Some(gzip(within))).nth(DEEPEST).unwrap();
    assert!(matches!(opened(&packed, &nobody()), Err(PackingError::TooDeep)));
}

#[test]
fn a_window_that_needs_too_much_memory_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.write_all(&noise(100_000)).unwrap();
    let packed = encoder.finish().unwrap();
    let error = opened(&packed, &nobody()).unwrap_err();
    assert!(matches!(error, PackingError::Damaged { packing: Packing::Zstd, .. }), "{error}");
}

#[test]
fn a_header_without_an_end_is_refused_before_memory_is() {
    let key = age::x25519::Identity::generate();
    let of = |head: &[u8], filling: &[u8]| zstd(&[head, &filling.repeat((64 << 20) / filling.len())].concat());
    for (packed, words) in [
        (of(b"age-encryption.org/v1\n-> X25519 ", b"A"), "its header is longer than"),
        (of(b"age-encryption.org/v1\n", b"-> X25519 A\nAA\n"), "its header is longer than"),
        (of(b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"A"), "a line of its armor is longer than"),
    ] {
        let error = opened(&packed, &with(&key)).unwrap_err();
        assert!(
            matches!(&error, PackingError::Damaged { packing: Packing::Age, reason } if reason.contains(words)),
            "{error}"
        );
    }
    // Many recipients are still no header without an end.
    let recipients: Vec<_> =
        (0..200).map(|_| age::x25519::Identity::generate().to_public()).chain([key.to_public()]).collect();
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient)).unwrap();
    let mut packed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut packed).unwrap();
    writer.write_all(&noise(100_000)).unwrap();
    writer.finish().unwrap();
    assert!(opened(&packed, &with(&key)).unwrap().1 == noise(100_000));
}

#[test]
fn names_without_their_endings() {
    assert_eq!(without_endings("a.db.zst.age"), "a.db");
    assert_eq!(without_endings("a.db.gz"), "a.db");
    assert_eq!(without_endings("a.db"), "a.db");
}
