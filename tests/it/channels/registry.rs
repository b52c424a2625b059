//! The registry, the configuration's reference, the README's table and the pages of the channels agree.

use std::collections::BTreeSet;

use toml::{Table, Value};
use yingda::channel::PLATFORMS;
use yingda::channel::account::{Account, COMMON};

use crate::harness::project;

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn page(name: &str) -> String {
    read(&format!("docs/channels/{name}.md"))
}

/// The first block of TOML in a page, its placeholders filled: as they stand they are refused.
pub fn example(page: &str) -> Table {
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let filled = block.expect("a page shows the configuration").replace("\"...\"", "\"hush\"");
    filled.parse().expect("the example is TOML")
}

/// Settings that a platform knows besides those of every account: its reader lists them when it meets another.
pub fn settings(name: &str) -> BTreeSet<String> {
    let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
    let strange = Table::from_iter([("never_heard_of".to_owned(), Value::Boolean(true))]);
    let fault = (platform.read)(strange).expect_err("an unknown setting is refused");
    assert!(fault.contains("never_heard_of"), "{name}: {fault}");
    let names = fault.split('`').skip(1).step_by(2).filter(|word| *word != "never_heard_of");
    names.map(str::to_owned).collect()
}

#[test]
fn every_platform_has_a_page_whose_example_is_a_valid_account() {
    for platform in PLATFORMS {
        let text = page(platform.name);
        assert!(text.starts_with(&format!("# {}", platform.title)), "{}", platform.name);
        let accounts = example(&text);
        let Some(Value::Array(accounts)) = accounts.get("channels") else { panic!("{}: [[channels]]", platform.name) };
        for account in accounts {
            let Value::Table(account) = account.clone() else { panic!("{}: a table", platform.name) };
            let read = Account::read(account).unwrap_or_else(|fault| panic!("{}: {fault}", platform.name));
            assert_eq!(read.platform.name, platform.name);
        }
    }
}

#[test]
fn every_setting_of_a_platform_is_on_its_page() {
    for platform in PLATFORMS {
        let text = page(platform.name);
        for setting in settings(platform.name) {
            assert!(text.contains(&format!("`{setting}`")), "{}: `{setting}` is not told", platform.name);
        }
    }
    let overview = read("docs/channels/README.md");
    for setting in COMMON {
        assert!(overview.contains(&format!("`{setting}`")), "`{setting}` is not told");
    }
}

#[test]
fn the_example_configuration_has_an_account_of_each_platform() {
    let text = read("yingda.example.toml");
    let named: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# type = \"")?.split('"').next()).collect();
    let known: BTreeSet<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    assert_eq!(named, known);
}

#[test]
fn the_readmes_table_has_a_row_for_each_platform_and_no_other() {
    let text = read("README.md");
    let rows = text.lines().filter_map(|line| line.split_once("](docs/channels/")?.1.split_once(".md)"));
    let named: Vec<&str> = rows.map(|(name, _)| name).filter(|name| *name != "README").collect();
    let known: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    assert_eq!(named, known);
}

#[test]
fn there_is_no_page_without_a_platform() {
    for item in std::fs::read_dir(project("docs/channels")).unwrap() {
        let name = item.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".md");
        assert!(name == "README" || PLATFORMS.iter().any(|platform| platform.name == name), "{name}");
    }
}

/// Platforms whose chats nobody but the platform may read and answer, as the README names them.
const CLOSED: [&str; 12] =
    ["淘宝", "天猫", "千牛", "拼多多", "京东", "咚咚", "抖店", "飞鸽", "快手小店", "小红书", "Amazon", "Shopify Inbox"];

/// What they are called in code.
const CLOSED_NAMES: [&str; 16] = [
    "taobao",
    "tmall",
    "qianniu",
    "pinduoduo",
    "pdd",
    "jd",
    "jingdong",
    "dongdong",
    "douyin",
    "doudian",
    "feige",
    "kuaishou",
    "xiaohongshu",
    "rednote",
    "amazon",
    "shopify",
];

#[test]
fn the_readme_names_the_platforms_without_a_public_chat_api_and_what_there_is_instead() {
    let text = read("README.md");
    let told = text.split("\n\n").find(|part| part.starts_with("**No public chat API**")).expect("it is told");
    for name in CLOSED {
        assert!(told.contains(name), "{name} is not named");
    }
    assert!(told.contains("`GET /v1/suggestions`") && told.contains("`generic`"), "what there is instead: {told}");
    let rows = text.lines().filter(|line| line.contains("](docs/channels/"));
    for row in rows {
        assert!(!CLOSED.iter().any(|name| row.contains(name)), "a channel for one of them: {row}");
    }
}

#[test]
fn no_platform_claims_to_be_one_without_a_public_chat_api() {
    for platform in PLATFORMS {
        let told = format!("{} {}", platform.name, platform.title).to_lowercase();
        let words: Vec<&str> = told.split(|c: char| !c.is_alphanumeric()).collect();
        assert!(!CLOSED_NAMES.iter().any(|name| words.contains(name)), "{told}");
        assert!(!CLOSED.iter().any(|name| told.contains(&name.to_lowercase())), "{told}");
    }
    for name in CLOSED_NAMES {
        let account = format!("name = \"a\"\nshop = \"demo\"\ntype = \"{name}\"");
        let fault = Account::read(account.parse().unwrap()).expect_err(name);
        assert!(PLATFORMS.iter().all(|platform| fault.contains(platform.name)), "it says what there is: {fault}");
    }
}
