#!/usr/bin/env bash
# Removes what the other scripts made.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

[ ! -e "$BUILD" ] || must_be_ours "$BUILD"
rm -rf "$BUILD" target
