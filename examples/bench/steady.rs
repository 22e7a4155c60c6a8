//! Cases that take turns share the table of verified signatures, and one with many tokens leaves no room there for
//! those of the others. Each is to be measured as if its own tokens were the only ones that the server knows.

use postgres::Client;

/// A session that verifies tokens before they are measured.
pub struct Verifier {
    client: Client,
    /// How many signatures there is room for.
    room: usize,
}

impl Verifier {
    /// In this session. The extension's functions are in its search path.
    pub fn new(mut client: Client) -> Verifier {
        let query = "SELECT current_setting('third_party_auth.verified_tokens')::int";
        let row = client.query_one(query, &[]).expect("the setting");
        let room: i32 = row.get(0);
        let room = room.try_into().expect("not negative");
        Verifier { client, room }
    }

    /// Puts the table of verified signatures into the state that it comes to while these tokens alone are in use,
    /// each as likely as any other: all of them are there, or it is full of some of them.
    pub fn restore(&mut self, tokens: &[String]) {
        // Signatures lie in sets by their digests: with just as many tokens as there is room for, some sets would
        // get too many and others keep what was there.
        let some = &tokens[..tokens.len().min(2 * self.room)];
        let query = "SELECT count(verify_third_party_jwt(token)) FROM unnest($1::text[]) token";
        let row = self.client.query_one(query, &[&some]);
        let good: i64 = row.expect("a count").get(0);
        assert_eq!(good, some.len() as i64, "the tokens are good");
    }
}
