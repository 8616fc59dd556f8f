#!/bin/sh
# data.sh DIR [PROGRAM OPTION…]: refuses a directory that `make up DATA=DIR` cannot play, before anything is fetched or
# built for it. With a program, lets it play what is there, or start everything where no directory is named.
. "$(dirname -- "$0")/common.sh"

dir=${1:-}
[ $# -eq 0 ] || shift
program=${1:-}
[ $# -eq 0 ] || shift
if [ -z "$dir" ]; then
    [ -n "$program" ] || exit 0
    exec "$program" up "$@"
fi
expected="expected a directory with files of bars, bars-*.csv.gz, bars-*.csv or bars-*.parquet, and perhaps corporate-actions.csv"
right="make up DATA=path/to/bars"
# A shell leaves it as it is behind a `=`.
case $dir in
"~/"*) dir=$HOME/${dir#"~/"} ;;
esac
[ ! -f "$dir" ] || die "DATA=$dir: a file; $expected" "$right, or of any files: tapedeck rehearse --bars FILE..."
[ -d "$dir" ] || die "DATA=$dir: no such directory (from $(pwd)); $expected" "$right"
found=
for file in "$dir"/bars-*.csv.gz "$dir"/bars-*.csv "$dir"/bars-*.parquet; do
    [ -f "$file" ] || continue
    found=yes
    set -- "$@" --bars "$file"
done
if [ -z "$found" ]; then
    # shellcheck disable=SC2012 # shown to a person
    there=$(ls -- "$dir" | head -n 5 | tr '\n' ' ')
    die "DATA=$dir: no file of bars there${there:+ but $there…}; $expected" "$right, or of any files: tapedeck rehearse --bars FILE..."
fi
[ -n "$program" ] || exit 0
actions=$dir/corporate-actions.csv
[ ! -f "$actions" ] || set -- "$@" --actions "$actions"
exec "$program" rehearse --bind 127.0.0.1:0 "$@"
