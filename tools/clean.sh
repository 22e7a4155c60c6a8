#!/usr/bin/env bash
# Removes what the other scripts made.

. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [ -e "$BUILD" ] && { [ -L "$BUILD" ] || [ ! -O "$BUILD" ]; }; then
    fail "$BUILD belongs to somebody else."
fi
rm -rf "$BUILD" target
