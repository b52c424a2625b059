//! Which addresses may be called, and the HTTP client that calls no others.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, Url};

use super::OutboundError;
use super::webhook::retry_after;

/// IPv4 networks that are nobody's address on the internet: first address, bits, who has it. The registry of
/// special-purpose addresses (IANA, RFC 6890) and what else no webhook lives at.
const SPECIAL_V4: [(Ipv4Addr, u32, &str); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier's customers; metadata of some clouds"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "the host of an Azure machine"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local; metadata of most clouds"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relays"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved; broadcast"),
];

/// The only IPv6 network of public addresses (RFC 4291). Loopback, unspecified, link-local, unique-local, multicast,
/// IPv4-mapped and NAT64 addresses are all outside it.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What inside that network is nobody's address: first address, bits, who has it.
const SPECIAL_V6: [(Ipv6Addr, u32, &str); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments: Teredo, benchmarks, ORCHID"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4: an IPv4 address inside"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

/// Whether an address belongs to somebody on the internet: neither to this machine, nor to its network, nor to nobody.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|&(network, bits, _)| {
            let differs = address.to_bits() ^ network.to_bits();
            differs.leading_zeros() >= bits
        }),
        IpAddr::V6(address) => {
            let within = |network: Ipv6Addr, bits| (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits;
            within(GLOBAL_V6.0, GLOBAL_V6.1) && !SPECIAL_V6.iter().any(|&(network, bits, _)| within(network, bits))
        }
    }
}

/// Why an address may not be called, and how to mend it where that is meant.
const NOT_PUBLIC: &str = "it is not public (allow_private = true permits private ones)";

/// Why secrets do not go by http, and how to mend it where that is meant.
const IN_THE_OPEN: &str = "write https:// (allow_private = true permits http:// in your own network)";

fn permitted(url: &str, allow_private: bool) -> Result<Url, OutboundError> {
    let url = Url::parse(url).map_err(|_| OutboundError::Forbidden("it cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OutboundError::Forbidden("it is neither http nor https"));
    }
    // The client asks no resolver for a literal address. `Url` has turned every notation of IPv4 into the usual one.
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(literal) if !allow_private && !is_public(literal) => Err(OutboundError::Forbidden(NOT_PUBLIC)),
        _ => Ok(url),
    }
}

/// Judges an address for calls with secrets in them, as far as that can be done without resolving its name.
///
/// # Errors
/// [`OutboundError::Forbidden`] as for [`Client::permits`], and for http unless private addresses are permitted.
pub fn may_hold_secrets(url: &str, allow_private: bool) -> Result<(), OutboundError> {
    let url = permitted(url, allow_private)?;
    let is_here = url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
    match url.scheme() {
        _ if allow_private => Ok(()),
        _ if is_here => Err(OutboundError::Forbidden(NOT_PUBLIC)),
        "http" => Err(OutboundError::Forbidden(IN_THE_OPEN)),
        _ => Ok(()),
    }
}

/// What the resolver says when a name has no address that may be called.
#[derive(Debug, thiserror::Error)]
#[error("no public address")]
struct NoPublicAddress;

/// Asks the system's resolver and lets public addresses through. The client connects to these very addresses, so a name
/// that means something else a moment later changes nothing.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(public_of(found.collect())?)
        })
    }
}

/// The public ones of the addresses of a name.
fn public_of(found: Vec<SocketAddr>) -> Result<Addrs, NoPublicAddress> {
    let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
    if public.is_empty() { Err(NoPublicAddress) } else { Ok(Box::new(public.into_iter())) }
}

/// Time to connect, within the time of the whole call.
const CONNECT: Duration = Duration::from_secs(5);

/// An HTTP client for addresses that others chose. It follows no redirect and knows no proxy.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    allow_private: bool,
}

impl Client {
    /// A client whose calls take `timeout` at most, from resolving the name to the last byte of the answer. With
    /// `allow_private` it calls any address; else only public ones ([`is_public`]).
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(allow_private: bool, timeout: Duration) -> Result<Self, OutboundError> {
        // Already installed when there are two clients; either is the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            .user_agent(concat!("yingda/", env!("CARGO_PKG_VERSION")));
        let builder = if allow_private { builder } else { builder.dns_resolver(PublicOnly) };
        let http = builder.build().map_err(|error| OutboundError::Config(format!("HTTP client: {error}")))?;
        Ok(Self { http, allow_private })
    }

    /// Reads an address, as far as it can be judged without resolving its name.
    ///
    /// # Errors
    /// [`OutboundError::Forbidden`] when it is none of http or https, or names an IP address that may not be called, in
    /// whatever notation.
    pub fn permits(&self, url: &str) -> Result<Url, OutboundError> {
        permitted(url, self.allow_private)
    }

    /// Calls an API: posts `body`, or asks for the address where there is none. Status, how long to wait where the answer says
    /// so, and the start of the body, `most` bytes of it at most.
    ///
    /// # Errors
    /// When the address may not be called, or there is no answer in time.
    pub async fn call(
        &self,
        body: Option<&str>,
        url: &str,
        headers: &[(&'static str, String)],
        now: Timestamp,
        most: usize,
    ) -> Result<(u16, Option<Duration>, Vec<u8>), OutboundError> {
        let url = self.permits(url)?;
        let mut request = match body {
            Some(body) => self.http.post(url).body(body.to_owned()),
            None => self.http.get(url),
        };
        for (name, value) in headers {
            let value = HeaderValue::from_str(value);
            let value = value.map_err(|_| OutboundError::Config(format!("no value of a header: {name}")))?;
            request = request.header(*name, value);
        }
        // What was sent and not answered may have been taken, as when there is no answer in time.
        let unsure = |error: reqwest::Error| if error.is_connect() { told(&error) } else { OutboundError::Late };
        let mut response = request.send().await.map_err(unsure)?;
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
        // Whoever has answered has taken or refused it: the rest of the body changes nothing.
        Ok((status, after, read_start(&mut response, most).await))
    }

    /// Posts a body; the answer's status and headers are there, its body is not yet read.
    pub(super) async fn post(&self, url: &str, headers: HeaderMap, body: &[u8]) -> Result<Response, OutboundError> {
        let request = self.http.post(self.permits(url)?).headers(headers).body(body.to_vec());
        request.send().await.map_err(|error| told(&error))
    }
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(response: &mut Response, limit: usize) -> Result<Vec<u8>, OutboundError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(OutboundError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads the first `enough` bytes of a body, or as many as come.
pub(super) async fn read_start(response: &mut Response, enough: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < enough
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(enough);
    body
}

/// What went wrong, without the address: its path may be a secret.
fn told(error: &reqwest::Error) -> OutboundError {
    let causes = || std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    if causes().any(|cause| cause.is::<NoPublicAddress>()) {
        return OutboundError::Forbidden(NOT_PUBLIC);
    }
    let what = match error {
        _ if error.is_connect() => "cannot connect",
        _ if error.is_timeout() => return OutboundError::Late,
        _ => "no whole answer",
    };
    let root = causes().last().map_or_else(String::new, |cause| format!(": {cause}"));
    OutboundError::Unreachable(format!("{what}{root}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in ["1.1.1.1", "8.8.8.8", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.1"]
        {
            assert!(is_public(address(text)), "{text}");
        }
        for text in ["192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2001:200::1"] {
            assert!(is_public(address(text)), "{text}");
        }
        let edges = SPECIAL_V4.iter().flat_map(|&(network, bits, _)| {
            let first = network.to_bits();
            [first, first | u32::MAX.checked_shr(bits).unwrap_or(0)]
        });
        for bits in edges {
            assert!(!is_public(Ipv4Addr::from_bits(bits).into()), "{}", Ipv4Addr::from_bits(bits));
        }
    }

    #[test]
    fn no_notation_of_ipv6_hides_an_address() {
        for text in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2001:1ff:ffff::",
            "2002:7f00:1::",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn of_the_addresses_of_a_name_only_public_ones_are_called() {
        let found =
            |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| (address(text), 0).into()).collect() };
        assert!(public_of(found(&["127.0.0.1", "::1", "10.0.0.1"])).is_err());
        assert!(public_of(Vec::new()).is_err());
        let public: Vec<SocketAddr> = public_of(found(&["10.0.0.1", "8.8.8.8", "::1"])).unwrap().collect();
        assert_eq!(public, found(&["8.8.8.8"]));
    }

    #[test]
    fn literal_addresses_are_judged_in_every_notation() {
        let (public, any) = [false, true].map(|allowed| Client::new(allowed, Duration::from_secs(1)).unwrap()).into();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://１２７.0.0.1/",
            "http://user@127.0.0.1:80/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http:\\\\127.1\\",
            "http://[fd00:ec2::254]/",
            "http://169.254.169.254/latest/meta-data/",
            "https://10.0.0.8:8443/hook",
        ] {
            assert!(matches!(public.permits(url), Err(OutboundError::Forbidden(NOT_PUBLIC))), "{url}");
            assert!(any.permits(url).is_ok(), "{url}");
        }
        for url in ["", "example.com", "ftp://8.8.8.8/", "file:///etc/passwd", "http://", "http://[::1%25eth0]/"] {
            assert!(matches!(public.permits(url), Err(OutboundError::Forbidden(_))), "{url}");
            assert!(any.permits(url).is_err(), "{url}");
        }
        assert!(public.permits("https://8.8.8.8/hook?key=1").is_ok());
        assert!(public.permits("https://hooks.example.com/").is_ok());
    }
}
