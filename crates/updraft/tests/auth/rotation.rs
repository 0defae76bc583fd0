//! Keys that come and go, as tokens with them are answered.

use crate::provider::{Key, Provider};
use crate::service::{Service, until};

#[test]
fn keys_rotate_without_a_refusal_and_old_ones_end() {
    let provider = Provider::new();
    let [old, new] = ["old", "new"].map(Key::new);
    provider.has(&[&old]);
    // It is asked for a key that is not known at once, and for all of them each second.
    let often = [("AUTH_KEYS_COOLDOWN", "100ms"), ("AUTH_KEYS_REFRESH", "1s")];
    let service = Service::start(&provider, &often);
    until("it is ready", || service.ready() == 200);
    assert_eq!(service.shelve(&old.token(&provider, "ann")), 201);
    assert_eq!(service.shelve(&new.token(&provider, "ann")), 401);

    provider.has(&[&old, &new]);
    until("the new key is known", || service.shelve(&new.token(&provider, "ann")) == 201);
    for subject in ["ann", "bob"] {
        for key in [&old, &new] {
            assert_eq!(service.shelve(&key.token(&provider, subject)), 201, "{subject}");
        }
    }

    // A token that was verified before ends with its key too.
    provider.has(&[&new]);
    until("the old key has ended", || service.shelve(&old.token(&provider, "ann")) == 401);
    assert_eq!(service.shelve(&new.token(&provider, "ann")), 201);

    // The keys that are known hold while nobody can be asked.
    provider.goes_away();
    assert_eq!(service.shelve(&new.token(&provider, "cid")), 201);
    assert_eq!(service.shelve(&old.token(&provider, "ann")), 401);
    assert_eq!(service.ready(), 200);
}

#[test]
fn a_service_is_not_ready_before_it_has_keys_and_is_so_by_itself_when_it_has() {
    let provider = Provider::new();
    let key = Key::new("first");
    let service = Service::start(&provider, &[("AUTH_KEYS_COOLDOWN", "100ms")]);
    assert_eq!(service.ready(), 503);
    provider.has(&[&key]);
    until("it is ready", || service.ready() == 200);
    assert_eq!(service.shelve(&key.token(&provider, "ann")), 201);
}

#[test]
fn no_number_of_made_up_keys_makes_a_second_question_within_the_cooldown() {
    let provider = Provider::new();
    let known = Key::new("known");
    provider.has(&[&known]);
    let rarely = [("AUTH_KEYS_COOLDOWN", "1h"), ("AUTH_KEYS_REFRESH", "2h")];
    let service = Service::start(&provider, &rarely);
    until("it is ready", || service.ready() == 200);
    for number in 0..50 {
        let made_up = Key::new(&format!("made up {number}"));
        assert_eq!(service.shelve(&made_up.token(&provider, "mallory")), 401);
    }
    assert_eq!(service.shelve(&known.token(&provider, "ann")), 201);
    assert_eq!(provider.asked(), 1);
}
