//! Admission of one JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).

use super::{Algorithm, Key, KeyProblem, Kid, MAX_KEY_ISSUER_BYTES, Material};
use crate::json::{Object, Value};
use crate::token::{MAX_KID_BYTES, base64url};

/// The members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The key that a JWK describes. Members that do not belong to the key, among them `x5c`, are
/// ignored: only `n` and `e`, or `x` and `y`, are the key.
///
/// With `stored` the JWK is one that [`Key::to_jwk`] wrote, and `kid#S256` counts.
pub(super) fn admit(jwk: Object<'_>, stored: bool) -> Result<Key, KeyProblem> {
    let key_type = jwk.get("kty").and_then(Value::as_str);
    if key_type == Some("oct") {
        return Err(KeyProblem::Symmetric);
    }
    if let Some(member) = PRIVATE_MEMBERS
        .into_iter()
        .find(|name| jwk.contains_key(name))
    {
        return Err(KeyProblem::Private(member));
    }
    check_use(jwk)?;
    check_key_ops(jwk)?;
    let kid = kid(jwk, stored)?;
    let algorithm = algorithm(jwk)?;
    let issuer = issuer(jwk);
    let material = match key_type {
        Some("RSA") => rsa(jwk)?,
        Some("EC") => elliptic_curve(jwk)?,
        Some("OKP") => octet_key_pair(jwk)?,
        _ => return Err(KeyProblem::UnknownType),
    };
    Key::new(kid, algorithm, material).map(|key| key.with_issuer(issuer))
}

fn check_use(jwk: Object<'_>) -> Result<(), KeyProblem> {
    match jwk.get("use") {
        None => Ok(()),
        Some(Value::String("sig")) => Ok(()),
        Some(_) => Err(KeyProblem::Use),
    }
}

/// RFC 7517 §4.3: no operation twice, none that is unrelated to verifying.
fn check_key_ops(jwk: Object<'_>) -> Result<(), KeyProblem> {
    let Some(value) = jwk.get("key_ops") else {
        return Ok(());
    };
    let operations = value.as_array().ok_or(KeyProblem::KeyOps)?;
    let count = |name: &str| {
        let named = operations.iter().filter(|item| item.as_str() == Some(name));
        named.count()
    };
    let (verify, sign) = (count("verify"), count("sign"));
    if verify == 1 && sign <= 1 && operations.len() == verify + sign {
        Ok(())
    } else {
        Err(KeyProblem::KeyOps)
    }
}

fn kid(jwk: Object<'_>, stored: bool) -> Result<Option<Kid>, KeyProblem> {
    let id = match jwk.get("kid") {
        None => return Ok(None),
        Some(Value::String(id)) => id,
        Some(_) => return Err(KeyProblem::Kid),
    };
    if id.len() > MAX_KID_BYTES {
        return Err(KeyProblem::KidTooLong);
    }
    match jwk.get("kid#S256").filter(|_| stored) {
        None => Ok(Some(Kid::new(id))),
        Some(hash) => hash
            .as_str()
            .and_then(base64url::decode)
            .and_then(|octets| octets.try_into().ok())
            .map(|hash| Some(Kid::from_parts(hash, id.to_owned())))
            .ok_or(KeyProblem::Kid),
    }
}

/// RFC 7517 §4.4, and `Ed25519`, the fully specified name of RFC 9864 §2.2. An algorithm that is
/// not known is not the same as none.
fn algorithm(jwk: Object<'_>) -> Result<Option<Algorithm>, KeyProblem> {
    match jwk.get("alg") {
        None => Ok(None),
        Some(Value::String("Ed25519")) => Ok(Some(Algorithm::EdDSA)),
        Some(Value::String(name)) => name.parse().map(Some).map_err(|_| KeyProblem::Algorithm),
        Some(_) => Err(KeyProblem::Algorithm),
    }
}

/// `issuer`, which Microsoft Entra ID adds to the keys that several tenants share: the only issuer whose
/// tokens the key signs. A restriction that cannot be read must not be taken for none: it becomes the
/// empty text, which is no issuer.
fn issuer(jwk: Object<'_>) -> Option<String> {
    let issuer = jwk.get("issuer")?.as_str();
    let issuer = issuer.filter(|issuer| issuer.len() <= MAX_KEY_ISSUER_BYTES);
    Some(issuer.unwrap_or_default().to_owned())
}

fn rsa(jwk: Object<'_>) -> Result<Material, KeyProblem> {
    refuse_members_of_others(jwk, &["crv", "x", "y"])?;
    Ok(Material::Rsa {
        n: unsigned(jwk, "n")?,
        e: unsigned(jwk, "e")?,
    })
}

fn elliptic_curve(jwk: Object<'_>) -> Result<Material, KeyProblem> {
    refuse_members_of_others(jwk, &["n", "e"])?;
    match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => Ok(Material::P256 {
            x: coordinate(jwk, "x")?,
            y: coordinate(jwk, "y")?,
        }),
        Some("P-384") => Ok(Material::P384 {
            x: coordinate(jwk, "x")?,
            y: coordinate(jwk, "y")?,
        }),
        _ => Err(KeyProblem::Curve),
    }
}

fn octet_key_pair(jwk: Object<'_>) -> Result<Material, KeyProblem> {
    refuse_members_of_others(jwk, &["n", "e", "y"])?;
    match jwk.get("crv").and_then(Value::as_str) {
        Some("Ed25519") => Ok(Material::Ed25519 {
            x: coordinate(jwk, "x")?,
        }),
        _ => Err(KeyProblem::Curve),
    }
}

/// A key that looks like two types at once would be another key to another reader.
fn refuse_members_of_others(jwk: Object<'_>, names: &[&'static str]) -> Result<(), KeyProblem> {
    match names.iter().find(|name| jwk.contains_key(name)) {
        Some(name) => Err(KeyProblem::ForeignMember(name)),
        None => Ok(()),
    }
}

fn octets(jwk: Object<'_>, name: &'static str) -> Result<Vec<u8>, KeyProblem> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(base64url::decode)
        .filter(|octets| !octets.is_empty())
        .ok_or(KeyProblem::Member(name))
}

/// A Base64urlUInt. RFC 7518 §2 asks for the fewest octets, and §6.3.1.1 says that libraries are
/// known to put one zero octet in front: that one is accepted, since the number is the same; more
/// are not.
fn unsigned(jwk: Object<'_>, name: &'static str) -> Result<Vec<u8>, KeyProblem> {
    let octets = octets(jwk, name)?;
    if octets.starts_with(&[0, 0]) {
        return Err(KeyProblem::Member(name));
    }
    Ok(octets)
}

/// A coordinate, exactly as long as the field's elements (RFC 7518 §6.2.1.2).
fn coordinate<const LENGTH: usize>(
    jwk: Object<'_>,
    name: &'static str,
) -> Result<[u8; LENGTH], KeyProblem> {
    octets(jwk, name)?
        .try_into()
        .map_err(|_| KeyProblem::CoordinateLength)
}
