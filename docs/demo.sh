#!/usr/bin/env bash
# The doctor with a brain that accepts the agent, then with a wrong token. `make demo` runs it; by itself it needs a
# `python` that has the package. The exit status is 0 if both came out as they should.
set -euo pipefail

work=$(mktemp -d)
brain=
finish() {
    [ -z "$brain" ] || kill "$brain" 2> /dev/null || true
    rm -rf "$work"
}
trap finish EXIT
export Z4J_HOME="$work/state"

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

echo "A dev brain starts on this machine, and writes the settings of an agent to a file."
python -m z4j_fastapi dev-brain --env-file "$work/agent.env" > "$work/brain.log" 2>&1 &
brain=$!
deadline=$((SECONDS + 20))
until [ -s "$work/agent.env" ]; do
    if ! kill -0 "$brain" 2> /dev/null || [ $SECONDS -ge $deadline ]; then
        echo "The dev brain did not start:" >&2
        cat "$work/brain.log" >&2
        exit 1
    fi
    sleep 0.1
done

printf '\n1. All checks pass:\n'
show python -m z4j_fastapi doctor --env-file "$work/agent.env"

printf '\n2. The same with a token that the brain does not know:\n'
sed -E "s/^((export )?Z4J_TOKEN=).*/\1a-token-that-was-revoked-long-ago-0000000000/" "$work/agent.env" > "$work/wrong.env"
status=0
show python -m z4j_fastapi doctor --env-file "$work/wrong.env" || status=$?
if [ "$status" -ne 1 ]; then
    echo "The doctor's exit status is $status, expected 1." >&2
    exit 1
fi
printf '\nNext: docs/quickstart.md\n'
