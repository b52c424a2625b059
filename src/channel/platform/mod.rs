//! One file a platform, and what some of them share.

mod chatwoot;
mod generic;
mod lazada;
mod line;
mod marketplace;
mod messenger;
mod meta;
mod shopee;
mod telegram;
mod tiktok;
pub mod web;
mod wechat;
mod wechat_api;
mod wechat_kf;
mod whatsapp;

use super::Platform;

/// Every platform that is spoken.
pub const PLATFORMS: &[Platform] = &[
    generic::PLATFORM,
    web::PLATFORM,
    wechat::PLATFORM,
    wechat_kf::PLATFORM,
    line::PLATFORM,
    chatwoot::PLATFORM,
    tiktok::PLATFORM,
    lazada::PLATFORM,
    shopee::PLATFORM,
    whatsapp::PLATFORM,
    messenger::MESSENGER,
    messenger::INSTAGRAM,
    telegram::PLATFORM,
];
