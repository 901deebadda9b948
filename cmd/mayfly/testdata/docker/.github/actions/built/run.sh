set -e
touch made-by-action
echo "said=$1 of $(id -un) in $GITHUB_WORKSPACE" >> "$GITHUB_OUTPUT"
