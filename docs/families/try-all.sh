#!/usr/bin/env bash
# Every curl example of the five families' documents, against a gateway that `make run` started in this directory.
#
#   docs/families/try-all.sh [family ...]      # a file of try/ each; all by default
#
# The documents' host is replaced, typographic quotes are made plain ones, and their ids and keys are those of
# `headrace fixtures`. Each call is checked for the status that the document lets a client expect.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=docs/families/try
python=${PYTHON:-.venv/bin/python}

# Where the gateway is: what `headrace up` noted, unless the environment says otherwise.
noted() {
    "$python" -c 'import json, pathlib, sys
path = pathlib.Path(sys.argv[1]) / "run" / "environment.json"
print(json.loads(path.read_text()).get(sys.argv[2], "") if path.exists() else "")' "${HEADRACE_DATA_DIR:-.headrace}" "$1"
}
HTTP_PORT=${HEADRACE_HTTP_PORT:-$(noted HEADRACE_HTTP_PORT)}
REALTIME_PORT=${HEADRACE_REALTIME_PORT:-$(noted HEADRACE_REALTIME_PORT)}
BASE=http://127.0.0.1:${HTTP_PORT:-8080}
REALTIME=http://127.0.0.1:${REALTIME_PORT:-8000}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m operations fixtures --json > "$work/fixtures.json"

# fixture KEY client: a property of what `headrace fixtures` made.
fixture() {
    "$python" -c 'import json, sys
print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' "$work/fixtures.json" "$1" "$2"
}

# member content.jwt_token: a member of the last answer; numbers are indices.
member() {
    "$python" -c 'import json, sys
found = json.load(open(sys.argv[1]))
for name in sys.argv[2].split("."):
    found = found[int(name) if isinstance(found, list) else name]
print(found if isinstance(found, str) else json.dumps(found))' "$work/answer" "$1"
}

calls=0
failures=0

# try 200 'What it shows' -X POST "$BASE/…" …: a curl call, checked for its status (a pattern, like 2??).
try() {
    local expected=$1 title=$2 status
    shift 2
    calls=$((calls + 1))
    : > "$work/answer"
    status=$(curl --silent --show-error --max-time 30 --output "$work/answer" --write-out '%{http_code}' "$@") || true
    # shellcheck disable=SC2053  # the expected status is a pattern
    if [[ $status == $expected ]]; then
        printf 'ok    %s  %s\n' "$status" "$title"
    else
        failures=$((failures + 1))
        printf 'FAIL  %s  %s (expected %s)\n      %s\n' "$status" "$title" "$expected" "$(head -c 500 "$work/answer")"
    fi
}

# holds 'What it shows' TEXT: the last answer contains the text.
holds() {
    calls=$((calls + 1))
    if grep --quiet --fixed-strings -- "$2" "$work/answer"; then
        printf 'ok         %s\n' "$1"
    else
        failures=$((failures + 1))
        printf 'FAIL       %s: no %s in\n      %s\n' "$1" "$2" "$(head -c 500 "$work/answer")"
    fi
}

families=("$@")
if [ $# = 0 ]; then
    for file in "$here"/*.sh; do families+=("$(basename "$file" .sh)"); done
fi
for family in "${families[@]}"; do
    printf -- '--- %s\n' "$family"
    # shellcheck source=/dev/null
    source "$here/$family.sh"
done

printf '%s checks, %s failed\n' "$calls" "$failures"
[ "$failures" = 0 ]
