//! Ranges of addresses, as `allowed_networks` lists them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkError {
    /// It is not `address/length`, or the length does not fit the address.
    NotCidr,
    /// There are bits set beyond the length; the network that was probably meant.
    HostBits(Network),
    /// An IPv4 network written as IPv6: such addresses are judged as IPv4.
    MappedIpv4,
}

impl Network {
    /// Whether the address lies in the network. A v4-mapped IPv6 address is judged as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                masked_v4(own, self.length) == masked_v4(other, self.length)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                masked_v6(own, self.length) == masked_v6(other, self.length)
            }
            _ => false,
        }
    }

    fn masked(self) -> Network {
        let address = match self.address {
            IpAddr::V4(address) => IpAddr::V4(masked_v4(address, self.length)),
            IpAddr::V6(address) => IpAddr::V6(masked_v6(address, self.length)),
        };
        Network { address, ..self }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `address/length`; an address alone is the network of that address.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NotCidr)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::NotCidr)?
            }
            Some(_) => return Err(NetworkError::NotCidr),
        };
        if length > longest {
            return Err(NetworkError::NotCidr);
        }
        if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
            return Err(NetworkError::MappedIpv4);
        }
        let network = Network { address, length };
        if network.masked() != network {
            return Err(NetworkError::HostBits(network.masked()));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::NotCidr => f.write_str("not a network in CIDR form, such as 10.0.0.0/8"),
            NetworkError::HostBits(meant) => {
                write!(
                    f,
                    "bits are set beyond the length; {meant} was probably meant"
                )
            }
            NetworkError::MappedIpv4 => f.write_str("write IPv4 networks in IPv4 form"),
        }
    }
}

impl std::error::Error for NetworkError {}

/// The address with every bit beyond the length cleared.
pub(super) fn masked_v4(address: Ipv4Addr, length: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn masked_v6(address: Ipv6Addr, length: u8) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_are_read_strictly() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.2.3/32",
            "::/0",
            "fd00::/8",
            "::1/128",
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!(" 10.1.2.3 ".parse::<Network>(), "10.1.2.3/32".parse());
        for text in [
            "",
            "/",
            "10/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "010.0.0.0/8",
            "x/8",
            "10.0.0.0/8/8",
            "10.0.0.0/256",
        ] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::NotCidr),
                "{text}"
            );
        }
        assert_eq!(
            "::ffff:10.0.0.0/104".parse::<Network>(),
            Err(NetworkError::MappedIpv4)
        );
        let meant = "10.0.0.0/8".parse().unwrap();
        assert_eq!(
            "10.1.0.0/8".parse::<Network>(),
            Err(NetworkError::HostBits(meant))
        );
    }

    proptest! {
        #[test]
        fn a_network_contains_exactly_what_shares_its_prefix(bits: u32, other: u32, length in 0u8..=32) {
            let network = Network { address: Ipv4Addr::from_bits(bits).into(), length }.masked();
            let shares = length == 0 || (bits ^ other) >> (32 - u32::from(length)) == 0;
            prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), shares);
        }
    }
}
