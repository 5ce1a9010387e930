use proptest::prelude::*;

use super::*;

fn mail(text: &str) -> Result<MailParameters, ParameterError> {
    MailParameters::parse(text)
}

fn rcpt(text: &str) -> Result<RcptParameters, ParameterError> {
    RcptParameters::parse(text)
}

#[test]
fn all_parameters_of_mail() {
    let text = " SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+3D1 AUTH=<>";
    let expected = MailParameters {
        size: Some(1000),
        body: Some(BodyKind::EightBitMime),
        smtputf8: true,
        ret: Some(Return::Headers),
        envid: Some("QQ+3D1".to_owned()),
        auth: Some("<>".to_owned()),
    };
    assert_eq!(expected.to_string(), text);
    assert_eq!(mail(text), Ok(expected));
    assert_eq!(mail(""), Ok(MailParameters::default()));
    assert_eq!(mail(" body=binarymime").map(|parameters| parameters.body), Ok(Some(BodyKind::BinaryMime)));
}

#[test]
fn all_parameters_of_rcpt() {
    let text = " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.example";
    let notify = Notify::On { success: true, failure: false, delay: true };
    let expected = RcptParameters { notify: Some(notify), orcpt: Some("rfc822;a+2Bb@c.example".to_owned()) };
    assert_eq!(expected.to_string(), text);
    assert_eq!(rcpt(text), Ok(expected));
    assert_eq!(rcpt(" notify=never").map(|parameters| parameters.notify), Ok(Some(Notify::Never)));
}

#[test]
fn rfc5321_4_1_1_11_unknown_and_duplicate_parameters() {
    assert_eq!(mail(" SIZE=1 size=2"), Err(ParameterError::Duplicate("SIZE".to_owned())));
    assert_eq!(mail(" SMTPUTF8 SMTPUTF8"), Err(ParameterError::Duplicate("SMTPUTF8".to_owned())));
    assert_eq!(mail(" FOO=1"), Err(ParameterError::Unknown("FOO".to_owned())));
    assert_eq!(mail(" NOTIFY=NEVER"), Err(ParameterError::Unknown("NOTIFY".to_owned())));
    assert_eq!(rcpt(" SIZE=1"), Err(ParameterError::Unknown("SIZE".to_owned())));
    assert_eq!(rcpt(" NOTIFY=NEVER NOTIFY=NEVER"), Err(ParameterError::Duplicate("NOTIFY".to_owned())));
}

#[test]
fn malformed_parameters() {
    for text in [
        "x",
        "x SIZE=1",
        " ",
        "  SIZE=1",
        " SIZE=1 ",
        " SIZE=1  RET=FULL",
        " =1",
        " -A=1",
        " A_B=1",
        " \u{e9}=1",
    ] {
        assert_eq!(mail(text), Err(ParameterError::Form), "{text:?}");
    }
}

#[test]
fn malformed_values() {
    for text in [
        " SIZE",
        " SIZE=",
        " SIZE=-1",
        " SIZE=+1",
        " SIZE=1a",
        " SIZE=18446744073709551616",
        " SIZE=000000000000000000001",
        " SIZE=1=2",
        " BODY=9BIT",
        " BODY",
        " SMTPUTF8=1",
        " RET=ALL",
        " ENVID=a+",
        " ENVID=a+2",
        " ENVID=a+2b",
        " ENVID=a+0A",
        " ENVID=\u{e9}",
        " AUTH=",
    ] {
        assert!(matches!(mail(text), Err(ParameterError::Value(_))), "{text:?}");
    }
    assert!(mail(&format!(" ENVID={}", "a".repeat(100))).is_ok());
    assert!(mail(&format!(" ENVID={}", "a".repeat(101))).is_err());
    for text in [
        " NOTIFY=",
        " NOTIFY=NEVER,DELAY",
        " NOTIFY=DELAY,DELAY",
        " NOTIFY=DELAY,",
        " ORCPT=a@b.example",
        " ORCPT=;a",
        " ORCPT=rfc822;",
        " ORCPT=rfc822;a+00",
    ] {
        assert!(matches!(rcpt(text), Err(ParameterError::Value(_))), "{text:?}");
    }
}

proptest! {
    #[test]
    fn print_then_parse_is_identity(
        text in prop::collection::vec(
            prop_oneof![
                "(SIZE|size)=[0-9]{1,20}",
                "BODY=(7BIT|8bitmime|BINARYMIME)",
                Just("SMTPUTF8".to_owned()),
                "RET=(FULL|hdrs)",
                "(ENVID|AUTH)=[a-z+2B<>]{1,9}",
                "NOTIFY=(NEVER|SUCCESS|DELAY)(,FAILURE)?",
                "ORCPT=[a-z;0-9+]{1,9}",
                "[ -~]{0,5}",
            ],
            0..4,
        ).prop_map(|words| words.iter().map(|word| format!(" {word}")).collect::<String>()),
    ) {
        if let Ok(parameters) = mail(&text) {
            prop_assert_eq!(mail(&parameters.to_string()), Ok(parameters));
        }
        if let Ok(parameters) = rcpt(&text) {
            prop_assert_eq!(rcpt(&parameters.to_string()), Ok(parameters));
        }
    }

    #[test]
    fn parser_never_panics(text in any::<String>()) {
        let _ = mail(&text);
        let _ = rcpt(&format!(" {text}"));
    }
}
