//! Which keys of the file are understood, and what they are here.
//!
//! Keys and defaults as in the configuration reference of the Supabase CLI.

use super::advice::{call, incomplete};
use super::table::Table;
use super::{Entry, Finding};
use serde_json::{Map, Value};

/// An entry and its place in the file.
type Placed = (usize, Entry);

/// A table of `[auth.third_party]`.
struct ThirdParty {
    /// Its name there and the kind here.
    kind: &'static str,
    /// Keys that have to be there; each is an argument of the same name.
    required: &'static [&'static str],
    /// Keys that may be there.
    optional: &'static [&'static str],
}

const THIRD_PARTIES: [ThirdParty; 5] = [
    third_party_of("firebase", &["project_id"], &[]),
    third_party_of("auth0", &["tenant"], &["tenant_region"]),
    third_party_of("aws_cognito", &["user_pool_id", "user_pool_region"], &[]),
    third_party_of("clerk", &["domain"], &[]),
    third_party_of("workos", &["issuer_url"], &[]),
];

/// Where `[auth.external.azure]` says the tenant.
const AZURE: &str = "https://login.microsoftonline.com/";

/// Supabase Auth's own default.
const AZURE_DEFAULT_TENANT: &str = "common";

const NOT_ENABLED: &str = "not enabled; a provider that was registered before stays as it is";

const AUTH_NOT_ENABLED: &str =
    "auth.enabled is false: Supabase Auth does not run, and issues no tokens";

const SECRET: &str = "a secret is not taken from a file. Signing keys (ES256, RS256) need none; where \
                      tokens are signed with it (HS256): SELECT third_party_auth.add_supabase(jwt_issuer \
                      => '…', jwt_secret => '…')";

const SIGNING_KEYS: &str = "private keys are not read; the public ones are fetched from the issuer, \
                            auth.jwt_issuer";

/// Everything that `[auth]` says about providers.
pub(super) fn entries(root: &Table<'_>) -> Vec<Placed> {
    let place = root.place("auth").unwrap_or_default();
    let auth = match root.table("auth") {
        Ok(Some(auth)) => auth,
        Ok(None) => return Vec::new(),
        Err(problem) => return vec![(place, missing("auth".to_owned(), problem))],
    };
    let runs = auth.switch("enabled").map(|enabled| enabled != Some(false));
    let mut found = vec![issuer(&auth, place, &runs)];
    for (name, why) in [("jwt_secret", SECRET), ("signing_keys_path", SIGNING_KEYS)] {
        let place = auth.place(name);
        found.extend(place.map(|place| (place, ignored(auth.path_of(name), why))));
    }
    let below = |name, read: &dyn Fn(&Table<'_>) -> Vec<Placed>| match auth.table(name) {
        Ok(Some(table)) => read(&table),
        Ok(None) => Vec::new(),
        Err(problem) => {
            let place = auth.place(name).unwrap_or(place);
            vec![(place, missing(auth.path_of(name), problem))]
        }
    };
    found.extend(below("third_party", &third_parties));
    found.extend(below("external", &|external| externals(external, &runs)));
    found
}

/// `auth.jwt_issuer`: Supabase Auth itself.
fn issuer(auth: &Table<'_>, place: usize, runs: &Result<bool, String>) -> Placed {
    let name = "jwt_issuer";
    let place = auth.place(name).unwrap_or(place);
    let nothing = Map::new();
    let finding = match (runs.as_ref(), auth.text(name)) {
        (Ok(false), _) => Finding::Ignored(AUTH_NOT_ENABLED.to_owned()),
        (Err(problem), _) => incomplete(problem, "supabase", &nothing, &[name]),
        (_, Err(problem)) => incomplete(&problem, "supabase", &nothing, &[name]),
        (Ok(true), Ok(Some(issuer))) => Finding::Provider {
            kind: "supabase",
            options: [(name.to_owned(), issuer.into())].into_iter().collect(),
        },
        (Ok(true), Ok(None)) => Finding::Missing(format!(
            "the file does not say it. Supabase Auth's default is the API's external URL with /auth/v1 \
             behind it; unless it is registered already: {}",
            call("supabase", &nothing, &[name])
        )),
    };
    (place, Entry::new(auth.path_of(name), finding))
}

/// `[auth.third_party.*]`
fn third_parties(section: &Table<'_>) -> Vec<Placed> {
    let mut found = Vec::new();
    for (place, name) in section.names() {
        let path = section.path_of(name);
        let Some(known) = THIRD_PARTIES.iter().find(|known| known.kind == name) else {
            let why = "not a provider that this version knows";
            found.push((place, ignored(path, why)));
            continue;
        };
        match enabled(section, name) {
            Err(finding) => found.push((place, Entry::new(path, finding))),
            Ok(table) => {
                found.push((place, Entry::new(path, known.finding(&table))));
                let others = table.names().filter(|(_, key)| !known.understands(key));
                found.extend(others.map(|(place, key)| {
                    let why = "not a key that this version knows";
                    (place, ignored(table.path_of(key), why))
                }));
            }
        }
    }
    found
}

/// `[auth.external.*]`: ways to sign in to Supabase Auth. With two of them applications also use the
/// provider's own tokens.
fn externals(section: &Table<'_>, runs: &Result<bool, String>) -> Vec<Placed> {
    let finding = |name: &str| {
        let read = match name {
            "apple" => apple,
            "azure" => azure,
            _ => |_: &Table<'_>| {
                Finding::Ignored(
                    "a way to sign in to Supabase Auth, which issues the tokens itself: auth.jwt_issuer"
                        .to_owned(),
                )
            },
        };
        match (enabled(section, name), runs) {
            (Err(finding), _) => finding,
            (Ok(_), Ok(false)) => Finding::Ignored(AUTH_NOT_ENABLED.to_owned()),
            (Ok(_), Err(problem)) => Finding::Missing(problem.clone()),
            (Ok(table), Ok(true)) => read(&table),
        }
    };
    let entries = section.names();
    entries
        .map(|(place, name)| (place, Entry::new(section.path_of(name), finding(name))))
        .collect()
}

fn apple(table: &Table<'_>) -> Finding {
    let mut arguments = Arguments::default();
    arguments.take("client_ids", client_ids(table));
    arguments.finding("apple")
}

fn azure(table: &Table<'_>) -> Finding {
    let mut arguments = Arguments::default();
    arguments.take("tenant", azure_tenant(table));
    arguments.take("client_ids", client_ids(table));
    arguments.finding("azure")
}

fn azure_tenant(table: &Table<'_>) -> Result<Value, String> {
    let Some(url) = table.text("url")? else {
        return Ok(AZURE_DEFAULT_TENANT.into());
    };
    let tenant = url.strip_prefix(AZURE).map(|rest| {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        rest.strip_suffix("/v2.0").unwrap_or(rest)
    });
    match tenant.filter(|tenant| !tenant.is_empty() && !tenant.contains('/')) {
        Some(tenant) => Ok(tenant.into()),
        None => Err(format!(
            "{} is not {AZURE}<tenant>; add_oidc() registers other addresses",
            table.path_of("url")
        )),
    }
}

/// `client_id`: one id or several, with commas between them.
fn client_ids(table: &Table<'_>) -> Result<Value, String> {
    let ids = table.list("client_id")?;
    if ids.is_empty() {
        return Err(format!("{} is missing", table.path_of("client_id")));
    }
    Ok(ids.into())
}

const fn third_party_of(
    kind: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> ThirdParty {
    ThirdParty {
        kind,
        required,
        optional,
    }
}

impl ThirdParty {
    fn understands(&self, key: &str) -> bool {
        key == "enabled" || self.required.contains(&key) || self.optional.contains(&key)
    }

    fn finding(&self, table: &Table<'_>) -> Finding {
        let mut arguments = Arguments::default();
        for &key in self.required {
            let value = table.text(key).and_then(|value| {
                let value = value.ok_or_else(|| format!("{} is missing", table.path_of(key)))?;
                Ok(value.into())
            });
            arguments.take(key, value);
        }
        for &key in self.optional {
            arguments.take(key, table.text(key).map(Value::from));
        }
        arguments.finding(self.kind)
    }
}

/// The arguments of a kind as far as the file has them.
#[derive(Default)]
struct Arguments {
    options: Map<String, Value>,
    open: Vec<&'static str>,
    problems: Vec<String>,
}

impl Arguments {
    fn take(&mut self, name: &'static str, value: Result<Value, String>) {
        match value {
            Ok(value) => {
                self.options.insert(name.to_owned(), value);
            }
            Err(problem) => {
                self.open.push(name);
                self.problems.push(problem);
            }
        }
    }

    fn finding(self, kind: &'static str) -> Finding {
        if self.problems.is_empty() {
            return Finding::Provider {
                kind,
                options: self.options,
            };
        }
        let problem = self.problems.join("; ");
        incomplete(&problem, kind, &self.options, &self.open)
    }
}

/// The table of that name, if it says `enabled = true`; else what its entry says.
fn enabled<'a>(section: &Table<'a>, name: &str) -> Result<Table<'a>, Finding> {
    let table = section.table(name).map_err(Finding::Missing)?;
    let not_enabled = || Finding::Ignored(NOT_ENABLED.to_owned());
    let table = table.ok_or_else(not_enabled)?;
    match table.switch("enabled").map_err(Finding::Missing)? {
        Some(true) => Ok(table),
        Some(false) | None => Err(not_enabled()),
    }
}

fn ignored(entry: String, why: &str) -> Entry {
    Entry::new(entry, Finding::Ignored(why.to_owned()))
}

fn missing(entry: String, what: String) -> Entry {
    Entry::new(entry, Finding::Missing(what))
}
