#!/bin/sh
# Runs Python's clients against a market that is open: OpenAI's and Anthropic's SDKs, and LiteLLM.
#
#   scripts/python-clients/run.sh http://127.0.0.1:8100 sk-swan-…
#
# They are installed, at the versions of requirements.txt, into a folder of their own that goes afterwards. Not part of
# `npm test`: it needs Python and a package index.
set -eu
if [ $# -ne 2 ]; then
  echo "usage: $0 <base address> <key>" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_TELEMETRY=False "$folder/env/bin/python" "$here/clients.py" "$1" "$2"
