package images

// agentFiles is the layout of the agent's published images, and what theirs start
// with: a script that runs those of a directory, tini, and a second script that
// puts the SSH keys of the environment into files. Both are shell, as there, so that
// a container with the image's own entrypoint takes as long as it does with one of
// theirs; what they do is packaging/docker of github.com/buildkite/agent v3.138.1
// and github.com/buildkite/docker-ssh-env-config. The mutator mounts its volumes
// beside these files, at /buildkite/bin, run and token.
var agentFiles = []file{
	{name: "buildkite", directory: true, mode: 0o755},
	{name: "buildkite/builds", directory: true, mode: 0o755},
	{name: "buildkite/hooks", directory: true, mode: 0o755},
	{name: "buildkite/plugins", directory: true, mode: 0o755},
	{name: "buildkite/buildkite-agent.cfg", mode: 0o644, content: []byte(`# The environment and flags go before this file.
build-path="/buildkite/builds"
hooks-path="/buildkite/hooks"
plugins-path="/buildkite/plugins"
`)},
	{name: "usr/local/bin/buildkite-agent-entrypoint", mode: 0o755, content: []byte(`#!/usr/bin/env bash
set -euo pipefail

scripts=/docker-entrypoint.d
if [[ -d $scripts ]]; then
  run-parts --exit-on-error "$scripts"
fi
exec /usr/bin/tini -- ssh-env-config.sh /usr/local/bin/buildkite-agent "$@"
`)},
	{name: "usr/local/bin/ssh-env-config.sh", mode: 0o755, content: []byte(`#!/bin/bash
# NAME, NAME_B64 or NAME_PATH become a file of ~/.ssh.
set -e

place() {
  local file=~/.ssh/$2 encoded=$1_B64 path=$1_PATH
  [[ ${!1} || ${!encoded} || ${!path} ]] || return 0
  mkdir -p ~/.ssh
  chmod 700 ~/.ssh
  umask 077
  if [[ ${!1} ]]; then
    echo "${!1}" >"$file"
  elif [[ ${!encoded} ]]; then
    base64 -d <<<"${!encoded}" >"$file"
  else
    cat "${!path}" >"$file"
  fi
  unset "$1" "$encoded"
}

place SSH_CONFIG config
place SSH_KNOWN_HOSTS known_hosts
for kind in RSA DSA ECDSA ED25519; do
  place "SSH_PRIVATE_${kind}_KEY" "id_${kind,,}"
done
exec "$@"
`)},
}
