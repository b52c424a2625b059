//! Who may do what, and how much of it.

use reqwest::Method;
use serde_json::json;
use yingda::config::{Config, ConfigError, hash_token};

use crate::harness::{Plan, TestApp, configuration, message, with};

const ROLES: [&str; 4] = ["channel", "agent", "editor", "admin"];

fn token(role: &str) -> String {
    format!("a-long-token-of-the-{role}")
}

fn configured(role: &str, shops: &str) -> String {
    let hash = hex::encode(hash_token(&token(role)));
    format!("[[tokens]]\nname = \"{role}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"\nshops = [{shops}]\n")
}

async fn guarded_app() -> TestApp {
    let tokens: String = ROLES.iter().map(|role| configured(role, "")).collect();
    Plan::editable_shop().with_config(&tokens).start().await
}

/// Whoever works with conversations.
const READERS: &[&str] = &["agent", "editor", "admin"];

fn takes() -> String {
    json!({"shop": "demo", "channel": "web", "agent_id": "amy"}).to_string()
}

/// Each route with a good request, and the roles that may make it.
fn routes() -> Vec<(Method, &'static str, String, &'static [&'static str])> {
    let slots = json!({"cause": "暴雨", "effect": "晚到两天"}).to_string();
    let none = String::new;
    vec![
        (Method::POST, "/v1/messages", String::new(), &["channel", "admin"]),
        (Method::GET, "/v1/suggestions?q=a", none(), READERS),
        (Method::GET, "/v1/entries/ship", none(), READERS),
        (Method::GET, "/v1/incidents", none(), READERS),
        (Method::PUT, "/v1/incidents/storm", slots, &["editor", "admin"]),
        (Method::DELETE, "/v1/incidents/storm", none(), &["editor", "admin"]),
        (Method::GET, "/v1/incidents/storm/told", none(), READERS),
        (Method::POST, "/v1/reload", none(), &["editor", "admin"]),
        (Method::GET, "/v1/conversations", none(), READERS),
        (Method::GET, "/v1/conversations/c?shop=demo&channel=web", none(), READERS),
        (Method::GET, "/v1/conversations/c/events?shop=demo&channel=web", none(), READERS),
        (Method::POST, "/v1/conversations/c/takeover", takes(), READERS),
        (Method::POST, "/v1/conversations/c/hand-back", takes(), READERS),
        (Method::GET, "/v1/timers?shop=demo", none(), READERS),
        (Method::GET, "/v1/shops", none(), READERS),
        (Method::GET, "/v1/agents?shop=demo", none(), READERS),
        (Method::PUT, "/v1/agents/amy", json!({"shop": "demo", "presence": "online"}).to_string(), READERS),
        (Method::DELETE, "/v1/agents/amy?shop=demo", none(), READERS),
        (Method::GET, "/v1/queue?shop=demo", none(), READERS),
        (Method::GET, "/v1/ledger?shop=demo", none(), READERS),
        (Method::DELETE, "/v1/customers/u?shop=demo&channel=web", none(), &["admin"]),
        (Method::GET, "/v1/outbox", none(), &["editor", "admin"]),
        (Method::POST, "/v1/outbox/replay", "{}".to_owned(), &["editor", "admin"]),
        (Method::GET, "/v1/endpoints", none(), &["editor", "admin"]),
        (Method::POST, "/v1/endpoints/crm/enable", none(), &["editor", "admin"]),
        (Method::GET, "/metrics", none(), &["channel", "agent", "editor", "admin"]),
    ]
}

#[tokio::test]
async fn each_route_is_open_to_its_roles_only() {
    let app = guarded_app().await;
    for (method, path, body, allowed) in routes() {
        for role in ROLES {
            let body = if path == "/v1/messages" { message(role, "在吗").to_string() } else { body.clone() };
            let answer = app.send_as(Some(&token(role)), method.clone(), path, body).await;
            let what = format!("{role} {method} {path}");
            if allowed.contains(&role) {
                assert!(![401, 403].contains(&answer.status), "{what}: {}", answer.body);
            } else {
                answer.problem(403, &what);
            }
        }
    }
}

#[tokio::test]
async fn no_route_is_forgotten_here() {
    let document = TestApp::start_shop().await.get("/openapi.json").await.json();
    let mut untested = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let (start, end) = path.split_once("{id}").unwrap_or((path, ""));
        for method in methods.as_object().unwrap().keys().map(|name| name.to_uppercase()) {
            let tested = routes().iter().any(|(known, route, ..)| {
                let route = route.split('?').next().unwrap_or_default();
                let rest = route.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
                let fits = rest.is_some_and(|id| !id.contains('/') && id.is_empty() != path.contains("{id}"));
                known.as_str() == method && fits
            });
            // Whoever posts to an account shows that account's own signature, or a visitor's token.
            if !tested && !["/healthz", "/readyz"].contains(&path.as_str()) && !path.contains("{account}") {
                untested.push(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(untested, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_known_token_every_route_but_the_probes_is_closed() {
    let app = guarded_app().await;
    for (method, path, body, _) in routes() {
        for shown in [None, Some("made-up"), Some("")] {
            let answer = app.send_as(shown, method.clone(), path, body.clone()).await;
            answer.problem(401, &format!("{shown:?} {method} {path}"));
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs/"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_must_be_shown_as_a_bearer_token() {
    let app = guarded_app().await;
    let client = crate::harness::client();
    let admin = token("admin");
    for (header, status) in [
        (format!("Bearer {admin}"), 200),
        (format!("bearer {admin}"), 200),
        (format!("BEARER  {admin} "), 200),
        (format!("Basic {admin}"), 401),
        (admin.clone(), 401),
        (format!("Bearer{admin}"), 401),
        (format!("Bearer {admin}x"), 401),
        (format!("Bearer {}", hex::encode(hash_token(&admin))), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer \u{4f60}\u{597d}".to_owned(), 401),
    ] {
        let request = client.get(format!("{}/v1/incidents", app.base));
        let value = reqwest::header::HeaderValue::from_bytes(header.as_bytes()).unwrap();
        let answer = request.header("authorization", value).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{header}");
    }
}

#[tokio::test]
async fn a_refused_message_is_not_stored() {
    let app = guarded_app().await;
    let event = message("c", "在吗").to_string();
    for role in [None, Some(token("agent"))] {
        let answer = app.send_as(role.as_deref(), Method::POST, "/v1/messages", event.clone()).await;
        assert!([401, 403].contains(&answer.status));
    }
    let answer = app.send_as(Some(&token("channel")), Method::POST, "/v1/messages", event).await;
    assert!(!answer.is_duplicate());
    assert_eq!(answer.decision().action(), "greet");
}

#[tokio::test]
async fn a_token_bound_to_a_shop_speaks_for_that_shop_only() {
    let tokens: String = ROLES.iter().map(|role| configured(role, "\"mine\"")).collect();
    let app = Plan::shop().with_config(&tokens).start().await;
    let post = |role, path, body: String| {
        let method = if path == "/v1/messages" || path == "/v1/reload" { Method::POST } else { Method::PUT };
        let app = &app;
        async move { app.send_as(Some(&token(role)), method, path, body).await }
    };
    let event = |shop| with(message("c", "在吗"), json!({ "shop": shop })).to_string();
    assert_eq!(post("channel", "/v1/messages", event("mine")).await.status, 200);
    post("channel", "/v1/messages", event("theirs")).await.problem(403, "a message to another shop");
    for (shop, status) in [("mine", 200), ("theirs", 403)] {
        let path = format!("/v1/suggestions?q=a&shop={shop}");
        assert_eq!(app.send_as(Some(&token("agent")), Method::GET, &path, "").await.status, status, "{shop}");
    }
    post("editor", "/v1/reload", String::new()).await.problem(403, "a reload touches every shop");
    let incident = |scope| json!({"cause": "暴雨", "effect": "晚到两天", "scope": scope}).to_string();
    let path = "/v1/incidents/storm";
    assert_eq!(post("editor", path, incident(json!({"shop": ["mine"]}))).await.status, 200);
    post("editor", path, incident(json!({"shop": ["mine", "theirs"]}))).await.problem(403, "another shop's incident");
    post("editor", path, incident(json!({}))).await.problem(403, "everybody's incident");
}

#[tokio::test]
async fn a_token_bound_to_a_shop_cannot_touch_another_shop_s_incident() {
    let tokens = format!("{}{}", configured("admin", ""), configured("editor", "\"mine\""));
    let app = Plan::shop().with_config(&tokens).start().await;
    let incident = |scope| json!({"cause": "暴雨", "effect": "晚到两天", "scope": scope}).to_string();
    for (id, scope) in [("theirs", json!({"shop": ["theirs"]})), ("everybodys", json!({}))] {
        let path = format!("/v1/incidents/{id}");
        let opened = app.send_as(Some(&token("admin")), Method::PUT, &path, incident(scope)).await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        let taken = app.send_as(Some(&token("editor")), Method::PUT, &path, incident(json!({"shop": ["mine"]}))).await;
        taken.problem(403, &format!("taking over {id}"));
        let closed = app.send_as(Some(&token("editor")), Method::DELETE, &path, "").await;
        closed.problem(403, &format!("closing {id}"));
    }
}

#[tokio::test]
async fn a_token_bound_to_a_shop_sees_nothing_of_another() {
    let bound = configured("editor", "\"mine\"") + &configured("agent", "\"mine\"");
    let app = Plan::shop().with_config(&(configured("admin", "") + &bound)).start().await;
    let admin = async |method, path: &str, body: String| {
        let answer = app.send_as(Some(&token("admin")), method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    };
    let slots = json!({"cause": "暴雨", "effect": "晚到两天"}).to_string();
    admin(Method::PUT, "/v1/incidents/storm", slots).await;
    for shop in ["mine", "theirs"] {
        let event = with(message(&format!("c-{shop}"), "在吗"), json!({ "shop": shop }));
        admin(Method::POST, "/v1/messages", event.to_string()).await;
        let agent = json!({"shop": shop, "presence": "online"}).to_string();
        admin(Method::PUT, "/v1/agents/amy", agent).await;
    }
    let scope = json!({"cause": "爆仓", "effect": "晚到两天", "scope": {"shop": ["theirs"]}});
    admin(Method::PUT, "/v1/incidents/theirs", scope.to_string()).await;
    let moves = |shop| json!({"shop": shop, "channel": "web", "agent_id": "amy"}).to_string();
    let agent = |shop| json!({"shop": shop, "presence": "busy"}).to_string();
    for (method, path, body) in [
        (Method::GET, "/v1/conversations?shop=SHOP", none()),
        (Method::GET, "/v1/conversations/c-SHOP?shop=SHOP&channel=web", none()),
        (Method::GET, "/v1/conversations/c-SHOP/events?shop=SHOP&channel=web", none()),
        (Method::GET, "/v1/timers?shop=SHOP", none()),
        (Method::GET, "/v1/agents?shop=SHOP", none()),
        (Method::GET, "/v1/queue?shop=SHOP", none()),
        (Method::GET, "/v1/ledger?shop=SHOP", none()),
        (Method::POST, "/v1/conversations/c-SHOP/takeover", Some(moves("SHOP"))),
        (Method::POST, "/v1/conversations/c-SHOP/hand-back", Some(moves("SHOP"))),
        (Method::PUT, "/v1/agents/amy", Some(agent("SHOP"))),
        (Method::DELETE, "/v1/agents/amy?shop=SHOP", none()),
    ] {
        for (shop, statuses) in [("mine", [200, 204]), ("theirs", [403, 403])] {
            let (path, body) = (path.replace("SHOP", shop), body.clone().unwrap_or_default().replace("SHOP", shop));
            let answer = app.send_as(Some(&token("agent")), method.clone(), &path, body).await;
            assert!(statuses.contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        }
    }
    for (method, path, body) in [
        (Method::GET, "/v1/outbox", ""),
        (Method::POST, "/v1/outbox/replay", "{}"),
        (Method::GET, "/v1/endpoints", ""),
        (Method::POST, "/v1/endpoints/crm/enable", ""),
    ] {
        let answer = app.send_as(Some(&token("editor")), method, path, body).await;
        answer.problem(403, &format!("{path}: what is pushed belongs to all shops"));
    }
    let read = async |path: &str| app.send_as(Some(&token("agent")), Method::GET, path, "").await;
    read("/v1/conversations").await.problem(422, "which of the shops?");
    assert_eq!(read("/v1/shops").await.json()["shops"], json!(["mine"]));
    let told = read("/v1/incidents/storm/told").await.json();
    assert_eq!(told["told"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["told"][0]["shop"], "mine");
    let open = read("/v1/incidents").await.json();
    assert_eq!(open["incidents"].as_array().unwrap().len(), 1, "everybody's, and not the other shop's: {open}");
}

fn none() -> Option<String> {
    None
}

#[tokio::test]
async fn an_admin_bound_to_a_shop_erases_customers_of_that_shop_only() {
    let app = Plan::shop().with_config(&configured("admin", "\"mine\"")).start().await;
    for (shop, status) in [("mine", 200), ("theirs", 403)] {
        let path = format!("/v1/customers/u?shop={shop}&channel=web");
        assert_eq!(app.send_as(Some(&token("admin")), Method::DELETE, &path, "").await.status, status, "{shop}");
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let app = Plan::shop().with_config("[limits]\nrequests_per_second = 1\nburst = 3\n").start().await;
    for _ in 0..3 {
        assert_eq!(app.get("/v1/suggestions?q=a").await.status, 200);
    }
    let refused = app.get("/v1/suggestions?q=a").await;
    refused.problem(429, "the fourth request");
    let seconds: u64 = refused.header("retry-after").parse().expect("whole seconds");
    assert!(seconds >= 1);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(app.get("/v1/suggestions?q=a").await.status, 200, "after the time told it is let in");
}

#[tokio::test]
async fn each_token_has_a_budget_of_its_own() {
    let tokens: String = ROLES.iter().map(|role| configured(role, "")).collect();
    let limits = "[limits]\nrequests_per_second = 1\nburst = 2\n";
    let app = Plan::shop().with_config(&format!("{limits}{tokens}")).start().await;
    let ask = |role| {
        let app = &app;
        async move { app.send_as(Some(&token(role)), Method::GET, "/v1/incidents", "").await.status }
    };
    assert_eq!([ask("agent").await, ask("agent").await, ask("agent").await], [200, 200, 429]);
    assert_eq!(ask("editor").await, 200, "another token is another client");
    let mut made_up = Vec::new();
    for number in 0..4 {
        made_up.push(app.send_as(Some(&format!("made-up-{number}")), Method::GET, "/v1/incidents", "").await.status);
    }
    assert_eq!(made_up, [401, 401, 429, 429], "made-up tokens share one budget");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let app = Plan::shop().with_config("[limits]\nbody_bytes = 300\n").start().await;
    let large = message("c", &"好".repeat(200));
    let problem = app.post(&large).await.problem(413, "600 bytes of text");
    assert!(problem["detail"].as_str().unwrap().contains("300"), "{problem}");
    assert_eq!(app.say("c", "在吗").await.action(), "greet");
}

#[tokio::test]
async fn a_longer_text_is_taken_where_the_shop_allows_it() {
    let app = Plan::shop().with_config("[limits]\nbody_bytes = 2000000\ntext_chars = 400000\n").start().await;
    assert_eq!(app.say("c", &"发".repeat(350_000)).await.action(), "greet");
}

#[test]
fn strangers_are_not_served_without_tokens() {
    for (address, fine) in [
        ("127.0.0.1:80", true),
        ("127.8.8.8:80", true),
        ("[::1]:80", true),
        ("0.0.0.0:80", false),
        ("[::]:80", false),
        ("192.168.1.2:80", false),
        ("[::ffff:10.0.0.1]:80", false),
    ] {
        let config = configuration(&format!("listen = \"{address}\"\n"));
        assert_eq!(config.guard().is_ok(), fine, "{address}");
        let guarded = configuration(&format!("listen = \"{address}\"\n{}", configured("admin", "")));
        assert!(guarded.guard().is_ok(), "{address} with a token");
    }
}

#[test]
fn tokens_may_come_from_the_environment() {
    let config = Config::read(None, Some("admin:0123456789abcdef, channel:fedcba9876543210,")).unwrap();
    assert_eq!(config.tokens.len(), 2);
    for bad in ["admin", "admin:short", "root:0123456789abcdef", "admin=0123456789abcdef"] {
        assert!(matches!(Config::read(None, Some(bad)), Err(ConfigError::Token(_))), "{bad}");
    }
}

#[test]
fn a_configuration_keeps_hashes_and_never_shows_a_token() {
    let config = Config::read(None, Some("admin:0123456789abcdef")).unwrap();
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[tokio::test]
async fn without_tokens_pages_of_other_sites_are_refused() {
    let app = TestApp::start_shop().await;
    for (name, value, status) in [
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("host", "evil.example", 403),
        ("origin", "http://127.0.0.1:8080", 200),
        ("host", "localhost", 200),
    ] {
        let request = crate::harness::client().get(format!("{}/readyz", app.base)).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), status, "{name}: {value}");
    }
}
