//! What tokens of each kind say, as far as it answers a question; several tokens where the same thing can
//! be said in several ways.

use super::questions::{AUDIENCE, ORGANIZATION, PERMISSION, ROLE, SCOPE};
use super::token::NOW;
use serde_json::{Value, json};

/// Claims to be laid over `token::base`. A kind without an arm here has no sample yet: add one with
/// everything that its tokens can say.
pub fn samples(kind: &str) -> Vec<Value> {
    match kind {
        "apple" => vec![json!({"email": "x@example.com", "email_verified": "true"})],
        "auth0" => {
            let context = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";
            let more = json!({"org_id": ORGANIZATION, "org_name": "acme", "permissions": [PERMISSION],
                              "email_verified": true});
            vec![
                with(&more, json!({"amr": ["mfa"]})),
                with(&more, json!({"acr": context})),
            ]
        }
        "aws_cognito" => vec![json!({
            "cognito:groups": [ROLE, PERMISSION], "origin_jti": "o1", "amr": ["pwd", "otp", "mfa"],
            "acr": "urn:cognito:loa:3", "email_verified": true,
        })],
        "azure" => vec![json!({
            "amr": ["pwd", "mfa"], "email": "user@example.com", "xms_edov": "1", "roles": ["Reader"],
        })],
        "clerk" => {
            let more = json!({"fva": [2, 3], "email_verified": true, "auth_time": null});
            let active = json!({"id": ORGANIZATION, "slg": "acme", "rol": ROLE, "per": "manage,read",
                                "fpm": "3,2"});
            let two = json!({"v": 2, "fea": "o:dashboard,o:teams", "o": active});
            let one = json!({"org_id": ORGANIZATION, "org_role": "org:admin",
                             "org_permissions": [PERMISSION]});
            vec![with(&more, two), with(&more, one)]
        }
        "firebase" => {
            let own = json!({"sign_in_provider": "password", "sign_in_second_factor": "phone"});
            vec![json!({"firebase": own, "email_verified": true})]
        }
        "oidc" => vec![json!({"amr": ["pwd", "mfa"], "email_verified": true})],
        "supabase" => {
            let amr = json!([{"method": "totp", "timestamp": NOW - 50.0}]);
            vec![json!({"aal": "aal2", "amr": amr, "auth_time": null, "email_verified": true})]
        }
        "workos" => {
            let more = json!({"org_id": ORGANIZATION, "permissions": [PERMISSION],
                              "email_verified": true});
            vec![
                with(&more, json!({"role": ROLE})),
                with(&more, json!({"role": "authenticated", "user_role": ROLE})),
                with(&more, json!({"role": "authenticated", "roles": [ROLE]})),
            ]
        }
        kind => panic!("tests/policy/samples.rs has no sample of kind {kind}"),
    }
    .into_iter()
    .flat_map(|own| ["scope", "scp"].map(|name| with(&own, json!({name: "openid read"}))))
    .map(|own| with(&json!({"role": "authenticated", "aud": AUDIENCE}), own))
    .inspect(|own| assert!(own.to_string().contains(SCOPE)))
    .collect()
}

/// What tokens of these kinds say, all in one. Where they say different things, the last one counts; but
/// the role is one that every kind lets through, and there is a time of sign-in.
pub fn everything<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Value {
    let all = kinds.into_iter().flat_map(samples);
    let all = all.fold(json!({}), |all, one| with(&all, one));
    with(
        &all,
        json!({"role": "authenticated", "auth_time": NOW - 100.0}),
    )
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}
