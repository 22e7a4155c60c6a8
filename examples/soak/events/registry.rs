//! Extensions and providers that come, change and go.

use super::World;
use crate::load::{Expected, Load};
use crate::setting::{Signer, add_pinned, refusal, verify};

/// How many answers come after each change.
const ANSWERS: u64 = 100;

impl World {
    /// Another database gets the extension, is copied, and loses both.
    pub(super) fn extension_elsewhere(&mut self) -> &'static str {
        let mut client = self.client();
        let mut scratch = self.cluster().connect("postgres", "scratch");
        let signer = Signer::new("pinned");
        for statement in [
            "CREATE EXTENSION pg_third_party_auth",
            &add_pinned(&signer, ""),
            "BEGIN; DROP EXTENSION pg_third_party_auth; CREATE EXTENSION pg_third_party_auth; ROLLBACK",
        ] {
            scratch.batch_execute(statement).expect(statement);
        }
        let accepted = verify(&mut scratch, &signer.pinned("ada"));
        assert_eq!(accepted.expect("a pinned key"), "ada");
        scratch
            .batch_execute("DROP EXTENSION pg_third_party_auth CASCADE")
            .expect("dropped");
        drop(scratch);
        for statement in [
            "DROP DATABASE app",
            "CREATE DATABASE app TEMPLATE template0",
        ] {
            client.batch_execute(statement).expect(statement);
        }
        "an extension that comes and goes"
    }

    pub(super) fn provider_comes_and_goes(&mut self) -> &'static str {
        let mut client = self.client();
        let signer = Signer::new("pinned");
        let token = signer.pinned("ada");
        client
            .batch_execute(&add_pinned(&signer, ""))
            .expect("registered");
        assert!(verify(&mut client, &token).is_ok());
        let remove = "SELECT third_party_auth.remove_provider('pinned')";
        client.batch_execute(remove).expect("removed");
        assert_eq!(refusal(&mut client, &token), "28000 unknown_issuer");
        "a provider that comes and goes"
    }

    /// The provider's row is changed by plain SQL: a token for a partner is valid, and then is not.
    pub(super) fn more_audiences(&mut self, load: &Load) -> &'static str {
        let mut client = self.client();
        let newest = &self.published[self.published.len() - 1];
        let valid = match newest.is_revoked {
            true => Expected::Refused,
            false => Expected::Valid,
        };
        let case = self.pool.add(self.token_for("partner"), Expected::Refused);
        load.answers_more(ANSWERS);
        for (audiences, expected) in [("api,partner", valid), ("api", Expected::Refused)] {
            let update = format!(
                "UPDATE third_party_auth.provider SET audiences = '{{{audiences}}}' WHERE name = 'idp'"
            );
            case.expect(Expected::Either);
            client.batch_execute(&update).expect(&update);
            case.expect(expected);
            load.answers_more(ANSWERS);
        }
        self.pool.remove(&case);
        "a provider with more audiences for a while"
    }

    /// A provider that is switched off refuses all its tokens until it is switched on again.
    pub(super) fn switched_off(&mut self, load: &Load) -> &'static str {
        let mut client = self.client();
        let valid = || self.published.iter().filter(|one| !one.is_revoked);
        for (enabled, expected) in [(false, Expected::Refused), (true, Expected::Valid)] {
            let update = format!(
                "UPDATE third_party_auth.provider SET enabled = {enabled} WHERE name = 'idp'"
            );
            valid().for_each(|one| one.case.expect(Expected::Either));
            client.batch_execute(&update).expect(&update);
            valid().for_each(|one| one.case.expect(expected));
            load.answers_more(ANSWERS);
        }
        "a provider that is switched off for a while"
    }
}
