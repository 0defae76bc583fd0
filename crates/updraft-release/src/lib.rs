//! The release store: numbered releases that never change, and the encrypted values of each
//! deploy (factors III and V of the twelve factors).
//!
//! A [`Store`] is a folder. What is in it is found by its content, is written whole or not at
//! all, and is never written again; only the pointer to the current release of a deploy and
//! the list of recipients are replaced. Nothing here starts a process or opens a socket.

mod age;
mod author;
mod bindings;
mod config;
mod contract;
mod difference;
mod disk;
mod document;
mod error;
mod finding;
mod history;
mod key_file;
mod layout;
mod lock;
mod recipients;
mod sealed;
mod store;
mod verify;

pub use age::{AgeError, Identity, InvalidKey, Recipient};
pub use author::Author;
pub use config::{Changes, Configured, InvalidSetting, Setting, SettingState, SettingStatus};
pub use difference::{BuildChange, ChangeKind, Difference, Moved, ResourceChange, ValueDifference};
pub use error::{Damage, StoreError};
pub use finding::Finding;
pub use key_file::{KeyError, KeyFile};
pub use recipients::RecipientEntry;
pub use store::{Listing, NewRelease, Store};
