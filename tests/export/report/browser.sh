#!/usr/bin/env bash
# A headless Chromium out of an npm package into build/browser; it brings the libraries it needs.
set -euo pipefail
cd "$(dirname "$0")/../../.."
mkdir -p build/browser
cd build/browser
npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --silent @sparticuz/chromium@147.0.0
packed=node_modules/@sparticuz/chromium/bin
unpack() {
  node -e 'process.stdin.pipe(require("zlib").createBrotliDecompress()).pipe(process.stdout)' < "$packed/$1"
}
unpack al2023.tar.br | tar x
unpack fonts.tar.br | tar x fonts
echo "<fontconfig><dir>$PWD/fonts</dir><cachedir>$PWD/fonts</cachedir></fontconfig>" > fonts.conf
unpack chromium.br > chromium.part
chmod +x chromium.part
rm -rf node_modules
mv chromium.part chromium
