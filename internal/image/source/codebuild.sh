#!/usr/bin/env bash
# The steps of buildspec.yml: fetch, build, canary, push.
#
# The project gives, and who starts the build may override:
#   RUNNER_VERSION   version of actions/runner, such as 2.336.0
#   RUNNER_SHA256    of its archive for this processor
#   ARCHITECTURE     amd64 or arm64: this processor, for the image's tag
#   REPOSITORY_URI   of the image repository, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME
#   AGENT_URI        s3://BUCKET/KEY of mayfly-agent for this processor
#   TOOL_URI         s3://BUCKET/KEY of mayfly for this processor
#   ARCHIVES_URI     s3://BUCKET/PREFIX with archives of actions/runner as runner-SHA256.tar.gz, asked before DOWNLOADS; may be empty
#   DOWNLOADS        where archives are, in folders such as v2.336.0; by default GitHub's releases
#   SOURCE_REVISION  of this source; by default what git calls its tree
#   BASE, DOCKER, PACKAGES   as in the Dockerfile; by default its own, whose base is pulled from Amazon's public registry first
set -euo pipefail

name=mayfly-runner:build # until it is pushed

fail() {
	echo "codebuild.sh: $*" >&2
	exit 1
}

# archive is the name that GitHub gives the runner for this processor.
archive() {
	case $(uname -m) in
	x86_64) echo "actions-runner-linux-x64-$RUNNER_VERSION.tar.gz" ;;
	aarch64) echo "actions-runner-linux-arm64-$RUNNER_VERSION.tar.gz" ;;
	*) fail "$(uname -m): GitHub has no runner for this processor" ;;
	esac
}

revision() {
	local given=${SOURCE_REVISION:-$(git rev-parse 'HEAD^{tree}' || echo unknown)}
	echo "${given:0:12}"
}

fetch() {
	aws s3 cp --only-show-errors "$AGENT_URI" mayfly-agent
	aws s3 cp --only-show-errors "$TOOL_URI" mayfly
	chmod 0755 mayfly-agent mayfly
	fetch_runner
	echo "$RUNNER_SHA256  actions-runner.tar.gz" | sha256sum -c - ||
		fail "the archive of runner $RUNNER_VERSION is not what RUNNER_SHA256 says: not built"
}

# fetch_runner tries the bucket and then GitHub, which may refuse for a while (403, 429)
# where many ask from one address: curl waits as long as it says, ten minutes at most.
fetch_runner() {
	local url
	if [ -n "${ARCHIVES_URI:-}" ] && aws s3 cp --only-show-errors "$ARCHIVES_URI/runner-$RUNNER_SHA256.tar.gz" actions-runner.tar.gz; then
		return
	fi
	url=${DOWNLOADS:-https://github.com/actions/runner/releases/download}/v$RUNNER_VERSION/$(archive)
	curl -fsSL --retry 8 --retry-all-errors --retry-max-time 600 -o actions-runner.tar.gz "$url" ||
		fail "$url is not to be had: mayfly image build --agent-archive FILE takes it from a file"
}

# base pulls the image to build on and says where it was. Docker Hub refuses anonymous pulls (429) where
# many ask from one address, as CodeBuild's projects do; Amazon's public registry has the same images.
# https://docs.docker.com/docker-hub/usage/pulls/ https://gallery.ecr.aws/docker/library/debian
base() {
	local own place
	[ -z "${BASE:-}" ] || { echo "$BASE" && return; }
	own=$(sed -n 's/^ARG BASE=//p' Dockerfile)
	for place in "${own/#docker.io\//public.ecr.aws/docker/}" "$own"; do
		if docker pull --quiet "$place" >&2; then
			echo "$place"
			return
		fi
	done
	fail "$own is not to be had, here or at public.ecr.aws: image.base names another"
}

build() {
	local from args
	from=$(base)
	args=(
		--build-arg "BASE=$from"
		--build-arg "RUNNER_VERSION=$RUNNER_VERSION"
		--build-arg "RUNNER_SHA256=$RUNNER_SHA256"
		--build-arg "SOURCE_REVISION=$(revision)"
		--build-arg "BUILD_TIME=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
	)
	[ -z "${PACKAGES:-}" ] || args+=(--build-arg "PACKAGES=$PACKAGES")
	[ -z "${DOCKER:-}" ] || args+=(--build-arg "DOCKER=$DOCKER")
	docker build --tag "$name" "${args[@]}" .
}

# canary runs a job on a runner from the image, against a simulated GitHub.
canary() {
	./mayfly image canary "$name"
}

push() {
	local target
	target=$REPOSITORY_URI:$RUNNER_VERSION-$(revision)-$ARCHITECTURE-${CODEBUILD_BUILD_NUMBER:-0}
	aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"
	docker tag "$name" "$target"
	docker push "$target"
	docker inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$target" |
		sed -n "s|^$REPOSITORY_URI@||p" >image-digest
	[ -s image-digest ] || fail "$target: pushed, but its digest is not known"
	echo "pushed $target, $(cat image-digest)"
}

case ${1:-} in
fetch | build | canary | push) "$1" ;;
*) fail "usage: bash codebuild.sh fetch|build|canary|push" ;;
esac
