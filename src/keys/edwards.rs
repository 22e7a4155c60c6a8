//! Which 32 octets are an Ed25519 public key (RFC 8032 §5.1.3).
//!
//! The signature check itself refuses what is not a point. It is judged here too, so that an
//! unusable key is reported when a provider is registered, and because keys of small order pass as
//! points although signatures under them prove nothing. Nothing here is secret: no constant time.

use super::KeyProblem;

/// A number modulo 2²⁵⁵−19: five limbs of 51 bits, least significant first. Limbs stay below 2⁵².
#[derive(Clone, Copy)]
struct Field([u64; 5]);

const MASK: u64 = (1 << 51) - 1;

/// The curve's d, −121665/121666 (RFC 8032 §5.1), little-endian.
const D: [u8; 32] = [
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
];

/// 2²⁵⁵−19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The y coordinates of the points whose order divides 8, little-endian: 0 (order 4), 1 (order 1),
/// −1 (order 2), and the two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = P;
        minus_one[0] = 0xec;
        minus_one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Judges an encoded point: canonical, of large order, on the curve.
pub(super) fn admit(encoded: &[u8; 32]) -> Result<(), KeyProblem> {
    let mut y = *encoded;
    y[31] &= 0x7f;
    if !y.iter().rev().lt(P.iter().rev()) {
        return Err(KeyProblem::NotOnCurve);
    }
    if SMALL_ORDER.contains(&y) {
        return Err(KeyProblem::SmallOrder);
    }
    if !has_x(Field::from_octets(&y)) {
        return Err(KeyProblem::NotOnCurve);
    }
    Ok(())
}

/// Whether x² = (y²−1)/(dy²+1) has a solution. d is not a square, so the denominator is never
/// zero, and a quotient is a square if and only if the product is: Euler's criterion decides.
fn has_x(y: Field) -> bool {
    let y_squared = y.times(y);
    let numerator = y_squared.minus(Field::ONE);
    let denominator = Field::from_octets(&D).times(y_squared).plus(Field::ONE);
    let euler = numerator.times(denominator).to_half_of_p_minus_one();
    let canonical = euler.to_octets();
    canonical == Field::ONE.to_octets() || canonical == [0; 32]
}

impl Field {
    const ONE: Field = Field([1, 0, 0, 0, 0]);

    /// A number below 2²⁵⁵, little-endian.
    fn from_octets(octets: &[u8; 32]) -> Field {
        let mut limbs = [0; 5];
        for bit in 0..255 {
            let value = u64::from(octets[bit / 8] >> (bit % 8) & 1);
            limbs[bit / 51] |= value << (bit % 51);
        }
        Field(limbs)
    }

    fn plus(self, other: Field) -> Field {
        let mut sum = [0; 5];
        for (index, limb) in sum.iter_mut().enumerate() {
            *limb = u128::from(self.0[index]) + u128::from(other.0[index]);
        }
        Field::carried(sum)
    }

    fn minus(self, other: Field) -> Field {
        // 4p in limbs that are each larger than any limb of `other`, so that nothing goes negative.
        const FOUR_P: [u64; 5] = [4 * (MASK - 18), 4 * MASK, 4 * MASK, 4 * MASK, 4 * MASK];
        let mut difference = [0; 5];
        for (index, limb) in difference.iter_mut().enumerate() {
            *limb = u128::from(self.0[index] + FOUR_P[index] - other.0[index]);
        }
        Field::carried(difference)
    }

    fn times(self, other: Field) -> Field {
        let mut product = [0_u128; 5];
        for (i, left) in self.0.iter().enumerate() {
            for (j, right) in other.0.iter().enumerate() {
                // 2²⁵⁵ is 19 modulo p.
                let wrapped = if i + j < 5 { 1 } else { 19 };
                product[(i + j) % 5] += u128::from(*left) * u128::from(*right) * wrapped;
            }
        }
        Field::carried(product)
    }

    /// Brings limbs below 2⁵² without changing the number modulo p.
    fn carried(mut limbs: [u128; 5]) -> Field {
        let mask = u128::from(MASK);
        for _ in 0..3 {
            let mut carry = 0;
            for limb in &mut limbs {
                *limb += carry;
                carry = *limb >> 51;
                *limb &= mask;
            }
            limbs[0] += carry * 19;
        }
        Field(limbs.map(|limb| limb as u64))
    }

    /// This number to the power of (p−1)/2 = 2²⁵⁴−10.
    fn to_half_of_p_minus_one(self) -> Field {
        // In binary: 250 ones, then 0110.
        let mut power = Field::ONE;
        for bit in (0..254).rev() {
            power = power.times(power);
            if bit >= 4 || bit == 2 || bit == 1 {
                power = power.times(self);
            }
        }
        power
    }

    /// The one representative below p, little-endian.
    fn to_octets(self) -> [u8; 32] {
        let mut limbs = self.0.map(u128::from);
        // Adding 19 carries out of the top limb exactly if the number is p or larger.
        let mut carry = 19;
        for limb in limbs {
            carry = (limb + carry) >> 51;
        }
        limbs[0] += 19 * carry;
        for index in 0..5 {
            let over = limbs[index] >> 51;
            limbs[index] &= u128::from(MASK);
            if index < 4 {
                limbs[index + 1] += over;
            }
        }
        let mut octets = [0; 32];
        for bit in 0..255 {
            let value = (limbs[bit / 51] >> (bit % 51) & 1) as u8;
            octets[bit / 8] |= value << (bit % 8);
        }
        octets
    }
}
