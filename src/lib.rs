#![cfg_attr(feature = "net", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "net"),
    doc = "Internet mail in one crate; without the feature `net` there are no sockets in it."
)]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// A module may `use crate::` only modules above it; tests/layers.rs checks that.
pub mod base;

pub mod text;

pub mod address;

pub mod message;

pub mod dns;

pub mod sasl;

pub mod smtp;

pub mod auth;

pub mod spool;

pub mod store;

pub mod pop3;

pub mod imap;

#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod net;
