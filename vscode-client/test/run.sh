#!/usr/bin/env bash
# Check, unit tests, package, and one session in a real VS Code on that package; installs whatever is missing.
#
# usage: test/run.sh [unit|editor|all]
#   TIMES=10                 how often the session runs in a row (1)
#   GOALMAP_PICTURES=DIR     keep the pictures of the steps
#   GOALMAP_E2E_CACHE=DIR    where code-server is kept (~/.cache/goalmap-e2e), 800 MB
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}

if [ ! -x node_modules/.bin/tsc ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
fi

if [ "$what" != editor ]; then
  npm run --silent check
  npm run --silent test
fi
[ "$what" != unit ] || exit 0

chromium=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$chromium" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi

# code-server is VS Code's own server part with a browser for a window. It asks for a Node of its own, and its
# shrinkwrap is out of step with its dependencies: hence the second install, and no `npm ci`.
export GOALMAP_E2E_CACHE=${GOALMAP_E2E_CACHE:-$HOME/.cache/goalmap-e2e}
mkdir -p "$GOALMAP_E2E_CACHE"
if ! cmp -s test/editor/code-server.json "$GOALMAP_E2E_CACHE/installed.json"; then
  cp test/editor/code-server.json "$GOALMAP_E2E_CACHE/package.json"
  (
    cd "$GOALMAP_E2E_CACHE"
    npm install --ignore-scripts --no-audit --no-fund --loglevel=error
    npm install --prefix node_modules/code-server/lib/vscode --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
  )
  cp test/editor/code-server.json "$GOALMAP_E2E_CACHE/installed.json"
fi

export GOALMAP_VSIX=$PWD/.e2e/goalmap.vsix GOALMAP_EVIDENCE=$PWD/.e2e/failure
mkdir -p .e2e
rm -rf "$GOALMAP_EVIDENCE"
node scripts/package.mjs "$GOALMAP_VSIX" >.e2e/package.log 2>&1 || { cat .e2e/package.log; exit 1; }
tail -1 .e2e/package.log
node scripts/editor.mjs
for ((round = 1; round <= ${TIMES:-1}; round++)); do
  timeout --kill-after=10 "${SESSION_TIMEOUT_S:-900}" node --enable-source-maps .e2e/session.mjs
done
