# The commands of this house. `just` without a name lists them.

_default:
    @just --list

# Everything that CI checks, exactly as CI checks it.
check:
    bash .ci/run

# The sandbox: made-up customers, real SMTP, loopback only.
try *ARGS:
    cargo run --release -- try {{ARGS}}

# The tests, as the README says.
test:
    cargo test --workspace

# Format and lints only.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Fuzz one target (a folder of fuzz/seeds) for so many seconds; what it learns stays in fuzz/corpus.
fuzz TARGET SECONDS:
    bash fuzz/run {{TARGET}} {{SECONDS}}

# So many random walks over the SMTP session beside its model: ten million take a minute.
walks COUNT:
    cargo run --release -p countersign-oracles --example walks -- {{COUNT}}

# What the steps of a message cost, each alone; WHAT is part of a bench's name. A quiet machine tells more.
bench *WHAT:
    cargo bench -p countersign --bench cost -- {{WHAT}}

# Write the generated reference pages anew; look at the difference before you commit it.
bless:
    COUNTERSIGN_BLESS=1 cargo test -p countersign-core reasons
    COUNTERSIGN_BLESS=1 cargo test -p countersign --lib openapi
    COUNTERSIGN_BLESS=1 cargo test -p countersign --lib reference
    git diff --stat docs/reference
