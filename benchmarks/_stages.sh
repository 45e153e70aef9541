# What the scripts for a machine with a GPU share: a Python, a limit of time, and the loop over stages. A script sources
# this where it was started; it goes on in the root of the repository.
#
# Stages are functions of the script. One that `limited` has stopped returns LATER and continues when it is called again.

LATER=75 # the exit code of what is to be continued

self="$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"
cd "$(dirname "$self")/.."
if [ -z "${PYTHON:-}" ]; then
  PYTHON=.venv/bin/python
  [ -x "$PYTHON" ] || PYTHON=python3
fi
export PYTHON

# Runs a command until the stage's LIMIT of seconds is over; SECONDS counts from the start of the stage's own shell.
limited() {
  local left=$((${LIMIT:-540} - SECONDS)) status=0
  [ "$left" -gt 0 ] || return $LATER
  # A stage that is interrupted ends as with Ctrl-C. Files are replaced whole, so a kill does no harm either.
  timeout --foreground --signal=INT --kill-after=10 "$left" "$@" || status=$?
  case $status in 124 | 137) return $LATER ;; *) return $status ;; esac
}

# `needs FILE STAGE`: ends a stage that lacks what another one makes.
needs() { [ -e "$1" ] || { echo "there is no $1; the stage '$2' makes it" >&2; return 1; }; }

# `carry_out RESULTS "ALL STAGES" [STAGE ...]`: those that are asked for, or all, one after the other. What a stage prints
# is added to RESULTS/STAGE.txt. A stage that fails does not keep the others from running, except the build.
carry_out() {
  local results="$1" all="$2" stage begun status complete=() later=() failed=()
  shift 2
  # Each stage runs in a shell of its own, where an error ends it: `if` would let it go on.
  if [ "${1:-}" = --run ]; then
    "$2"
    exit
  fi
  # shellcheck disable=SC2086
  [ $# -gt 0 ] || set -- $all
  for stage in "$@"; do
    case " $all " in
      *" $stage "*) ;;
      *) echo "unknown stage '$stage'; there are $all" >&2; exit 2 ;;
    esac
  done
  mkdir -p "$results"
  for stage in "$@"; do
    echo "== $stage"
    begun=$SECONDS status=0
    "$self" --run "$stage" 2>&1 | tee -a "$results/$stage.txt" || status="${PIPESTATUS[0]}"
    echo "== $stage took $((SECONDS - begun)) s"
    case $status in
      0) complete+=("$stage") ;;
      "$LATER") later+=("$stage") ;;
      *) failed+=("$stage") ;;
    esac
    [ "${failed[*]:-}" != build ] || break
  done
  echo "complete: ${complete[*]:-none}; to be continued: ${later[*]:-none}; failed: ${failed[*]:-none}"
  [ ${#failed[@]} = 0 ] || exit 1
  [ ${#later[@]} = 0 ] || exit $LATER
}
