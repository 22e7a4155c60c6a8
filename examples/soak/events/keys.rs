//! Keys that come, are withdrawn, and are revoked.

use super::{Published, World};
use crate::load::Expected;
use crate::setting::{Signer, claims, now, text};
use postgres::Client;

/// How many keys are published at a time.
const PUBLISHED: usize = 3;

/// Of so many withdrawn keys tokens are still asked about.
const REFUSED: usize = 6;

impl World {
    /// Publishes a new key, and asks about a token of it from the same moment on.
    pub(super) fn new_key(&mut self) {
        self.number += 1;
        let kid = format!("key {}", self.number);
        let signer = match self.number % 3 {
            0 => Signer::rsa(&kid),
            1 => Signer::new(&kid),
            _ => Signer::ed25519(&kid),
        };
        let mut keys: Vec<_> = self.published.iter().map(|one| one.signer.jwk()).collect();
        keys.push(signer.jwk());
        self.setting.idp.publish(keys);
        let case = self.pool.add(self.setting.token(&signer), Expected::Valid);
        self.published.push_back(Published {
            kid,
            signer,
            case,
            is_revoked: false,
        });
    }

    /// Now and then before the last one was heard of: then nothing is left of the budget for long.
    pub(super) fn rotation(&mut self) -> &'static str {
        if self.next(4) != 0 && !self.is_newest_known() {
            return self.revocation();
        }
        self.new_key();
        if self.published.len() > PUBLISHED {
            let oldest = self.published.pop_front().expect("a key");
            if !oldest.is_revoked {
                oldest.case.expect(Expected::Either);
            }
            let keys = self.published.iter().map(|one| one.signer.jwk()).collect();
            self.setting.idp.publish(keys);
            self.withdrawn.push((oldest.case, now() as f64));
        }
        "a rotation"
    }

    fn is_newest_known(&self) -> bool {
        let newest = &self.published[self.published.len() - 1].kid;
        let known = format!(
            "SELECT (count(*) > 0)::text FROM third_party_auth.signing_key WHERE kid = '{newest}'"
        );
        text(&mut self.client(), &known).as_deref() == Some("true")
    }

    /// Keys that are stored, on disk, verify at once from now on, whatever happens.
    pub(super) fn stored_keys_are_known(&mut self) {
        let mut client = self.client();
        let stored = "SELECT coalesce(string_agg(key->>'kid', ','), '') \
                      FROM third_party_auth.provider_state, json_array_elements(keys->'keys') AS key \
                      WHERE provider = 'idp'";
        let stored = text(&mut client, stored).unwrap_or_default();
        flush(&mut client);
        let is_stored = |one: &&Published| stored.split(',').any(|kid| kid == one.kid);
        let valid = self.published.iter().filter(|one| !one.is_revoked);
        valid
            .filter(is_stored)
            .for_each(|one| one.case.expect(Expected::Known));
    }

    /// What the server fetched after a key was withdrawn does not have it, and the grace is over. It is
    /// written down, so that no crash makes it forget that.
    pub(super) fn withdrawn_keys_are_refused(&mut self) {
        let mut client = self.client();
        let query = "SELECT CASE WHEN persisted THEN extract(epoch FROM fetched_at) END::text \
                     FROM third_party_auth.status WHERE provider = 'idp'";
        let fetched: f64 = text(&mut client, query)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        flush(&mut client);
        let now = now() as f64;
        let mut refused = Vec::new();
        self.withdrawn.retain(|(case, since)| {
            // Fetches that had begun before may end a little after it.
            let is_heard_of = fetched > since + 6.0 && now > fetched + 3.0;
            if is_heard_of {
                case.expect(Expected::Refused);
                refused.push(case.clone());
            }
            !is_heard_of
        });
        self.refused.extend(refused);
        while self.refused.len() > REFUSED {
            if let Some(case) = self.refused.pop_front() {
                self.pool.remove(&case);
            }
        }
    }

    /// A key is revoked or is not any more: that counts for every statement from then on.
    pub(super) fn revocation(&mut self) -> &'static str {
        let number = self.next(self.published.len() as u64) as usize;
        self.change_revocation(number)
    }

    pub(super) fn change_revocation(&mut self, number: usize) -> &'static str {
        let mut client = self.client();
        let one = &mut self.published[number];
        let (function, expected, what) = match one.is_revoked {
            false => ("revoke_key", Expected::Refused, "a revocation"),
            true => (
                "unrevoke_key",
                Expected::Valid,
                "a revocation that is taken back",
            ),
        };
        one.case.expect(Expected::Either);
        let statement = format!("SELECT third_party_auth.{function}('idp', '{}')", one.kid);
        client.batch_execute(&statement).expect(what);
        one.case.expect(expected);
        one.is_revoked = !one.is_revoked;
        what
    }

    /// A token of the newest key that is for somebody else: no key decides about it.
    pub(super) fn token_for(&self, audience: &str) -> String {
        let mut foreign = claims(&self.setting.idp.issuer());
        foreign["aud"] = audience.into();
        self.published[self.published.len() - 1]
            .signer
            .token(&foreign)
    }
}

/// Brings to disk what was committed without waiting for that, as keys are stored. A transaction that writes
/// nothing would not wait either.
fn flush(client: &mut Client) {
    let write = "SELECT pg_logical_emit_message(true, 'soak', 'flush')";
    client.batch_execute(write).expect("written");
}
