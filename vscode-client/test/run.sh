#!/usr/bin/env bash
# Check, unit tests, suites in the extension host of a real VS Code, package, and one session in that VS Code on the
# package; installs whatever is missing.
#
# usage: test/run.sh [unit|exthost|editor|all]
#   TIMES=10                 how often the session runs in a row (1); more than once, a line tells of each
#   GOALMAP_PICTURES=DIR     keep the pictures of the steps
#   GOALMAP_E2E_CACHE=DIR    where code-server is kept (~/.cache/goalmap-e2e), 800 MB
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}

if [ ! -x node_modules/.bin/tsc ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
fi

if [ "$what" = unit ] || [ "$what" = all ]; then
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
# Its logger is native and not built by an install without scripts; what is logged is to be looked at.
cp test/support/spdlog.cjs "$GOALMAP_E2E_CACHE/node_modules/code-server/lib/vscode/node_modules/@vscode/spdlog/index.js"

export GOALMAP_VSIX=$PWD/.e2e/goalmap.vsix GOALMAP_EVIDENCE=$PWD/.e2e/failure
mkdir -p .e2e
rm -rf "$GOALMAP_EVIDENCE"

if [ "$what" != editor ]; then
  node scripts/build.mjs
  node scripts/exthost.mjs
  python=${PYTHON:-$([ -x ../.venv/bin/python ] && echo "$PWD/../.venv/bin/python" || echo python3)}
  GOALMAP_SERVER="[\"$python\", \"-m\", \"goalmap\"]" timeout --kill-after=10 900 node --enable-source-maps .e2e/exthost/run.mjs
fi
[ "$what" != exthost ] || exit 0

node scripts/package.mjs "$GOALMAP_VSIX" >.e2e/package.log 2>&1 || { cat .e2e/package.log; exit 1; }
tail -1 .e2e/package.log
node scripts/editor.mjs
times=${TIMES:-1}
for ((round = 1; round <= times; round++)); do
  if ((times == 1)); then
    timeout --kill-after=10 "${SESSION_TIMEOUT_S:-900}" node --enable-source-maps .e2e/session.mjs
  else
    log=.e2e/round-$round.log
    result=0
    timeout --kill-after=10 "${SESSION_TIMEOUT_S:-900}" node --enable-source-maps .e2e/session.mjs >"$log" 2>&1 || result=$?
    echo "round $round of $times: $(tail -1 "$log")"
    ((result == 0)) || { cat "$log"; exit "$result"; }
  fi
done
