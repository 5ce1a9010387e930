//! One judgement: every file of `tests/mail` over SMTP and over HTTP, with the same decision, reasons and findings.
//! What SMTP heard of it is read back from the ledger.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::Client;
use crate::http::{Http, encoded, world};
use crate::world::{World, letter, repository};

/// A message, and from whom it is said to come.
struct Sent {
    path: PathBuf,
    message: Vec<u8>,
    mail_from: String,
}

#[tokio::test]
async fn the_same_message_gets_the_same_ruling_over_smtp_and_http() {
    let world = world().await;
    let ana = Http::of(&world, "ana").await;
    let all = files();
    assert!(all.len() >= 400, "{} files", all.len());
    let mut compared = [0_usize; 2];
    let mut sink = 0;
    for file in &all {
        let name = file.path.display();
        let (mail_from, reference) = over_smtp(&world, file, &mut sink).await;
        let smtp = ana.get(&format!("/v1/rulings/{reference}")).await.expect(200).json();
        let query = format!(
            "account=acme&credential=acme&ip=127.0.0.1&helo=client.example&mail_from={}&rcpt=bo%40reader.example",
            encoded(&mail_from)
        );
        let http = ana.evaluate(&query, &file.message).await.expect(200).json();
        assert_eq!(judged(&http), judged(&smtp), "{name}");
        compared[usize::from(http["decision"] == "refuse")] += 1;
    }
    println!("{} rulings that allow and {} that refuse are the same", compared[0], compared[1]);
    assert!(compared.iter().all(|count| *count > 150), "{compared:?}");
}

/// Evaluation allowed what SMTP refuses: the mail server behind offers no SMTPUTF8.
#[tokio::test]
async fn an_envelope_that_is_not_ascii_is_refused_over_both_doors() {
    let world = world().await;
    let ana = Http::of(&world, "ana").await;
    for (mail_from, rcpt) in
        [("b\u{e4}cker@acme.example", "bo@reader.example"), ("news@acme.example", "b\u{f6}@reader.example")]
    {
        let mut client = Client::sign_in(world.door("send.0"), "acme").await;
        let mut replies = vec![client.ask(&format!("MAIL FROM:<{mail_from}>")).await.code];
        replies.push(client.ask(&format!("RCPT TO:<{rcpt}>")).await.code);
        assert!(replies.contains(&553), "{replies:?}");
        let query = format!(
            "account=acme&credential=acme&ip=127.0.0.1&mail_from={}&rcpt={}",
            encoded(mail_from),
            encoded(rcpt)
        );
        let http = ana.evaluate(&query, &letter("news@acme.example")).await.expect(200).json();
        assert_eq!(http["decision"], "refuse", "{http}");
        assert_eq!(http["reasons"][0]["code"], "upstream-lacks-smtputf8", "{http}");
    }
}

/// The part of a ruling that the door has no share in.
fn judged(ruling: &Value) -> Value {
    let reasons: Vec<&Value> = ruling["reasons"].as_array().unwrap().iter().collect();
    let evidence: Vec<Value> = ruling["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fact| {
            let mut value = fact["value"].clone();
            // What it cost, and that it is news, is not what was found.
            value
                .as_object_mut()
                .unwrap()
                .retain(|name, _| !["cost_us", "remember"].contains(&name.as_str()));
            json!({ "kind": fact["kind"], "finding": fact["finding"], "why": fact["why"], "value": value,
                    "source": fact["source"], "strength": fact["strength"] })
        })
        .collect();
    // A fault of the octets says how many of them came over its own protocol.
    let reasons: Vec<Value> = reasons
        .iter()
        .map(|reason| json!({ "code": reason["code"], "policy": reason["policy"], "remedy": reason["remedy"] }))
        .collect();
    json!({ "decision": ruling["decision"], "how": ruling["how"], "mode": ruling["mode"], "reasons": reasons,
            "evidence": evidence, "missing": ruling["missing"], "marks": ruling["marks"],
            "policy_digest": ruling["policy_digest"] })
}

/// Sends a file; the MAIL FROM that was taken, and the ref of the ruling.
async fn over_smtp(world: &World, file: &Sent, sink: &mut usize) -> (String, String) {
    let mut client = Client::sign_in(world.door("send.0"), "acme").await;
    let mut mail_from = file.mail_from.clone();
    let reply = client.ask(&format!("MAIL FROM:<{mail_from}>")).await;
    // What is no address is refused as syntax, without a ruling.
    if [501, 553].contains(&reply.code) {
        mail_from = "news@acme.example".to_owned();
    } else {
        client.ask("RSET").await;
    }
    let reply = client.send(&mail_from, &file.message).await;
    if reply.code != 250 {
        return (mail_from, reply.reference().unwrap_or_else(|| panic!("{reply:?}")).to_owned());
    }
    // Who has heard the reply says so: nobody takes the same message for a second try.
    assert_eq!(client.ask("QUIT").await.code, 221);
    *sink += 1;
    let trace = world.arrival(*sink).await.trace;
    let reference = trace.split("ref=").nth(1).unwrap().split(';').next().unwrap();
    (mail_from, reference.to_owned())
}

fn files() -> Vec<Sent> {
    let mut files = Vec::new();
    for folder in ["hostile", "legal"] {
        let folder = repository().join("tests/mail").join(folder);
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|extension| extension != "eml") {
                continue;
            }
            let sidecar: toml::Table =
                toml::from_str(&std::fs::read_to_string(path.with_extension("toml")).unwrap()).unwrap();
            let mail_from = sidecar["mail_from"].as_str().unwrap().to_owned();
            files.push(Sent { message: std::fs::read(&path).unwrap(), path, mail_from });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}
