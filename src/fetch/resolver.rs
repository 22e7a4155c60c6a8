//! Host names to judged addresses, between DNS and connect.
//!
//! The addresses that come out are the ones that are connected to: nothing is resolved twice, so a
//! name that answers differently the second time (DNS rebinding) gains nothing. Of several
//! addresses, those that are refused are left out.
//!
//! `getaddrinfo` cannot be cancelled and may take 10 s and more when name servers are silent, so it
//! runs in a thread that outlives the request. At most four of them exist in a process, and one for each
//! name, so that a name whose servers are silent leaves room for others. A lookup beyond that waits for
//! one to end within its own time; while one of the same name goes on that nobody waits for any more,
//! another is not even tried.

use super::Rules;
use super::address::{judge_address, judge_http_address};
use super::error::FetchError;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A way to look up the addresses of a host name and port.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The operating system's way.
pub fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// The longest time that is waited for a lookup.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many lookups may be under way in the process.
const MAX_LOOKUPS: usize = 4;

/// How many addresses are tried at most, as many as ureq keeps.
const MAX_ADDRESSES: usize = 16;

static LOOKUPS: Lookups = Lookups::new();

/// Resolves and judges for one fetch.
pub(super) struct JudgingResolver {
    rules: Rules,
    lookup: Lookup,
}

impl JudgingResolver {
    pub(super) fn new(rules: Rules, lookup: Lookup) -> Self {
        JudgingResolver { rules, lookup }
    }

    fn judged(
        &self,
        uri: &Uri,
        is_proxy: bool,
        patience: Duration,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => look_up(&LOOKUPS, &self.lookup, &host, port, patience)?,
        };
        let mut refusal = None;
        let mut judged = Vec::new();
        for address in found {
            // What travels to a proxy in clear text is its own matter; allow_http is about keys.
            let verdict = if is_https || is_proxy {
                judge_address(address.ip(), &self.rules)
            } else {
                judge_http_address(address.ip(), &self.rules)
            };
            match verdict {
                Ok(()) => judged.push(address),
                Err(refused) => refusal = refusal.or(Some(refused)),
            }
        }
        match (judged.is_empty(), refusal) {
            (false, _) => Ok(judged),
            (true, Some(refused)) => Err(FetchError::AddressRefused { host, refused }),
            (true, None) => Err(FetchError::Dns {
                host,
                problem: "it has no address",
            }),
        }
    }
}

impl Resolver for JudgingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let patience = PATIENCE.min(*timeout.after);
        let is_proxy = config.proxy().is_some_and(|proxy| proxy.uri() == uri);
        let judged = self
            .judged(uri, is_proxy, patience)
            .map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut addresses = self.empty();
        for address in judged.into_iter().take(MAX_ADDRESSES) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

impl fmt::Debug for JudgingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgingResolver").finish_non_exhaustive()
    }
}

/// Runs a lookup in a thread of its own and waits for it for at most `patience`.
fn look_up(
    lookups: &'static Lookups,
    lookup: &Lookup,
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<Vec<SocketAddr>, FetchError> {
    let failed = |problem| FetchError::Dns {
        host: host.to_owned(),
        problem,
    };
    let deadline = Instant::now() + patience;
    let slot = lookups.enter(host, deadline).map_err(failed)?;
    let (sender, receiver) = sync_channel(1);
    let (lookup, name) = (Arc::clone(lookup), host.to_owned());
    thread::Builder::new()
        .name("dns".to_owned())
        .spawn(move || {
            let _slot = slot;
            // Nobody may be waiting any more.
            let _ = sender.send(lookup(&name, port));
        })
        .map_err(|_| failed("no thread could be started for it"))?;
    match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(_)) => Err(failed("there is no such host, or no name server answers")),
        Err(RecvTimeoutError::Timeout) => {
            lookups.give_up(host);
            Err(failed("no name server answered in time"))
        }
        Err(RecvTimeoutError::Disconnected) => Err(failed("the lookup failed")),
    }
}

/// The names whose lookups are under way, and whether that takes too long.
struct Lookups {
    names: Mutex<Vec<(String, bool)>>,
    ended: Condvar,
}

impl Lookups {
    const fn new() -> Self {
        Lookups {
            names: Mutex::new(Vec::new()),
            ended: Condvar::new(),
        }
    }

    /// A place among the lookups, or why there is none before the deadline.
    fn enter(&'static self, name: &str, deadline: Instant) -> Result<Slot, &'static str> {
        let mut names = self.names.lock();
        loop {
            let same = names.iter().find(|(own, _)| own == name);
            if same.is_some_and(|(_, is_given_up)| *is_given_up) {
                return Err("no name server has answered an earlier lookup yet");
            }
            if same.is_none() && names.len() < MAX_LOOKUPS {
                break;
            }
            if Instant::now() >= deadline {
                return Err("too many lookups are still under way");
            }
            self.ended.wait_until(&mut names, deadline);
        }
        names.push((name.to_owned(), false));
        Ok(Slot {
            lookups: self,
            name: name.to_owned(),
        })
    }

    /// Nobody waits for this name any more.
    fn give_up(&self, name: &str) {
        for (own, is_given_up) in self.names.lock().iter_mut() {
            *is_given_up |= own == name;
        }
        self.ended.notify_all();
    }
}

/// A place among the lookups, given back when it is dropped.
struct Slot {
    lookups: &'static Lookups,
    name: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.lookups
            .names
            .lock()
            .retain(|(name, _)| *name != self.name);
        // Not every one that waits can use the place.
        self.lookups.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::AllowHttp;
    use std::sync::mpsc::channel;

    fn resolver(
        networks: &[&str],
        allow_http: AllowHttp,
        addresses: &'static [&str],
    ) -> JudgingResolver {
        let rules = Rules {
            allowed_networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            allow_http,
            ..Rules::default()
        };
        let lookup: Lookup = Arc::new(|_, port| {
            Ok(addresses
                .iter()
                .map(|a| SocketAddr::new(a.parse().unwrap(), port))
                .collect())
        });
        JudgingResolver::new(rules, lookup)
    }

    fn judged(resolver: &JudgingResolver, url: &str) -> Result<Vec<String>, &'static str> {
        resolver
            .judged(&url.parse().unwrap(), false, PATIENCE)
            .map(|found| found.iter().map(SocketAddr::to_string).collect())
            .map_err(|error| error.class())
    }

    #[test]
    fn a_name_that_resolves_to_an_address_that_is_not_public_is_refused() {
        for addresses in [
            &["10.0.0.1"] as &'static [&str],
            &["127.0.0.1"],
            &["169.254.169.254"],
            &["::1"],
            &["::ffff:192.168.0.1"],
            &["fd00::1", "100.64.0.1"],
        ] {
            let resolver = resolver(&[], AllowHttp::Off, addresses);
            let found = judged(&resolver, "https://idp.example/");
            assert_eq!(found, Err("address_refused"), "{addresses:?}");
        }
    }

    #[test]
    fn of_several_addresses_only_the_permitted_ones_are_connected_to() {
        let resolver = resolver(
            &["10.0.0.0/8"],
            AllowHttp::AllowedNetworks,
            &["8.8.8.8", "127.0.0.1", "10.0.0.1"],
        );
        let https = judged(&resolver, "https://idp.example/");
        assert_eq!(https.unwrap(), ["8.8.8.8:443", "10.0.0.1:443"]);
        let http = judged(&resolver, "http://idp.example:81/");
        assert_eq!(http.unwrap(), ["10.0.0.1:81"]);
    }

    #[test]
    fn a_proxy_is_judged_by_its_address_alone() {
        let resolver = resolver(&["10.0.0.0/8"], AllowHttp::Off, &["10.0.0.1", "127.0.0.1"]);
        let uri = "http://proxy.example:3128".parse().unwrap();
        let found = resolver.judged(&uri, true, PATIENCE).unwrap();
        assert_eq!(found, ["10.0.0.1:3128".parse().unwrap()]);
    }

    #[test]
    fn a_numeric_host_is_not_looked_up() {
        let resolver = JudgingResolver::new(Rules::default(), Arc::new(|_, _| panic!("looked up")));
        assert_eq!(
            judged(&resolver, "https://8.8.8.8/").unwrap(),
            ["8.8.8.8:443"]
        );
        assert_eq!(
            judged(&resolver, "https://[2606:4700::1]:1/").unwrap(),
            ["[2606:4700::1]:1"]
        );
        assert_eq!(judged(&resolver, "https://[::1]/"), Err("address_refused"));
    }

    #[test]
    fn a_name_without_address_and_a_failed_lookup_are_dns_errors() {
        let empty = resolver(&[], AllowHttp::Off, &[]);
        assert_eq!(judged(&empty, "https://idp.example/"), Err("dns"));
        let failing = JudgingResolver::new(
            Rules::default(),
            Arc::new(|_, _| Err(io::Error::other("no"))),
        );
        assert_eq!(judged(&failing, "https://idp.example/"), Err("dns"));
        let panicking =
            JudgingResolver::new(Rules::default(), Arc::new(|_, _| panic!("on purpose")));
        assert_eq!(judged(&panicking, "https://idp.example/"), Err("dns"));
    }

    #[test]
    fn a_name_whose_servers_are_silent_leaves_room_for_others() {
        static OWN: Lookups = Lookups::new();
        let (release, held) = channel::<()>();
        let held = Mutex::new(held);
        let stuck: Lookup = Arc::new(move |_, _| {
            let _ = held.lock().recv();
            Ok(Vec::new())
        });
        let brief = Duration::from_millis(20);
        let error = look_up(&OWN, &stuck, "slow.example", 1, brief).unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
        let ample = Duration::from_secs(20);
        let started = Instant::now();
        for _ in 0..MAX_LOOKUPS {
            let error = look_up(&OWN, &stuck, "slow.example", 1, ample).unwrap_err();
            assert!(error.to_string().contains("earlier lookup"), "{error}");
        }
        assert!(started.elapsed() < ample / 2);
        let done: Lookup = Arc::new(|_, _| Ok(Vec::new()));
        look_up(&OWN, &done, "fast.example", 1, ample).unwrap();
        drop(release);
        while look_up(&OWN, &done, "slow.example", 1, ample).is_err() {
            assert!(started.elapsed() < ample);
        }
    }

    #[test]
    fn at_most_four_lookups_are_under_way_and_their_places_come_back() {
        static OWN: Lookups = Lookups::new();
        let (release, held) = channel::<()>();
        let held = Mutex::new(held);
        let stuck: Lookup = Arc::new(move |_, _| {
            let _ = held.lock().recv();
            Ok(Vec::new())
        });
        let brief = Duration::from_millis(20);
        for number in 0..MAX_LOOKUPS {
            let name = format!("slow{number}.example");
            let error = look_up(&OWN, &stuck, &name, 1, brief).unwrap_err();
            assert!(error.to_string().contains("in time"), "{error}");
        }
        let started = Instant::now();
        let error = look_up(&OWN, &stuck, "slow.example", 1, brief).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(1));
        drop(release);
        let done: Lookup = Arc::new(|_, _| Ok(Vec::new()));
        look_up(&OWN, &done, "fast.example", 1, Duration::from_secs(20)).unwrap();
    }
}
