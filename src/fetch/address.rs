//! Which IP addresses may be connected to.
//!
//! The ranges are those of the IANA special-purpose address registries (RFC 6890 and its updates),
//! and of addresses at which clouds serve their machines' credentials.

use super::network::masked_v4;
use super::{AllowHttp, Rules};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that must not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRefused {
    /// The address.
    pub address: IpAddr,
    /// What is wrong with it, as the end of "the address 10.0.0.1 …".
    pub problem: &'static str,
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {} {}", self.address, self.problem)
    }
}

/// Whether an address is one of the public internet.
///
/// Private, shared, loopback, link-local, multicast, documentation, benchmarking and reserved ranges
/// are not, nor is an IPv6 address that carries such an IPv4 address inside.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Judges an address after DNS and before connecting: it must be public or in `allowed_networks`.
///
/// # Errors
/// [`AddressRefused`] otherwise. `allow_http` makes no difference here.
pub fn judge_address(address: IpAddr, rules: &Rules) -> Result<(), AddressRefused> {
    if is_public(address) || is_allowed(address, rules) {
        return Ok(());
    }
    Err(AddressRefused {
        address,
        problem: "is not public and not in allowed_networks",
    })
}

/// Judges an address for a request without TLS: what [`judge_address`] asks for, and `allow_http`.
///
/// # Errors
/// [`AddressRefused`] otherwise.
pub fn judge_http_address(address: IpAddr, rules: &Rules) -> Result<(), AddressRefused> {
    judge_address(address, rules)?;
    let problem = match rules.allow_http {
        AllowHttp::Off => "may be asked by https only",
        AllowHttp::Loopback if address.to_canonical().is_loopback() => return Ok(()),
        AllowHttp::Loopback => "is no loopback address and may be asked by https only",
        AllowHttp::AllowedNetworks if is_allowed(address, rules) => return Ok(()),
        AllowHttp::AllowedNetworks => "is not in allowed_networks and may be asked by https only",
    };
    Err(AddressRefused { address, problem })
}

fn is_allowed(address: IpAddr, rules: &Rules) -> bool {
    rules
        .allowed_networks
        .iter()
        .any(|network| network.contains(address))
}

/// Address and prefix length of each IPv4 range that is not public.
const SPECIAL_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network, RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared, RFC 6598; Alibaba's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback, RFC 1122
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's host service
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, RFC 3927; metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments, RFC 6890; Oracle's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation, RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24),  // AS112, RFC 7535
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved and broadcast, RFC 1112, RFC 919
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|&(network, length)| masked_v4(address, length) == network)
}

/// Only global unicast (2000::/3) can be public. That leaves out loopback, unspecified, v4-compatible,
/// link-local, unique local, multicast, and local-use NAT64 (64:ff9b:1::/48, RFC 8215).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // NAT64, RFC 6052
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // protocol assignments with Teredo, benchmarking and ORCHID, RFC 2928
        [0x2001, 0..=0x1ff, ..] => false,
        // documentation, RFC 3849 and RFC 9637
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // 6to4, RFC 3056
        [0x2002, high, low, ..] => embedded(high, low),
        // ISATAP, RFC 5214 §6.1
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] if !embedded(high, low) => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rules(networks: &[&str], allow_http: AllowHttp) -> Rules {
        Rules {
            allowed_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            allow_http,
            ..Rules::default()
        }
    }

    #[test]
    fn addresses_of_the_public_internet_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450:4001::8a",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_public(ip(address)), "{address}");
        }
    }

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::10.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:0:808:808::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:192.168.0.1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(address)), "{address}");
            assert!(
                judge_address(ip(address), &Rules::default()).is_err(),
                "{address}"
            );
        }
    }

    #[test]
    fn an_allowed_network_admits_its_addresses_and_their_mapped_form_only() {
        let rules = rules(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1"], AllowHttp::Off);
        for address in [
            "10.1.0.0",
            "10.1.255.255",
            "::ffff:10.1.2.3",
            "fd00:1::7",
            "127.0.0.1",
        ] {
            assert_eq!(judge_address(ip(address), &rules), Ok(()), "{address}");
        }
        for address in [
            "10.0.255.255",
            "10.2.0.0",
            "fd00:2::7",
            "127.0.0.2",
            "::10.1.2.3",
            "::1",
        ] {
            assert!(judge_address(ip(address), &rules).is_err(), "{address}");
        }
    }

    #[test]
    fn loopback_by_http_needs_both_the_switch_and_the_network() {
        let cases = [
            (rules(&[], AllowHttp::Loopback), "127.0.0.1", false),
            (rules(&["127.0.0.0/8"], AllowHttp::Off), "127.0.0.1", false),
            (
                rules(&["127.0.0.0/8"], AllowHttp::Loopback),
                "127.0.0.1",
                true,
            ),
            (
                rules(&["127.0.0.0/8"], AllowHttp::Loopback),
                "::ffff:127.0.0.1",
                true,
            ),
            (
                rules(&["10.0.0.0/8"], AllowHttp::Loopback),
                "10.0.0.1",
                false,
            ),
            (rules(&[], AllowHttp::Loopback), "8.8.8.8", false),
            (
                rules(&["10.0.0.0/8"], AllowHttp::AllowedNetworks),
                "10.0.0.1",
                true,
            ),
            (
                rules(&["10.0.0.0/8"], AllowHttp::AllowedNetworks),
                "8.8.8.8",
                false,
            ),
        ];
        for (rules, address, allowed) in cases {
            let judged = judge_http_address(ip(address), &rules);
            assert_eq!(judged.is_ok(), allowed, "{rules:?} {address}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_its_ipv4_address(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_public(v4.into()), is_public(v4.to_ipv6_mapped().into()));
        }

        #[test]
        fn no_ipv4_address_that_the_standard_library_calls_special_is_public(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified() {
                prop_assert!(!is_public(v4.into()));
            }
        }
    }
}
