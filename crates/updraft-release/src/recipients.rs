//! For whom values are encrypted: the people and machines that may read them.

use std::path::Path;

use serde::Serialize;

use crate::age::Recipient;
use crate::author::Author;
use crate::disk::{self, Disk};
use crate::error::StoreError;
use crate::finding::Finding;
use crate::layout::{RECIPIENTS_DIGITS, sha256};
use crate::store::Store;

/// The most recipients of a store: each adds two hundred bytes to each file.
const RECIPIENTS_MAX: usize = 64;

/// The list of recipients of a store, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipients(Vec<(Recipient, Option<String>)>);

/// One recipient of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecipientEntry {
    /// The public key, `age1…`.
    pub key: String,
    /// Whose it is.
    pub note: Option<String>,
    /// Whether a secret key of this user belongs to it.
    pub own: bool,
}

impl Recipients {
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let bytes = disk::read(path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut list = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (key, note) = line.split_once('#').unwrap_or((line, ""));
            let wrong =
                |source| StoreError::Recipient { path: path.to_owned(), line: index + 1, source };
            if !key.trim().is_empty() {
                let note = Some(note.trim().to_owned()).filter(|note| !note.is_empty());
                list.push((key.trim().parse().map_err(wrong)?, note));
            }
        }
        Ok(Self(list))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn keys(&self) -> Vec<Recipient> {
        self.0.iter().map(|(key, _)| *key).collect()
    }

    /// Stands for this set of keys in the names of files.
    pub(crate) fn mark(&self) -> String {
        let mut keys: Vec<String> = self.0.iter().map(|(key, _)| key.to_string()).collect();
        keys.sort();
        sha256(keys.join("\n").as_bytes()).hex()[..RECIPIENTS_DIGITS].to_owned()
    }

    fn write(&self, disk: &Disk<'_>) -> Result<(), StoreError> {
        let lines = self.0.iter().map(|(key, note)| match note {
            Some(note) => format!("{key} # {note}\n"),
            None => format!("{key}\n"),
        });
        disk.write(&disk.layout.recipients(), lines.collect::<String>().as_bytes())
    }
}

impl Store {
    /// For whom the values of this store are encrypted; empty before the first is set.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the list cannot be read. The user's own key need not be there.
    pub fn recipients(&self) -> Result<Vec<RecipientEntry>, StoreError> {
        let list = Recipients::read(&self.layout().recipients())?;
        let own: Vec<Recipient> = match self.key_file().identities() {
            Ok(identities) => identities.iter().map(crate::Identity::recipient).collect(),
            Err(_no_key) => Vec::new(),
        };
        let entry = |(key, note): &(Recipient, Option<String>)| RecipientEntry {
            key: key.to_string(),
            note: note.clone(),
            own: own.contains(key),
        };
        Ok(list.0.iter().map(entry).collect())
    }

    /// Adds a recipient, and encrypts all values anew. One that is there gets the new note.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the list is as it was, or it is the new one and the next change of
    /// values or recipients encrypts what is left.
    pub fn add_recipient(
        &self,
        recipient: Recipient,
        note: Option<&str>,
        author: &Author,
    ) -> Result<(), StoreError> {
        let disk = Disk::open(self.layout())?;
        let mut list = self.recipients_or_own(&disk, author)?;
        let note = note.map(|note| note.replace(|c: char| c.is_control() || c == '#', " "));
        if let Some(known) = list.0.iter_mut().find(|(key, _)| *key == recipient) {
            known.1 = note.or_else(|| known.1.take());
        } else if list.0.len() < RECIPIENTS_MAX {
            list.0.push((recipient, note));
        } else {
            let message = format!("cannot be added: there are {RECIPIENTS_MAX}, which is the most");
            return Err(StoreError::Refused(vec![Finding::new(recipient, message)]));
        }
        self.exchange(&disk, &list)
    }

    /// Removes a recipient, and encrypts all values anew. What somebody could read they may
    /// have kept: values that must be secret from them have to be changed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] for one that is not there and for the user's own key; else as
    /// [`Store::add_recipient`].
    pub fn remove_recipient(
        &self,
        recipient: Recipient,
        author: &Author,
    ) -> Result<(), StoreError> {
        let disk = Disk::open(self.layout())?;
        let mut list = self.recipients_or_own(&disk, author)?;
        let refused =
            |message: &str| Err(StoreError::Refused(vec![Finding::new(recipient, message)]));
        if !list.keys().contains(&recipient) {
            return refused("is no recipient of this store");
        }
        let own = self.key_file().identities()?;
        let mut rest = list.keys().into_iter().filter(|key| *key != recipient);
        if !rest.any(|key| own.iter().any(|own| own.recipient() == key)) {
            return refused("is your own key: you could not read the values any more");
        }
        list.0.retain(|(key, _)| *key != recipient);
        self.exchange(&disk, &list)
    }

    /// The list; a new one has this user, whose key is made where there is none.
    pub(crate) fn recipients_or_own(
        &self,
        disk: &Disk<'_>,
        author: &Author,
    ) -> Result<Recipients, StoreError> {
        let list = Recipients::read(&self.layout().recipients())?;
        if !list.is_empty() {
            return Ok(list);
        }
        if !self.layout().configured_deploys()?.is_empty() {
            // A list that was lost must not end up with one reader less.
            let path = self.layout().recipients();
            return Err(StoreError::damaged("the list of recipients", &path, "is gone"));
        }
        let own = self.key_file().identities_or_new(author.now)?;
        let own = own.first().map(|own| (own.recipient(), Some(author.name())));
        let list = Recipients(own.into_iter().collect());
        list.write(disk)?;
        Ok(list)
    }

    /// Whoever writes values must be able to read them again.
    pub(crate) fn must_read(&self, list: &Recipients) -> Result<(), StoreError> {
        let own = self.key_file().identities()?;
        let keys = list.keys();
        if own.iter().any(|own| keys.contains(&own.recipient())) {
            return Ok(());
        }
        let key = own.first().map(|own| own.recipient().to_string()).unwrap_or_default();
        Err(StoreError::NotRecipient { key_file: self.key_file().path().to_owned(), key })
    }

    fn exchange(&self, disk: &Disk<'_>, list: &Recipients) -> Result<(), StoreError> {
        // Refused before anything is changed: whoever cannot read cannot encrypt anew.
        self.must_open_all()?;
        list.write(disk)?;
        self.reseal(disk, list)
    }
}
