# Where do environment, application and state lie?  To be sourced after `.ci/env`; sets ROOT, VENV, APP and STATE.
# APP is the checkout, or its root-owned copy where other Linux users cannot reach the checkout; STATE lies beside it.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$(cd "$ROOT/.venv" && pwd -P)
case $VENV in
  "$ROOT/.venv") APP=$ROOT STATE=$ROOT/.state ;;
  *) APP=${VENV%/venv}/app STATE=${VENV%/venv}/state ;;
esac
