//! Random walks over the session beside its model, as many as are asked for:
//! `cargo run --release -p countersign-oracles --example walks -- 10000000 [FIRST]`.
//!
//! Walk number n is the same on every machine; with FIRST they begin at that number. It ends with a panic at
//! the first difference, and names the walk.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;

use countersign_oracles::mutation::Dice;
use countersign_oracles::walk::{Move, walk};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(count)), first) = (numbers.next(), numbers.next().unwrap_or(Ok(0)).unwrap_or(0)) else {
        eprintln!("say how many walks: walks COUNT [FIRST]");
        return ExitCode::from(2);
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let workers =
        (0..threads).map(|worker| thread::spawn(move || take(first + worker, first + count, threads)));
    let workers: Vec<_> = workers.collect();
    let moves: Option<u64> = workers.into_iter().map(|worker| worker.join().ok().flatten()).sum();
    match moves {
        Some(moves) => {
            println!("{count} walks, {moves} moves, no difference");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// Every `step`-th walk; `None` after a difference.
fn take(first: u64, end: u64, step: u64) -> Option<u64> {
    let mut moves = 0;
    for number in (first..end).step_by(usize::try_from(step).unwrap_or(1)) {
        let mut dice = Dice::new(number);
        let listener = (dice.throw() & 0x7ff) as u16;
        let length = 1 + dice.below(60);
        let taken = Cell::new(0_u64);
        let steps = (0..length).map(|_| Move::of(dice.throw())).inspect(|_| taken.set(taken.get() + 1));
        if panic::catch_unwind(AssertUnwindSafe(|| walk(listener, steps))).is_err() {
            eprintln!("walk {number} differs in move {}", taken.get());
            return None;
        }
        moves += taken.get();
        if number % 1_000_000 == 0 {
            println!("walk {number}");
        }
    }
    Some(moves)
}
