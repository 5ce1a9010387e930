//! The order cannot be gone around: ruling, record, permit, act. Each way around it does not compile.
//! The examples are tests: those that must fail name the error that they fail with.
//!
//! The way in order compiles:
//! ```
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(recorded: Recorded<Durable>, about: &About) {
//!     if let Ok(permit) = recorded.permit::<Release>(about) {
//!         release(permit);
//!     }
//! }
//! fn deny(owed: Recorded<Owed>, about: &About) {
//!     if let Ok(permit) = owed.permit::<Refuse>(about) {
//!         refuse(permit);
//!     }
//! }
//! ```
//!
//! A ruling alone lets nothing pass; it must be recorded and its record give the permit.
//! ```compile_fail,E0308
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(ruling: Ruling) { release(ruling); }
//! ```
//!
//! Nor does a record.
//! ```compile_fail,E0308
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(recorded: Recorded<Durable>) { release(recorded); }
//! ```
//!
//! A permit of another act does not fit.
//! ```compile_fail,E0308
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(permit: Permit<Hold>) { release(permit); }
//! ```
//!
//! A permit is used once.
//! ```compile_fail,E0382
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(permit: Permit<Release>) { release(permit); release(permit); }
//! ```
//!
//! It has no copies.
//! ```compile_fail,E0599
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(permit: Permit<Release>) { release(permit.clone()); }
//! ```
//!
//! A record gives one permit.
//! ```compile_fail,E0382
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(recorded: Recorded<Durable>, about: &About) {
//!     let _ = recorded.permit::<Release>(about);
//!     let _ = recorded.permit::<Hold>(about);
//! }
//! ```
//!
//! What is owed to the ledger releases nothing, and holds nothing.
//! ```compile_fail,E0277
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(owed: Recorded<Owed>, about: &About) { let _ = owed.permit::<Release>(about); }
//! ```
//!
//! ```compile_fail,E0277
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(owed: Recorded<Owed>, about: &About) { let _ = owed.permit::<Hold>(about); }
//! ```
//!
//! Nobody makes a permit or a record by hand.
//! ```compile_fail,E0451
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(ruling: Ruling) -> Permit<Release> { Permit { ruling: Box::new(ruling), act: PhantomData } }
//! ```
//!
//! ```compile_fail,E0624
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(ruling: Ruling) -> Permit<Release> { Permit::new(Box::new(ruling)) }
//! ```
//!
//! ```compile_fail,E0451
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(ruling: Ruling) -> Recorded<Durable> { Recorded { ruling: Box::new(ruling), state: PhantomData } }
//! ```
//!
//! ```compile_fail,E0624
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(ruling: Ruling) -> Recorded<Durable> { Recorded::new(Box::new(ruling)) }
//! ```
//!
//! Only policy makes a ruling, and nobody changes one.
//! ```compile_fail,E0451
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(other: Ruling) -> Ruling { Ruling { decision: Decision::Allow, ..other } }
//! ```
//!
//! ```compile_fail,E0616
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! fn act(mut ruling: Ruling) { ruling.decision = Decision::Allow; }
//! ```
//!
//! Nobody adds an act of his own.
//! ```compile_fail,E0277
//! # use std::marker::PhantomData;
//! # use countersign::store::{Durable, Hold, Owed, Permit, Recorded, Refuse, Release};
//! # use countersign_core::{about::About, policy::{Decision, Ruling}};
//! # fn release(_: Permit<Release>) {}
//! # fn refuse(_: Permit<Refuse>) {}
//! enum Anything {}
//! impl countersign::store::Act for Anything {
//!     fn fits(_: &Ruling) -> bool { true }
//! }
//! ```
