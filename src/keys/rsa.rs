//! Which RSA keys are strong enough to be believed.

use super::KeyProblem;
use std::ops::RangeInclusive;

/// Modulus lengths, in bits: RFC 7518 §3.3 asks for 2048; the upper bound keeps verification cheap.
const MODULUS_BITS: RangeInclusive<usize> = 2048..=8192;

/// The odd primes up to 167. They divide no honest modulus, and moduli made by the generator of
/// CVE-2017-15361 are powers of 65537 modulo each of them.
const SMALL_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Judges a modulus and an exponent, both big-endian and without leading zero octets.
pub(super) fn admit(n: &[u8], e: &[u8]) -> Result<(), KeyProblem> {
    let bits = bit_length(n);
    if !MODULUS_BITS.contains(&bits) {
        return Err(KeyProblem::ModulusSize(bits));
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(KeyProblem::ModulusFactor);
    }
    if !is_usable_exponent(e) {
        return Err(KeyProblem::Exponent);
    }
    let remainders = SMALL_PRIMES.map(|prime| (prime, remainder(n, prime)));
    if remainders.iter().any(|(_, remainder)| *remainder == 0) {
        return Err(KeyProblem::ModulusFactor);
    }
    // A random modulus passes all of these tests once in 2^27 or so: the public fingerprint test.
    if remainders
        .iter()
        .all(|(prime, remainder)| is_power_of_65537(*remainder, *prime))
    {
        return Err(KeyProblem::Roca);
    }
    Ok(())
}

/// Significant bits of a big-endian number.
fn bit_length(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|octet| **octet == 0);
    match significant.clone().next() {
        None => 0,
        Some(first) => significant.count() * 8 - first.leading_zeros() as usize,
    }
}

/// Odd, from 3 to 2³²−1: 1 makes every signature valid, even ones are no RSA, huge ones are slow.
fn is_usable_exponent(e: &[u8]) -> bool {
    e.len() <= 4
        && e.last().is_some_and(|last| last % 2 == 1)
        && e.iter()
            .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet))
            >= 3
}

fn remainder(n: &[u8], prime: u32) -> u32 {
    n.iter()
        .fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % prime)
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * generator % prime;
    }
    false
}
