package main

import (
	"io"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/doctor"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/explain"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/render"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/schema"
)

// command is one of the program's.
type command struct {
	name, summary string
	// main runs it with the arguments after its name and returns the exit status.
	main func(arguments []string, version string, stdin io.Reader, stdout, stderr io.Writer) int
	// flags are its options, for completion; nil for none.
	flags func() *pflag.FlagSet
}

// commands are all, in the order of the help.
var commands = []command{
	{"lint", "Check pipeline files and the kubernetes plugins in them.", lint.Main, lint.Flags},
	{"schema", "Print the JSON Schema of pipelines with the kubernetes plugin.", schema.Main, nil},
	{"render", "Show the pod that a step or a Kubernetes object becomes.", render.Main, render.Flags},
	{"doctor", "Check an installation in a cluster, and say how to mend it.", doctor.Main, doctor.Flags},
	{"explain", "Say where a job is, since when, and why.", explain.Main, explain.Flags},
}
