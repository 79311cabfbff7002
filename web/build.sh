#!/usr/bin/env bash
# Builds the page into web/dist, which any file server can serve: web/build.sh [--quick]
#   --quick   without LTO and wasm-opt, for working on the page
# CARGO_TARGET_DIR and RESIDUA_TOOLS: folders for builds and tools (default: in the user's cache)
# RESIDUA_WEB_TOOLCHAIN: rustup or debian (default: rustup if it can install the wasm target)
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/residua"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
readonly TOOLS="${RESIDUA_TOOLS:-$CACHE/tools}"
readonly TARGET=wasm32-unknown-unknown
readonly BINDGEN=0.2.130
readonly BINARYEN=132.0.0
readonly DIST=web/dist
# Fonts that the page fetches when their script first appears.
readonly SCRIPTS=(@expo-google-fonts/noto-sans-arabic@0.4.3 @expo-google-fonts/noto-sans-hebrew@0.4.1)
# Features of every browser with WebGPU or SIMD. wasm-opt must not use others, which browsers could reject.
readonly FEATURES=(simd bulk-memory bulk-memory-opt nontrapping-float-to-int sign-ext mutable-globals reference-types multivalue)

quick=false
[ "${1:-}" = --quick ] && quick=true

# Chooses the compiler. rustup provides the standard library for wasm; if its servers cannot be reached, Debian's compiler
# builds it from source.
toolchain() {
  if rustup target add "$TARGET" >/dev/null 2>&1; then
    echo rustup
  else
    echo debian
  fi
}

# Compiles a program with the given profile and features.
compile() {
  local flags=(--target "$TARGET" --bin "$@")
  if [ "$TOOLCHAIN" = rustup ]; then
    cargo build "${flags[@]}"
  else
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
      cargo build "${flags[@]}" -Z build-std=std,panic_abort
  fi
}

# Generates the JavaScript bindings of a program ($1) compiled with a profile ($2). The tool's version must match the
# crate's.
bind() {
  local bindgen="$TOOLS/bin/wasm-bindgen"
  if [ "$("$bindgen" --version 2>/dev/null)" != "wasm-bindgen $BINDGEN" ]; then
    CARGO_TARGET_DIR="$TOOLS/target" cargo install wasm-bindgen-cli --version "$BINDGEN" --root "$TOOLS"
  fi
  "$bindgen" --target web --no-typescript --out-dir "$DIST" --out-name "${1//-/_}" \
    "$CARGO_TARGET_DIR/$TARGET/$2/$1.wasm"
}

# Runs wasm-opt on a program; caches the result by the program's bytes.
shrink() {
  local program="$DIST/${1//-/_}_bg.wasm" flags=(-Oz "${FEATURES[@]/#/--enable-}") kept
  kept="$TOOLS/shrunk/$BINARYEN-$({ echo "${flags[@]}" && cat "$program"; } | sha256sum | cut -c1-32).wasm"
  if [ ! -f "$kept" ]; then
    [ -x "$TOOLS/node_modules/.bin/wasm-opt" ] || npm install --silent --prefix "$TOOLS" "binaryen@$BINARYEN"
    mkdir -p "$(dirname "$kept")"
    "$TOOLS/node_modules/.bin/wasm-opt" "${flags[@]}" "$program" -o "$kept.part"
    mv "$kept.part" "$kept"
  fi
  cp "$kept" "$program"
}

# Copies static files, and lists them: assets.json has sizes and hashes, shell.json has the files that the page needs to
# open offline.
collect() {
  cp -r web/*.html web/*.js web/*.d.ts web/icon.svg web/accessible web/store "$DIST"
  mkdir -p "$DIST"/assets/{characters-128,samples,tokenizers}
  cp assets/characters-128/*.safetensors "$DIST/assets/characters-128"
  cp assets/samples/*.png "$DIST/assets/samples"
  cp assets/tokenizers/*.gz "$DIST/assets/tokenizers"
  # The desktop window's fonts, which come with egui.
  mkdir -p "$DIST/assets/fonts"
  cp "$(dirname "$(cargo metadata --format-version 1 | python3 -c '
import json, sys
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "epaint_default_fonts"))')")"/fonts/* "$DIST/assets/fonts"
  mkdir -p "$DIST/assets/scripts"
  local font
  for font in "${SCRIPTS[@]}"; do
    local place="$TOOLS/fonts/${font##*/}"
    [ -d "$place" ] || npm install --silent --no-fund --prefix "$place" "$font"
    cp "$place/node_modules/${font%@*}"/{400Regular/*.ttf,LICENSE_FONT} "$DIST/assets/scripts"
  done
  python3 web/lists.py "$DIST"
}

readonly TOOLCHAIN="${RESIDUA_WEB_TOOLCHAIN:-$(toolchain)}"
if [ "$TOOLCHAIN" != rustup ] && ! { [ -d /usr/lib/rustlib/src/rust/library ] && command -v wasm-ld-19 >/dev/null; }; then
  echo "no standard library for $TARGET: install it with rustup, or install Debian's rustc-web rust-web-src lld-19" >&2
  exit 1
fi
if $quick; then
  for profile in WEB WEB_ENGINE; do
    export "CARGO_PROFILE_${profile}_LTO=off" "CARGO_PROFILE_${profile}_CODEGEN_UNITS=16"
  done
fi
# The page's own program is compiled without models, the other without a window. Link-time optimization uses one core per
# program.
compile residua-engine --profile web-engine --no-default-features --features models,web &
compile residua-studio --profile web --no-default-features --features studio,web
wait $!
rm -rf "$DIST" && mkdir -p "$DIST"
bind residua-engine web-engine
bind residua-studio web
if ! $quick; then
  # Each takes minutes on one core.
  shrink residua-engine &
  shrink residua-studio
  wait $!
fi
collect
