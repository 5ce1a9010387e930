//! Random walks over the session and its model; `cargo run --release -p countersign-oracles --example walks`
//! takes as many as are asked for.
#![cfg(test)]

use countersign_oracles::mutation::Dice;
use countersign_oracles::walk::{Move, walk};

#[test]
fn twenty_thousand_walks_agree_with_the_model() {
    let mut moves = 0;
    for number in 0..20_000 {
        let mut dice = Dice::new(number);
        let listener = u16::try_from(dice.throw() & 0x7ff).unwrap();
        let length = 1 + dice.below(60);
        moves += walk(listener, (0..length).map(|_| Move::of(dice.throw())));
    }
    println!("{moves} moves");
    assert!(moves > 500_000, "only {moves} moves");
}
