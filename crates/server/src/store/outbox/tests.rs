//! A mail is written once, leaves once, and is given up after five days.

use super::super::fresh::Fresh;
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn mail(id: &str, remember: i64) -> Outgoing {
    Outgoing {
        account: AccountId::parse("acme").unwrap(),
        id: id.to_owned(),
        kind: MailKind::Notice,
        sealed: b"sealed".to_vec(),
        at: at(10),
        remember_until: at(remember),
        at_most: None,
    }
}

async fn store(mails: Vec<Outgoing>) -> (Fresh, Store) {
    let fresh = Fresh::new().await;
    let store = fresh.store.clone();
    let puts: Vec<Write> = mails.into_iter().map(Outgoing::put).collect();
    store.change(&puts).await.unwrap();
    (fresh, store)
}

fn full(waiting: u32, failed: u32) -> Fullness {
    Fullness { waiting, failed }
}

#[tokio::test]
async fn a_mail_of_one_id_is_written_once_and_goes_when_it_is_sent() {
    let (_dir, store) = store(vec![mail("a", 0), mail("a", 0)]).await;
    assert_eq!(fullness(&store).await.unwrap(), full(1, 0));
    let letter = due(&store, "one", at(10), 9).await.unwrap().remove(0);
    assert!(due(&store, "two", at(200), 9).await.unwrap().is_empty(), "somebody sends it");
    store.change(&letter.sent(at(20))).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(0, 0));
    store.change(&[mail("a", 0).put()]).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(1, 0), "nothing of it is remembered");
}

#[tokio::test]
async fn one_that_is_remembered_is_not_written_again_until_its_time_is_over() {
    let (_dir, store) = store(vec![mail("day", 1000)]).await;
    let letter = due(&store, "one", at(10), 9).await.unwrap().remove(0);
    store.change(&letter.sent(at(20))).await.unwrap();
    store.change(&[mail("day", 1000).put()]).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(0, 0));
    tidy(&store, at(999)).await.unwrap();
    store.change(&[mail("day", 1000).put()]).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(0, 0));
    tidy(&store, at(1000)).await.unwrap();
    store.change(&[mail("day", 2000).put()]).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(1, 0));
}

#[tokio::test]
async fn there_are_at_most_so_many_of_a_prefix() {
    let mails = (0..9)
        .map(|n| Outgoing { at_most: Some(("net:1:".to_owned(), 3)), ..mail(&format!("net:1:{n}"), 0) });
    let (_dir, store) = store(mails.chain([mail("net:2:0", 0)]).collect()).await;
    assert_eq!(fullness(&store).await.unwrap(), full(4, 0));
}

#[tokio::test]
async fn a_mail_that_is_deferred_is_due_again_and_one_that_is_refused_is_not() {
    let (_dir, store) = store(vec![mail("a", 0)]).await;
    let letter = due(&store, "one", at(10), 9).await.unwrap().remove(0);
    store.change(&[letter.again("451", at(70))]).await.unwrap();
    assert!(due(&store, "one", at(69), 9).await.unwrap().is_empty());
    let letter = due(&store, "one", at(70), 9).await.unwrap().remove(0);
    assert_eq!(letter.attempts, 2);
    store.change(&[letter.failed("550")]).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(0, 1));
    assert_eq!(next(&store).await.unwrap(), None);
}

#[tokio::test]
async fn after_five_days_it_is_given_up_and_after_thirty_forgotten() {
    const DAY: i64 = 86_400;
    let (_dir, store) = store(vec![mail("a", 0)]).await;
    assert!(tidy(&store, at(10 + 5 * DAY - 1)).await.unwrap().is_empty());
    let given_up = tidy(&store, at(10 + 5 * DAY)).await.unwrap();
    assert_eq!(given_up, [(AccountId::parse("acme").unwrap(), "a".to_owned())]);
    assert_eq!(fullness(&store).await.unwrap(), full(0, 1));
    tidy(&store, at(10 + 30 * DAY)).await.unwrap();
    assert_eq!(fullness(&store).await.unwrap(), full(0, 0));
}

#[tokio::test]
async fn what_a_dead_process_was_sending_is_due_at_once() {
    let (_dir, store) = store(vec![mail("a", 0)]).await;
    assert_eq!(due(&store, "dead", at(10), 9).await.unwrap().len(), 1);
    reconcile(&store, if store.is_shared() { "dead" } else { "one" }, at(11)).await.unwrap();
    assert_eq!(due(&store, "alive", at(11), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_recipient_is_sealed_with_the_message() {
    let (_dir, store) = store(vec![mail("a", 0)]).await;
    let to = EmailAddress::parse("\"a b\"@acme.example").unwrap();
    let row = store.row("SELECT rcpt FROM outbox", vec![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("rcpt").unwrap(), "");
    let mut letter = due(&store, "one", at(10), 9).await.unwrap().remove(0);
    let message = b"To: x\r\n\r\nHello\r\n".to_vec();
    assert_eq!(letter.disclosed(enclosed(&to, &message)).unwrap(), (to.clone(), message.clone()));
    assert!(letter.disclosed(b"no recipient".to_vec()).is_none());
    letter.to = Some(to.clone());
    assert_eq!(letter.disclosed(message.clone()).unwrap(), (to, message), "of an earlier version");
}
