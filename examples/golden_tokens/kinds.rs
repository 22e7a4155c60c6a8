//! One user of every further kind of provider, and what else Supabase signs.

use super::{EXPIRES, ISSUED, Signers, encode, mint, set, with};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

/// The legacy secret of a Supabase project.
const SECRET: &str = "a secret that only the golden tests have";

/// The keys, the secret, and a token or more of each kind.
pub fn kinds(signers: &Signers) {
    let key = &signers.google;
    set("shared_jwks", &mint::jwks(&[key.jwk()]));
    set("supabase_secret", SECRET);
    for (name, claims) in users() {
        key.token(name, &claims, json!({}));
    }
    let entra = |name: &str, tenant: &str| {
        let claims = json!({
            "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "tid": tenant,
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "sub": "user", "ver": "2.0",
            "iat": ISSUED, "exp": EXPIRES,
        });
        key.token(name, &claims, json!({}));
    };
    entra("azure_other_tenant", "11111111-2222-3333-4444-555555555555");

    let user = json!({
        "iss": "https://legacy.supabase.co/auth/v1", "aud": "authenticated", "sub": "user_1",
        "session_id": "session_1", "iat": ISSUED, "exp": EXPIRES, "role": "authenticated",
    });
    set("legacy_user", &hs256(SECRET, &user));
    let moved = with(
        &user,
        json!({"iss": "https://other.supabase.co/auth/v1", "role": "service_role"}),
    );
    set("legacy_moved", &hs256(SECRET, &moved));
    set(
        "legacy_forged",
        &hs256("some other secret of enough bytes, or more", &user),
    );
    let api_key =
        json!({"iss": "supabase", "ref": "legacy", "role": "anon", "iat": ISSUED, "exp": EXPIRES});
    set("anon_key", &hs256(SECRET, &api_key));
    set(
        "service_key",
        &hs256(SECRET, &with(&api_key, json!({"role": "service_role"}))),
    );
    // Signed with the text of a public key, as if that were a secret.
    let public = mint::jwks(&[signers.supabase.jwk()]);
    let confused = with(&user, json!({"iss": "https://project.supabase.co/auth/v1"}));
    set("confused", &hs256(&public, &confused));
}

fn users() -> [(&'static str, Value); 7] {
    [
        (
            "auth0_user",
            json!({
                "iss": "https://my-tenant.us.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "aud": ["https://api.example.com", "https://my-tenant.us.auth0.com/userinfo"],
                "azp": "my_client", "scope": "openid profile read:items",
                "permissions": ["read:items"], "org_id": "org_a",
                "iat": ISSUED, "exp": EXPIRES, "role": "authenticated",
            }),
        ),
        (
            "cognito_access",
            json!({
                "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
                "sub": "1bc28a8b-fc0a-440f-93ae-776e0879d180", "client_id": "6i0o6sexample",
                "token_use": "access", "scope": "openid email", "cognito:groups": ["admins"],
                "origin_jti": "9f3c", "auth_time": ISSUED - 10, "iat": ISSUED, "exp": EXPIRES,
                "username": "bob", "role": "authenticated",
            }),
        ),
        (
            "cognito_id",
            json!({
                "iss": "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
                "sub": "1bc28a8b-fc0a-440f-93ae-776e0879d180", "aud": "6i0o6sexample",
                "token_use": "id", "email": "bob@example.com", "email_verified": true,
                "amr": ["pwd", "otp", "mfa"], "auth_time": ISSUED - 10, "iat": ISSUED, "exp": EXPIRES,
            }),
        ),
        (
            "workos_user",
            json!({
                "iss": "https://api.workos.com/user_management/client_01ABC", "sub": "user_01ABC",
                "sid": "session_01ABC", "org_id": "org_a", "role": "admin", "roles": ["admin"],
                "permissions": ["posts:read"], "auth_time": ISSUED - 60,
                "iat": ISSUED, "exp": EXPIRES,
            }),
        ),
        (
            "workos_agent",
            json!({
                "iss": "https://api.workos.com/user_management/client_01ABC", "sub": "agent_01ABC",
                "aud": "client_01ABC", "org_id": "org_a", "iat": ISSUED, "exp": EXPIRES,
            }),
        ),
        (
            "apple_proof",
            json!({
                "iss": "https://appleid.apple.com", "aud": "com.example.app",
                "sub": "001234.0123456789abcdef0123456789abcdef.0123",
                "nonce": super::sha256_hex("n-0S6_WzA2Mj"), "email": "x@privaterelay.appleid.com",
                "email_verified": "true", "auth_time": ISSUED, "iat": ISSUED, "exp": EXPIRES,
            }),
        ),
        (
            "azure_user",
            json!({
                "iss": "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
                "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "ver": "2.0",
                "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
                "sub": "HKZpfaHyWadeOouYlitjrI", "scp": "access_as_user items.read",
                "email": "user@example.com", "xms_edov": "1", "iat": ISSUED, "exp": EXPIRES,
            }),
        ),
    ]
}

fn hs256(secret: &str, claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let part = |value: &Value| encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!(
        "{input}.{}",
        encode(hmac::sign(&key, input.as_bytes()).as_ref())
    )
}
