//! Why a key is not used.

use std::fmt;

/// Why a key is not used. It names members, never their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyProblem {
    /// The entry is not a JSON object, or not one that can be read.
    Unreadable,
    /// A member name occurs twice (RFC 7517 §4).
    DuplicateMember,
    /// The entry contains a member of private keys (RFC 7517 §9.2).
    Private(&'static str),
    /// `kty` is `oct`: whoever can verify with such a key can also sign (RFC 8725 §3.1).
    Symmetric,
    /// `kty` is missing, or none of `RSA`, `EC` and `OKP` (RFC 7517 §4.1).
    UnknownType,
    /// A member that its type needs is missing or not base64url (RFC 7518 §6).
    Member(&'static str),
    /// A member belongs to another type of key.
    ForeignMember(&'static str),
    /// `use` is not `sig` (RFC 7517 §4.2).
    Use,
    /// `key_ops` does not say `verify`, or says more than signing and verifying (RFC 7517 §4.3).
    KeyOps,
    /// `alg` is none of the supported algorithms, or not one for this key (RFC 7517 §4.4).
    Algorithm,
    /// `kid` is not a string (RFC 7517 §4.5).
    Kid,
    /// `kid` is longer than 1024 bytes.
    KidTooLong,
    /// `crv` is none of `P-256`, `P-384` and `Ed25519`.
    Curve,
    /// A coordinate does not have the length of the curve's field (RFC 7518 §6.2.1, RFC 8037 §2).
    CoordinateLength,
    /// The coordinates are not a point of the curve.
    NotOnCurve,
    /// The point is of small order: signatures under it prove nothing (RFC 8032 §5.1.7).
    SmallOrder,
    /// The RSA modulus is shorter than 2048 or longer than 8192 bits (RFC 7518 §3.3).
    ModulusSize(usize),
    /// The RSA modulus is even or divisible by another small prime.
    ModulusFactor,
    /// The RSA exponent is not an odd number from 3 to 2³²−1.
    Exponent,
    /// The RSA modulus comes from a generator whose keys can be factored (CVE-2017-15361).
    Roca,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyProblem::Unreadable => f.write_str("it is not a JSON object that can be read"),
            KeyProblem::DuplicateMember => f.write_str("a member name occurs twice"),
            KeyProblem::Private(member) => {
                write!(
                    f,
                    "it contains \"{member}\", which belongs to a private key"
                )
            }
            KeyProblem::Symmetric => f.write_str("it is a symmetric key"),
            KeyProblem::UnknownType => f.write_str("its kty is none of RSA, EC and OKP"),
            KeyProblem::Member(member) => {
                write!(
                    f,
                    "\"{member}\" is missing or not base64url without padding"
                )
            }
            KeyProblem::ForeignMember(member) => {
                write!(f, "\"{member}\" belongs to another type of key")
            }
            KeyProblem::Use => f.write_str("its use is not \"sig\""),
            KeyProblem::KeyOps => f.write_str("its key_ops are not those of a signature key"),
            KeyProblem::Algorithm => {
                f.write_str("its alg is not supported, or not one for this type of key")
            }
            KeyProblem::Kid => f.write_str("its kid is not a string"),
            KeyProblem::KidTooLong => f.write_str("its kid is longer than 1024 bytes"),
            KeyProblem::Curve => f.write_str("its crv is none of P-256, P-384 and Ed25519"),
            KeyProblem::CoordinateLength => f.write_str("a coordinate has the wrong length"),
            KeyProblem::NotOnCurve => f.write_str("it is not a point of its curve"),
            KeyProblem::SmallOrder => f.write_str("it is a point of small order"),
            KeyProblem::ModulusSize(bits) => {
                write!(f, "its modulus has {bits} bits, not 2048 to 8192")
            }
            KeyProblem::ModulusFactor => f.write_str("its modulus is divisible by a small prime"),
            KeyProblem::Exponent => {
                f.write_str("its exponent is not an odd number from 3 to 4294967295")
            }
            KeyProblem::Roca => f.write_str("its modulus has the ROCA weakness (CVE-2017-15361)"),
        }
    }
}

impl std::error::Error for KeyProblem {}
