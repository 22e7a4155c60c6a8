//! Writes `tests/pg_regress/common/tokens.sql`: the tokens of the golden SQL tests and the public keys
//! that they are signed with, as psql variables.
//!
//! The key pairs are made here and thrown away, so that each run gives other tokens; what the tests
//! print does not depend on them. The tokens were issued in 2024 and end in 2100.
//!
//! ```text
//! cargo run --example golden_tokens > tests/pg_regress/common/tokens.sql
//! ```

#[path = "../../tests/common/mint.rs"]
#[allow(dead_code)]
mod mint;

mod kinds;

use mint::{KeyPair, encode};
use serde_json::{Map, Value, json};

/// 2024-05-29 16:31:40 UTC
const ISSUED: u64 = 1_717_000_300;
/// 2100-01-01 00:00:00 UTC
const EXPIRES: u64 = 4_102_444_800;

const CLERK: &str = "https://clerk.example.com";
const FIREBASE: &str = "https://securetoken.google.com/my-project";
const SUPABASE: &str = "https://project.supabase.co/auth/v1";
const OIDC: &str = "https://issuer.example.com/";

/// An identity provider: its key and the id of it.
struct Signer {
    key: KeyPair,
    kid: &'static str,
}

struct Signers {
    clerk: Signer,
    google: Signer,
    supabase: Signer,
    oidc: Signer,
}

fn main() {
    let signers = Signers {
        clerk: Signer {
            key: KeyPair::rsa(),
            kid: "ins_2abc",
        },
        google: Signer {
            key: KeyPair::rsa(),
            kid: "google_1",
        },
        supabase: Signer {
            key: KeyPair::p256(),
            kid: "supabase_1",
        },
        oidc: Signer {
            key: KeyPair::ed25519(),
            kid: "oidc_1",
        },
    };
    println!("\\set ECHO none");
    println!("-- Written by examples/golden_tokens.rs; see README.md.");
    keys(&signers);
    clerk(&signers);
    factors(&signers);
    firebase(&signers);
    supabase(&signers);
    oidc(&signers);
    broken(&signers);
    kinds::kinds(&signers);
    println!("\\set ECHO all");
}

fn keys(signers: &Signers) {
    for (name, signer) in [
        ("clerk_jwks", &signers.clerk),
        ("google_jwks", &signers.google),
        ("supabase_jwks", &signers.supabase),
        ("oidc_jwks", &signers.oidc),
    ] {
        set(name, &mint::jwks(&[signer.jwk()]));
    }
    let good = signers.oidc.jwk();
    let symmetric = json!({"kty": "oct", "kid": "secret", "k": encode(&[7; 32])});
    // 1024 bits: the first and the last are set.
    let weak = json!({"kty": "RSA", "kid": "weak", "n": encode(&[0xff; 128]), "e": "AQAB"});
    let private = with(&good, json!({"d": encode(&[7; 32])}));
    set(
        "symmetric_jwks",
        &mint::jwks(std::slice::from_ref(&symmetric)),
    );
    set("weak_jwks", &mint::jwks(std::slice::from_ref(&weak)));
    set("private_jwks", &mint::jwks(std::slice::from_ref(&private)));
    set("mixed_jwks", &mint::jwks(&[symmetric, weak, private, good]));
}

/// Session tokens of Clerk, version 2 unless the name says otherwise.
fn clerk(signers: &Signers) {
    let clerk = |name: &str, changes: Value| signers.clerk.token(name, &clerk_claims(), changes);
    clerk("clerk_admin", json!({}));
    clerk(
        "clerk_member",
        json!({"o": {"id": "org_a", "slg": "acme", "rol": "member"}}),
    );
    clerk(
        "clerk_other_admin",
        json!({"o": {"id": "org_b", "slg": "other", "rol": "admin"}}),
    );
    clerk("clerk_no_organization", json!({"o": null}));
    clerk(
        "clerk_empty_organization",
        json!({"o": {"id": "", "rol": "admin"}}),
    );
    let version_1 = json!({"v": null, "o": null, "org_id": "org_a", "org_role": "org:admin"});
    clerk("clerk_v1_admin", version_1.clone());
    clerk(
        "clerk_v1_member",
        with(&version_1, json!({"org_role": "org:member"})),
    );
    // Claims that a user's metadata may have put there.
    clerk(
        "clerk_mixed_id",
        json!({"org_id": "org_b", "org_role": "org:admin"}),
    );
    clerk(
        "clerk_mixed_role",
        json!({"o": {"id": "org_a", "rol": "member"}, "org_id": "org_a", "org_role": "org:admin"}),
    );
    clerk(
        "clerk_mixed_unversioned",
        json!({"v": null, "org_id": "org_b", "org_role": "org:admin"}),
    );
    clerk("clerk_no_role", json!({"role": null}));
    clerk("clerk_service_role", json!({"role": "service_role"}));
    clerk("clerk_pending", json!({"sts": "pending"}));
    clerk(
        "clerk_other_party",
        json!({"azp": "https://evil.example.com"}),
    );
    clerk("clerk_template", json!({"sid": null}));
    clerk("clerk_machine", json!({"sub": "mch_2abc"}));
}

/// Clerk's `fva`, in shapes that the guide's comparison with `'-1'` lets through, and in others.
fn factors(signers: &Signers) {
    let cases = [
        ("fva_verified", json!([2, 5])),
        ("fva_never", json!([2, -1])),
        ("fva_fraction", json!([2, -1.0])),
        ("fva_true", json!([2, true])),
        ("fva_array", json!([2, []])),
        ("fva_empty_text", json!([2, ""])),
        ("fva_text", json!([2, "5"])),
        ("fva_below", json!([2, -2])),
        ("fva_three", json!([2, 5, 5])),
        ("fva_one", json!([2])),
        ("fva_empty", json!([])),
        ("fva_object", json!({"1": 5})),
        ("fva_both_never", json!([-1, -1])),
        ("fva_missing", Value::Null),
    ];
    for (name, fva) in cases {
        signers
            .clerk
            .token(name, &clerk_claims(), json!({"fva": fva}));
    }
}

fn firebase(signers: &Signers) {
    let claims = json!({
        "iss": FIREBASE, "aud": "my-project", "auth_time": ISSUED - 300, "user_id": "AbC123",
        "sub": "AbC123", "iat": ISSUED, "exp": EXPIRES, "role": "authenticated",
        "email": "user@example.com", "email_verified": true,
        "firebase": {"identities": {"email": ["user@example.com"]}, "sign_in_provider": "password"},
    });
    let google = |name: &str, changes: Value| signers.google.token(name, &claims, changes);
    google("firebase_user", json!({}));
    google(
        "firebase_second_factor",
        json!({"firebase": {"sign_in_provider": "password", "sign_in_second_factor": "phone"}}),
    );
    google("firebase_no_role", json!({"role": null}));
    google("firebase_service_role", json!({"role": "service_role"}));
    google("firebase_audience_array", json!({"aud": ["my-project"]}));
    // Anyone can create a project and have any claim signed by the same keys.
    let foreign =
        json!({"iss": "https://securetoken.google.com/evil-project", "aud": "evil-project"});
    google("firebase_foreign", foreign.clone());
    google(
        "firebase_foreign_service_role",
        with(&foreign, json!({"role": "service_role"})),
    );
    google(
        "firebase_foreign_audience",
        with(&foreign, json!({"aud": ["my-project", "evil-project"]})),
    );
    // A token for a blocking function of our own project, and a session cookie.
    google(
        "firebase_function_audience",
        json!({"aud": "https://us-central1-my-project.cloudfunctions.net/f"}),
    );
    google(
        "firebase_cookie",
        json!({"iss": "https://session.firebase.google.com/my-project"}),
    );
}

fn supabase(signers: &Signers) {
    let claims = json!({
        "iss": SUPABASE, "aud": "authenticated", "sub": "0b3c4f0e-7b6e-4f57-9a0e-2f3a0a1b2c3d",
        "iat": ISSUED, "exp": EXPIRES, "role": "authenticated", "email": "user@example.com",
        "phone": "", "aal": "aal1", "amr": [{"method": "password", "timestamp": ISSUED - 100}],
        "session_id": "3f1b8f5e-1c56-4e0e-9d34-6a2f0a9d1f10", "is_anonymous": false,
        "app_metadata": {"provider": "email"}, "user_metadata": {},
    });
    let supabase = |name: &str, changes: Value| signers.supabase.token(name, &claims, changes);
    supabase("supabase_user", json!({}));
    let factors = json!([
        {"method": "totp", "timestamp": ISSUED}, {"method": "password", "timestamp": ISSUED - 100}
    ]);
    supabase("supabase_aal2", json!({"aal": "aal2", "amr": factors}));
    supabase(
        "supabase_aal2_undated",
        json!({"aal": "aal2", "amr": ["totp", "password"]}),
    );
    supabase("supabase_service_role", json!({"role": "service_role"}));
    // An ID token of the OAuth server has the same issuer and key.
    supabase("supabase_id_token", json!({"session_id": null}));
    supabase(
        "supabase_other_audience",
        json!({"aud": "8a1f6c3e-0000-4000-8000-000000000000"}),
    );
}

fn oidc(signers: &Signers) {
    let oidc = |name: &str, changes: Value| signers.oidc.token(name, &oidc_claims(), changes);
    oidc(
        "oidc_user",
        json!({"aud": ["api", "https://issuer.example.com/userinfo"]}),
    );
    oidc(
        "oidc_second_factor",
        json!({"amr": ["pwd", "mfa"], "auth_time": ISSUED - 60}),
    );
    oidc("oidc_nonce", json!({"nonce": "n-0S6_WzA2Mj"}));
    oidc(
        "oidc_nonce_digest",
        json!({"nonce": sha256_hex("n-0S6_WzA2Mj")}),
    );
    oidc(
        "oidc_one_time",
        json!({"iss": "https://one-time.example.com"}),
    );
}

/// One token for each way in which a token can be refused before anything provider-specific.
fn broken(signers: &Signers) {
    let oidc = |name: &str, changes: Value| signers.oidc.token(name, &oidc_claims(), changes);
    oidc("expired", json!({"exp": ISSUED + 60}));
    oidc("not_yet_valid", json!({"nbf": EXPIRES - 60}));
    oidc("issued_in_future", json!({"iat": EXPIRES - 60}));
    oidc("no_exp", json!({"exp": null}));
    oidc("no_subject", json!({"sub": null}));
    oidc("exp_text", json!({"exp": "4102444800"}));
    oidc("other_audience", json!({"aud": "another-api"}));
    oidc("no_audience", json!({"aud": null}));
    oidc("other_role", json!({"role": "postgres"}));
    oidc("role_array", json!({"role": ["authenticated"]}));
    oidc(
        "unknown_issuer",
        json!({"iss": "https://unknown.example.com"}),
    );
    // One byte less than the registered issuer.
    oidc(
        "issuer_without_slash",
        json!({"iss": "https://issuer.example.com"}),
    );

    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": signers.oidc.kid});
    let sign = |name: &str, changes: Value, key: &KeyPair| {
        set(name, &key.sign(&with(&header, changes), &oidc_claims()));
    };
    let own = &signers.oidc.key;
    sign("critical_header", json!({"crit": ["exp"]}), own);
    sign("algorithm_hs256", json!({"alg": "HS256"}), own);
    sign("algorithm_none", json!({"alg": "none"}), own);
    sign("other_type", json!({"typ": "dpop+jwt"}), own);
    sign("unknown_key", json!({"kid": "oidc_2"}), own);
    sign("bad_signature", json!({}), &KeyPair::ed25519());
    // The key of another provider, with its own id: keys are not looked up by id alone.
    sign(
        "key_of_another_provider",
        json!({"alg": "RS256", "kid": signers.google.kid}),
        &signers.google.key,
    );
    let access_token = json!({"alg": "RS256", "typ": "at+jwt", "kid": signers.clerk.kid});
    set(
        "clerk_access_token",
        &signers.clerk.key.sign(&access_token, &clerk_claims()),
    );

    let raw = |name: &str, payload: &str| {
        set(name, &own.sign_texts("EdDSA", &header.to_string(), payload));
    };
    let beginning =
        format!(r#"{{"iss":"{OIDC}","aud":"api","sub":"user_1","iat":{ISSUED},"exp":{EXPIRES}"#);
    raw(
        "duplicate_exp",
        &format!(r#"{beginning},"exp":{EXPIRES}}}"#),
    );
    raw(
        "duplicate_escaped",
        &format!(r#"{beginning},"rol\u0065":"authenticated","role":"anon"}}"#),
    );
    raw("not_an_object", "[1]");
    raw(
        "nul_character",
        &format!(r#"{beginning},"name":"a\u0000b"}}"#),
    );
    raw(
        "lone_surrogate",
        &format!(r#"{beginning},"name":"\ud800"}}"#),
    );
    raw(
        "too_small_number",
        &format!(r#"{beginning},"n":1e-20000}}"#),
    );
    raw(
        "too_large_number",
        &format!(r#"{beginning},"n":1e200000}}"#),
    );
    raw(
        "numbers",
        &format!(
            r#"{beginning},"beyond_64_bits":18446744073709551617,"beyond_53_bits":9007199254740993,"digits":0.1000000000000000055511151231257827,"trailing":1.50,"exponent":1e20,"small":1e-300}}"#
        ),
    );
    raw(
        "deep",
        &format!(r#"{beginning},"n":{}{}}}"#, "[".repeat(64), "]".repeat(64)),
    );
}

fn clerk_claims() -> Value {
    json!({
        "azp": "https://app.example.com", "exp": EXPIRES, "fva": [2, -1], "iat": ISSUED,
        "iss": CLERK, "jti": "0123456789abcdef0123", "nbf": ISSUED - 10, "sid": "sess_2abc",
        "sub": "user_2abc", "v": 2, "sts": "active", "role": "authenticated",
        "o": {"id": "org_a", "slg": "acme", "rol": "admin"},
    })
}

fn oidc_claims() -> Value {
    json!({
        "iss": OIDC, "aud": "api", "sub": "user_1", "iat": ISSUED, "exp": EXPIRES,
        "sid": "session_1", "role": "authenticated",
    })
}

impl Signer {
    fn jwk(&self) -> Value {
        self.key.jwk(self.kid, Some(self.key.algorithm()))
    }

    /// A token of these claims with some changed; null takes one out.
    fn token(&self, name: &str, claims: &Value, changes: Value) {
        let header = json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": self.kid});
        set(name, &self.key.sign(&header, &with(claims, changes)));
    }
}

fn with(object: &Value, changes: Value) -> Value {
    let members =
        |value: &Value| -> Map<String, Value> { value.as_object().cloned().unwrap_or_default() };
    let mut changed = members(object);
    for (name, value) in members(&changes) {
        if value.is_null() {
            changed.remove(&name);
        } else {
            changed.insert(name, value);
        }
    }
    Value::Object(changed)
}

fn sha256_hex(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

/// None of the values has a quote or a backslash.
fn set(name: &str, value: &str) {
    println!("\\set {name} '{value}'");
}
