# All chores: `just --list`. Install just with a package manager, or copy the command you need.

# Opens the studio
studio *options:
    cargo run --release -- studio {{options}}

# Builds the program
build:
    cargo build --release

# Runs what every change must pass
test:
    tests/run

# Also runs the slow checks
test-all:
    tests/run full

# Checks one crate: just quick weights
quick crate="":
    tests/run quick {{crate}}

# Formats the source
format:
    cargo fmt

# Fuzzes each reader of foreign files
fuzz seconds="60":
    fuzz/run {{seconds}}

# Renews the studio's screenshots that tests compare; look at each before you commit it
snapshots:
    UPDATE_SNAPSHOTS=1 cargo test --release --test studio snapshots

# Records docs/src/images/editor.png, the animation of the studio; look at it before you commit it
animation:
    cargo test --release --test studio animation -- --ignored --nocapture

# Builds the page into web/dist
page *options:
    web/build.sh {{options}}

# Serves the page
serve:
    web/serve.sh

# Runs the page's tests in Chromium: just page-tests studio-edit
page-tests *options:
    cd web/e2e && npx playwright test {{options}}

# Makes a book of the documentation in docs/book
docs:
    docs/build

# Runs a command with a current graphics driver in a Debian 13 root
current-driver *command:
    tests/current-driver {{command}}

# Lints for Windows, macOS and Linux on ARM
systems *targets:
    tests/systems {{targets}}

# Renders the training images of characters-128
characters folder:
    assets/characters-128/prepare {{folder}}

# Trains the RQ-VAE of characters-128; its README has the other stages
train-characters images run:
    cargo run --release -- train rqvae assets/characters-128/stage1.yaml --data {{images}} --out {{run}} --seed 1

# Checks that all crates can be published: compiles each from its package
release:
    cargo publish --workspace --dry-run

# Packs the program for release
pack file="residua.tar.gz": build
    tar -czf {{file}} -C "${CARGO_TARGET_DIR:-target}/release" residua

# Packs programs that tests/on-a-gpu runs on a machine with a GPU
pack-for-gpu folder:
    tests/on-a-gpu pack {{folder}}
