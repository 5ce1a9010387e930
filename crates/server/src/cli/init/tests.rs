//! `init` against the file system: what it makes, and that nothing stays when a step fails.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn plan(root: &Path) -> Plan {
    Plan {
        config: root.join("etc/deep/countersign.toml"),
        data_dir: root.join("var/data"),
        unit: root.join("units/countersign.service"),
        program: PathBuf::from("/usr/local/bin/countersign"),
        hostname: "gate.esp.example".to_owned(),
        listen: vec!["[::]:587".parse().unwrap(), "[::]:465".parse().unwrap()],
        upstream: UpstreamUrl::parse("smtp://127.0.0.1:10030").unwrap(),
        egress: vec!["192.0.2.25/32".parse().unwrap(), "2001:db8::/127".parse().unwrap()],
        egress_is_guessed: false,
        metrics: "127.0.0.1:0".parse().unwrap(),
        user: "countersign".to_owned(),
        postfix: None,
    }
}

/// Everything below a directory.
fn below(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

#[tokio::test]
async fn all_is_made_with_the_modes_it_needs() {
    let root = tempfile::tempdir().unwrap();
    let plan = plan(root.path());
    let mut made = Made::default();
    plan.carry_out(&mut made).await.unwrap();
    assert_eq!(made.keep(), [&plan.config, &plan.data_dir, &plan.unit].map(Clone::clone));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&plan.data_dir), 0o700);
    for secret in ["root.key", "tls-key.pem"] {
        assert_eq!(mode(&plan.data_dir.join(secret)), 0o600, "{secret}");
    }
    let again = config::load_on(&Machine::default(), Some(&plan.config), std::iter::empty()).unwrap();
    assert_eq!(again.warnings, Vec::<String>::new());
    assert_eq!(again.config.server.data_dir, plan.data_dir);
    let unit = std::fs::read_to_string(&plan.unit).unwrap();
    assert!(unit.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"), "{unit}");
    assert!(unit.contains(&format!("ReadWritePaths={}\n", plan.data_dir.display())), "{unit}");
}

#[tokio::test]
async fn whichever_step_fails_nothing_stays() {
    let root = tempfile::tempdir().unwrap();
    let mut failed = 0;
    for steps in 0.. {
        let mut made = Made::default();
        made.steps_left = Some(steps);
        let done = plan(root.path()).carry_out(&mut made).await;
        if done.is_ok() {
            break;
        }
        drop(made);
        assert_eq!(below(root.path()), BTreeSet::new(), "after {steps} steps");
        failed += 1;
    }
    assert_eq!(failed, 4, "a file, a directory, a key, a file");
}

#[tokio::test]
async fn what_is_there_already_stays_as_it_is_and_nothing_comes_beside_it() {
    for (there, is_dir) in [
        ("etc/deep/countersign.toml", false),
        ("units/countersign.service", false),
        ("var/data/letter", true),
        ("units", false),
        ("var/data", false),
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(there);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "dear diary").unwrap();
        let before = below(root.path());
        let mut made = Made::default();
        let failure = plan(root.path()).carry_out(&mut made).await.unwrap_err();
        drop(made);
        assert_eq!(failure.code(), Code::Configuration, "{there}: {failure}");
        assert_eq!(below(root.path()), before, "{there}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary");
        let named = if is_dir { path.parent().unwrap() } else { &path };
        assert!(failure.to_string().contains(&named.display().to_string()), "{there}: {failure}");
    }
}

#[tokio::test]
async fn an_empty_data_directory_is_filled_and_emptied_again() {
    let root = tempfile::tempdir().unwrap();
    let plan = plan(root.path());
    std::fs::create_dir_all(&plan.data_dir).unwrap();
    let mut made = Made::default();
    made.steps_left = Some(3);
    plan.carry_out(&mut made).await.unwrap_err();
    drop(made);
    assert!(plan.data_dir.is_dir() && !is_used(&plan.data_dir).unwrap());
}

#[test]
fn the_lines_for_postfix_are_those_of_the_page() {
    let page = include_str!("../../../../../docs/how-to/postfix.md");
    assert!(
        page.contains(&format!("```\n{}```", text::MASTER_CF)),
        "master.cf is not as in docs/how-to/postfix.md"
    );
    assert!(
        page.contains(&format!("```\n{}```", text::MAIN_CF)),
        "main.cf is not as in docs/how-to/postfix.md"
    );
    let master = text::master_cf(&plan(Path::new("/")));
    assert!(master.starts_with("127.0.0.1:10030 inet n "), "{master}");
}

#[test]
fn a_larger_limit_of_postfix_stays() {
    let main = |limit: &str| {
        let values = format!("3.9\nmx\n127.0.0.0/8\n\n\n\nall\n{limit}\n");
        text::main_cf(Some(&postfix::tests::read(&values)))
    };
    assert!(main("10240000").contains("message_size_limit = 27262976\n"));
    assert!(!main("0").contains("message_size_limit") && !main("52428800").contains("message_size_limit"));
}

#[test]
fn a_unit_quotes_what_systemd_would_take_apart() {
    let odd = Plan { config: PathBuf::from("/srv/a b/100%.toml"), ..plan(Path::new("/srv")) };
    assert!(text::unit(&odd).contains("serve --config \"/srv/a b/100%%.toml\"\n"));
    let named = Plan { config: PathBuf::from("/srv/USER/$KEEPS/{USER}.toml"), ..plan(Path::new("/srv")) };
    assert!(text::unit(&named).contains("serve --config \"/srv/USER/$$KEEPS/{USER}.toml\"\n"));
    let usual = Plan { data_dir: PathBuf::from("/var/lib/countersign"), ..odd };
    assert!(text::unit(&usual).contains("StateDirectory=countersign\n"));
}
