use proptest::prelude::*;

use super::*;

/// A header with this command, family and body.
fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn ipv4(fields: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 9, 198, 51, 100, 1, 0xc0, 0x01, 0x02, 0x4b];
    header(0x21, TCP_OVER_IPV4, &[&addresses[..], fields].concat())
}

fn whole(octets: &[u8]) -> Result<Progress, ProxyError> {
    read(octets, &Limits::default())
}

fn given(source: &str, destination: &str) -> Result<Progress, ProxyError> {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    Ok(Progress::Whole(Proxied::Given { source, destination }))
}

#[test]
fn addresses_of_both_families_are_given() {
    assert_eq!(whole(&ipv4(b"")), given("192.0.2.9:49153", "198.51.100.1:587"));
    let addresses = |source: &str| {
        let octets =
            [source, "2001:db8::25"].map(|text| text.parse::<std::net::Ipv6Addr>().unwrap().octets());
        header(0x21, TCP_OVER_IPV6, &[octets.concat().as_slice(), &[0, 1, 0, 25]].concat())
    };
    assert_eq!(whole(&addresses("2001:db8::9")), given("[2001:db8::9]:1", "[2001:db8::25]:25"));
    assert_eq!(whole(&addresses("::ffff:192.0.2.9")), given("192.0.2.9:1", "[2001:db8::25]:25"));
}

#[test]
fn a_health_check_of_the_balancer_is_itself_whatever_follows() {
    for family in [0, TCP_OVER_IPV4, 0x31, 0xff] {
        assert_eq!(whole(&header(0x20, family, b"")), Ok(Progress::Whole(Proxied::Local)));
        assert_eq!(whole(&header(0x20, family, b"\x03\0")), Ok(Progress::Whole(Proxied::Local)));
    }
}

#[test]
fn what_is_no_header_of_version_2_is_refused_at_its_first_wrong_octet() {
    for (octets, error) in [
        (&b"E"[..], ProxyError::Absent),
        (b"EHLO client.example\r\n", ProxyError::Absent),
        (b"\r\n\r\n\0\r\nQUIT\r", ProxyError::Absent),
        (b"PROX ", ProxyError::Absent),
        (b"\x16\x03\x01", ProxyError::Absent),
        (b"PROXY", ProxyError::FirstVersion),
        (b"PROXY UNKNOWN\r\n", ProxyError::FirstVersion),
        (&header(0x11, TCP_OVER_IPV4, b""), ProxyError::Version(1)),
        (&header(0x31, TCP_OVER_IPV4, b""), ProxyError::Version(3)),
        (&header(0x22, TCP_OVER_IPV4, b""), ProxyError::Command(2)),
        (&header(0x21, 0x00, &[0; 12]), ProxyError::Family(0x00)),
        (&header(0x21, 0x12, &[0; 12]), ProxyError::Family(0x12)),
        (&header(0x21, 0x31, &[0; 216]), ProxyError::Family(0x31)),
        (&header(0x21, TCP_OVER_IPV4, &[0; 11]), ProxyError::Short),
        (&header(0x21, TCP_OVER_IPV6, &[0; 35]), ProxyError::Short),
        (&header(0x21, TCP_OVER_IPV4, &[0; 4081]), ProxyError::TooLong(4097)),
        (&ipv4(&[1]), ProxyError::Fields),
        (&ipv4(&[1, 0]), ProxyError::Fields),
        (&ipv4(&[1, 0, 2, 0]), ProxyError::Fields),
        (&ipv4(&[3, 0, 3, 0, 0, 0]), ProxyError::Fields),
        (&ipv4(&[3, 0, 4, 0, 0, 0, 0]), ProxyError::Checksum),
    ] {
        assert_eq!(whole(octets), Err(error), "{}", octets.escape_ascii());
    }
}

#[test]
fn a_header_in_pieces_says_how_much_of_it_is_missing() {
    let octets = ipv4(&[4, 0, 2, b'n', b'o']);
    for (length, more) in [(0, 12), (1, 11), (11, 1), (12, 4), (15, 1), (16, 17), (32, 1)] {
        assert_eq!(whole(&octets[..length]), Ok(Progress::More(more)), "{length}");
    }
    assert_eq!(whole(b"PRO"), Ok(Progress::More(2)));
    let beyond = [octets.as_slice(), b"EHLO client.example\r\n"].concat();
    assert_eq!(whole(&beyond), whole(&octets));
}

#[test]
fn rfc3720_b_4_checksums() {
    let of = |octets: &[u8]| crc32c(octets.iter().copied());
    assert_eq!(of(&[0; 32]), 0x8a91_36aa);
    assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(of(b"123456789"), 0xe306_9283);
}

#[test]
fn a_checksum_that_fits_is_taken_and_one_octet_changed_is_found() {
    let blank = ipv4(&[4, 0, 1, 0, 3, 0, 4, 0, 0, 0, 0, 4, 0, 0]);
    let sum = crc32c(blank.iter().copied()).to_be_bytes();
    let mut summed = blank;
    summed[35..39].copy_from_slice(&sum);
    assert_eq!(whole(&summed), given("192.0.2.9:49153", "198.51.100.1:587"));
    summed[19] ^= 1;
    assert_eq!(whole(&summed), Err(ProxyError::Checksum));
}

proptest! {
    #[test]
    fn any_octets_are_a_header_or_none(noise in any::<Vec<u8>>(), command in any::<u8>(), family in any::<u8>(),
                                       body in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..100) {
        for octets in [noise, header(command, family, &body), ipv4(&body)] {
            let cut = octets.get(..cut).unwrap_or(&octets);
            match (whole(cut), whole(&octets)) {
                // More is asked for only as long as it may be one, and never more than there is.
                (Ok(Progress::More(more)), _) => prop_assert!(more > 0),
                (early, late) => prop_assert_eq!(early, late),
            }
        }
    }

    #[test]
    fn what_is_printed_is_read(source: [u8; 4], destination: [u8; 4], ports: [u8; 4],
                               fields in prop::collection::vec((4u8..=255, prop::collection::vec(any::<u8>(), 0..9)), 0..5)) {
        let tail: Vec<u8> = fields.iter().flat_map(|(kind, value)| {
            [&[*kind, 0, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
        }).collect();
        let octets = header(0x21, TCP_OVER_IPV4, &[&source[..], &destination, &ports, &tail].concat());
        let [a, b, c, d] = ports;
        let expected = Proxied::Given {
            source: SocketAddr::from((source, u16::from_be_bytes([a, b]))),
            destination: SocketAddr::from((destination, u16::from_be_bytes([c, d]))),
        };
        prop_assert_eq!(whole(&octets), Ok(Progress::Whole(expected)));
    }
}
