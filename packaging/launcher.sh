#!/bin/sh
# localqueue @VERSION@ for @PLATFORM@. Behind the last line of this script is an archive. It is unpacked once, into a
# folder that is named after its content, and runs from there: a start costs a few milliseconds.
folder=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/localqueue/@HASH@
if [ ! -x "$folder/localqueue" ]; then
  if ! mkdir -p "${folder%/*}" 2>/dev/null || [ ! -w "${folder%/*}" ]; then
    folder=${TMPDIR:-/tmp}/localqueue-$(id -u)/@HASH@
    mkdir -p "${folder%/*}" && chmod 700 "${folder%/*}" && [ -O "${folder%/*}" ] || {
      echo "Error: localqueue can't unpack itself into ${folder%/*}. Set XDG_CACHE_HOME to a folder of yours." >&2
      exit 1
    }
  fi
fi
if [ ! -x "$folder/localqueue" ]; then
  find "${folder%/*}" -maxdepth 1 -name '*.part' -mmin +60 -exec rm -rf {} + 2>/dev/null # of starts that were killed
  part=$folder.$$.part
  if ! { mkdir "$part" && tail -n +@LINES@ "$0" | tar -xzf - -C "$part"; }; then
    rm -rf "$part"
    echo "Error: localqueue can't unpack itself into $folder. Is the disk full?" >&2
    exit 1
  fi
  mv "$part" "$folder" 2>/dev/null
  rm -rf "$part" "$folder/${part##*/}" # where it is if another start was faster
fi
exec "$folder/localqueue" "$@"
